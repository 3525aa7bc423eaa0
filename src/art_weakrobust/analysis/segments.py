"""Where does weakness concentrate? A shallow tree over what a person sees of an image, and over its class.

A tree picks its leaves by looking, so that their shares, counted on the same samples, are too good. Here one half of
the samples grows the tree, and the other half, which it has not seen, says how weak each leaf is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from sklearn.tree import DecisionTreeClassifier

from ..errors import UsageError
from ..kernels import keyed
from ..kernels.properties import PROPERTIES
from ..results import SCREENED, Scores, Triage, WeakSet, column
from ..statistics import CONFIDENCE, fisher, holm, wilson

DEPTH = 3
LEAST = 30
"""Least samples of a leaf, in the half that grows the tree; a fiftieth of them where that is more."""

SURE = 1e-3
"""Largest p of a split that stays: the tree looked at many before it took this one."""

Row = dict[str, Any]


def weak_segments(
    scores: Scores, weak_set: WeakSet, triage: Triage, *, class_names: Sequence[str] = (), seed: int = 0
) -> list[Row]:
    """Return the segments of the scored samples in which weak ones are more frequent than elsewhere.

    Counted are samples that are right when clean and have a score, or were left out by a screening as not weak. A
    segment is named where its half that grew no tree differs from all other samples of that half by Fisher's exact test
    (Holm over the leaves), and the interval of its share lies above the overall one.

    :param scores: completed scores.
    :param weak_set: who is weak.
    :param triage: of the same samples: the properties of their images.
    :param class_names: in the order of the labels; without them classes are numbers.
    :param seed: the halves are a function of (seed, sample id).
    :return: the weakest first, each ``where`` (as in ``class cat, contrast below 0.15``), ``n``, ``weak``, ``share``,
        ``lower`` and ``upper``.
    :raises UsageError: where triage and scores are of different samples.
    """
    described = _Described.of(scores, weak_set, triage, class_names)
    half = keyed.uniform(torch.from_numpy(described.ids), 0, (1,), keyed.derive(seed, "segments"))[:, 0].numpy() < 0.5
    grown, told = described.at(half), described.at(~half)
    least = max(LEAST, len(grown.ids) // 50)
    if min(len(grown.ids), len(told.ids)) < 2 * least or len(np.unique(grown.weak)) < 2:
        return []
    tree = DecisionTreeClassifier(max_depth=DEPTH, min_samples_leaf=least, random_state=0)
    tree.fit(grown.columns, grown.weak)
    return _judged(_leaves(tree.tree_), told)


@dataclass(frozen=True)
class _Condition:
    """``column`` is at most ``threshold`` (or above it): rounded as it is shown, so that what is counted is said."""

    column: int
    threshold: float
    above: bool

    def holds(self, columns: np.ndarray) -> np.ndarray:
        values = columns[:, self.column]
        return np.asarray(values > self.threshold if self.above else values <= self.threshold)


_Path: TypeAlias = tuple[_Condition, ...]


@dataclass(frozen=True)
class _Described:
    """Samples by id: what is seen of them, (n, columns), and who is weak, bool (n,)."""

    ids: np.ndarray
    columns: np.ndarray
    weak: np.ndarray
    names: tuple[str, ...]

    @classmethod
    def of(cls, scores: Scores, weak_set: WeakSet, triage: Triage, class_names: Sequence[str]) -> _Described:
        order = np.argsort(scores["index"], kind="stable")
        ids, own = scores["index"][order].astype(np.int64), np.argsort(triage["index"], kind="stable")
        if not np.array_equal(ids, triage["index"][own]):
            raise UsageError("triage is of other samples than scores; make it of these scores")
        weak = np.isin(ids, np.concatenate([weak_set.tune, weak_set.held_out]))
        score = column(scores.table, "score").astype(np.float64)[order]
        placed = np.isfinite(score) | (scores["status"][order] == SCREENED)  # left out, since it is not weak
        counted = (placed & (scores["correct"][order] != False)) | weak  # noqa: E712 - three-valued
        seen = {name: triage[name][own].astype(np.float64) for name in PROPERTIES}
        seen = {name: values for name, values in seen.items() if np.ptp(values) > 0}
        label = scores["label"][order]
        seen |= _one_hot(label, "class", class_names)
        prediction = scores["prediction"][order]
        if np.any(prediction[counted] != label[counted]):
            seen |= _one_hot(prediction, "predicted class", class_names)
        columns = np.stack(list(seen.values()), 1) if seen else np.zeros((len(ids), 0))
        return cls(ids, columns, weak, tuple(seen)).at(counted)

    def at(self, rows: np.ndarray) -> _Described:
        """Return some of the samples."""
        return _Described(self.ids[rows], self.columns[rows], self.weak[rows], self.names)


def _one_hot(classes: np.ndarray, what: str, names: Sequence[str]) -> dict[str, np.ndarray]:
    known = np.unique(classes[np.isfinite(classes.astype(np.float64))]).astype(np.int64)
    return {f"{what} {names[own] if own < len(names) else own}": (classes == own).astype(np.float64) for own in known}


def _leaves(tree: Any, node: int = 0, path: _Path = ()) -> list[_Path]:
    """Return the conditions that lead to each leaf, of splits that the growing half itself is sure of."""
    left, right = int(tree.children_left[node]), int(tree.children_right[node])
    if left == right:
        return [path]
    threshold = float(f"{tree.threshold[node]:.3g}")
    below, above = (
        _leaves(tree, child, (*path, _Condition(int(tree.feature[node]), threshold, up)))
        for child, up in ((left, False), (right, True))
    )
    chance = len(below) == len(above) == 1 and fisher(*_counts(tree, left), *_counts(tree, right)) >= SURE
    return [path] if chance else [*below, *above]


def _counts(tree: Any, node: int) -> tuple[int, int]:
    """Return how many samples of a node are weak, and how many it has."""
    share, n = tree.value[node, 0], int(tree.n_node_samples[node])
    return round(float(share[1] / share.sum() * n)), n


def _judged(leaves: Sequence[_Path], told: _Described) -> list[Row]:
    overall, n, weak = float(told.weak.mean()), len(told.ids), int(told.weak.sum())
    members = [np.logical_and.reduce([np.full(n, True), *(one.holds(told.columns) for one in path)]) for path in leaves]
    counts = [(int(told.weak[inside].sum()), int(inside.sum())) for inside in members]
    levels = holm([fisher(k, size, weak - k, n - size) for k, size in counts])
    rows: list[Row] = []
    for path, (k, size), p in zip(leaves, counts, levels, strict=True):
        lower, upper = wilson(k, size)
        if p < 1 - CONFIDENCE and lower > overall:
            where = _words(path, told.names)
            rows.append({"where": where, "n": size, "weak": k, "share": k / size, "lower": lower, "upper": upper})
    return sorted(rows, key=lambda row: (-row["share"], row["where"]))


def _words(path: Sequence[_Condition], names: Sequence[str]) -> str:
    """Return the conditions of a leaf as a person says them; the sharpest where a property has several."""
    spoken: list[str] = []
    known = {names[one.column] for one in path if one.above} - set(PROPERTIES)
    settled = {name.rpartition("class ")[0] for name in known}  # of class 3 it need not be said that it is not class 0
    for at in dict.fromkeys(one.column for one in path):
        name, own = names[at], [one for one in path if one.column == at]
        if name not in PROPERTIES:
            what, _, value = name.rpartition("class ")
            if name in known or what not in settled:
                spoken.append(name if name in known else f"{what}class not {value}")
            continue
        floor = max((one.threshold for one in own if one.above), default=None)
        ceiling = min((one.threshold for one in own if not one.above), default=None)
        if floor is not None and ceiling is not None:
            spoken.append(f"{name} from {floor:g} to {ceiling:g}")
        else:
            spoken.append(f"{name} below {ceiling:g}" if floor is None else f"{name} above {floor:g}")
    return ", ".join(sorted(spoken, key=lambda text: (text.split(" ")[0] in PROPERTIES, " not " in text)))
