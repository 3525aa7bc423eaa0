"""Two runs side by side: what is paired, what is tested, what the page says and where it stays silent."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from art_weakrobust.report.compare import NOT_TESTED, Side, compared
from art_weakrobust.report.compare_page import (
    answer,
    compare_files,
    comparison_markdown,
    comparison_text,
    page,
)
from art_weakrobust.results import Records, Validation
from art_weakrobust.validation import metrics

PRINTS = {"model": "sha256 1", "data": "xxh128 2", "test": "xxh128 3"}
ATTACKS = "fgm,pgd,pgd@2"


def recorded(records: Records, prints: dict[str, Any] | None = None, **arguments: Any) -> Records:
    """The records of a run whose data are known, with other arguments."""
    facts = dict(records.provenance)
    given = {"attacks": ATTACKS, **facts["arguments"], **arguments}
    return records.with_(provenance=facts | {"fingerprints": PRINTS | (prints or {}), "arguments": given})


@pytest.fixture(scope="module")
def base(make_records: Callable[..., Records]) -> Side:
    return Side("base", recorded(make_records(after=False)))


@pytest.fixture(scope="module")
def tuned(records: Records) -> Side:
    return Side("tuned", recorded(records))


@pytest.fixture(scope="module")
def summary(base: Side, tuned: Side) -> dict[str, Any]:
    return compared(base, tuned)


def changed(side: Side, **changes: Any) -> Side:
    return replace(side, records=recorded(side.records, **changes))


def test_the_last_models_of_two_runs_are_tested_on_the_same_images(base: Side, tuned: Side, summary: Any) -> None:
    before, after = base.records.before, tuned.records.after
    assert before is not None
    expected = metrics.headline(before, after, 2 / 255)
    for row, other in zip(summary["tables"]["headline"], expected, strict=True):
        assert {name: row[name] for name in ("before", "after", "p_holm", "verdict", "n")} == {
            name: other[name] for name in ("before", "after", "p_holm", "verdict", "n")
        }
    assert [summary["paired"][name]["why"] for name in ("test", "held_out", "control")] == [None] * 3


def test_the_order_of_the_two_turns_every_change_round(base: Side, tuned: Side, summary: Any) -> None:
    turned = {(row["set"], row["type"]): row for row in compared(tuned, base)["tables"]["paired"]}
    for row in summary["tables"]["paired"]:
        other = turned[row["set"], row["type"]]
        assert other["change"] == pytest.approx(-row["change"])
        assert other["p_holm"] == row["p_holm"]
        assert (other["gained"], other["lost"]) == (row["lost"], row["gained"])
    assert (summary["stance"], compared(tuned, base)["stance"]) == ("Better", "Worse")


def test_a_model_against_itself_gives_no_evidence_of_a_difference(base: Side) -> None:
    same = compared(base, replace(base, name="again"))
    assert same["stance"] == "No evidence of a difference"
    assert "No evidence that \u2068again\u2069 and \u2068base\u2069 differ on the 400 test images" in same["headline"]
    assert same["tables"]["settings"] == []


@pytest.mark.parametrize(
    ("prints", "why"),
    [
        ({"test": "xxh128 9"}, "the test images are others"),
        ({"test": None}, "it is not recorded which test images were used"),
    ],
)
def test_other_or_unknown_test_images_are_never_paired(base: Side, tuned: Side, prints: Any, why: str) -> None:
    told = compared(base, changed(tuned, prints=prints))
    assert told["paired"]["test"]["why"] == why
    assert told["stance"] == NOT_TESTED
    assert why in told["headline"]
    assert not [row for row in told["tables"]["paired"] if row["set"] == "test"]
    for row in told["tables"]["headline"]:
        assert (row["verdict"], row["p"], row["change"]) == ("not tested", None, None)
        assert (row["n_before"], row["n_after"]) == (400, 400)


@pytest.mark.parametrize(
    ("prints", "why"),
    [
        ({"model": "sha256 9"}, "the base model is another"),
        ({"data": "xxh128 9"}, "the training samples are others"),
    ],
)
def test_weak_samples_of_another_model_or_data_are_never_paired(base: Side, tuned: Side, prints: Any, why: str) -> None:
    told = compared(base, changed(tuned, prints=prints))
    assert {told["paired"][name]["why"] for name in ("held_out", "control")} == {why}
    assert {row["set"] for row in told["tables"]["paired"]} == {"test"}


def test_weak_samples_are_paired_only_where_they_are_the_very_same(base: Side, tuned: Side) -> None:
    after = tuned.records.after
    assert after is not None
    first = after.table.filter(pa.compute.equal(after.table.column("set"), "held_out")).column("index")[0]
    fewer = after.table.filter(pa.compute.not_equal(after.table.column("index"), first))
    told = compared(base, replace(tuned, records=tuned.records.with_(after=Validation(fewer, after.types))))
    assert told["paired"]["held_out"]["why"] == "each run has samples of its own"


def test_labels_that_differ_unmask_one_fingerprint_of_two_sets(base: Side, tuned: Side) -> None:
    after = tuned.records.after
    assert after is not None
    at = after.table.column_names.index("label")
    other = after.table.set_column(at, "label", pa.compute.add(after.table.column("label"), 1))
    told = compared(base, replace(tuned, records=tuned.records.with_(after=Validation(other, after.types))))
    assert told["paired"]["test"]["why"] == "the labels of the same images differ"


def test_a_smaller_test_set_is_paired_on_what_both_have(base: Side, tuned: Side) -> None:
    after = tuned.records.after
    assert after is not None
    test = pa.compute.equal(after.table.column("set"), "test")
    kept = pa.compute.or_(pa.compute.invert(test), pa.compute.less(after.table.column("index"), 100))
    fewer = Validation(after.table.filter(kept), after.types)
    told = compared(base, replace(tuned, records=tuned.records.with_(after=fewer)))
    assert {row["n"] for row in told["tables"]["headline"]} == {100}
    assert "on the 100 test images of both" in told["headline"]


def left_out(summary: dict[str, Any]) -> dict[str, str]:
    return {row["type"]: row["why"] for row in summary["tables"]["left_out"]}


def test_an_attack_with_another_budget_is_not_compared(base: Side, tuned: Side) -> None:
    after = tuned.records.after
    assert after is not None
    types = tuple(replace(kind, eps=8 / 255) if kind.type == "pgd-linf" else kind for kind in after.types)
    told = compared(base, replace(tuned, records=tuned.records.with_(after=Validation(after.table, types))))
    assert left_out(told) == {"pgd-linf": "other budgets: 2/255 there, 8/255 here"}
    assert not [row for row in told["tables"]["paired"] if row["type"] == "pgd-linf"]
    assert told["tables"]["headline"][1]["types"] == ["fgm-linf"]


def test_an_attack_with_other_settings_is_not_compared_and_its_namesake_in_another_norm_is(
    base: Side, tuned: Side
) -> None:
    told = compared(base, changed(tuned, attacks="fgm,pgd:max_iter=5,pgd@2"))
    assert left_out(told) == {"pgd-linf": "other settings: max_iter default there, 5 here"}


def test_attacks_whose_settings_one_run_did_not_record_are_not_compared(base: Side, tuned: Side) -> None:
    facts = dict(tuned.records.provenance)
    handed = {kind: {"max_iter": 7} for kind in ("fgm-linf", "pgd-linf", "pgd-l2")}
    told = compared(base, replace(tuned, records=tuned.records.with_(provenance=facts | {"perturbations": handed})))
    assert set(left_out(told)) == {"fgm-linf", "pgd-linf", "pgd-l2"}
    assert told["tables"]["headline"][1]["verdict"] == "not run"


def test_settings_list_what_differs_and_nothing_else(base: Side, tuned: Side) -> None:
    told = compared(base, changed(tuned, weak_weight=4.0, eps=2 / 255))
    assert told["tables"]["settings"] == [{"name": "weak_weight", "other": "–", "this": "4"}]


def test_a_type_that_training_drew_carries_the_name_of_its_run(summary: Any) -> None:
    drawn = {row["type"]: row["trained"] for row in summary["tables"]["paired"] if row["set"] == "test"}
    assert drawn["contrast"] == ["tuned"]
    assert drawn["shot_noise"] == []


def test_an_error_of_the_doctor_in_either_run_voids_the_comparison(base: Side, tuned: Side) -> None:
    error = {"severity": "error", "code": "labels", "seen": "s", "do": "d"}
    told = compared(replace(base, records=base.records.with_(findings=(error,))), tuned)
    assert told["stance"] == "Not comparable"
    assert "base" in told["headline"]
    assert "do not compare" in page(told)


def test_runs_without_a_validation_are_told_so(base: Side, tuned: Side) -> None:
    told = compared(replace(base, records=base.records.with_(before=None)), tuned)
    assert told["paired"]["test"]["why"] == "\u2068base\u2069 validated nothing"
    assert told["tables"]["headline"] == []
    assert "validated nothing" in page(told)


def test_page_and_json_hold_the_same_figures_and_nothing_is_loaded(base: Side, tuned: Side, summary: Any) -> None:
    files = compare_files(base, tuned)
    assert json.loads(files["compare.json"]) == summary
    html = files["compare.html"].decode()
    assert files == compare_files(base, tuned)
    assert summary["headline"] in html
    assert answer(summary) in html
    assert not [tag for tag in ("<script", "<link", "<img", "http://", "https://") if tag in html]
    for row in summary["tables"]["paired"]:
        assert f"{row['gained']} / {row['lost']}" in html


def test_hostile_names_stay_text(base: Side, tuned: Side) -> None:
    hostile = "<script>alert(1)</script>|`x`\u202e"
    told = compared(replace(base, name=hostile), tuned)
    assert "<script" not in page(told)
    assert "\u202e" not in page(told)
    assert "\\|\\`x\\`" in comparison_markdown(told)
    assert "<script" not in comparison_markdown(told).replace("\\<", "")


def test_text_and_markdown_say_the_verdict_with_n_and_interval(summary: Any) -> None:
    for text in (comparison_text(summary), comparison_markdown(summary)):
        assert "Better." in text
        for row in summary["tables"]["headline"]:
            assert f"{100 * row['after']:.1f}" in text
        assert "n = 400" in text
