"""The two figures of a paired row or a measure, before and after, each with its interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .typography import brackets, percent

Row = Mapping[str, Any]
Side = dict[str, Any]
_RUNS = {"other": "before", "this": "after"}


def two_sides(summary: Mapping[str, Any]) -> Callable[[Row], tuple[Side, Side]]:
    """Return a function from a paired row to value, lower and upper before and after.

    A paired row has the images on which both models have a verdict; where one alone has more, its interval is of other
    images than the figure, and is left out.

    :param summary: a report's, or that of a comparison.
    """
    tables = summary["tables"]
    single = {
        (row["set"], row["type"], _RUNS.get(row.get("run", ""), row.get("phase"))): row
        for row in tables.get("types") or tables.get("validation", ())
    }

    def side(row: Row, phase: str) -> Side:
        own = single.get((row["set"], row["type"], phase), {})
        same = own.get("n") == row["n"]
        return {"value": row[phase], **{end: own[end] if same else None for end in ("lower", "upper")}}

    return lambda row: (side(row, "before"), side(row, "after"))


def measured(row: Row) -> tuple[Side, Side]:
    """Return value, lower and upper of a headline measure before and after."""
    before, after = (
        {"value": row[phase], "lower": row[f"{phase}_lower"], "upper": row[f"{phase}_upper"]}
        for phase in ("before", "after")
    )
    return before, after


def as_paired(row: Row) -> Side:
    """Return a headline measure with the interval of its change named as in the paired table."""
    return {**row, "lower": row["change_lower"], "upper": row["change_upper"]}


def figure(side: Row) -> str:
    """Return a side as text: ``69.4 % [64.7, 73.7]``."""
    return f"{percent(side['value'])} {brackets(side['lower'], side['upper'])}".strip()
