"""Text and figures for terminals and notebooks, and the palette that all share."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from art_weakrobust.errors import UsageError
from art_weakrobust.plugins.spec import Spec
from art_weakrobust.report import figure_curves, figure_rows, figures, palette, plugin
from art_weakrobust.report.html import html_report
from art_weakrobust.report.summary import summarise
from art_weakrobust.report.text import summary_text
from art_weakrobust.results import Records

Plot = Callable[[Records], Any]
PLOTS: dict[str, Plot] = {
    "types": lambda records: figures.plot_types(summarise(records)),
    "scores": lambda records: figures.plot_scores(summarise(records)),
    "samples": lambda records: figures.plot_samples(summarise(records), records.samples),
    "comparison": lambda records: figures.plot_comparison(summarise(records)),
    "changes": lambda records: figure_rows.plot_changes(summarise(records), "held_out"),
    "severity": lambda records: figure_rows.plot_severity(summarise(records)),
    "classes": lambda records: figure_rows.plot_classes(summarise(records)),
    "dial": lambda records: figure_curves.plot_dial(summarise(records)),
    "radius": lambda records: figure_curves.plot_radius(summarise(records)),
    "security curve": lambda records: figure_curves.plot_security_curve(summarise(records)),
}
RADII = tuple({"radius": r / 255, "share": r / 20, "n": 500, "lower": r / 25, "upper": r / 16} for r in (2, 4, 8))
BUDGETS = tuple(
    {"phase": phase, "norm": "inf", "eps": e / 255, "n": 90, "accuracy": a, "lower": a - 0.1, "upper": a + 0.1}
    for phase, top in (("before", 0.6), ("after", 0.8))
    for e, a in enumerate((top, top - 0.2, top - 0.4))
)


@pytest.fixture(scope="module")
def whole(records: Records) -> Records:
    """Records in which everything was measured that a figure can show."""
    return records.with_(notes={"radius_curve": RADII, "security_curve": BUDGETS})


def test_summary_text_aligns_its_columns(records: Records) -> None:
    text = summary_text(summarise(records))
    block = next(block for block in text.split("\n\n") if block.startswith("test  "))
    at = {line.index("%") for line in block.splitlines()[1:]}
    assert len(at) == 1
    assert "gaussian noise *" in block
    assert "* training drew this type" in text


def test_summary_text_has_the_summary_s_figures(records: Records, summary: dict[str, Any]) -> None:
    text = summary_text(summary)
    row = summary["tables"]["headline"][1]
    assert f"{100 * row['before']:.1f}" in text
    assert f"{100 * row['after']:.1f}" in text
    assert text.startswith("Improved. ")


def test_text_of_a_diagnosis_has_no_after(make_records: Callable[..., Records]) -> None:
    text = summary_text(summarise(make_records(after=False)))
    assert text.startswith("Diagnosis.")
    assert "after" not in text


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_figures_render_without_pyplot_or_warnings(whole: Records, plot: Plot) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        buffer = io.BytesIO()
        plot(whole).savefig(buffer, format="png")
    assert buffer.getvalue().startswith(b"\x89PNG")


@pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)
def test_figures_say_what_is_missing(plot: Plot) -> None:
    with pytest.raises(UsageError, match="records hold no"):
        plot(Records())


def test_figures_take_names_as_they_are(records: Records) -> None:
    named = records.with_(class_names=tuple(f"$\\frac{{{k}}}$" for k in range(10)))
    figures.plot_samples(summarise(named), named.samples).savefig(io.BytesIO(), format="png")


def test_comparison_figure_draws_the_summary_s_values(summary: dict[str, Any]) -> None:
    axes = figures.plot_comparison(summary).axes[0]
    drawn = {round(float(x), 6) for line in axes.lines for x in line.get_xdata() if line.get_marker() == "o"}
    for row in summary["tables"]["headline"]:
        assert {round(100 * row["before"], 6), round(100 * row["after"], 6)} <= drawn


def test_importing_the_report_loads_no_plotting_and_no_framework() -> None:
    code = (
        "import sys; import art_weakrobust.report.html, art_weakrobust.report.figures, art_weakrobust.report.text; "
        "print(sorted({'torch', 'art', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_mixing_keeps_the_ends_and_grows_evenly_in_lightness() -> None:
    assert palette.mix("#f4f1ea", "#8a3606", 0.0) == "#f4f1ea"
    assert palette.mix("#f4f1ea", "#8a3606", 1.0) == "#8a3606"
    assert palette.mix("#000000", "#ffffff", 0.5) == "#636363"
    colours = palette.ramp(("#f4f1ea", "#eda25f", "#8a3606"), 10)
    assert np.all(np.diff([palette.luminance(colour) for colour in colours]) < 0)


@pytest.mark.parametrize("mode", [palette.LIGHT, palette.DARK])
def test_text_and_marks_stand_out_from_paper_and_tint(mode: dict[str, str]) -> None:
    for ground in (mode["paper"], mode["weaktint"]):
        assert all(palette.contrast(mode[name], ground) >= 4.5 for name in ("ink", "ink2", "weak", "strong"))
        assert all(palette.contrast(mode[name], ground) >= 3.0 for name in ("weakmark", "strongmark", "quiet"))
    assert palette.contrast(mode["ink3"], mode["paper"]) >= 4.5


def test_cell_text_is_legible_on_every_step_of_the_heat() -> None:
    light, dark = palette.css().split("@media")
    for block in (light, dark):
        found = dict(re.findall(r"--(\w+):(#[0-9a-f]{6})", block))
        steps = [name for name in found if f"t{name}" in found]
        assert len(steps) == 11 + 6 + 6
        assert all(palette.contrast(found[name], found[f"t{name}"]) >= 4.5 for name in steps)


def test_the_html_reporter_is_registered() -> None:
    (spec,) = plugin.weakrobust_register_reporters()
    assert isinstance(spec, Spec)
    assert (spec.name, spec.target) == ("html", "art_weakrobust.report.html:html_report")
    assert callable(html_report())
