"""Numbers and sentences: what is unknown stays unknown, and a sentence says no more than its verdict."""

from __future__ import annotations

import math
from typing import Any

import pytest

from art_weakrobust.report import advice, wording
from art_weakrobust.report.sections import split
from art_weakrobust.report.typography import (
    change_span,
    decimal,
    duration,
    listing,
    p_value,
    percent,
    points,
    setting,
    type_name,
)


def measure(metric: str, verdict: str, before: float = 0.5, after: float = 0.5) -> dict[str, Any]:
    row = {"metric": metric, "verdict": verdict, "before": before, "after": after, "change": after - before}
    return row | {"change_lower": after - before - 0.01, "change_upper": after - before + 0.01, "types": [metric]}


def summary(*rows: dict[str, Any], findings: tuple[dict[str, str], ...] = (), **tables: Any) -> dict[str, Any]:
    empty = {"paired": [], "validation": [], "samples": [], "severity": [], "classes": []}
    return {
        "tables": {"headline": list(rows), **empty, **tables},
        "findings": list(findings),
        "provenance": {"arguments": {"out": "runs/a b"}, "command": "", "stages": {}, "seeds": {}},
        "weak_set": None,
        "scored": None,
        "finetuning": None,
    }


@pytest.mark.parametrize(
    ("verdicts", "stance"),
    [
        (("no_evidence", "better", "better"), "Improved"),
        (("worse", "better", "no_evidence"), "Improved, at a cost"),
        (("no_evidence", "no_evidence", "no_evidence"), "No evidence of a change"),
        (("worse", "no_evidence", "no_evidence"), "Worse"),
    ],
)
def test_stance_follows_from_the_three_verdicts(verdicts: tuple[str, ...], stance: str) -> None:
    rows = [
        measure(metric, verdict) for metric, verdict in zip(("clean", "robust", "corruption"), verdicts, strict=True)
    ]
    assert wording.stance(summary(*rows)) == stance


def test_without_an_after_the_stance_is_a_diagnosis() -> None:
    row = measure("clean", "diagnosis") | {"after": None, "change": None}
    assert wording.stance(summary(row)) == "Diagnosis"


def test_an_error_of_the_doctor_makes_the_run_not_comparable() -> None:
    found = summary(measure("clean", "better"), findings=({"severity": "Error"},))
    assert wording.stance(found) == "Not comparable"


def test_headline_names_gain_and_price() -> None:
    rows = (
        measure("clean", "worse", 0.9, 0.88),
        measure("robust", "better", 0.05, 0.5),
        measure("corruption", "better", 0.6, 0.7),
    )
    text = wording.headline(summary(*rows))
    gain = "Far more robust to attacks and corruptions on images it was never tuned on"
    assert text == f"{gain}, for a small loss of clean accuracy."


def test_no_evidence_is_never_called_no_change() -> None:
    rows = [measure(metric, "no_evidence") for metric in ("clean", "robust", "corruption")]
    text = wording.headline(summary(*rows)) + wording.sub_headline(summary(*rows))
    assert "No evidence" in text
    assert "no change" not in text.lower()


def test_a_headline_carries_no_bare_rate() -> None:
    for verdict in ("better", "worse", "no_evidence"):
        text = wording.headline(summary(measure("clean", "worse", 0.9, 0.8), measure("robust", verdict)))
        assert not any(character.isdigit() for character in text)


def test_a_significant_loss_offers_the_dial_with_a_quoted_command() -> None:
    action = advice.actions(summary(measure("clean", "worse", 0.9, 0.8), measure("robust", "better", 0.1, 0.4)))[0]
    assert action["command"] == "art-weakrobust finetune --out 'runs/a b' --clean-budget 1"


GOT_WORSE = {"set": "test", "verdict": "worse", "type": "fog", "family": "corruptions", "change": -0.1}


@pytest.mark.parametrize(
    ("told", "command"),
    [
        ({"paired": [GOT_WORSE]}, "art-weakrobust finetune --out 'runs/a b' --clean-budget 0"),
        ({"samples": [{"kind": "mislabelled"}]}, "art-weakrobust report --out 'runs/a b' --csv tables"),
        (
            {"findings": ({"severity": "error"},), "arguments": {"model": "m", "dataset": "d", "limit": 9, "seed": 1}},
            "art-weakrobust doctor --model m --dataset d --limit 9 --seed 1",
        ),
        (
            {"weak_set": {"tune": 0, "held_out": 0}, "arguments": {"out": "r", "radius": 8 / 255}},
            "art-weakrobust score --out r --radius 16/255 --force",
        ),
        (
            {"weak_set": {"tune": 1, "held_out": 1}, "validation": [{}]},
            "art-weakrobust finetune --out 'runs/a b'",
        ),
    ],
)
def test_every_next_step_has_the_command_that_does_it(told: dict[str, Any], command: str) -> None:
    found = summary(**{name: rows for name, rows in told.items() if name not in ("arguments", "weak_set")})
    found["provenance"]["arguments"] |= told.get("arguments", {})
    found["weak_set"] = told.get("weak_set")
    assert [action["command"] for action in advice.actions(found)] == [command]


def test_a_factory_is_named_again_by_every_command_that_calls_the_model() -> None:
    found = summary(measure("clean", "worse", 0.9, 0.8), measure("robust", "better", 0.1, 0.4))
    found["provenance"]["arguments"]["model"] = "python:mine:net"
    for command in (advice.redial(found), advice.reproduce(found), advice.actions(found)[0]["command"]):
        assert command.endswith("--model python:mine:net")


def test_a_small_p_without_evidence_is_explained() -> None:
    assert split({"verdict": "no_evidence", "p_holm": 0.001})
    assert not split({"verdict": "no_evidence", "p_holm": 0.2})
    assert not split({"verdict": "better", "p_holm": 0.001})


def test_never_more_than_three_actions() -> None:
    rows = [{"set": "test", "verdict": "worse", "type": "fog", "family": "corruptions", "change": -0.1}]
    samples = [{"kind": "mislabelled"}]
    found = summary(measure("clean", "worse"), findings=({"severity": "error"},), paired=rows, samples=samples)
    assert len(advice.actions(found)) == 3


@pytest.mark.parametrize("value", [None, math.nan, math.inf])
def test_what_is_unknown_is_a_dash_and_never_zero(value: float | None) -> None:
    assert percent(value) == points(value) == decimal(value) == p_value(value) == duration(value) == "–"


def test_numbers_have_a_true_minus_and_a_narrow_space() -> None:
    assert points(-0.013) == "−1.3"
    assert points(0.388) == "+38.8"
    assert points(-0.0001) == "0.0"
    assert percent(0.869) == "86.9\u202f%"


def test_an_interval_is_never_of_no_width() -> None:
    assert change_span({"change": 0.0, "lower": None, "upper": None, "gained": 0, "lost": 0}) == "no image changed"
    assert change_span({"change": 0.1, "lower": 0.1, "upper": 0.1, "gained": 5, "lost": 0}) == ""
    assert change_span({"change": -0.02, "lower": -0.03, "upper": 0.01, "gained": 1, "lost": 3}) == "[−3.0, +1.0]"


def test_small_p_is_below_a_thousandth() -> None:
    assert (p_value(1e-9), p_value(0.0294), p_value(1.0)) == ("< 0.001", "0.029", "1")


def test_types_read_as_people_write_them() -> None:
    assert type_name("pgd-linf") == "PGD L∞"
    assert type_name("shot_noise") == "shot noise"
    assert type_name("cifar10-c/fog") == "cifar10-c/fog"


def test_budgets_are_written_in_255ths() -> None:
    assert setting(2 / 255, "eps") == "2/255"
    assert setting(0.1, "eps") == "0.1"
    assert setting([1, 2]) == "1, 2"
    assert setting(None) == "–"


def test_listings_end_in_and() -> None:
    assert listing([]) == ""
    assert listing(["a"]) == "a"
    assert listing(["a", "b", "c"]) == "a, b and c"
    assert listing(["a", "b", "c", "d"]) == "a, b and 2 more"
