"""Curves with intervals: the dial after fine-tuning, the radius that was suggested, accuracy against the budget."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import UsageError
from ..threat import parse_eps
from . import svg
from .typography import brackets, known, percent, setting

Summary = Mapping[str, Any]
Row = dict[str, Any]
HEIGHT = 170
NORMS = {"inf": "L∞", "2": "L2", "1": "L1"}
"""Norm, as rows have it -> as people write it."""


def dial_rows(summary: Summary) -> list[Row]:
    """Return the points of the dial from the old weights to the new; empty where they are no curve."""
    tuned = summary["finetuning"]
    rows = sorted(tuned["curve"], key=lambda row: row["alpha"]) if tuned else []
    return rows if len(rows) > 1 else []


def radius_rows(summary: Summary) -> list[Row]:
    """Return the known points of the radius curve by radius; empty where they are no curve."""
    rows = [row for row in summary["tables"].get("radius_curve", ()) if known(row["share"])]
    return sorted(rows, key=lambda row: row["radius"]) if len(rows) > 1 else []


def security_rows(summary: Summary) -> dict[str, list[Row]]:
    """Return norm -> the known points of both phases, the smallest budget first."""
    norms: dict[str, list[Row]] = {}
    for row in sorted(summary["tables"].get("security_curve", ()), key=lambda row: row["eps"]):
        if known(row["accuracy"]):
            norms.setdefault(str(row.get("norm", "inf")), []).append(row)
    return norms


def dial(summary: Summary) -> Row | None:
    """Return the dial's curve: clean and robust accuracy on the guard part between the old weights and the new."""
    rows, tuned = dial_rows(summary), summary["finetuning"]
    if not rows:
        return None
    scale = svg.Scale(-0.03, 1.03, 1)
    lines = {}
    for name, css in (("clean", "before line"), ("robust", "after")):
        line = [(row["alpha"], row.get(name), row.get(f"{name}_lower"), row.get(f"{name}_upper")) for row in rows]
        lines[name] = svg.curve(line, scale, css, HEIGHT)
    return {"rows": rows, "lines": lines, "chosen": tuned["alpha"], "at": scale.x(tuned["alpha"]), "scale": scale}


def radius(summary: Summary) -> Row | None:
    """Return how many samples have an error near by, against the radius of the neighborhood."""
    rows = radius_rows(summary)
    if not rows:
        return None
    scale = _wide(row["radius"] for row in rows)
    line = [(row["radius"], row["share"], row["lower"], row["upper"]) for row in rows]
    used = _budget(summary, "radius")
    return {
        "rows": rows,
        "line": svg.curve(line, scale, "after", HEIGHT),
        "used": used,
        "at": scale.x(used) if used is not None and scale.low <= used <= scale.high else None,
        "ends": _ends(rows, "radius"),
    }


def security(summary: Summary) -> list[Row]:
    """Return a curve a norm: the share still right against the size of the perturbation, before and after."""
    figures = []
    for norm, rows in security_rows(summary).items():
        scale = _wide(row["eps"] for row in rows)
        lines = []
        for phase, css in (("before", "before line"), ("after", "after")):
            line = [(r["eps"], r["accuracy"], r["lower"], r["upper"]) for r in rows if r["phase"] == phase]
            lines.append(svg.band(line, scale, phase, HEIGHT) + svg.curve(line, scale, css, HEIGHT, bare=True))
        last = max(rows, key=lambda row: (row["eps"], row["phase"] == "after"))
        figures.append(
            {
                "norm": NORMS.get(norm, norm),
                "rows": rows,
                "lines": lines,
                "after": any(row["phase"] == "after" for row in rows),
                "n": max(row["n"] for row in rows),
                "ends": _ends(rows, "eps", in_255ths=norm == "inf"),
                "last": f"{percent(last['accuracy'])} {brackets(last['lower'], last['upper'])}",
            }
        )
    return figures


def segments(summary: Summary) -> list[Row]:
    """Return the segments in which weakness concentrates, the weakest first, each with its share drawn."""
    rows = [row for row in summary["tables"].get("segments", ()) if known(row["share"])]
    scale = svg.Scale.around(row["upper"] for row in rows)
    drawn = [
        row | {"plot": svg.share(row["share"], row["lower"], row["upper"], scale, weak_share(summary))} for row in rows
    ]
    return sorted(drawn, key=lambda row: -row["share"])


def weak_share(summary: Summary) -> float | None:
    """Return the share of weak samples among all that were scored; None where none was."""
    rows = summary["tables"]["classes"]
    scored = sum(row["n_scored"] for row in rows)
    return sum(row["n_weak"] for row in rows) / scored if scored else None


def _wide(values: Any) -> svg.Scale:
    numbers = [float(value) for value in values]
    low, high = min(numbers), max(numbers)
    margin = 0.03 * ((high - low) or 1.0)
    return svg.Scale(low - margin, high + margin, (high - low) or 1.0)


def _ends(rows: Sequence[Row], name: str, *, in_255ths: bool = True) -> tuple[str, str]:
    unit = "eps" if in_255ths else ""
    return setting(float(rows[0][name]), unit), setting(float(rows[-1][name]), unit)


def _budget(summary: Summary, name: str) -> float | None:
    """Return a budget among the run's arguments; None where it is missing, or no number."""
    given = summary["provenance"]["arguments"].get(name)
    try:
        return None if given is None else parse_eps(given, name)
    except UsageError:
        return None
