"""The heat map of corruptions and severities, and the same as curves with intervals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import svg
from .palette import CHANGE_STEPS, HEAT_STEPS
from .sections import judgement
from .typography import brackets, known, percent, points, rate

Summary = Mapping[str, Any]
Row = dict[str, Any]
Cells = Mapping[tuple[str, str, int], Row]
CHANGE_RANGE = 0.5
"""Changes of this much and more have the strongest colour."""


def heat_cells(summary: Summary) -> Cells:
    """Return (type, phase, severity) -> row of the test set."""
    table = summary["tables"]["severity"]
    return {(row["type"], row["phase"], row["severity"]): row for row in table if row["set"] == "test"}


def heat_axes(cells: Cells) -> tuple[list[str], list[str], list[int]]:
    """Return the types by what is left to do, the phases and the severities of some cells."""
    phases = ["before", "after"] if any(phase == "after" for _, phase, _ in cells) else ["before"]
    kinds = sorted({kind for kind, _, _ in cells}, key=lambda kind: _least(cells, kind, phases[-1]))
    return kinds, phases, sorted({severity for _, _, severity in cells})


def severity(summary: Summary) -> Row | None:
    """Return the heat map: types by what is left to do, three blocks of severities, and curves with intervals."""
    cells = heat_cells(summary)
    if not cells:
        return None
    changes = {
        (row["type"], row["severity"]): row for row in summary["tables"]["severity_paired"] if row["set"] == "test"
    }
    kinds, phases, levels = heat_axes(cells)
    last = phases[-1]
    trained = {row["type"]: bool(row["trained"]) for row in summary["tables"]["severity"]}
    clean = {
        row["phase"]: row for row in summary["tables"]["validation"] if (row["family"], row["set"]) == ("clean", "test")
    }
    verdicts = {row["type"]: row["verdict"] for row in summary["tables"]["paired"] if row["set"] == "test"}
    blocks = [(css, f"{phase.capitalize()}, %", phase) for css, phase in zip(("ca", "cb"), phases, strict=False)]
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


def _least(cells: Cells, kind: str, phase: str) -> float:
    values = [row["accuracy"] for (name, when, _), row in cells.items() if name == kind and when == phase]
    return min((value for value in values if known(value)), default=2.0)


def _heat_cell(
    cells: Cells,
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


def _curves(cells: Cells, clean: Mapping[str, Row], kind: str, levels: Sequence[int], colour: str) -> list[Any]:
    scale = svg.Scale(-0.25, max(levels) + 0.25, 1)
    drawn = []
    for phase in ("before", "after"):
        rows = [(0, clean.get(phase)), *((level, cells.get((kind, phase, level))) for level in levels)]
        line = [(float(x), row["accuracy"], row["lower"], row["upper"]) for x, row in rows if row]
        if any(x > 0 for x, *_ in line):
            drawn.append(svg.curve(line, scale, f"{phase} line {colour if phase == 'after' else ''}", 84))
    return drawn
