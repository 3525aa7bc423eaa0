"""Before against after, on the same images: per type, per severity, and the three headline tests with their stance."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..results import Finetuning, PerturbationType, Validation
from ..statistics import holm
from .rows import Row, change, described, direction, estimate, number
from .verdicts import Verdicts, align, family, shown_sets, stored_set

TEST = "test"
IMPROVED, COST, NO_EVIDENCE = "Improved", "Improved, at a cost", "No evidence of a change"
WORSE, DIAGNOSIS, NOT_COMPARABLE = "Worse", "Diagnosis", "Not comparable"


def paired_table(
    before: Validation, after: Validation, finetuning: Finetuning | None = None, *, seed: int = 0
) -> list[Row]:
    """Return one row a set (held_out, control, test) and type: what fine-tuning changed.

    Fields: type, family, group, trained, set, n, n_unknown, severities, before, after, change, lower, upper, gained,
    lost, test (mcnemar | sign), p, p_holm (Holm within set and family), verdict (better | worse | no_evidence | not
    run | not tested | see headline). Clean has no p here: selection fixed it on the weak and control sets, and on the
    test set the headline tests it.
    """
    rows: list[Row] = []
    for name in shown_sets(before, after):
        first, second = align(Verdicts.of(before, name), Verdicts.of(after, name))
        for kind in first.types:
            severities = len(first.severities(kind.type))
            left, right = first.values(kind.type), second.values(kind.type)
            row = {**described(kind, finetuning), "set": name, "severities": severities}
            row |= change(left, right, pooled=severities > 1, seed=seed)
            row["n_unknown"] = int(first.asked([kind.type]).sum() - row["n"])
            if kind.family == "clean":
                row |= {"p": None, "verdict": "see headline" if name == TEST else "not tested"}
            rows.append(row)
    return _corrected(rows)


def severity_paired(
    before: Validation, after: Validation, finetuning: Finetuning | None = None, *, seed: int = 0
) -> list[Row]:
    """Return one row a set, type and severity, for types with several severities (one alone stands in the other table).

    Fields: type, family, group, trained, set, severity, n, before, after, change, lower, upper, gained, lost, test, p,
    p_holm (Holm within set and family, over types and severities), verdict (better | worse | no_evidence | not run).
    """
    rows: list[Row] = []
    for name in shown_sets(before, after):
        first, second = align(Verdicts.of(before, name), Verdicts.of(after, name))
        for kind in first.types:
            if len(severities := first.severities(kind.type)) < 2:
                continue
            for severity in severities:
                left, right = first.column(kind.type, severity), second.column(kind.type, severity)
                row = {**described(kind, finetuning), "set": name, "severity": severity}
                rows.append(row | change(left, right, pooled=False, seed=seed))
    return _corrected(rows)


def headline(before: Validation, after: Validation | None, eps: float, *, seed: int = 0) -> list[Row]:
    """Return three rows, clean, robust and corruption, on the test set.

    Robust is the worst case over the Linf attacks whose budget is ``eps``; corruption the mean over the generated
    corruptions and their severities. Fields: metric, n, n_unknown, types (names that went in), left_out (names without
    a single verdict), severities, before, before_lower, before_upper, after, after_lower, after_upper, change,
    change_lower, change_upper, gained, lost (corruption: images whose number of right severities rose, fell), test, p,
    p_holm (Holm over the three), verdict (better | worse | no_evidence | not run; without ``after``: diagnosis).

    :param after: None where nothing was fine-tuned: everything that needs it is None.
    :param eps: the run's Linf budget, in the units of the pixels.
    """
    first, second = Verdicts.of(before, TEST), None
    if after is not None:
        first, second = align(first, Verdicts.of(after, TEST))
    rows = [_measure(metric, first, second, eps, seed) for metric in ("clean", "robust", "corruption")]
    for row, p_holm in zip(rows, _holm(rows), strict=True):
        row["p_holm"] = p_holm
        if row["n"] == 0:
            row["verdict"] = "not run"
        else:
            row["verdict"] = "diagnosis" if second is None else direction(row, p_holm)
    return rows


def stance(rows: Sequence[Row]) -> str:
    """Return what the three headline verdicts add up to, from them alone.

    Improved | Improved, at a cost | No evidence of a change | Worse | Diagnosis | Not comparable (nothing ran).
    """
    verdicts = {row["verdict"] for row in rows} - {"not run"}
    if not verdicts:
        return NOT_COMPARABLE
    if "diagnosis" in verdicts:
        return DIAGNOSIS
    if "better" in verdicts:
        return COST if "worse" in verdicts else IMPROVED
    return WORSE if "worse" in verdicts else NO_EVIDENCE


def unseen_table(
    before: Validation, after: Validation | None, finetuning: Finetuning | None, *, seed: int = 0
) -> list[Row]:
    """Return the mean over the corruptions that training drew and, apart, over those it never saw, on the test set.

    One row an origin (generated | stored), set on disk and ``trained`` (True | False) that has types; none without
    fine-tuning. Fields: origin, stored (the set's name, as in ``cifar10-c``, else None), trained, types, left_out,
    severities, n, n_unknown, before, after, change, each with _lower and _upper, gained, lost. Nothing is tested: these
    types were, one by one.
    """
    if after is None or finetuning is None:
        return []
    first, second = align(Verdicts.of(before, TEST), Verdicts.of(after, TEST))
    rows: list[Row] = []
    corruptions = [kind for kind in first.types if kind.family == "corruptions"]
    for stored in sorted({stored_set(kind) for kind in corruptions}, key=lambda name: name or ""):
        for trained in (True, False):
            kinds = [k.type for k in corruptions if stored_set(k) == stored and finetuning.trained(k) is trained]
            if kinds:
                row = _averaged(first, second, kinds, worst=False, seed=seed)
                facts = {name: value for name, value in row.items() if name not in ("test", "p")}
                origin = "generated" if stored is None else "stored"
                rows.append({"origin": origin, "stored": stored, "trained": trained} | facts)
    return rows


def headline_types(types: Sequence[PerturbationType], metric: str, eps: float) -> tuple[str, ...]:
    """Return the names of the types that a headline metric (clean | robust | corruption) is made of."""
    if metric == "clean":
        return family(types, "clean")
    if metric == "corruption":
        return family(types, "corruptions")
    linf = {kind.type for kind in types if kind.norm == "inf" and kind.eps is not None and abs(kind.eps - eps) <= 1e-9}
    return tuple(kind for kind in family(types, "attacks") if kind in linf)


def _measure(metric: str, first: Verdicts, second: Verdicts | None, eps: float, seed: int) -> Row:
    kinds = headline_types(first.types, metric, eps)
    return {"metric": metric} | _averaged(first, second, kinds, worst=metric != "corruption", seed=seed)


def _averaged(first: Verdicts, second: Verdicts | None, kinds: Sequence[str], *, worst: bool, seed: int) -> Row:
    """Return one row over several types: a before, and where there is a second model, an after and their change."""
    ran = [kind for kind in kinds if first.ran(kind) and (second is None or second.ran(kind))]
    left = first.worst(ran) if worst else first.mean(ran)
    right = left if second is None else second.worst(ran) if worst else second.mean(ran)
    severities = sum(len(first.severities(kind)) for kind in ran)
    pooled = not worst and severities > 1
    both = np.isfinite(left) & np.isfinite(right)
    row: Row = {
        "types": ran,
        "left_out": [kind for kind in kinds if kind not in ran],
        "severities": max((len(first.severities(kind)) for kind in ran), default=0),
        "n": int(both.sum()),
        "n_unknown": int(first.asked(ran).sum() - both.sum()),
    }
    row |= _side("before", left[both], pooled, seed)
    if second is None:
        nothing = ("after", "after_lower", "after_upper", "change", "change_lower", "change_upper")
        return row | dict.fromkeys((*nothing, "gained", "lost", "test", "p"))
    row |= _side("after", right[both], pooled, seed)
    paired = change(left, right, pooled=pooled, seed=seed)
    row |= {"change": paired["change"], "change_lower": paired["lower"], "change_upper": paired["upper"]}
    return row | {name: paired[name] for name in ("gained", "lost", "test", "p")}


def _side(name: str, values: np.ndarray, pooled: bool, seed: int) -> Row:
    shown = estimate(values, pooled=pooled, seed=seed)
    return {name: shown["accuracy"], f"{name}_lower": shown["lower"], f"{name}_upper": shown["upper"]}


def _holm(rows: Sequence[Row]) -> list[float | None]:
    raw = [np.nan if row["p"] is None else row["p"] for row in rows]
    return [number(value) for value in holm(raw)]


def _corrected(rows: list[Row]) -> list[Row]:
    """Fill p_holm within each set and family, and the verdict that follows from it."""
    for name, group in dict.fromkeys((row["set"], row["family"]) for row in rows):
        members = [row for row in rows if (row["set"], row["family"]) == (name, group)]
        for row, p_holm in zip(members, _holm(members), strict=True):
            row["p_holm"] = p_holm
            row.setdefault("verdict", direction(row, p_holm))
    return rows
