"""What each section of the page shows: rows of the summary, grouped and ordered as they are drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..validation.rows import LEVEL
from . import svg
from .palette import CHANGE_STEPS, HEAT_STEPS
from .typography import brackets, known, percent, points, rate, type_name
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
MANY_CLASSES, WEAKEST, STRONGEST = 30, 15, 5
CHANGE_RANGE = 0.5


def judgement(verdict: Any) -> str:
    """Return the class that colours a verdict: better, worse, weakness, strength, or noev."""
    return verdict if verdict in ("better", "worse", "weakness", "strength") else "noev"


def spoken(verdict: Any) -> str:
    """Return a verdict as people say it; empty where there is nothing to say."""
    words = {"no_evidence": "no evidence", "neither": "", "none": "", None: ""}
    return words.get(verdict, str(verdict))


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
        notes = {
            "clean": "no perturbation",
            "robust": several,
            "corruption": f"mean of {len(kinds)} types × {row['severities']} severities" if kinds else "",
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
    lines = [_dots(kind, sets, phase, lead, mean) for kind, sets in grouped.items()]
    lines.sort(key=lambda line: (line["accuracy"] is None, line["accuracy"] or 0.0))
    return {"title": title, "mean": mean, "rows": lines}


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
    sides = {(row["type"], row["set"], row["phase"]): row for row in summary["tables"]["validation"]}
    views = []
    for key, name in zip("abc", SETS, strict=True):
        mine = [row for row in table if row["set"] == name]
        scale = svg.Scale.around(row[end] for row in mine for end in ("lower", "upper", "change"))
        rows = [
            {
                **row,
                "plot": svg.change(row, scale, judgement(row["verdict"])),
                "sides": [sides.get((row["type"], name, phase), {}) for phase in ("before", "after")],
            }
            for row in mine
        ]
        rows.sort(key=lambda row: (row["change"] is None, row["change"] or 0.0))
        if rows:
            n = max(row["n"] for row in rows)
            view = {"key": key, "set": name, "title": SETS[name], "rows": rows, "n": n}
            views.append(view | {"axis": svg.axis(scale, signed=True), "split": any(map(split, rows))})
    return views


def severity(summary: Summary) -> Row | None:
    """Return the heat map: types by what is left to do, three blocks of severities, and curves with intervals."""
    cells = {
        (row["type"], row["phase"], row["severity"]): row
        for row in summary["tables"]["severity"]
        if row["set"] == "test"
    }
    if not cells:
        return None
    changes = {
        (row["type"], row["severity"]): row for row in summary["tables"]["severity_paired"] if row["set"] == "test"
    }
    levels = sorted({severity for _, _, severity in cells})
    last = "after" if any(phase == "after" for _, phase, _ in cells) else "before"
    kinds = sorted({kind for kind, _, _ in cells}, key=lambda kind: _least(cells, kind, last))
    trained = {row["type"]: bool(row["trained"]) for row in summary["tables"]["severity"]}
    clean = {
        row["phase"]: row for row in summary["tables"]["validation"] if (row["family"], row["set"]) == ("clean", "test")
    }
    verdicts = {row["type"]: row["verdict"] for row in summary["tables"]["paired"] if row["set"] == "test"}
    blocks = [("ca", "Before, %", "before")] + ([("cb", "After, %", "after")] if last == "after" else [])
    return {
        "levels": levels,
        "blocks": blocks,
        "changes": bool(changes),
        "n": max(row["n"] for row in cells.values()),
        "widest": max((row["upper"] - row["lower"] for row in cells.values() if known(row["upper"])), default=0.0) / 2,
        "rows": [
            {
                "type": kind,
                "trained": trained[kind] and last == "after",
                "cells": [_heat_cell(cells, changes, kind, block, level) for block in blocks for level in levels],
                "changes": [_change_cell(changes.get((kind, level))) for level in levels] if changes else [],
                "judgement": judgement(verdicts.get(kind)),
                "curve": _curves(cells, clean, kind, levels, judgement(verdicts.get(kind))),
            }
            for kind in kinds
        ],
    }


def _least(cells: Mapping[tuple[str, str, int], Row], kind: str, phase: str) -> float:
    values = [row["accuracy"] for (name, when, _), row in cells.items() if name == kind and when == phase]
    return min((value for value in values if known(value)), default=2.0)


def _heat_cell(
    cells: Mapping[tuple[str, str, int], Row],
    changes: Mapping[tuple[str, int], Row],
    kind: str,
    block: tuple[str, str, str],
    level: int,
) -> Row:
    css, _, phase = block
    row = cells.get((kind, phase, level))
    if row is None or not known(row["accuracy"]):
        return {"css": css, "text": "–", "title": "unknown", "worse": False}
    worse = phase == "after" and changes.get((kind, level), {}).get("verdict") == "worse"
    step = round((1 - row["accuracy"]) * HEAT_STEPS)
    title = f"{percent(row['accuracy'])} {brackets(row['lower'], row['upper'])}, n = {row['n']}"
    return {
        "css": f"{css} h{step}{' sw' if worse else ''}",
        "text": rate(row["accuracy"], 0),
        "title": title,
        "worse": worse,
    }


def _change_cell(row: Row | None) -> Row:
    if row is None or not known(row["change"]):
        return {"css": "cc", "text": "–", "title": "unknown"}
    step = min(CHANGE_STEPS, round(abs(row["change"]) / CHANGE_RANGE * CHANGE_STEPS))
    title = f"{points(row['change'])} pt {brackets(row['lower'], row['upper'], signed=True)}"
    return {"css": f"cc {'n' if row['change'] < 0 else 'p'}{step}", "text": points(row["change"], 0), "title": title}


def _curves(
    cells: Mapping[tuple[str, str, int], Row], clean: Mapping[str, Row], kind: str, levels: Sequence[int], colour: str
) -> list[Any]:
    scale = svg.Scale(-0.25, max(levels) + 0.25, 1)
    drawn = []
    for phase in ("before", "after"):
        rows = [(0, clean.get(phase)), *((level, cells.get((kind, phase, level))) for level in levels)]
        line = [(float(x), row["accuracy"], row["lower"], row["upper"]) for x, row in rows if row]
        if any(x > 0 for x, *_ in line):
            drawn.append(svg.curve(line, scale, f"{phase} line {colour if phase == 'after' else ''}", 84))
    return drawn


def dial(summary: Summary) -> Row | None:
    """Return the dial's curve: clean and robust accuracy on the guard part between the old weights and the new."""
    tuned = summary["finetuning"]
    rows = sorted(tuned["curve"], key=lambda row: row["alpha"]) if tuned else []
    if len(rows) < 2:
        return None
    scale = svg.Scale(-0.03, 1.03, 1)
    lines = {}
    for name, css in (("clean", "before line"), ("robust", "after")):
        line = [(row["alpha"], row.get(name), row.get(f"{name}_lower"), row.get(f"{name}_upper")) for row in rows]
        lines[name] = svg.curve(line, scale, css, 170)
    return {"rows": rows, "lines": lines, "chosen": tuned["alpha"], "at": scale.x(tuned["alpha"]), "scale": scale}


def classes(summary: Summary) -> Row:
    """Return the classes, the weakest first; of more than thirty the 15 weakest and the 5 strongest."""
    rows = summary["tables"]["classes"]
    scored, weak = sum(row["n_scored"] for row in rows), sum(row["n_weak"] for row in rows)
    mean = weak / scored if scored else None
    shown = rows if len(rows) <= MANY_CLASSES else [*rows[:WEAKEST], *rows[-STRONGEST:]]
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
