"""What the sections show beyond the first figures: flips, curves, segments, checks, kinds; and how they fold."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from art_weakrobust.report import advice, curves, gallery, sections, wording
from art_weakrobust.report.html import html_report
from art_weakrobust.report.sections import fold
from art_weakrobust.report.summary import summarise
from art_weakrobust.results import PerturbationType, Records, Validation, WeakSet

RADII = [{"radius": r / 255, "share": 0.05 * r, "n": 400, "lower": 0.04 * r, "upper": 0.06 * r} for r in (16, 2, 4, 8)]
SEGMENTS = [
    {"where": "contrast below 0.12", "n": 210, "weak": 35, "share": 35 / 210, "lower": 0.12, "upper": 0.22},
    {"where": "<b>dark</b> and digit 3", "n": 83, "weak": 40, "share": 40 / 83, "lower": 0.38, "upper": 0.59},
]
SECURITY = [
    {"phase": p, "norm": "inf", "eps": e, "accuracy": a - 10 * e, "lower": a - 11 * e, "upper": a - 9 * e, "n": 300}
    for p, a in (("before", 0.8), ("after", 0.9))
    for e in (0.0, 0.01, 0.02)
]


def page_of(records: Records) -> str:
    return html_report()(records)["report.html"].decode()


def section(html: str, name: str) -> str:
    return html.split(f'<section id="{name}"')[1].split("</section>")[0]


def with_kinds(records: Records, kinds: tuple[str, ...]) -> Records:
    table = records.weak_set.table
    named = pa.array([kinds[i % len(kinds)] for i in range(table.num_rows)])
    return records.with_(weak_set=WeakSet(table.append_column("kind", named)))


def with_types(records: Records, number: int) -> Records:
    """The same verdicts under ``number`` more names of attacks."""
    more = [PerturbationType(f"attack{k}-linf", "attacks", norm="inf", eps=0.5) for k in range(number)]

    def grown(validation: Validation) -> Validation:
        pgd = validation.table.filter(pa.compute.equal(validation.table["type"].cast(pa.string()), "pgd-linf"))
        at = pgd.column_names.index("type")
        parts = [pgd.set_column(at, "type", pa.array([kind.type] * pgd.num_rows)) for kind in more]
        whole = validation.table.set_column(at, "type", validation.table["type"].cast(pa.string()))
        return Validation(pa.concat_tables([whole, *parts], promote_options="permissive"), (*validation.types, *more))

    return records.with_(before=grown(records.before), after=grown(records.after))


class TestFlips:
    def test_every_cell_is_the_summary_s_and_has_the_paired_test(self, summary: dict[str, Any], files: Any) -> None:
        html = section(files["report.html"].decode(), "changed")
        paired = {(row["type"], row["set"]): row for row in summary["tables"]["paired"]}
        for row in summary["tables"]["flips"]:
            assert row["fixed"] == paired[row["type"], row["set"]]["gained"]
            assert row["broken"] == paired[row["type"], row["set"]]["lost"]
        assert html.count("Image by image") == 3
        assert "McNemar, exact" in html
        assert "sign, exact" in html

    def test_only_the_half_that_is_shown_has_links(self, files: Any) -> None:
        html = section(files["report.html"].decode(), "changed")
        test, held_out, control = html.split('<div class="view ')[1:4]
        assert "data-filter" not in test + control.split("Corruptions that training drew")[0]
        assert 'data-filter="type=pgd-linf&amp;after=f"' in held_out

    def test_every_figure_of_the_other_sets_opens_some_of_its_samples(
        self, summary: dict[str, Any], files: Any
    ) -> None:
        html = section(files["report.html"].decode(), "changed")
        shown = summary["tables"]["flipped"]
        opened = Counter((row["set"], row["type"], row["outcome"]) for row in shown)
        most = {"fixed": 6, "broken": 6, "right": 3, "wrong": 3, "between": 3}
        families = {row["type"]: row["family"] for row in summary["tables"]["flips"]}
        counted = [
            (row["set"], row["type"], outcome, row[outcome])
            for row in summary["tables"]["flips"]
            for outcome in most
            if row["set"] in ("control", "test") and families[row["type"]] != "clean" and row[outcome]
        ]
        assert {name for name, *_ in counted} == {"control", "test"}
        assert {outcome for _, _, outcome, _ in counted} == set(most)
        for name, kind, outcome, count in counted:
            assert opened[name, kind, outcome] == min(most[outcome], count)
        linked = re.findall(r'href="#(flip-[ac][0-9]+-[a-z]+)"', html)
        assert len(linked) == len(set(linked)) == len(counted)
        assert sorted(linked) == sorted(re.findall(r'id="(flip-[ac][0-9]+-[a-z]+)"', html))
        assert html.count('<use href="#sheet-flips"/>') == len(shown)

    def test_samples_are_in_the_cell_that_their_verdicts_say(self, summary: dict[str, Any]) -> None:
        for row in summary["tables"]["flipped"]:
            before, after, n = row["right_before"], row["right_after"], row["severities"]
            expected = "fixed" if after > before else "broken" if after < before else "between"
            if before == after in (0, n):
                expected = "right" if after else "wrong"
            assert row["outcome"] == expected

    def test_a_single_verdict_tells_what_it_was_and_several_how_many_were_right(self, summary: dict[str, Any]) -> None:
        single = next(row for row in summary["tables"]["flipped"] if row["type"] == "pgd-linf")
        several = next(row for row in summary["tables"]["flipped"] if row["type"] == "contrast")
        assert (single["severities"], several["severities"]) == (1, 5)
        assert single["prediction_before"] != single["prediction_after"] == single["label"]
        assert several["prediction_before"] is None

    def test_flipped_samples_are_told_in_words_where_no_image_is_shown(self, records: Records) -> None:
        html = section(html_report(max_samples=0)(records)["report.html"].decode(), "changed")
        assert "sheet-flips" not in html
        assert 'class="tiles bare"' in html

    def test_without_kept_images_no_figure_of_the_other_sets_opens_anything(self, records: Records) -> None:
        html = section(page_of(records.with_(flipped=None)), "changed")
        assert 'href="#flip' not in html
        assert "The figures of this set open nothing" in html

    def test_paths_of_flipped_samples_are_escaped(self, records: Records) -> None:
        table = records.flipped
        paths = pa.array(['"><script>window.pwned=1</script>'] * table.num_rows)
        html = page_of(records.with_(flipped=table.set_column(table.column_names.index("path"), "path", paths)))
        assert "<script>window.pwned" not in html


class TestCurves:
    def test_the_dial_names_the_command_that_chooses_another(self, files: Any) -> None:
        html = section(files["report.html"].decode(), "changed")
        assert "art-weakrobust finetune --out runs/digits --clean-budget 1" in html

    def test_the_radius_curve_is_in_order_and_marks_the_radius_that_ran(self, records: Records) -> None:
        drawn = curves.radius(summarise(records.with_(notes={"radius_curve": RADII})))
        assert [round(255 * row["radius"]) for row in drawn["rows"]] == [2, 4, 8, 16]
        assert drawn["at"] is None, "40/255 lies beyond the curve"
        html = section(page_of(records.with_(notes={"radius_curve": RADII})), "scores")
        assert "How large a radius?" in html
        for row in RADII:
            assert f"{100 * row['share']:.1f}" in html

    def test_the_security_curve_has_a_band_and_a_table(self, records: Records) -> None:
        html = section(page_of(records.with_(notes={"security_curve": SECURITY})), "scores")
        assert html.count('class="band') == 2
        assert html.count("still right, %".capitalize()) == 1
        assert "n = 300" in html

    def test_without_curves_the_histogram_has_the_full_width(self, make_records: Callable[..., Records]) -> None:
        summary = summarise(make_records(after=False))
        assert curves.radius(summary) is None
        assert curves.dial(summary) is None

    def test_a_bound_on_what_screening_missed_has_its_audit(self, records: Records) -> None:
        html = section(
            page_of(records.with_(notes={"missed_bound": {"n": 400, "missed": 0, "upper": 0.013}})), "scores"
        )
        assert "at most 1.3" in html
        assert "audit of 400 samples" in html

    def test_segments_are_the_weakest_first_with_n_and_interval(self, records: Records) -> None:
        html = section(page_of(records.with_(notes={"segments": SEGMENTS})), "classes")
        assert html.index("&lt;b&gt;dark") < html.index("contrast below")
        assert "38.0–59.0" in html
        assert "<b>dark" not in html


class TestChecks:
    def test_what_passed_and_what_did_not_run_is_listed(self, records: Records) -> None:
        notes = {"passed": ["pixel range"], "not_run": [{"check": "accuracy", "why": "no published figure"}]}
        html = section(page_of(records.with_(notes=notes, findings=())), "doctor")
        assert "1 check passed, 1 not run" in html
        assert "– accuracy: not run, no published figure" in html
        assert "Yes: nothing was found" in html

    def test_where_nothing_could_be_checked_nothing_is_vouched_for(self) -> None:
        summary = {"findings": [], "checks": {"passed": [], "not_run": [{"check": "a", "why": "b"}]}}
        assert wording.doctor(summary) == "Unknown: no check could be made."

    def test_without_a_doctor_the_section_and_its_link_go(self, records: Records) -> None:
        html = page_of(records.with_(findings=()))
        assert 'id="doctor"' not in html
        assert "#doctor" not in html


class TestKinds:
    def test_the_answer_names_the_commonest_and_doubts_labels(self) -> None:
        kinds = ["fragile"] * 3 + ["mislabelled"] * 2
        rows = [{"label": "a", "neighbor_prediction": "b", "kind": kind} for kind in kinds]
        said = "3 of the 5 weakest are \u2068fragile\u2069; 2 may carry a wrong label"
        assert wording.samples({"tables": {"samples": rows}}).startswith(said)

    def test_a_doubted_label_is_a_question_and_an_action_that_filters(self, records: Records) -> None:
        html = page_of(with_kinds(records, ("fragile", "mislabelled")))
        grid = section(html, "samples")
        assert "label?" in grid
        assert '<select name="kind">' in grid
        assert "mislabelled" not in re.sub(r"<(option|div)[^>]*>[^<]*", "", grid)
        actions = advice.actions(summarise(with_kinds(records, ("fragile", "mislabelled"))))
        assert actions[-1]["filter"] == "kind=mislabelled"

    def test_without_triage_there_is_no_filter_of_kinds(self, files: Any) -> None:
        assert 'name="kind"' not in files["report.html"].decode()


class TestFilters:
    def test_a_diagnosis_asks_for_no_outcome(self, make_records: Callable[..., Records]) -> None:
        summary = summarise(make_records(after=False))
        keys = [one["key"] for one in gallery.filters(summary, summary["tables"]["samples"])]
        assert keys == ["class", "read", "type"]

    def test_many_classes_are_typed_not_listed(self, make_records: Callable[..., Records]) -> None:
        html = section(page_of(make_records(nb_classes=1000)), "samples")
        assert '<input name="class" list="list-class"' in html
        assert '<select name="class">' not in html

    def test_two_classes_of_one_name_are_told_apart(self, make_records: Callable[..., Records]) -> None:
        records = make_records(nb_classes=200, shown=100)
        summary = summarise(records.with_(class_names=("crane",) * 200))
        texts = [text for one in gallery.filters(summary, summary["tables"]["samples"]) for _, text in one["options"]]
        assert sum(text.startswith("crane, class ") for text in texts) > 30
        for one in gallery.filters(summary, summary["tables"]["samples"]):
            assert len({text for _, text in one["options"]}) == len(one["options"])

    def test_the_tune_half_has_no_outcome_under_any_type(self, summary: dict[str, Any]) -> None:
        for row in summary["tables"]["samples"]:
            assert len(row["outcomes"]) == len(summary["outcome_types"])
            assert (set(row["outcomes"]) == {"-"}) == (row["role"] == "tune")
            assert (row["outcome"] == "-") == (row["role"] == "tune")

    def test_a_lost_original_is_broken_whatever_its_neighbor_says(self, records: Records) -> None:
        table = records.samples
        at = table.column_names.index("p_original_after")
        lost = [[1.0 if k == 9 else 0.0 for k in range(10)]] * table.num_rows
        rows = summarise(records.with_(samples=table.set_column(at, "p_original_after", pa.array(lost))))["tables"]
        for row in rows["samples"]:
            if row["role"] == "held_out" and row["class"] != 9:
                assert row["outcome"] == "b"

    def test_confusions_are_counted_over_what_is_shown(self, summary: dict[str, Any]) -> None:
        rows = summary["tables"]["samples"]
        found = gallery.confusions(rows)
        assert sum(pair["n"] for pair in found) == len(rows)
        assert [pair["n"] for pair in found] == sorted((pair["n"] for pair in found), reverse=True)

    def test_the_change_that_is_shown_is_measured_on_the_stored_pixels(
        self, records: Records, summary: dict[str, Any]
    ) -> None:
        stored = records.samples.sort_by("rank").to_pylist()[0]
        one, other = (np.frombuffer(stored[name], np.uint8).astype(float) for name in ("original", "neighbor"))
        row = summary["tables"]["samples"][0]
        assert row["change_linf"] == pytest.approx(np.abs(one - other).max() / 255)
        assert row["change_l2"] == pytest.approx(np.linalg.norm(one - other) / 255)


class TestFolds:
    def test_many_types_fold_and_weaknesses_stay_open(self) -> None:
        rows = [{"verdict": verdict} for verdict in ("weakness", "neither", "strength", "weakness")]
        kept, folded = fold(rows, {"weakness"})
        assert [row["verdict"] for row in kept] == ["weakness"] * 2
        assert [row["verdict"] for row in folded] == ["neither", "strength"]

    def test_with_more_than_25_types_every_one_is_still_on_the_page(self, records: Records) -> None:
        html = page_of(with_types(records, 30))
        assert "more types, none of them a weakness" in html
        for k in range(30):
            assert html.count(f"attack{k} L∞") >= 4

    def test_nineteen_corruptions_fit_as_they_are(self, files: Any) -> None:
        assert "more types" not in files["report.html"].decode()

    def test_more_than_100_classes_can_be_searched(self, make_records: Callable[..., Records]) -> None:
        assert 'id="class-search"' in page_of(make_records(nb_classes=120))
        assert 'id="class-search"' not in page_of(make_records())

    def test_a_class_of_few_samples_is_drawn_grey(self, make_records: Callable[..., Records]) -> None:
        html = section(page_of(make_records(nb_classes=120)), "classes")
        assert html.count('<tr class="muted">') == 20, "ten samples a class are few"

    def test_of_many_classes_those_without_a_score_are_no_strongest(self) -> None:
        row = {"label": 0, "name": "c", "n_test": 0, "n_weak": 0, "weak_lower": 0.0, "weak_upper": 0.5}
        rows = [row | {"label": k, "n_scored": k % 2, "weak_share": 0.0 if k % 2 else None} for k in range(80)]
        drawn = sections.classes({"tables": {"classes": rows}})
        assert [each["n_scored"] for each in drawn["rows"]] == [1] * 20
        assert drawn["left_out"] == 60


def test_a_python_factory_is_named_again_by_the_command_that_reproduces(records: Records) -> None:
    facts = {"arguments": {"out": "runs/a", "model": "python:nets:small"}, "command": "c"}
    command = advice.reproduce(summarise(records.with_(provenance=facts)))
    assert command == "art-weakrobust sample --out runs/a --index INDEX --model python:nets:small"


def test_one_attack_has_one_p_value_the_headline_s(make_records: Callable[..., Records]) -> None:
    records = summarise(make_records(types=3))
    row = next(row for row in records["tables"]["paired"] if (row["type"], row["set"]) == ("fgm-linf", "test"))
    assert next(row for row in records["tables"]["headline"] if row["metric"] == "robust")["types"] == ["fgm-linf"]
    assert (row["p"], row["p_holm"], row["verdict"]) == (None, None, "see headline")
    assert "FGM" not in wording.changed(records)
