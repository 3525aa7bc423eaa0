"""What a notebook shows of an evaluation and of a comparison: a small table of HTML, and figures."""

from __future__ import annotations

import pytest

from art_weakrobust.errors import UsageError

PLOTS = ("plot_types", "plot_scores", "plot_samples")


@pytest.mark.parametrize("name", ["before", "after", "comparison"])
def test_a_cell_ends_in_a_compact_table_with_every_figure_s_interval(story, name):
    shown = getattr(story, name)
    html = shown._repr_html_()
    assert len(html) < 5000
    assert "<script" not in html
    assert "<img" not in html
    for row in shown.summary["tables"]["headline"]:
        if row["n"]:
            assert f"{100 * row['before']:.1f}" in html
            assert f"[{100 * row['before_lower']:.1f}, {100 * row['before_upper']:.1f}]" in html


def test_only_a_comparison_speaks_of_after(story):
    assert "<th>after</th>" in story.comparison._repr_html_()
    assert "<th>after</th>" not in story.before._repr_html_()


@pytest.mark.parametrize("plot", PLOTS)
@pytest.mark.parametrize("name", ["before", "comparison"])
def test_plots_are_matplotlib_figures_without_pyplot(story, name, plot):
    from matplotlib.figure import Figure

    figure = getattr(getattr(story, name), plot)()
    assert isinstance(figure, Figure)
    assert figure.axes


def test_scores_of_a_weak_set_that_was_handed_in_are_refused_in_one_sentence(story):
    with pytest.raises(UsageError, match="no scores"):
        story.after.plot_scores()


def test_a_security_curve_needs_distances_or_budgets(story):
    with pytest.raises(UsageError, match="measure adversarial distances, or give one attack two budgets"):
        story.before.plot_security_curve()


def test_one_attack_at_two_budgets_draws_a_security_curve(arrays, test_arrays, validator):
    attacks = ["fgm:eps=0.05:label=fgm-1", "fgm:eps=0.2:label=fgm-4"]
    evaluation = validator(attacks=attacks, corruptions=[], neighbors=2).evaluate(
        arrays.x_train[:100], arrays.y_train[:100], **test_arrays
    )
    (axes,) = evaluation.plot_security_curve().axes
    (line,) = [line for line in axes.lines if len(line.get_xdata()) == 3]
    rows = evaluation.summary["tables"]["security_curve"]
    assert line.get_xdata().tolist() == [row["eps"] for row in rows] == [0.0, 0.05, 0.2]
    assert line.get_ydata().tolist() == [100 * row["accuracy"] for row in rows]
    assert "budget" in axes.get_title(loc="left")
