"""Why is a sample weak? Fragile, mislabelled, ambiguous or atypical: only the first kind should be trained on harder.

Fitting hard samples whatever they are is what robust overfitting is made of (Liu et al.,
https://openreview.net/forum?id=hbGV3vzMPzG); a wrong label is no weakness of the network at all.
"""

from __future__ import annotations

import functools

import numpy as np
import pyarrow as pa

from ..datasets.base import ids_of, labels_of, stratified
from ..errors import UsageError
from ..estimators.plan import BATCH_SIZE
from ..kernels.keyed import derive
from ..kernels.properties import PROPERTIES
from ..protocols import Dataset, Estimator, Map
from ..results import LABEL_CHECKS, TRIAGE, Scores, Table, Triage, column, conform
from ..threat import parse_eps
from .scorer import known
from .triage_cleanlab import issues
from .triage_evidence import EvidenceRows
from .triage_labels import LabelCheck, check_labels_of

DOUBTED, SURELY = 0.25, 0.5
"""A label is doubted from so much above twice the upper quartile of all doubts, which is what moving the image costs an
ordinary sample, and from one half in any case. Below one half at all, since what a network has learnt of a wrong label
speaks for it beside its pixels, too. Chosen on labels planted wrong before training, in the digits and in CIFAR-10."""

FENCE = 1.5
"""Interquartile ranges above the upper quartile from which a distance is an outlier (Tukey 1977), on a log scale."""

WEIGHTS = {"fragile": 1.0, "steady": 1.0, "atypical": 0.5, "ambiguous": 0.5, "mislabelled": 0.05}
"""How likely training draws a kind, relative to a fragile sample: by the default ``weak_weight`` of 2 an ambiguous one
is drawn as any other sample is, and one that may be mislabelled hardly at all."""

_A_MEAN = 32  # images of a class that its mean is made of
_MEANS_AT_MOST = 1 << 22  # numbers in all means together: 16 MB; more classes of larger images go without


def triage(
    estimator: Estimator,
    data: Dataset,
    scores: Scores,
    over: Map,
    *,
    eps: float | str = 2 / 255,
    label_check: str = "built-in",
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> Triage:
    """Return for every scored sample its kind, the evidence beside it, and a weight for training.

    ``mislabelled``: its nearest samples in feature space, and the network itself where it has not learnt the very
    pixels by heart, speak for another class; ``ambiguous``: they are divided; ``atypical``: far from all others of its
    class; otherwise ``fragile`` where an error was found nearby (or the sample is wrong when clean), and ``steady``
    where none was. Where the model's output is not finite the kind is null. Memory holds, for each sample, at most 256
    features and a number a class; pixels are read chunk by chunk.

    :param estimator: any that gives scores; of a black box they serve as features, and ``masked`` is null.
    :param data: what was scored.
    :param scores: completed scores.
    :param over: runs the chunks, see :class:`~art_weakrobust.protocols.Map`.
    :param eps: length of the steps, Linf, that look for masked gradients.
    :param label_check: ``built-in`` or ``cleanlab``, whose filter then says who is mislabelled (an extra of its own).
    :param seed: of random directions and projections.
    :param batch_size: images a forward pass.
    :return: rows of :data:`~art_weakrobust.results.TRIAGE`, in the order of the ids.
    :raises UsageError: for a value out of range, or fewer than two samples.
    :raises ModelError: for a model that gives labels alone.
    """
    step = parse_eps(eps)
    if not step > 0:
        raise UsageError(f"eps {eps!r} of triage has to be above zero")
    if label_check not in LABEL_CHECKS:
        raise UsageError(f"label_check {label_check!r} is none of {', '.join(LABEL_CHECKS)}")
    table = scores.table.take(pa.array(np.argsort(column(scores.table, "index"), kind="stable")))
    ids = column(table, "index").astype(np.int64)
    means = _class_means(data, getattr(estimator, "nb_classes", None), seed)
    function = EvidenceRows(eps=step, seed=seed, batch_size=batch_size, means=means)
    evidence = over("triage", function, estimator, data, ids)
    return decided(evidence, table, label_check)


def decided(evidence: Table, scores: Table, label_check: str = "built-in") -> Triage:
    """Return kind and weight of every sample from what is known of all of them; nothing is asked of the model.

    :param evidence: the rows of :class:`~.triage_evidence.EvidenceRows`.
    :param scores: of the same samples, in the same order.
    """
    features, probabilities = _matrix(evidence, "features"), _matrix(evidence, "shift_probabilities")
    label = column(evidence, "label").astype(np.int64)
    seen = np.flatnonzero(np.isfinite(features).all(1) & np.isfinite(probabilities).all(1))
    check = check_labels_of(features[seen], probabilities[seen], label[seen])
    bar = min(SURELY, DOUBTED + 2 * float(np.quantile(check.doubt, 0.75)))
    doubted = issues(label[seen], check.evidence) if label_check == "cleanlab" else check.doubt > bar
    kind = np.full(len(label), None, object)
    kind[seen] = _kinds(check, doubted, check.doubt > bar / 2, label[seen], _error_nearby(scores)[seen])
    spread = functools.partial(_spread, seen, len(label))
    shift = probabilities[np.arange(len(label)), label]
    columns = {
        **{name: evidence.column(name) for name in ("index", "confidence", "margin", "masked", *PROPERTIES)},
        "kind": pa.array(kind, pa.string()),
        "weight": pa.array([WEIGHTS[name] if name else 1.0 for name in kind], pa.float32()),
        "shift_confidence": known(shift, pa.float32()),
        "agreement": spread(check.agreement),
        "neighbor_distance": spread(check.distance),
        "doubt": spread(check.doubt),
        "suggested": pa.array(_filled(seen, len(label), check.suggested, -1), mask=~np.isin(range(len(label)), seen)),
        "adversarial_distance": scores.column("adversarial_distance"),
    }
    return Triage(conform(pa.table(columns), TRIAGE))


def _kinds(
    check: LabelCheck, doubted: np.ndarray, divided: np.ndarray, label: np.ndarray, error_nearby: np.ndarray
) -> np.ndarray:
    kinds = np.where(error_nearby, "fragile", "steady").astype(object)
    kinds[_far_out(check.distance, label)] = "atypical"
    kinds[divided] = "ambiguous"
    kinds[doubted] = "mislabelled"
    return kinds


def _far_out(distance: np.ndarray, label: np.ndarray) -> np.ndarray:
    """Say of every sample whether it is far from its nearest ones, as the samples of its class go."""
    size = np.log(np.maximum(distance, 1e-12))
    far = np.zeros(len(label), bool)
    for own in np.unique(label):
        members = label == own
        lower, upper = np.quantile(size[members], [0.25, 0.75])
        far[members] = size[members] > upper + FENCE * (upper - lower)
    return far


def _error_nearby(scores: Table) -> np.ndarray:
    """Say of every sample whether an error was seen at it or nearby, by whatever the scorer measured."""
    found = column(scores, "found") == True  # noqa: E712 - three-valued
    wrong = column(scores, "correct") == False  # noqa: E712
    return np.asarray(found | wrong | np.isfinite(column(scores, "adversarial_distance").astype(np.float64)))


def _class_means(data: Dataset, classes: int | None, seed: int) -> np.ndarray | None:
    """Return the mean image of every class, float32 (K, c, h, w), of at most 32 images drawn; None if that is too much.

    A class of which there is no image has the mean of all.
    """
    ids, labels = ids_of(data), labels_of(data)
    shape = data.take(ids[:1]).x.shape[1:]
    count = max(classes or 0, int(labels.max()) + 1)
    if count * int(np.prod(shape)) > _MEANS_AT_MOST:
        return None
    means, there = np.zeros((count, *shape), np.float32), np.zeros(count, bool)
    for own in np.unique(labels):
        members = ids[labels == own]
        drawn = stratified(np.arange(len(members)), np.zeros(len(members)), _A_MEAN, derive(seed, "means", int(own)))
        means[own], there[own] = data.take(members[drawn]).x.mean(0), True
    means[~there] = means[there].mean(0)
    return means


def _matrix(table: Table, name: str) -> np.ndarray:
    numbers = [part.flatten().to_numpy(zero_copy_only=False) for part in table.column(name).chunks]
    return np.concatenate(numbers).astype(np.float32).reshape(table.num_rows, -1)


def _filled(places: np.ndarray, n: int, values: np.ndarray, nothing: float) -> np.ndarray:
    every = np.full(n, nothing, values.dtype)
    every[places] = values
    return every


def _spread(places: np.ndarray, n: int, values: np.ndarray) -> pa.Array:
    """Return values of some samples as a column of all, null elsewhere."""
    return known(_filled(places, n, values, np.nan), pa.float32())
