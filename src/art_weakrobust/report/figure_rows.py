"""Tables as matplotlib figures: the paired change of every type, severities as a heat map, classes by weakness."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from .canvas import COLOURS, TITLE, WIDTH, canvas, dot, dressed, named_rows
from .palette import LIGHT, contrast, ramp
from .sections import SETS, judgement
from .severities import heat_axes, heat_cells
from .typography import known, rate, shown, type_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Summary = Mapping[str, Any]
_HEAT = ("#f4f1ea", "#eda25f", "#8a3606")
_CLASSES = 30
"""Classes that are drawn, the weakest first."""


def plot_changes(summary: Summary, name: str = "test") -> Figure:
    """Draw the paired change of every type on a set, with its interval, the worst at the top.

    :param name: ``test``, ``held_out`` or ``control``.
    :raises UsageError: where there is no paired change on this set.
    """
    rows = [row for row in summary["tables"]["paired"] if row["set"] == name and row["family"] != "clean"]
    rows = [row for row in rows if known(row["change"])]
    if not rows:
        raise UsageError(f"records hold no paired changes on the {name} set; fine-tune and validate again first")
    rows.sort(key=lambda row: row["change"], reverse=True)
    figure, axes = canvas(WIDTH, 1.1 + 0.3 * len(rows))
    for at, row in enumerate(rows):
        dot(axes, row, at, "change", colour=COLOURS[judgement(row["verdict"])])
    axes.axvline(0, color=LIGHT["ink3"], linewidth=0.8, zorder=1)
    names = [type_name(row["type"]) + (" (trained)" if row["trained"] else "") for row in rows]
    n = max(row["n"] for row in rows)
    named_rows(axes, names, f"{SETS[name]}: change through fine-tuning, points, n = {n:,}")
    return dressed(figure)


def plot_severity(summary: Summary) -> Figure:
    """Draw accuracy on the test set per corruption and severity, one block before and one after fine-tuning.

    :raises UsageError: where no corruption was validated.
    """
    cells = heat_cells(summary)
    if not cells:
        raise UsageError("records hold no corruptions on the test set; validate with --corruptions first")
    kinds, phases, levels = heat_axes(cells)
    n = max(row["n"] for row in cells.values())
    figure, grid = canvas(0.6 + 3.2 * len(phases), 1.0 + 0.28 * len(kinds), columns=len(phases))
    for axes, phase in zip(grid.flat if len(phases) > 1 else (grid,), phases, strict=True):
        rows = [[cells.get((kind, phase, level), {}).get("accuracy") for level in levels] for kind in kinds]
        values = np.array(rows, np.float64)
        _heat(axes, values)
        axes.set_xticks(range(len(levels)), levels)
        axes.set_yticks(range(len(kinds)), [type_name(kind) for kind in kinds] if axes is figure.axes[0] else [])
        for label in axes.get_yticklabels():
            label.set_parse_math(False)
        axes.set_title(f"{phase.capitalize()}, right in %, n = {n:,}", **TITLE)
        axes.set_xlabel("severity", color=LIGHT["ink2"])
    return dressed(figure)


def plot_classes(summary: Summary) -> Figure:
    """Draw each class's share of weak samples with its interval, the largest at the top, thirty at most.

    :raises UsageError: where nothing was scored.
    """
    rows = [row for row in summary["tables"]["classes"] if known(row["weak_share"])]
    if not rows:
        raise UsageError("records hold no scores of classes to draw; score and select first")
    drawn = rows[:_CLASSES][::-1]
    figure, axes = canvas(WIDTH, 1.0 + 0.26 * len(drawn))
    for at, row in enumerate(drawn):
        ends = {"lower": row["weak_lower"], "upper": row["weak_upper"]}
        dot(axes, {"weak_share": row["weak_share"], **ends}, at, "weak_share", colour=LIGHT["ink2"], marker="D", size=5)
    axes.set_xlim(left=0)
    rest = f", {len(rows) - len(drawn)} more not drawn" if len(rows) > len(drawn) else ""
    names = [f"{shown(row['name'])[:24]} (n = {row['n_scored']:,})" for row in drawn]
    named_rows(axes, names, f"Share of weak samples per class, %{rest}")
    return dressed(figure)


def _heat(axes: Axes, values: np.ndarray) -> None:
    """Draw accuracies as cells from light (all right) to dark, each with its number; unknown stays white, a dash."""
    from matplotlib.colors import ListedColormap

    colours = ramp(_HEAT, 10)
    steps = np.round((1 - values) * 10)
    axes.imshow(np.ma.masked_invalid(steps), cmap=ListedColormap(colours), vmin=-0.5, vmax=10.5, aspect="auto")
    axes.spines["bottom"].set_visible(False)
    for (row, column), value in np.ndenumerate(values):
        ground = colours[int(steps[row, column])] if np.isfinite(value) else "#ffffff"
        ink = "#000000" if contrast("#000000", ground) > contrast("#ffffff", ground) else "#ffffff"
        axes.text(column, row, rate(float(value), 0), ha="center", va="center", color=ink, fontsize=8.5)
