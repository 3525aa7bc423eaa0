"""Every chart of a report as files for a paper, SVG and PNG of 300 dots an inch: same numbers, same bytes."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from ..errors import UsageError
from ..results import Table
from . import figure_curves, figure_rows, figures

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_DPI = 300


def figure_files(summary: Mapping[str, Any], samples: Table | None = None) -> dict[str, bytes]:
    """Return file name -> content: ``types-before.svg``, ``types-before.png``, …; a chart without data has no file.

    :param summary: the report's.
    :param samples: pixels of the weakest samples, or None.
    """
    files: dict[str, bytes] = {}
    for name, draw in _charts(summary, samples).items():
        try:
            figure = draw()
        except UsageError:  # nothing was measured that this chart shows: the others are there all the same
            continue
        for kind in ("svg", "png"):
            files[f"{name}.{kind}"] = _written(figure, kind)
    return files


def _charts(summary: Mapping[str, Any], samples: Table | None) -> dict[str, Callable[[], Figure]]:
    tuned = bool(summary["tables"]["paired"])
    charts: dict[str, Callable[[], Figure]] = {"types-before": partial(figures.plot_types, summary, "before")}
    if tuned:
        charts |= {
            "comparison": partial(figures.plot_comparison, summary),
            "types-after": partial(figures.plot_types, summary, "after"),
            **{f"changes-{name}": partial(figure_rows.plot_changes, summary, name) for name in figures.MARKERS},
            "dial": partial(figure_curves.plot_dial, summary),
        }
    return charts | {
        "severity": partial(figure_rows.plot_severity, summary),
        "scores": partial(figures.plot_scores, summary),
        "radius": partial(figure_curves.plot_radius, summary),
        "security-curve": partial(figure_curves.plot_security_curve, summary),
        "samples": partial(figures.plot_samples, summary, samples),
        "classes": partial(figure_rows.plot_classes, summary),
    }


def _written(figure: Figure, kind: str) -> bytes:
    import matplotlib

    buffer = io.BytesIO()
    # Ids of clip paths are random and files carry the hour, unless both are told not to.
    with matplotlib.rc_context({"svg.hashsalt": "art-weakrobust"}):
        figure.savefig(buffer, format=kind, dpi=_DPI, metadata={"Date": None} if kind == "svg" else {"Software": None})
    return buffer.getvalue()
