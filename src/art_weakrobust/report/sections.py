"""What each section of the page shows: rows of the summary, grouped and ordered as they are drawn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..validation.rows import LEVEL
from . import svg
from .curves import weak_share
from .flipped import by_cell
from .sides import two_sides
from .typography import brackets, known, percent, type_name
from .wording import FEW, FLAGS

Summary = Mapping[str, Any]
Row = dict[str, Any]

SETS = {"test": "Test", "held_out": "Weak, held out", "control": "Control"}
HEADS = {"clean": "Clean accuracy", "robust": "Robust accuracy", "corruption": "Corruption accuracy"}
FAMILIES = (
    ("attacks", "generated", "Attacks"),
    ("corruptions", "generated", "Corruptions"),
    ("corruptions", "stored", "Corrupted sets on disk"),
    ("noise", "generated", "Random noise"),
)
MIN_FOR_MEAN = 3
MANY_TYPES = 25
"""More types than these are folded, all but the weaknesses and what got worse."""
MANY_CLASSES, WEAKEST, STRONGEST = 30, 15, 5


def judgement(verdict: Any) -> str:
    """Return the class that colours a verdict: better, worse, weakness, strength, or noev."""
    return verdict if verdict in ("better", "worse", "weakness", "strength") else "noev"


def spoken(verdict: Any) -> str:
    """Return a verdict as people say it; empty where there is nothing to say."""
    words = {"no_evidence": "no evidence", "neither": "", "none": "", None: ""}
    return words.get(verdict, str(verdict))


def worst_first(rows: Iterable[Row], name: str) -> list[Row]:
    """Return the rows by a figure of theirs, the least first and the unknown last."""
    return sorted(rows, key=lambda row: (row[name] is None, row[name] or 0.0))


def split(row: Mapping[str, Any]) -> bool:
    """Say whether the test found more images changed one way while the mean moved the other: no evidence, small p."""
    return row["verdict"] == "no_evidence" and known(row["p_holm"]) and row["p_holm"] < LEVEL


def measures(summary: Summary) -> list[Row]:
    """Return the headline's rows with their heading, note and drawing."""
    trained = {row["type"]: row["trained"] for row in summary["tables"]["validation"]}
    rows = []
    for row in summary["tables"]["headline"]:
        kinds = row["types"]
        drawn = [kind for kind in kinds if trained.get(kind)]
        several = (
            f"worst of {len(kinds)} attacks" if len(kinds) > 1 else f"under {type_name(kinds[0])}" if kinds else ""
        )
        levels = "severity" if row["severities"] == 1 else "severities"
        notes = {
            "clean": "no perturbation",
            "robust": several,
            "corruption": f"mean of {len(kinds)} types × {row['severities']} {levels}" if kinds else "",
        }
        label = f"{HEADS[row['metric']]}: before {percent(row['before'])}"
        label += f", after {percent(row['after'])}" if known(row["after"]) else ""
        rows.append(
            {
                **row,
                "name": HEADS[row["metric"]],
                "note": notes[row["metric"]],
                "flag": FLAGS[row["metric"]],
                "trained_types": drawn if known(row["after"]) else [],
                "judgement": judgement(row["verdict"]),
                "plot": svg.measure(row, judgement(row["verdict"]), label) if known(row["before"]) else "",
            }
        )
    return rows


def weak_spots(summary: Summary) -> list[Row]:
    """Return one view a phase: families with their types, weakest first, and the common n of each set."""
    table = [row for row in summary["tables"]["validation"] if row["family"] != "clean" and row["set"] in SETS]
    views = []
    for key, phase in (("a", "before"), ("b", "after")):
        rows = [row for row in table if row["phase"] == phase]
        if not rows:
            continue
        lead = "held_out" if any(row["set"] == "held_out" for row in rows) else "test"
        families = [
            family
            for name, origin, title in FAMILIES
            if (family := _family(summary, rows, phase, lead, (name, origin, title)))
        ]
        counts = {name: max((row["n"] for row in rows if row["set"] == name), default=0) for name in SETS}
        views.append({"key": key, "phase": phase, "families": families, "counts": counts, "lead": lead})
    return views


def _family(summary: Summary, rows: Sequence[Row], phase: str, lead: str, key: tuple[str, str, str]) -> Row | None:
    family, origin, title = key
    mine = [row for row in rows if row["family"] == family and row["origin"] == origin]
    if not mine:
        return None
    means = [
        row
        for row in summary["tables"]["family_means"]
        if (row["family"], row["phase"], row["set"]) == (family, phase, "held_out") and row["types"] >= MIN_FOR_MEAN
    ]
    mean = means[0] if means and origin == "generated" else None
    grouped: dict[str, dict[str, Row]] = {}
    for row in mine:
        grouped.setdefault(row["type"], {})[row["set"]] = row
    lines = worst_first((_dots(kind, sets, phase, lead, mean) for kind, sets in grouped.items()), "accuracy")
    many = len({row["type"] for row in rows}) > MANY_TYPES
    kept, folded = fold(lines, {"weakness"}) if many else (lines, [])
    return {"title": title, "mean": mean, "rows": kept, "folded": folded}


def fold(rows: Sequence[Row], verdicts: set[str]) -> tuple[list[Row], list[Row]]:
    """Return the rows that stay open, those with one of the verdicts, and the others, both in their order."""
    kept = [row for row in rows if row["verdict"] in verdicts]
    return kept, [row for row in rows if row["verdict"] not in verdicts]


def _dots(kind: str, sets: dict[str, Row], phase: str, lead: str, mean: Row | None) -> Row:
    some = next(iter(sets.values()))
    first = sets.get(lead, {})
    said = [
        f"{SETS[name].lower()} {percent(sets[name]['accuracy'])} {brackets(sets[name]['lower'], sets[name]['upper'])}"
        for name in ("held_out", "control", "test")
        if name in sets and known(sets[name]["accuracy"])
    ]
    label = f"{type_name(kind)}: {', '.join(said) or 'nothing known'}"
    return {
        "type": kind,
        "group": some["group"],
        "trained": bool(some["trained"]) and phase == "after",
        "accuracy": first.get("accuracy"),
        "lower": first.get("lower"),
        "upper": first.get("upper"),
        "n": first.get("n"),
        "n_unknown": first.get("n_unknown"),
        "verdict": first.get("verdict"),
        "plot": svg.sets(sets, phase, mean and mean["accuracy"], label),
    }


def changed(summary: Summary) -> list[Row]:
    """Return one view a set: the paired rows, worst change first."""
    table = [row for row in summary["tables"]["paired"] if row["set"] in SETS]
    sides = two_sides(summary)
    views = []
    for key, name in zip("abc", SETS, strict=True):
        mine = [row for row in table if row["set"] == name]
        scale = svg.Scale.around(row[end] for row in mine for end in ("lower", "upper", "change"))
        rows = [
            {
                **row,
                "plot": svg.change(row, scale, judgement(row["verdict"]), name),
                "sides": sides(row),
            }
            for row in worst_first(mine, "change")
        ]
        if rows:
            n = max(row["n"] for row in rows)
            kept, folded = fold(rows, {"worse", "see headline"}) if len(rows) > MANY_TYPES + 1 else (rows, [])
            view = {"key": key, "set": name, "title": SETS[name], "rows": kept, "folded": folded, "n": n}
            view |= {"flips": (flips := _flips(summary, name, rows))}
            view |= {"opens": any(any(row["shown"].values()) for row in flips)}
            views.append(
                view
                | {"axis": svg.axis(scale, signed=True), "grid": svg.grid(scale, name), "split": any(map(split, rows))}
            )
    return views


def _flips(summary: Summary, name: str, tested: Sequence[Row]) -> list[Row]:
    """Return what became of every image, per type, beside the test of the paired table, in its order."""
    counted = {row["type"]: row for row in summary["tables"]["flips"] if row["set"] == name}
    return [
        counted[row["type"]]
        | {key: row[key] for key in ("test", "p_holm", "verdict")}
        | {"shown": by_cell(summary["tables"]["flipped"], name, row["type"])}
        for row in tested
        if row["type"] in counted and row["family"] != "clean"
    ]


def classes(summary: Summary) -> Row:
    """Return the classes, the weakest first; of more than thirty the 15 weakest and the 5 strongest."""
    rows = summary["tables"]["classes"]
    mean = weak_share(summary)
    scored = [row for row in rows if row["n_scored"]]  # of the others nobody knows how weak they are
    shown = rows if len(rows) <= MANY_CLASSES else [*scored[:WEAKEST], *scored[WEAKEST:][-STRONGEST:]]
    scale = svg.Scale.around(row["weak_upper"] for row in shown)
    drawn = [
        {
            **row,
            "few": row["n_scored"] < FEW,
            "plot": svg.share(row["weak_share"], row["weak_lower"], row["weak_upper"], scale, mean),
        }
        for row in shown
    ]
    n_test = [row["n_test"] for row in rows if row["n_test"]]
    span = (min(n_test), max(n_test)) if n_test else None
    return {"rows": drawn, "left_out": len(rows) - len(shown), "axis": svg.axis(scale), "mean": mean, "n_test": span}


def arguments(summary: Summary) -> Row:
    """Return the arguments changed from their defaults, then the others."""
    facts = summary["provenance"]
    given, defaults = facts["arguments"], facts["defaults"]
    changed_ones = {name: value for name, value in given.items() if name not in defaults or defaults[name] != value}
    return {"changed": changed_ones, "same": {name: value for name, value in given.items() if name not in changed_ones}}
