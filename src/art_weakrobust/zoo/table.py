"""From many runs to one table: accuracies with n and intervals, agreement of weak sets and of rankings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..report.summary import run_eps
from ..results import Records, column
from ..statistics import kendall
from ..validation.comparison import TEST, headline, headline_types
from ..validation.judgement import HELD_OUT
from ..validation.rows import estimate, number
from ..validation.verdicts import Verdicts, family
from .ran import Ran

Row = dict[str, Any]


def rows(ran: Sequence[Ran], published: Mapping[str, Mapping[str, float]] | None = None) -> list[Row]:
    """Return one row a model, in their order; unknown is None.

    Fields: name, status (done | failed), reason, published_clean, published_robust; for each of ``clean``, ``weak``,
    ``robust`` and ``corruption``: METRIC, METRIC_n, METRIC_lower, METRIC_upper; robust_attacks (names); n_scored and
    n_weak; ``corruptions``: name -> accuracy, lower, upper, n.

    *Weak* is the accuracy on the held-out half of the model's own weak set, the mean over all attacks and corruptions;
    *robust* the worst case over the Linf attacks at the run's eps, *corruption* the mean over types and severities,
    both on the test set.

    :param published: name -> ``clean`` and ``robust`` in [0, 1], as their authors publish them.
    """
    return [_row(one, (published or {}).get(one.entry.name, {})) for one in ran]


def agreement(ran: Sequence[Ran]) -> list[Row]:
    """Return one row a pair of models: how far they agree on which samples are weak.

    Fields: first, second, n (samples that both classify correctly), first_weak, second_weak, both, jaccard (both over
    either, None where neither has any), expected (the Jaccard index of two sets of these sizes drawn at random).
    """
    known = [(one.entry.name, *_weak(one.records)) for one in ran if one.records is not None]
    found = []
    for number_, (first, right, weak) in enumerate(known):
        for second, other_right, other_weak in known[number_ + 1 :]:
            common = np.intersect1d(right, other_right)
            a, b = np.intersect1d(weak, common), np.intersect1d(other_weak, common)
            both = len(np.intersect1d(a, b))
            either = len(a) + len(b) - both
            chance = len(a) * len(b) / len(common) if len(common) else 0.0
            found.append(
                {
                    "first": first,
                    "second": second,
                    "n": len(common),
                    "first_weak": len(a),
                    "second_weak": len(b),
                    "both": both,
                    "jaccard": both / either if either else None,
                    "expected": chance / (len(a) + len(b) - chance) if either else None,
                }
            )
    return found


def core(ran: Sequence[Ran]) -> pa.Table:
    """Return one row a sample that is weak for some model: index, label, models (how many), weak_for (their names).

    Sorted: weak for the most models first, then by index.
    """
    weak_for: dict[int, list[str]] = {}
    labels: dict[int, int] = {}
    for one in ran:
        if one.records is None or one.records.scores is None:
            continue
        table = one.records.scores.table
        known = dict(zip(column(table, "index").tolist(), column(table, "label").tolist(), strict=True))
        for index in _weak(one.records)[1].tolist():
            weak_for.setdefault(index, []).append(one.entry.name)
            labels[index] = int(known[index])
    order = sorted(weak_for, key=lambda index: (-len(weak_for[index]), index))
    return pa.table(
        {
            "index": pa.array(order, pa.int64()),
            "label": pa.array([labels[index] for index in order], pa.int64()),
            "models": pa.array([len(weak_for[index]) for index in order], pa.int32()),
            "weak_for": pa.array([weak_for[index] for index in order], pa.list_(pa.string())),
        }
    )


def shared(ran: Sequence[Ran]) -> Row:
    """Return how many samples are weak for every model, for one alone, and for any; and how many models there are."""
    models = np.asarray(core(ran)["models"], np.int64)
    count = sum(one.records is not None for one in ran)
    return {
        "models": count,
        "any": len(models),
        "every": int((models == count).sum()) if count else 0,
        "one": int((models == 1).sum()) if count > 1 else 0,
    }


def rankings(ran: Sequence[Ran], *, seed: int = 0) -> Row:
    """Return whether the ranking by weak-set accuracy follows that by robust accuracy: Kendall's tau-b.

    The interval is a bootstrap over images: the test images are resampled for all models together, each model's weak
    samples for itself. It says how far these models' order is known, not what other models would show.

    Fields: n (models), tau, lower, upper; None where there are fewer than three models, or one accuracy for all.
    """
    weak, robust = [], []
    for one in ran:
        if one.records is None or one.records.before is None:
            continue
        held, test = Verdicts.of(one.records.before, HELD_OUT), Verdicts.of(one.records.before, TEST)
        kinds = headline_types(test.types, "robust", run_eps(one.records))
        values, standing = held.mean(_perturbing(held)), test.worst([kind for kind in kinds if test.ran(kind)])
        if np.isfinite(values).any() and np.isfinite(standing).any():
            weak.append(values)
            robust.append(dict(zip(test.ids.tolist(), standing.tolist(), strict=True)))
    common = sorted(set.intersection(*(set(values) for values in robust))) if robust else []
    together = np.array([[values[index] for index in common] for values in robust])
    if len(weak) < 3 or not common:
        return {"n": len(weak), "tau": None, "lower": None, "upper": None}
    tau, lower, upper = kendall(weak, together, seed)
    return {"n": len(weak), "tau": number(tau), "lower": number(lower), "upper": number(upper)}


def _row(one: Ran, published: Mapping[str, float]) -> Row:
    row: Row = {"name": one.entry.name, "status": "failed" if one.records is None else "done", "reason": one.reason}
    row |= {"published_clean": published.get("clean"), "published_robust": published.get("robust")}
    records = one.records
    validation = None if records is None else records.before
    metrics = headline(validation, None, run_eps(records)) if records is not None and validation is not None else []
    for metric in ("clean", "robust", "corruption"):
        found = next((m for m in metrics if m["metric"] == metric and m["n"]), None)
        row |= _told(metric, found and {k: found[f"before{k}"] for k in ("", "_lower", "_upper")} | {"n": found["n"]})
        if metric == "robust":
            row["robust_attacks"] = [] if found is None else list(found["types"])
    held = None if validation is None else Verdicts.of(validation, HELD_OUT)
    weak = None if held is None else estimate(held.mean(_perturbing(held)), pooled=True, seed=0)
    if weak is not None and weak["n"]:
        row |= _told("weak", {"": weak["accuracy"], "_lower": weak["lower"], "_upper": weak["upper"], "n": weak["n"]})
    else:
        row |= _told("weak", None)
    row |= _share(records)
    row["corruptions"] = {} if validation is None else _corruptions(Verdicts.of(validation, TEST))
    return row


def _told(metric: str, found: Mapping[str, Any] | None) -> Row:
    values = found or dict.fromkeys(("", "_lower", "_upper", "n"))
    return {
        metric: values[""],
        f"{metric}_lower": values["_lower"],
        f"{metric}_upper": values["_upper"],
        f"{metric}_n": values["n"],
    }


def _share(records: Records | None) -> Row:
    if records is None or records.scores is None or records.weak_set is None:
        return {"n_scored": None, "n_weak": None}
    return {"n_scored": len(records.scores), "n_weak": len(records.weak_set)}


def _perturbing(verdicts: Verdicts) -> list[str]:
    """Return the attacks and generated corruptions that ran."""
    kinds = (*family(verdicts.types, "attacks"), *family(verdicts.types, "corruptions"))
    return [kind for kind in kinds if verdicts.ran(kind)]


def _corruptions(test: Verdicts) -> dict[str, Row]:
    found = {}
    for kind in test.types:
        if kind.family == "corruptions" and test.ran(kind.type):
            row = estimate(test.values(kind.type), pooled=len(test.severities(kind.type)) > 1, seed=0)
            found[kind.type] = {name: row[name] for name in ("accuracy", "lower", "upper", "n")}
    return found


def _weak(records: Records | None) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids that a model classifies correctly, and of these the weak ones."""
    if records is None or records.scores is None or records.weak_set is None:
        return np.empty(0, np.int64), np.empty(0, np.int64)
    table = records.scores.table
    right = column(table, "index")[column(table, "correct").astype(bool)].astype(np.int64)
    return right, np.union1d(records.weak_set.ids("tune"), records.weak_set.ids(HELD_OUT))
