"""The ground of every matplotlib figure: one size, one font, the report's palette on white, without pyplot.

Figures lie in notebooks and papers, whose ground is white; the page's warmer paper is its own. matplotlib is imported
when a figure is asked for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .palette import LIGHT
from .typography import known

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 7.2
"""Inches: the text width of a two-column paper."""
GROUND = "#ffffff"
TITLE: dict[str, Any] = {"loc": "left", "fontsize": 10, "fontweight": "bold", "color": LIGHT["ink"]}
COLOURS = {
    "better": LIGHT["strongmark"],
    "strength": LIGHT["strongmark"],
    "worse": LIGHT["weakmark"],
    "weakness": LIGHT["weakmark"],
    "noev": LIGHT["ink2"],
}
"""Judgement -> colour; the shape says the set, the fill the phase."""
_FONTS = ["Inter", "Segoe UI", "Roboto", "Arial", "Liberation Sans", "DejaVu Sans"]


def canvas(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    """Return a figure of its own and its axes, one or (rows, columns); pyplot, and its global state, stays out.

    :param width: in inches; ``height`` likewise.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, facecolor=GROUND, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=rows * columns == 1)
    for one in figure.axes:
        one.set_facecolor(GROUND)
        one.spines[["top", "right", "left"]].set_visible(False)
        one.spines["bottom"].set_color(LIGHT["line2"])
        one.tick_params(length=0, labelsize=9.5, labelcolor=LIGHT["ink2"])
    return figure, axes


def dressed(figure: Figure) -> Figure:
    """Return the figure with one family of fonts throughout."""
    from matplotlib.text import Text

    family = _present(_FONTS)
    for text in figure.findobj(Text):
        text.set_fontfamily(family)
    return figure


def named_rows(axes: Axes, names: Sequence[str], title: str) -> None:
    """Give the axes one named row a thing, from below, and a title; names are text, never mathematics."""
    axes.set_yticks(range(len(names)), names)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.grid(axis="x", color=LIGHT["line"])
    axes.set_axisbelow(True)
    axes.set_title(title, **TITLE, pad=12)


def shares(axes: Axes, direction: str = "x") -> None:
    """Let an axis run from 0 to 100 per cent."""
    limits, ticks = (axes.set_xlim, axes.set_xticks) if direction == "x" else (axes.set_ylim, axes.set_yticks)
    limits(-2, 102)
    ticks([0, 25, 50, 75, 100])
    axes.grid(axis=direction, color=LIGHT["line"])  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def dot(axes: Axes, row: Mapping[str, Any], at: float, value: str = "accuracy", **style: Any) -> None:
    """Draw a share in per cent and its interval along a row; nothing where it is unknown.

    :param row: with the field ``value``, and ``lower`` and ``upper``.
    :param style: ``colour``, ``fill``, ``marker``, ``size``, ``width``.
    """
    if not known(row.get(value)):
        return
    colour, size = style["colour"], style.get("size", 6)
    if known(row.get("lower")) and known(row.get("upper")):
        ends = [100 * row["lower"], 100 * row["upper"]]
        axes.plot(ends, [at, at], color=colour, linewidth=style.get("width", 2.2), zorder=2)
    filled = {"color": colour, "markerfacecolor": style.get("fill", colour), "markersize": size, "zorder": 3}
    axes.plot(100 * row[value], at, style.get("marker", "o"), **filled)


def _present(names: Sequence[str]) -> list[str]:
    """Return the first of the fonts that is installed; matplotlib warns of every one that is not."""
    from matplotlib.font_manager import fontManager

    installed = {entry.name for entry in fontManager.ttflist}
    return [name for name in names if name in installed][:1] or ["sans-serif"]
