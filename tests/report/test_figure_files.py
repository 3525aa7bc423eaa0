"""Figures as files: which there are, that their bytes repeat, and the security curve from an attack's budgets."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from art_weakrobust.report.figure_files import figure_files
from art_weakrobust.report.figures import plot_samples
from art_weakrobust.report.security import security_rows
from art_weakrobust.report.summary import summarise
from art_weakrobust.results import PerturbationType, Records, Validation


@pytest.fixture(scope="module")
def drawn(records: Records, summary: dict[str, Any]) -> dict[str, bytes]:
    return figure_files(summary, records.samples)


def test_every_chart_is_there_as_svg_and_png(drawn: dict[str, bytes]) -> None:
    names = {name.rpartition(".")[0] for name in drawn}
    assert names == {
        *("types-before", "types-after", "comparison", "changes-held_out", "changes-control", "changes-test"),
        *("severity", "scores", "dial", "samples", "classes"),
    }
    assert set(drawn) == {f"{name}.{kind}" for name in names for kind in ("svg", "png")}


def test_files_are_what_their_names_say(drawn: dict[str, bytes]) -> None:
    for name, content in drawn.items():
        if name.endswith("png"):
            assert content.startswith(b"\x89PNG")
        else:
            assert ET.fromstring(content).tag == "{http://www.w3.org/2000/svg}svg"


def test_a_diagnosis_has_no_figure_of_a_change(make_records: Callable[..., Records]) -> None:
    records = make_records(after=False)
    names = {name.rpartition(".")[0] for name in figure_files(summarise(records), records.samples)}
    assert names == {"types-before", "severity", "scores", "samples", "classes"}


def test_records_of_nothing_give_no_file() -> None:
    assert figure_files(summarise(Records())) == {}


def test_the_same_numbers_give_the_same_bytes(make_records: Callable[..., Records]) -> None:
    records = make_records(after=False, types=3)
    first, second = (figure_files(summarise(records), records.samples) for _ in range(2))
    assert first == second
    assert "types-before.svg" in first


def test_samples_without_pixels_are_not_drawn(records: Records, summary: dict[str, Any]) -> None:
    assert records.samples is not None
    blank = records.samples.set_column(
        records.samples.column_names.index("original"), "original", pa.nulls(records.samples.num_rows, pa.binary())
    )
    assert not [name for name in figure_files(summary, blank) if name.startswith("samples")]
    assert len(plot_samples(summary, records.samples, number=3).axes) == 9


# --- the security curve of a validation


def judged(rows: dict[str, list[int]], kinds: tuple[PerturbationType, ...]) -> Validation:
    """Verdicts of four test images per type: 1 right, 0 wrong."""
    names = [kind for kind in rows for _ in rows[kind]]
    correct = [bool(one) for kind in rows for one in rows[kind]]
    index = [at for kind in rows for at in range(len(rows[kind]))]
    n = len(names)
    text = {"type": names, "set": ["test"] * n, "phase": ["before"] * n, "status": ["ok"] * n}
    table = {"index": index, "label": [0] * n, "prediction": [0 if one else 1 for one in correct], "correct": correct}
    return Validation(pa.table({**table, "severity": pa.nulls(n, pa.int8()), **text}), kinds)


CLEAN = PerturbationType("clean", "clean")
PGD, PGD8 = (
    PerturbationType(name, "attacks", norm="inf", eps=eps) for name, eps in (("pgd-linf", 0.1), ("pgd-8", 0.2))
)
FGM, FGM8 = (
    PerturbationType(name, "attacks", norm="inf", eps=eps) for name, eps in (("fgm-linf", 0.1), ("fgm-8", 0.2))
)


def test_one_attack_at_two_budgets_is_a_curve_that_starts_clean() -> None:
    rows = {"clean": [1, 1, 1, 0], "pgd-linf": [1, 1, 0, 0], "pgd-8": [1, 0, 0, 0]}
    curve = security_rows(Records(before=judged(rows, (CLEAN, PGD, PGD8))))
    assert [(row["eps"], row["accuracy"], row["n"]) for row in curve] == [(0.0, 0.75, 4), (0.1, 0.5, 4), (0.2, 0.25, 4)]
    assert all(row["lower"] < row["accuracy"] < row["upper"] for row in curve)


def test_attacks_with_the_same_budgets_are_taken_at_their_worst() -> None:
    rows = {
        "clean": [1, 1, 1, 1],
        "pgd-linf": [1, 1, 0, 1],
        "pgd-8": [1, 1, 0, 0],
        "fgm-linf": [0, 1, 1, 1],
        "fgm-8": [0, 1, 1, 1],
    }
    curve = security_rows(Records(before=judged(rows, (CLEAN, PGD, PGD8, FGM, FGM8))))
    assert [row["accuracy"] for row in curve] == [1.0, 0.5, 0.25]
    assert curve[1]["attacks"] == ["pgd-linf", "fgm-linf"]


@pytest.mark.parametrize("other", [replace(PGD8, type="apgd-ce"), replace(PGD8, norm="2"), replace(PGD8, source="x")])
def test_two_attacks_with_a_budget_each_are_no_curve(other: PerturbationType) -> None:
    rows = {"clean": [1, 1, 1, 1], "pgd-linf": [1, 1, 0, 1], other.type: [1, 0, 0, 1]}
    assert security_rows(Records(before=judged(rows, (CLEAN, PGD, other)))) == []


def test_a_curve_from_distances_comes_before_one_from_budgets() -> None:
    rows = {"clean": [1, 1, 1, 0], "pgd-linf": [1, 1, 0, 0], "pgd-8": [1, 0, 0, 0]}
    noted = {"phase": "before", "norm": "inf", "eps": 0.05, "accuracy": 0.6, "lower": 0.3, "upper": 0.8, "n": 4}
    records = Records(before=judged(rows, (CLEAN, PGD, PGD8)))
    assert len(summarise(records)["tables"]["security_curve"]) == 3
    assert summarise(records.with_(notes={"security_curve": (noted,)}))["tables"]["security_curve"] == [noted]
