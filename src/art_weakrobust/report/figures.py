"""Figures for notebooks, in the report's palette: matplotlib, imported when a figure is asked for, without pyplot.

Each function returns a ``matplotlib.figure.Figure``, which a notebook shows and ``savefig`` writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from ..results import Records
from ..validation import metrics
from .images import drawable
from .palette import LIGHT
from .sections import HEADS, judgement
from .summary import summarise
from .typography import known, shown, type_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "better": "strongmark",
    "strength": "strongmark",
    "worse": "weakmark",
    "weakness": "weakmark",
    "noev": "ink2",
}
MARKERS = {"held_out": "D", "control": "o", "test": "s"}
_LANES = {"held_out": 0.0, "control": 0.24, "test": -0.24}
_TITLE: dict[str, Any] = {"loc": "left", "fontsize": 10, "fontweight": "bold", "color": LIGHT["ink"]}
_FONTS = ["Inter", "Segoe UI", "Roboto", "Arial", "Liberation Sans", "DejaVu Sans"]


def plot_types(records: Records) -> Figure:
    """Draw the accuracy per perturbation type on weak, control and test samples; after fine-tuning where it ran.

    :raises UsageError: where nothing was validated.
    """
    validation = records.after or records.before
    if validation is None:
        raise UsageError("records hold no validation, so there are no types to draw; validate first")
    rows = [row for row in metrics.type_table(validation, records.finetuning) if row["family"] != "clean"]
    kinds = list(dict.fromkeys(row["type"] for row in rows))
    lead = {row["type"]: row["accuracy"] for row in rows if row["set"] == "held_out" and known(row["accuracy"])}
    kinds.sort(key=lambda kind: lead.get(kind, -1.0), reverse=True)
    figure, axes = _figure(7.6, 1.1 + 0.42 * len(kinds))
    for row in rows:
        if row["set"] in MARKERS and known(row["accuracy"]):
            _dot(axes, row, kinds.index(row["type"]), hollow=records.after is None)
    phase = "after fine-tuning" if records.after is not None else "before fine-tuning"
    _shares(axes, [type_name(kind) for kind in kinds], f"Right under each perturbation, {phase}, %")
    names = {"held_out": "weak, held out", "control": "control", "test": "test"}
    for name in MARKERS:
        if n := max((row["n"] for row in rows if row["set"] == name), default=0):
            fill = LIGHT["paper"] if name == "control" or records.after is None else LIGHT["ink2"]
            label = f"{names[name]}, n = {n:,}"
            axes.plot([], [], MARKERS[name], color=LIGHT["ink2"], markerfacecolor=fill, label=label, markersize=6)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=3, frameon=False, labelcolor=LIGHT["ink2"])
    return _dressed(figure)


def plot_scores(records: Records) -> Figure:
    """Draw how the scores are spread, and which samples the weak set took.

    :raises UsageError: where nothing was scored.
    """
    facts = summarise(records.with_(before=None, after=None, samples=None))["score_histogram"]
    if facts is None:
        raise UsageError("records hold no scores to draw; score first")
    figure, axes = _figure(7.6, 3.0)
    edges, cut = np.asarray(facts["edges"]), facts["cut"]
    middle = (edges[:-1] + edges[1:]) / 2
    colours = [LIGHT["weakmark" if cut is not None and at >= cut else "line2"] for at in middle]
    axes.bar(edges[:-1], facts["counts"], np.diff(edges) * 0.94, align="edge", color=colours)
    if cut is not None:
        axes.axvline(cut, color=LIGHT["ink"], linewidth=1, linestyle=(0, (4, 3)))
        axes.text(
            cut, 1.02, f" selected: {cut:.3f} and above", transform=axes.get_xaxis_transform(), color=LIGHT["ink2"]
        )
    zero = f", {facts['zero']:,} of {facts['n']:,} at 0 not drawn" if facts["zero"] else f", n = {facts['n']:,}"
    axes.set_xlabel(f"score{zero}", color=LIGHT["ink2"])
    axes.set_ylabel("samples", color=LIGHT["ink2"])
    axes.grid(axis="y", color=LIGHT["line"])
    axes.set_axisbelow(True)
    drawn = np.flatnonzero(facts["counts"])
    axes.set_xlim(edges[0], edges[drawn[-1] + 1 if drawn.size else -1])
    axes.set_title("Scores of the training samples: higher is weaker", **_TITLE, pad=20)
    return _dressed(figure)


def plot_samples(records: Records, number: int = 8) -> Figure:
    """Draw the weakest samples: original, most damaging neighbor, and their difference around grey.

    :param number: how many, weakest first.
    :raises UsageError: where no sample was kept, or the samples are no images.
    """
    table = records.samples
    rows = [] if table is None else table.sort_by("rank").slice(0, number).to_pylist()
    if not rows or not drawable(rows[0]["shape"]):
        raise UsageError("records hold no weak samples that can be drawn as images")
    named = {row["index"]: row for row in summarise(records.with_(before=None, after=None))["tables"]["samples"]}
    figure, grid = _figure(1.1 * len(rows), 3.9, rows=3, columns=len(rows))
    for at, row in enumerate(rows):
        original = _image(row["original"], row["shape"])
        near = row.get("neighbor") or row.get("adversarial")
        other = original if near is None else _image(near, row["shape"])
        change = other - original
        scale = float(np.abs(change).max()) or 1.0
        facts = named[row["index"]]
        titles = (shown(facts["label"])[:14], f"→ {shown(facts['neighbor_prediction'])[:12]}", "")
        for axes, picture, title in zip(grid[:, at], (original, other, 0.5 + change / scale / 2), titles, strict=True):
            axes.imshow(picture.clip(0, 1), cmap="gray", vmin=0, vmax=1, interpolation="nearest")
            axes.set_title(title, fontsize=8, parse_math=False)
            axes.set_axis_off()
    return _dressed(figure)


def plot_comparison(records: Records) -> Figure:
    """Draw the three headline measures and every type on the test set, before and after.

    :raises UsageError: where there is no validation after fine-tuning.
    """
    if records.before is None or records.after is None:
        raise UsageError("records hold no validation before and after to compare; fine-tune and validate again first")
    tables = summarise(records)["tables"]
    sides = {(row["type"], row["phase"]): row for row in tables["validation"] if row["set"] == "test"}
    rows = [row for row in tables["paired"] if row["set"] == "test" and row["family"] != "clean"]
    rows.sort(key=lambda row: row["change"] if known(row["change"]) else 0.0, reverse=True)
    drawn = [(type_name(row["type"]) + (" (trained)" if row["trained"] else ""), row) for row in rows]
    drawn += [(HEADS[row["metric"]], row) for row in reversed(tables["headline"])]
    drawn = [(name, row) for name, row in drawn if known(row["before"]) and known(row["after"])]
    figure, axes = _figure(7.6, 1.1 + 0.36 * len(drawn))
    for at, (_, row) in enumerate(drawn):
        colour = LIGHT[COLOURS[judgement(row["verdict"])]]
        axes.plot([100 * row["before"], 100 * row["after"]], [at, at], color=colour, linewidth=0.8, alpha=0.6, zorder=1)
        for phase, ink, fill in (("before", LIGHT["ink3"], LIGHT["paper"]), ("after", colour, colour)):
            side = sides.get((row.get("type"), phase), {})
            lower, upper = (side.get(end, row.get(f"{phase}_{end}")) for end in ("lower", "upper"))
            if known(lower) and known(upper):
                axes.plot([100 * lower, 100 * upper], [at, at], color=ink, linewidth=2.2, zorder=2)
            axes.plot(100 * row[phase], at, "o", color=ink, markerfacecolor=fill, markersize=6, zorder=3)
    n = max((row["n"] for _, row in drawn), default=0)
    _shares(axes, [name for name, _ in drawn], f"Test set: right before (hollow) and after (solid), %, n = {n:,}")
    axes.axhline(sum("type" in row for _, row in drawn) - 0.5, color=LIGHT["ink3"], linewidth=0.8)
    return _dressed(figure)


def _figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, Any]:
    """Return a figure of its own and its axes; pyplot, and with it all global state, stays out."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=110, facecolor=LIGHT["paper"], layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=rows * columns == 1)
    for one in figure.axes:
        one.set_facecolor(LIGHT["paper"])
        one.spines[["top", "right", "left"]].set_visible(False)
        one.spines["bottom"].set_color(LIGHT["line2"])
        one.tick_params(length=0, labelsize=9.5, labelcolor=LIGHT["ink2"])
    return figure, axes


def _dressed(figure: Figure) -> Figure:
    """Return the figure with one family of fonts throughout."""
    from matplotlib.text import Text

    for text in figure.findobj(Text):
        text.set_fontfamily(_present(_FONTS))
    return figure


def _present(names: Sequence[str]) -> list[str]:
    """Return the first of the fonts that is installed; matplotlib warns of every one that is not."""
    from matplotlib.font_manager import fontManager

    installed = {entry.name for entry in fontManager.ttflist}
    return [name for name in names if name in installed][:1] or ["sans-serif"]


def _dot(axes: Axes, row: Mapping[str, Any], at: int, *, hollow: bool) -> None:
    lead = row["set"] == "held_out"
    colour = LIGHT[COLOURS[judgement(row["verdict"])] if lead else "quiet"]
    y = at + _LANES[row["set"]]
    axes.plot([100 * row["lower"], 100 * row["upper"]], [y, y], color=colour, linewidth=2.2 if lead else 1.2, zorder=2)
    fill = LIGHT["paper"] if hollow or row["set"] == "control" else colour
    style: dict[str, Any] = {"color": colour, "markerfacecolor": fill, "markersize": 6 if lead else 5, "zorder": 3}
    axes.plot(100 * row["accuracy"], y, MARKERS[row["set"]], **style)


def _shares(axes: Axes, names: Sequence[str], title: str) -> None:
    axes.set_yticks(range(len(names)), names)
    for label in axes.get_yticklabels():
        label.set_parse_math(False)
    axes.set_xlim(-2, 102)
    axes.set_ylim(-0.6, len(names) - 0.4)
    axes.set_xticks([0, 25, 50, 75, 100])
    axes.grid(axis="x", color=LIGHT["line"])
    axes.set_axisbelow(True)
    axes.set_title(title, **_TITLE, pad=12)


def _image(data: bytes, shape: Sequence[int]) -> np.ndarray:
    """Return float (h, w) or (h, w, 3) in [0, 1] from uint8 bytes in (c, h, w) order."""
    picture = np.frombuffer(data, np.uint8).reshape(tuple(shape)).transpose(1, 2, 0) / 255
    return picture[..., 0] if picture.shape[2] == 1 else picture
