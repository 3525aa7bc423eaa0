"""Exports: CSV that no spreadsheet runs, Markdown that stays text, JUnit that fails where a test says worse."""

from __future__ import annotations

import csv
import io
import xml.etree.ElementTree as ET
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from art_weakrobust.report import benchmark
from art_weakrobust.report.compare import Side, compared
from art_weakrobust.report.exports import cell, csv_files
from art_weakrobust.report.junit import junit
from art_weakrobust.report.markdown import MOST, escaped, grid, markdown
from art_weakrobust.report.summary import summarise
from art_weakrobust.results import Records


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode())))


def test_every_table_with_rows_is_a_file_with_its_figures(summary: dict[str, Any]) -> None:
    files = csv_files(summary["tables"])
    assert set(files) == {f"{name}.csv" for name, rows in summary["tables"].items() if rows}
    for name, rows in summary["tables"].items():
        if rows:
            read = rows_of(files[f"{name}.csv"])
            assert len(read) == len(rows)
    read = rows_of(files["paired.csv"])
    assert [float(row["p_holm"]) if row["p_holm"] else None for row in read] == [
        row["p_holm"] for row in summary["tables"]["paired"]
    ]


def test_unknown_is_an_empty_cell_and_columns_are_those_of_any_row() -> None:
    read = rows_of(csv_files({"t": [{"a": None}, {"a": 0, "b": [1, "x"]}]})["t.csv"])
    assert read == [{"a": "", "b": ""}, {"a": "0", "b": '[1, "x"]'}]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1"])
def test_a_text_that_a_spreadsheet_would_run_is_quoted(text: str) -> None:
    assert cell(text) == f"'{text}"
    assert cell(-1.5) == -1.5


@given(st.text(max_size=30))
@settings(max_examples=50, deadline=None)
def test_any_text_survives_csv_in_one_cell(text: str) -> None:
    content = csv_files({"t": [{"a": text, "b": "end"}]})["t.csv"].decode()
    header, row = csv.reader(io.StringIO(content, newline=""))
    assert header == ["a", "b"]
    assert row == [cell(text), "end"]


def test_markdown_has_every_measure_with_n_and_interval(summary: dict[str, Any]) -> None:
    text = markdown(summary)
    assert text.startswith("## digits-cnn on digits")
    assert f"**{summary['stance']}.**" in text
    for row in summary["tables"]["headline"]:
        (line,) = [line for line in text.splitlines() if line.startswith(f"| {row['metric'].capitalize()} accuracy ")]
        assert f"| {row['n']} |" in line
        assert f"{100 * row['after']:.1f}" in line
        assert line.count("[") == 3


def test_markdown_of_a_diagnosis_has_no_after(make_records: Callable[..., Records]) -> None:
    text = markdown(summarise(make_records(after=False)))
    assert "Diagnosis" in text
    assert "after" not in text
    assert "| right |" in text


def test_a_measure_that_did_not_run_is_told_with_its_flag(make_records: Callable[..., Records]) -> None:
    text = markdown(summarise(make_records(types=5)))
    assert "| Corruption accuracy | – | not run, `--corruptions` runs it |" in text


@given(st.text(max_size=40))
@settings(max_examples=80, deadline=None)
def test_text_from_data_neither_formats_nor_breaks_a_line(text: str) -> None:
    shown = escaped(text)
    assert "\n" not in shown
    bare = shown.replace("\\\\", "")
    for char in "|`<*[@":
        assert bare.count(char) == bare.count(f"\\{char}")


def test_an_underscore_is_escaped_where_it_could_emphasise() -> None:
    assert escaped("python:zoo_models:first") == "python:zoo_models:first"
    assert escaped("_a_ b__c __init__") == r"\_a\_ b\_\_c \_\_init\_\_"


def test_a_benchmark_s_names_stay_in_their_cells() -> None:
    failed = {"name": "a|<b>", "status": "failed", "reason": "no\rroom", "robust_attacks": ["x|y"], "corruptions": {}}
    cells = ("published_clean", "published_robust", "n_scored", "n_weak")
    cells += tuple(f"{metric}{end}" for metric in benchmark.METRICS for end in benchmark.ENDS)
    shared = {"models": 0, "any": 0, "every": 0, "one": 0}
    rows = [dict.fromkeys(cells) | failed]
    summary = {"title": "b", "rows": rows, "shared": shared, "rankings": {"tau": None}}
    assert r"| a\|\<b\> |" in benchmark.markdown(summary)
    (row,) = csv.DictReader(io.StringIO(benchmark.table(summary), newline=""))
    assert (row["name"], row["reason"], row["robust_attacks"]) == ("a|<b>", "no\rroom", "x|y")


def test_long_tables_are_cut_and_say_so() -> None:
    text = grid(["a", "b"], [[str(k), "x"] for k in range(MOST + 7)])
    assert text.count("\n| ") == MOST
    assert text.endswith("7 more stand in the report.")


def cases(content: bytes) -> dict[tuple[str, str], ET.Element]:
    root = ET.fromstring(content)
    return {(suite.get("name", ""), case.get("name", "")): case for suite in root for case in suite}


def test_junit_fails_exactly_what_got_significantly_worse(summary: dict[str, Any]) -> None:
    found = cases(junit(summary))
    failed = {suite for (suite, _), case in found.items() if case.find("failure") is not None}
    worse = [row for row in summary["tables"]["paired"] if row["verdict"] == "worse"]
    assert worse
    assert failed == {row["set"] for row in worse}
    assert sum(case.find("failure") is not None for case in found.values()) == len(worse)


def test_junit_counts_add_up(summary: dict[str, Any]) -> None:
    root = ET.fromstring(junit(summary))
    for name, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        assert int(root.get(name, "")) == len(root.findall(f".//{tag}"))
        assert int(root.get(name, "")) == sum(int(suite.get(name, "")) for suite in root)
    assert int(root.get("tests", "")) == len(root.findall(".//testcase"))


def test_junit_of_a_diagnosis_fails_no_weakness(make_records: Callable[..., Records]) -> None:
    summary = summarise(make_records(after=False))
    assert any(row["verdict"] == "weakness" for row in summary["tables"]["validation"])
    assert ET.fromstring(junit(summary)).get("failures") == "0"


def test_junit_shows_the_doctor_s_error_and_a_failed_stage_as_errors(summary: dict[str, Any]) -> None:
    void = {"severity": "error", "code": "train_mode", "seen": "The model is in train mode.", "do": "Call eval()."}
    found = cases(junit(summary | {"findings": [void]}))
    message = found["doctor", "train_mode"].find("error")
    assert message is not None
    assert message.get("message") == "The model is in train mode. Call eval()."
    assert found["stages", "after"].find("error") is not None
    assert found["stages", "score"].find("error") is None


def test_junit_skips_what_did_not_run(make_records: Callable[..., Records]) -> None:
    found = cases(junit(summarise(make_records(types=5))))
    skipped = found["headline", "Corruption accuracy"].find("skipped")
    assert skipped is not None
    assert "--corruptions" in skipped.get("message", "")


@given(st.text(max_size=20))
@settings(max_examples=50, deadline=None)
def test_junit_is_xml_whatever_a_finding_holds(text: str) -> None:
    summary: dict[str, Any] = {
        "title": text,
        "tables": {"headline": [], "paired": []},
        "findings": [{"severity": "note", "code": text, "seen": text, "do": text}],
    }
    ET.fromstring(junit(summary))


def test_junit_of_a_comparison_names_the_two_runs(records: Records, make_records: Callable[..., Records]) -> None:
    prints = {"fingerprints": {"model": "1", "data": "2", "test": "3"}}
    sides = [
        Side(name, one.with_(provenance={**one.provenance, **prints}))
        for name, one in (("main", records), ("branch", make_records(after=False)))
    ]
    found = cases(junit(compared(*sides)))
    failure = found["headline", "Robust accuracy"].find("failure")
    assert failure is not None
    told = found["headline", "Robust accuracy"].findtext("system-out") or ""
    assert told.startswith("main ")
    assert ", branch " in told
