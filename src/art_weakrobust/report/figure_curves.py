"""Curves with their 95 % bands as matplotlib figures: accuracy against the budget, the dial, the radius."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..threat import format_eps
from .canvas import GROUND, TITLE, WIDTH, canvas, dressed, shares
from .curves import NORMS, dial_rows, radius_rows, security_rows
from .palette import LIGHT
from .typography import decimal, known

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Summary = Mapping[str, Any]
Row = Mapping[str, Any]
_SIDES: dict[str, dict[str, Any]] = {
    "before": {"color": LIGHT["quiet"], "linestyle": (0, (3, 2)), "markerfacecolor": GROUND},
    "after": {"color": LIGHT["ink"], "linestyle": "-"},
}
_HEIGHT = 3.2


def plot_security_curve(summary: Summary) -> Figure:
    """Draw the share still right against the size of the perturbation, one panel a norm, before and after.

    :raises UsageError: where neither adversarial distances nor one attack at two budgets were measured.
    """
    norms = security_rows(summary)
    if not norms:
        raise UsageError(
            "records hold no security curve: measure adversarial distances, or give one attack two budgets, "
            "as in attacks='pgd,pgd:eps=4/255:label=pgd-4'"
        )
    figure, grid = canvas(WIDTH if len(norms) > 1 else 4.4, _HEIGHT, columns=len(norms))
    for axes, (norm, rows) in zip(grid.flat if len(norms) > 1 else (grid,), norms.items(), strict=True):
        for phase, style in _SIDES.items():
            if mine := [row for row in rows if row["phase"] == phase]:
                n = max(row["n"] for row in mine)
                _line(axes, mine, "eps", "accuracy", f"{phase} fine-tuning, n = {n:,}", style)
        shares(axes, "y")
        _budgets(axes, rows, norm)
        axes.set_title(f"Right against the {NORMS.get(norm, norm)} budget, %", **TITLE)
        axes.legend(frameon=False, labelcolor=LIGHT["ink2"], fontsize=8.5)
    return dressed(figure)


def plot_dial(summary: Summary) -> Figure:
    """Draw clean and robust accuracy on the guard part between the base (0) and the tuned network (1).

    :raises UsageError: where no dial was turned.
    """
    rows, tuned = dial_rows(summary), summary["finetuning"]
    if not rows:
        raise UsageError("records hold no curve of the dial; fine-tune first")
    figure, axes = canvas(4.4, _HEIGHT)
    for name, style in (("clean", _SIDES["before"]), ("robust", _SIDES["after"])):
        _line(axes, rows, "alpha", name, name, style, ends=(f"{name}_lower", f"{name}_upper"))
    axes.axvline(tuned["alpha"], color=LIGHT["ink"], linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    shares(axes, "y")
    n = f", n = {rows[0]['n']:,}" if known(rows[0].get("n")) else ""
    axes.set_xlabel(f"share of the new weights; chosen: {decimal(tuned['alpha'])}", color=LIGHT["ink2"])
    axes.set_title(f"Guard part, right in %{n}", **TITLE)
    axes.legend(frameon=False, labelcolor=LIGHT["ink2"], fontsize=8.5)
    return dressed(figure)


def plot_radius(summary: Summary) -> Figure:
    """Draw how many samples have an error near by, against the radius of the neighborhood.

    :raises UsageError: where no radius was suggested.
    """
    rows = radius_rows(summary)
    if not rows:
        raise UsageError("records hold no curve of radii; let the analysis suggest a radius first")
    figure, axes = canvas(4.4, _HEIGHT)
    _line(axes, rows, "radius", "share", "", _SIDES["after"])
    shares(axes, "y")
    axes.set_xlabel("radius of the neighborhood", color=LIGHT["ink2"])
    axes.set_title(f"Samples with an error near by, %, n = {max(row['n'] for row in rows):,}", **TITLE)
    return dressed(figure)


def _line(
    axes: Axes,
    rows: Sequence[Row],
    x: str,
    y: str,
    label: str,
    style: Mapping[str, Any],
    *,
    ends: tuple[str, str] = ("lower", "upper"),
) -> None:
    """Draw a line in per cent with its band; points of their own where they are few."""
    known_rows = [row for row in rows if known(row.get(y))]
    at = [row[x] for row in known_rows]
    marker = "o" if len(at) <= 12 else ""
    axes.plot(at, [100 * row[y] for row in known_rows], marker, label=label, markersize=5, zorder=3, **style)
    if all(known(row.get(end)) for row in known_rows for end in ends):
        low, high = ([100 * row[end] for row in known_rows] for end in ends)
        axes.fill_between(at, low, high, color=style["color"], alpha=0.13, linewidth=0)


def _budgets(axes: Axes, rows: Sequence[Row], norm: str) -> None:
    """Name the budgets in 255ths where there are few, as they were written."""
    budgets = sorted({float(row["eps"]) for row in rows})
    if norm == "inf" and len(budgets) <= 8:
        axes.set_xticks(budgets, [format_eps(eps) if eps else "0" for eps in budgets])
    axes.set_xlabel("size of the perturbation", color=LIGHT["ink2"])
