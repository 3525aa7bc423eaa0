"""The scores and the classes behind the figures: how scores are spread, and which classes carry the weak samples."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from ..results import SCREENED, Scores, Validation, WeakSet, column
from ..statistics import wilson
from .comparison import TEST, headline_types
from .rows import Row, estimate, number
from .verdicts import Verdicts, align

BINS = 25


def score_histogram(scores: Scores, weak_set: WeakSet) -> Row:
    """Return how the scores are spread: edges, counts, zero, cut, ties, n, k.

    Scores that are exactly 0 are counted in ``zero`` alone: a spike there hides the rest. ``n`` counts the finite
    scores, ``n_screened`` the samples that a screening left out, ``n_unknown`` the others (misclassified, failed);
    ``k`` is the size of the weak set, ``cut`` the least score that entered by its score (None for an empty set),
    ``ties`` how many samples with that very score stayed out.

    :return: ``edges`` (26,) from 0 to 1 where all scores lie there, else over their range; ``counts`` (25,).
    """
    score, index = scores["score"], scores["index"]
    finite, screened = np.isfinite(score), _screened(scores)
    spread = score[finite & (score != 0)]
    inside = spread.size == 0 or (spread.min() >= 0 and spread.max() <= 1)
    counts, edges = np.histogram(spread, bins=BINS, range=(0.0, 1.0) if inside else None)
    rows = weak_set.table
    by_score = column(rows, "index")[column(rows, "reason") == "score"]
    entered = finite & np.isin(index, by_score)
    cut = float(score[entered].min()) if entered.any() else np.nan
    chosen = np.isin(index, np.concatenate([weak_set.tune, weak_set.held_out]))
    return {
        "edges": [float(edge) for edge in edges],
        "counts": [int(count) for count in counts],
        "zero": int((finite & (score == 0)).sum()),
        "cut": number(cut),
        "ties": int((finite & (score == cut) & ~chosen).sum()),
        "n": int(finite.sum()),
        "n_screened": int(screened.sum()),
        "n_unknown": int((~finite & ~screened).sum()),
        "k": len(weak_set),
    }


def _screened(scores: Scores) -> np.ndarray:
    """Say of every sample whether a screening left it out, bool (n,)."""
    there = "status" in scores.table.column_names
    return np.asarray(scores["status"] == SCREENED if there else np.zeros(len(scores), bool))


def class_table(
    scores: Scores,
    weak_set: WeakSet,
    before: Validation | None = None,
    after: Validation | None = None,
    *,
    eps: float | None = None,
    class_names: Sequence[str] = (),
) -> list[Row]:
    """Return one row a class, the one with the largest share of weak samples first.

    Fields: label (int), name, n_scored (clean-correct samples with a score, and those that a screening left out, as not
    weak), n_weak, weak_share, weak_lower,
    weak_upper; n_test, clean_before, clean_after, n_robust, robust_before, robust_after (each share with _lower and
    _upper), on the test images that all given phases judge; confused_with (int), confused_name, confused_n: the class
    most often predicted instead, and how often. It is counted over the most damaging neighbors of the class's weak
    samples where the scorer tells them (column ``neighbor_prediction``), else over the verdicts of the headline's
    attacks on its test images, before fine-tuning. Where nothing is known, None.

    :param eps: budget of the Linf attacks that count as robust; without it the robust fields are None.
    """
    label = _integers(scores.table, "label")
    chosen = np.isin(scores["index"], np.concatenate([weak_set.tune, weak_set.held_out]))
    placed = np.isfinite(scores["score"]) | _screened(scores)
    usable = (placed & (scores["correct"] != np.False_)) | chosen
    sides = _sides(before, after)
    measures = {metric: _measured(sides, metric, eps) for metric in ("clean", "robust")}
    confused = _confusions(scores, chosen, sides.get("before"), eps)
    rows: list[Row] = []
    for own in (int(found) for found in np.unique([*label, *measures["clean"][0]]) if found >= 0):
        n_scored, n_weak = int((usable & (label == own)).sum()), int((chosen & (label == own)).sum())
        lower, upper = wilson(n_weak, n_scored)
        row: Row = {"label": own, "name": _name(own, class_names), "n_scored": n_scored, "n_weak": n_weak}
        row |= {"weak_share": n_weak / n_scored if n_scored else None}
        row |= {"weak_lower": number(lower), "weak_upper": number(upper)}
        for metric, (labels, values) in measures.items():
            row |= _shares(metric, {phase: found[labels == own] for phase, found in values.items()})
        rows.append(row | _most_confused(confused[confused[:, 0] == own, 1], class_names))
    return sorted(rows, key=lambda row: (-(row["weak_share"] or 0.0), row["label"]))


def _sides(before: Validation | None, after: Validation | None) -> dict[str, Verdicts]:
    """Return phase -> verdicts on the test set, aligned where there are two phases."""
    given = {"before": before, "after": after}
    sides = {phase: Verdicts.of(rows, TEST) for phase, rows in given.items() if rows is not None}
    return dict(zip(sides, align(*sides.values()), strict=True)) if len(sides) == 2 else sides


def _measured(sides: dict[str, Verdicts], metric: str, eps: float | None) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return labels (n,) and phase -> values (n,) of the test images that every phase judges."""
    if not sides:
        return np.empty(0, np.int64), {}
    one = next(iter(sides.values()))
    asked = headline_types(one.types, metric, np.nan if eps is None else eps)
    kinds = [kind for kind in asked if all(side.ran(kind) for side in sides.values())]
    values = {phase: side.worst(kinds) for phase, side in sides.items()}
    known = np.isfinite(np.stack(list(values.values()))).all(axis=0)
    return one.labels[known], {phase: found[known] for phase, found in values.items()}


def _shares(metric: str, values: dict[str, np.ndarray]) -> Row:
    row: Row = {"n_test" if metric == "clean" else "n_robust": len(next(iter(values.values()), ()))}
    for phase in ("before", "after"):
        shown = estimate(values.get(phase, np.empty(0)), pooled=False, seed=0)
        name = f"{metric}_{phase}"
        row |= {name: shown["accuracy"], f"{name}_lower": shown["lower"], f"{name}_upper": shown["upper"]}
    return row


def _confusions(scores: Scores, chosen: np.ndarray, before: Verdicts | None, eps: float | None) -> np.ndarray:
    """Return (label, wrong prediction) pairs, int64 (m, 2)."""
    if "neighbor_prediction" in scores.table.column_names:
        pairs = np.stack([_integers(scores.table, name)[chosen] for name in ("label", "neighbor_prediction")], axis=1)
    elif before is not None and eps is not None:
        pairs = before.mistakes(headline_types(before.types, "robust", eps))
    else:
        pairs = np.empty((0, 2), np.int64)
    told = (pairs >= 0).all(axis=1) & (pairs[:, 0] != pairs[:, 1])
    return np.asarray(pairs[told])


def _most_confused(predictions: np.ndarray, class_names: Sequence[str]) -> Row:
    if predictions.size == 0:
        return {"confused_with": None, "confused_name": None, "confused_n": 0}
    counts = np.bincount(predictions)
    other = int(counts.argmax())
    return {"confused_with": other, "confused_name": _name(other, class_names), "confused_n": int(counts[other])}


def _name(label: int, class_names: Sequence[str]) -> str:
    return str(class_names[label]) if label < len(class_names) else str(label)


def _integers(table: pa.Table, name: str) -> np.ndarray:
    """Return a column of class indices as int64, -1 where it is null or missing."""
    if name not in table.column_names:
        return np.full(table.num_rows, -1, np.int64)
    return np.asarray(table.column(name).cast(pa.int64()).fill_null(-1).to_numpy())
