"""The two figures of a paired row, each with its interval where it is known of the very same images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .typography import brackets, percent

Row = Mapping[str, Any]
_RUNS = {"other": "before", "this": "after"}


def two_figures(summary: Mapping[str, Any]) -> Callable[[Row], tuple[str, str]]:
    """Return a function that writes before and after of a paired row: ``69.4 % [64.7, 73.7]``.

    A paired row has the images that both models have a verdict on; where one alone has more, its interval is of other
    images than the figure, and is left out.

    :param summary: a report's, or that of a comparison.
    """
    tables = summary["tables"]
    single = {
        (row["set"], row["type"], _RUNS.get(row.get("run", ""), row.get("phase"))): row
        for row in tables.get("types") or tables.get("validation", ())
    }

    def write(row: Row, phase: str) -> str:
        own = single.get((row["set"], row["type"], phase), {})
        interval = brackets(own.get("lower"), own.get("upper")) if own.get("n") == row["n"] else ""
        return f"{percent(row[phase])} {interval}".strip()

    return lambda row: (write(row, "before"), write(row, "after"))
