"""Figures for notebooks and papers, in the report's palette, drawn from a summary: types, scores, samples, comparison.

Each function returns a ``matplotlib.figure.Figure``, which a notebook shows and ``savefig`` writes. Curves are drawn in
:mod:`.figure_curves`, changes, severities and classes in :mod:`.figure_rows`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import UsageError
from ..results import Table
from .canvas import COLOURS, GROUND, TITLE, WIDTH, canvas, dot, dressed, named_rows, shares
from .images import drawable
from .palette import LIGHT
from .sections import HEADS, judgement
from .sides import measured, two_sides
from .typography import known, shown, type_name

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Summary = Mapping[str, Any]
MARKERS = {"held_out": "D", "control": "o", "test": "s"}
SET_NAMES = {"held_out": "weak, held out", "control": "control", "test": "test"}
_LANES = {"held_out": 0.0, "control": 0.24, "test": -0.24}


def plot_types(summary: Summary, phase: str | None = None) -> Figure:
    """Draw the accuracy per perturbation type on weak, control and test samples.

    :param phase: ``before`` or ``after``; by default after fine-tuning where it ran.
    :raises UsageError: where nothing was validated.
    """
    table = [row for row in summary["tables"]["validation"] if row["family"] != "clean" and row["set"] in MARKERS]
    phase = phase or ("after" if any(row["phase"] == "after" for row in table) else "before")
    rows = [row for row in table if row["phase"] == phase]
    if not rows:
        raise UsageError(
            f"records hold no validation {phase} fine-tuning, so there are no types to draw; validate first"
        )
    kinds = list(dict.fromkeys(row["type"] for row in rows))
    lead = {row["type"]: row["accuracy"] for row in rows if row["set"] == "held_out" and known(row["accuracy"])}
    kinds.sort(key=lambda kind: lead.get(kind, -1.0), reverse=True)
    figure, axes = canvas(WIDTH, 1.1 + 0.42 * len(kinds))
    for row in rows:
        _dot(axes, row, kinds.index(row["type"]), hollow=phase == "before")
    named_rows(axes, [type_name(kind) for kind in kinds], f"Right under each perturbation, {phase} fine-tuning, %")
    shares(axes)
    for name in MARKERS:
        if n := max((row["n"] for row in rows if row["set"] == name), default=0):
            fill = GROUND if name == "control" or phase == "before" else LIGHT["ink2"]
            label = f"{SET_NAMES[name]}, n = {n:,}"
            axes.plot([], [], MARKERS[name], color=LIGHT["ink2"], markerfacecolor=fill, label=label, markersize=6)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.08), ncols=3, frameon=False, labelcolor=LIGHT["ink2"])
    return dressed(figure)


def plot_scores(summary: Summary) -> Figure:
    """Draw how the scores are spread, and which samples the weak set took.

    :raises UsageError: where nothing was scored.
    """
    facts = summary["score_histogram"]
    if facts is None:
        raise UsageError("records hold no scores to draw; score first")
    figure, axes = canvas(WIDTH, 3.0)
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
    axes.set_title("Scores of the training samples: higher is weaker", **TITLE, pad=20)
    return dressed(figure)


def plot_samples(summary: Summary, samples: Table | None, number: int = 8) -> Figure:
    """Draw the weakest samples: original, most damaging neighbor, and their difference around grey.

    :param samples: their pixels, rows of :data:`~art_weakrobust.results.SAMPLES`.
    :param number: how many, weakest first.
    :raises UsageError: where no sample was kept, or the samples are no images.
    """
    rows = [] if samples is None else samples.sort_by("rank").slice(0, number).to_pylist()
    if not rows or not drawable(rows[0]["shape"]) or any(row["original"] is None for row in rows):
        raise UsageError("records hold no weak samples that can be drawn as images")
    named = {row["index"]: row for row in summary["tables"]["samples"]}
    figure, grid = canvas(0.9 * max(len(rows), 3), 3.3, rows=3, columns=len(rows))
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
    return dressed(figure)


def plot_comparison(summary: Summary) -> Figure:
    """Draw the three headline measures and every type on the test set, before and after.

    :raises UsageError: where there is no validation after fine-tuning.
    """
    tables = summary["tables"]
    sides = two_sides(summary)
    rows = [row for row in tables["paired"] if row["set"] == "test" and row["family"] != "clean"]
    rows.sort(key=lambda row: row["change"] if known(row["change"]) else 0.0, reverse=True)
    drawn = [(type_name(row["type"]) + (" (trained)" if row["trained"] else ""), row) for row in rows]
    drawn += [(HEADS[row["metric"]], row) for row in reversed(tables["headline"])]
    drawn = [(name, row) for name, row in drawn if known(row["before"]) and known(row["after"])]
    if not drawn:
        raise UsageError("records hold no validation before and after to compare; fine-tune and validate again first")
    figure, axes = canvas(WIDTH, 1.1 + 0.36 * len(drawn))
    for at, (_, row) in enumerate(drawn):
        colour = COLOURS[judgement(row["verdict"])]
        axes.plot([100 * row["before"], 100 * row["after"]], [at, at], color=colour, linewidth=0.8, alpha=0.6, zorder=1)
        before, after = sides(row) if "type" in row else measured(row)
        dot(axes, before, at, "value", colour=LIGHT["ink3"], fill=GROUND)
        dot(axes, after, at, "value", colour=colour)
    n = max((row["n"] for _, row in drawn), default=0)
    title = f"Test set: right before (hollow) and after (solid), %, n = {n:,}"
    named_rows(axes, [name for name, _ in drawn], title)
    shares(axes)
    axes.axhline(sum("type" in row for _, row in drawn) - 0.5, color=LIGHT["ink3"], linewidth=0.8)
    return dressed(figure)


def _dot(axes: Axes, row: Mapping[str, Any], at: int, *, hollow: bool) -> None:
    lead = row["set"] == "held_out"
    colour = COLOURS[judgement(row["verdict"])] if lead else LIGHT["quiet"]
    fill = GROUND if hollow or row["set"] == "control" else colour
    style: dict[str, Any] = {"colour": colour, "fill": fill, "marker": MARKERS[row["set"]]}
    dot(axes, row, at + _LANES[row["set"]], **style, size=6 if lead else 5, width=2.2 if lead else 1.2)


def _image(data: bytes, shape: Sequence[int]) -> np.ndarray:
    """Return float (h, w) or (h, w, 3) in [0, 1] from uint8 bytes in (c, h, w) order."""
    picture = np.frombuffer(data, np.uint8).reshape(tuple(shape)).transpose(1, 2, 0) / 255
    return picture[..., 0] if picture.shape[2] == 1 else picture
