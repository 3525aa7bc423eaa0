"""Scores in, weak set out: the weakly robust samples, the half of them that training may see, and a control group.

Source: Nuhu et al., arXiv 2509.19197, section III (the ranking); halves and control group are this package's own.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from .errors import UsageError, nearest
from .results import KINDS, WEAK_SET, Scores, Table, Triage, WeakSet, column, conform
from .statistics import share_of

_DEFAULT_FRACTION = 0.1


def select(
    scores: Scores,
    *,
    fraction: float | None = _DEFAULT_FRACTION,
    top_k: int | None = None,
    threshold: float | None = None,
    per_class: int | float | None = None,
    fill: bool = False,
    triage: Triage | None = None,
    kinds: Collection[str] | None = None,
    seed: int = 0,
) -> WeakSet:
    """Return the weak robust samples, split in halves, and a control group.

    Samples with an error in their neighborhood rank by score, highest first; ties by the least margin over the
    neighbors (the clean margin where a scorer knows no neighbors), then by id. Misclassified and failed samples have no
    score and never enter. Where the scorer has no ``found`` column, every finite score counts as an error found.

    The halves ``tune`` and ``held_out`` are drawn at random within each class and differ in size by one at most, the
    odd sample going to ``tune``. ``control`` has as many samples as ``held_out``, or all there are, drawn from the
    clean-correct samples outside the weak set. The draws depend on seed and ids, never on the order of the rows.

    :param scores: completed scores; ``index`` unique.
    :param fraction: share of the clean-correct samples, in (0, 1], rounded to the nearest number. Used unless ``top_k``
        or ``threshold`` is given.
    :param top_k: how many samples, at least 1.
    :param threshold: all samples whose score is at least this.
    :param per_class: at most so many samples of each class (an int from 1), or at most this share of each class's
        clean-correct samples (a float in (0, 1]); places that a class gives up go to the next in rank.
    :param fill: where errors are too few, take samples without one as well, the least margin first, with
        ``reason="margin"``.
    :param triage: of the same samples: every row gets its ``kind`` and ``weight``.
    :param kinds: only samples of these kinds enter, some of :data:`~art_weakrobust.results.KINDS`; it needs ``triage``.
        Where ``mislabelled`` is none of them, no such sample is in the control group either.
    :param seed: of the draws, not negative.
    :return: rows of :data:`~art_weakrobust.results.WEAK_SET`, the weakest first, the control group last, by id. Fewer
        than asked for where there are not enough, none at all included.
    :raises UsageError: for a value outside its range, or two of ``fraction``, ``top_k`` and ``threshold`` at once; and
        for more than a screening has sought: whoever it left out has no score, and is never ranked.
    """
    _check(fraction, top_k, threshold, per_class, seed)
    _check_kinds(triage, kinds)
    pool = _Pool.of(scores, triage)
    wanted = top_k if top_k is not None else share_of(fraction or 0.0, int(pool.correct.sum()))
    _check_screened(scores, wanted, threshold=threshold, per_class=per_class, kinds=kinds)
    ranked = pool.ranked(fill, kinds)
    if threshold is not None:
        ranked = ranked[pool.score[ranked] >= threshold]
    if per_class is not None:
        ranked = ranked[_place_in_class(pool.label[ranked]) < _quotas(pool, per_class)[ranked]]
    if threshold is None:
        ranked = ranked[:wanted]
    generator = np.random.default_rng(seed)
    held_out = _half(pool, ranked, generator)
    doubtful = (pool.kind == "mislabelled") & (kinds is not None and "mislabelled" not in kinds)
    rest = np.setdiff1d(np.flatnonzero(pool.correct & ~doubtful), ranked)
    control = np.sort(generator.permutation(rest)[: int(held_out.sum())])
    return WeakSet(_table(pool, ranked, held_out, control))


def kinds_named(names: str | Iterable[str] | None, where: str = "kinds") -> tuple[str, ...] | None:
    """Return kinds as they were written, ``"fragile,ambiguous"`` or a sequence; None stays None.

    :param where: what messages call them.
    :raises UsageError: for a name that is no kind, or none at all.
    """
    if names is None:
        return None
    given = [name.strip() for name in names.split(",")] if isinstance(names, str) else list(names)
    for name in given:
        if name not in KINDS:
            raise UsageError(f"{where} has {name!r}, expected some of {', '.join(KINDS)}{nearest(name, KINDS)}")
    if not given:
        raise UsageError(f"{where} is empty; name some of {', '.join(KINDS)}, or leave it out for all")
    return tuple(given)


@dataclass(frozen=True)
class _Pool:
    """The samples in the order of their ids, (n,) each, so that nothing hangs on the order of the rows."""

    index: np.ndarray
    label: np.ndarray
    score: np.ndarray
    closeness: np.ndarray
    found: np.ndarray
    eligible: np.ndarray
    correct: np.ndarray
    kind: np.ndarray
    weight: np.ndarray

    @classmethod
    def of(cls, scores: Scores, triage: Triage | None) -> _Pool:
        table = scores.table
        index = np.asarray(table.column("index").cast(pa.int64()).to_numpy())
        order = np.argsort(index, kind="stable")
        if np.any(np.diff(index[order]) == 0):
            raise UsageError("scores hold a sample id twice; score every sample once")
        score, status, correct = _numbers(table, "score"), _texts(table, "status"), _numbers(table, "correct")
        # A scorer that says "ok" of a misclassified sample was asked to include it; silence is no such word.
        usable = (status == "ok") | ((status == "") & (correct != 0))
        eligible = np.isfinite(score) & usable
        found, neighbor_margin = _numbers(table, "found"), _numbers(table, "neighbor_margin")
        closeness = neighbor_margin if np.isfinite(neighbor_margin).any() else _numbers(table, "margin")
        values = {
            "index": index,
            "label": np.nan_to_num(_numbers(table, "label"), nan=-1).astype(np.int64),
            "score": score,
            "closeness": np.where(np.isfinite(closeness), closeness, np.inf),
            "found": found == 1 if np.isfinite(found).any() else np.isfinite(score),
            "eligible": eligible,
            "correct": correct == 1 if np.isfinite(correct).any() else eligible,
        }
        kind, weight = _triaged(triage, index[order])
        return cls(**{name: value[order] for name, value in values.items()}, kind=kind, weight=weight)

    def ranked(self, fill: bool, kinds: Collection[str] | None) -> np.ndarray:
        """Return positions, the weakest first; those without an error last, if at all."""
        score = np.where(self.found, self.score, -np.inf)
        order = np.lexsort((self.index, self.closeness, -score))
        enters = self.eligible & (self.found | fill)
        if kinds is not None:
            enters &= np.isin(self.kind, list(kinds))
        return np.asarray(order[enters[order]])


def _triaged(triage: Triage | None, index: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return kind ("" where unknown) and weight of samples, given by their sorted ids; weight 1 without a triage."""
    if triage is None:
        return np.full(index.size, "", object), np.ones(index.size, np.float32)
    order = np.argsort(triage["index"], kind="stable")
    if not np.array_equal(triage["index"][order], index):
        raise UsageError("triage is of other samples than scores; make it of these scores")
    return _texts(triage.table, "kind")[order], triage["weight"][order].astype(np.float32)


def _check_kinds(triage: Triage | None, kinds: Collection[str] | None) -> None:
    if kinds is None:
        return
    if triage is None:
        raise UsageError(f"kinds={tuple(kinds)!r} needs a triage, which says of what kind each sample is")
    if isinstance(kinds, str):
        raise UsageError(f"kinds={kinds!r} has to be a sequence, as in ('fragile', 'ambiguous')")
    kinds_named(kinds)


def _check(
    fraction: float | None, top_k: int | None, threshold: float | None, per_class: float | None, seed: int
) -> None:
    chosen = {"top_k": top_k, "threshold": threshold}
    given = {name: value for name, value in chosen.items() if value is not None}
    if fraction is not None and (not given or fraction != _DEFAULT_FRACTION):
        given = {"fraction": fraction, **given}
    if len(given) != 1:
        written = " and ".join(f"{name}={value!r}" for name, value in given.items()) or "none of them"
        raise UsageError(f"fraction, top_k and threshold exclude one another, received {written}; give one")
    if "fraction" in given and not (_is_number(fraction) and 0 < given["fraction"] <= 1):
        raise UsageError(f"fraction={fraction!r} has to be a share above 0 and at most 1, such as 0.1")
    if top_k is not None and not (_is_whole(top_k) and top_k >= 1):
        raise UsageError(f"top_k={top_k!r} has to be a whole number from 1")
    if threshold is not None and not (_is_number(threshold) and math.isfinite(threshold)):
        raise UsageError(f"threshold={threshold!r} has to be a finite number: the least score that enters")
    if per_class is not None and not (
        (_is_whole(per_class) and per_class >= 1) or (isinstance(per_class, float) and 0 < per_class <= 1)
    ):
        raise UsageError(
            f"per_class={per_class!r} has to be a whole number from 1, or a share of each class above 0 and at most 1.0"
        )
    if not (_is_whole(seed) and seed >= 0):
        raise UsageError(f"seed={seed!r} has to be a whole number that is not negative")


def _check_screened(scores: Scores, wanted: int, **others: object) -> None:
    sought = scores.facts.get("screening", {}).get("sought")
    if sought is None:
        return
    for name, value in others.items():
        if value is not None:
            raise UsageError(
                f"{name}={value!r} cannot be selected from these scores: screening sought the {sought} weakest alone; "
                "score again without it"
            )
    if wanted > sought:
        raise UsageError(
            f"{wanted} samples are more than the {sought} that screening sought; select fewer, or score again for them"
        )


def _is_whole(value: object) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return _is_whole(value) or isinstance(value, float | np.floating)


def _quotas(pool: _Pool, per_class: float) -> np.ndarray:
    """Return for each sample how many of its class may enter, (n,)."""
    if pool.label.size and pool.label.min() < 0:
        raise UsageError(f"per_class={per_class!r} needs scores with a label for every sample; complete them first")
    if _is_whole(per_class):
        return np.full(pool.label.shape, per_class)
    sizes = np.bincount(pool.label[pool.correct], minlength=int(pool.label.max(initial=-1)) + 1)
    quotas = np.asarray([share_of(per_class, int(size)) for size in sizes], np.int64)
    return np.asarray(quotas[pool.label])


def _place_in_class(label: np.ndarray) -> np.ndarray:
    """Return how many before each one are of its class, (n,)."""
    order = np.argsort(label, kind="stable")
    starts = np.searchsorted(label[order], label[order], side="left")
    places = np.empty(label.size, np.int64)
    places[order] = np.arange(label.size) - starts
    return places


def _half(pool: _Pool, ranked: np.ndarray, generator: np.random.Generator) -> np.ndarray:
    """Return which of ``ranked`` are held out, bool: every other one of each class, in random order."""
    held_out = np.zeros(ranked.size, bool)
    held_out[np.lexsort((generator.random(ranked.size), pool.label[ranked]))[1::2]] = True
    return held_out


def _table(pool: _Pool, ranked: np.ndarray, held_out: np.ndarray, control: np.ndarray) -> Table:
    rows = np.concatenate([ranked, control]).astype(np.int64)
    reasons = np.where(pool.found[ranked], "score", "margin").tolist()
    roles = np.where(held_out, "held_out", "tune").tolist()
    values = {
        "index": pa.array(pool.index[rows]),
        "reason": pa.array(reasons + ["control"] * control.size, pa.string()),
        "kind": pa.array(pool.kind[rows], pa.string(), mask=pool.kind[rows] == ""),
        "weight": pa.array(pool.weight[rows]),
        "role": pa.array(roles + ["control"] * control.size, pa.string()),
    }
    return conform(pa.table(values), WEAK_SET)


def _numbers(table: Table, name: str) -> np.ndarray:
    """Return a column as float64 with NaN for null, NaN throughout where it is missing."""
    if name not in table.column_names:
        return np.full(table.num_rows, np.nan)
    return np.asarray(table.column(name).cast(pa.float64()).to_numpy(zero_copy_only=False))


def _texts(table: Table, name: str) -> np.ndarray:
    """Return a column of text as objects with "" for null or missing."""
    if name not in table.column_names:
        return np.full(table.num_rows, "", object)
    values = column(table, name)
    return np.asarray(["" if value is None else value for value in values], object)
