"""summary.json: the tables for programs, in plain JSON, and what they must not say."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from art_weakrobust.report.summary import run_eps, summarise
from art_weakrobust.results import Records
from art_weakrobust.validation import metrics


def test_summary_is_strict_json_and_ends_with_a_newline(files: Mapping[str, bytes]) -> None:
    text = files["summary.json"].decode()
    assert text.endswith("}\n")
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_tables_are_those_of_the_metrics(records: Records, summary: dict[str, Any]) -> None:
    tables = summary["tables"]
    assert tables["paired"] == metrics.paired_table(records.before, records.after, records.finetuning)
    assert [row["metric"] for row in tables["headline"]] == ["clean", "robust", "corruption"]
    assert {"family_means", "unseen", "severity", "severity_paired", "classes", "samples"} <= set(tables)


def test_samples_join_pixels_scores_and_roles(records: Records, summary: dict[str, Any]) -> None:
    rows = summary["tables"]["samples"]
    first = rows[0]
    score = dict(zip(records.scores["index"].tolist(), records.scores["score"].tolist(), strict=True))
    assert [row["rank"] for row in rows] == list(range(1, 61))
    assert first["score"] == score[first["index"]]
    assert first["label"] == f"digit {first['class']}"
    assert first["neighbor_prediction"] == f"digit {(first['class'] + 1) % 10}"
    assert len(first["p_original_before"]) == 10


def test_what_training_saw_has_no_figure_after_it(records: Records, summary: dict[str, Any]) -> None:
    rows = summary["tables"]["samples"]
    roles = {row["role"] for row in rows}
    assert roles == {"tune", "held_out"}
    for row in rows:
        hidden = row["role"] == "tune"
        assert (row["right_after"] is None) == hidden
        assert (row["p_neighbor_after"] is None) == hidden
        assert (row["p_original_after"] is None) == hidden


def test_the_tune_half_is_in_no_table_of_figures(records: Records, summary: dict[str, Any]) -> None:
    tables = summary["tables"]
    sets = {row["set"] for name, rows in tables.items() if name != "samples" for row in rows if "set" in row}
    assert sets == {"held_out", "control", "test"}


def test_histogram_counts_every_finite_score_once(records: Records, summary: dict[str, Any]) -> None:
    facts = summary["score_histogram"]
    finite = np.isfinite(records.scores["score"])
    assert facts["zero"] + sum(facts["counts"]) == facts["n"] == finite.sum()
    assert facts["found"] == int((finite & records.scores["found"]).sum())
    assert facts["k"] == 60


def test_the_home_directory_is_shortened(records: Records) -> None:
    home = Path.home()
    facts = {"arguments": {"out": f"{home}/runs/a"}, "command": f"art-weakrobust run --out {home}/runs/a"}
    text = json.dumps(summarise(records.with_(provenance=facts)))
    assert f"{home}/" not in text
    assert "~/runs/a" in text


def test_eps_is_the_run_s_argument_else_the_commonest_of_its_attacks(records: Records) -> None:
    assert run_eps(records.with_(provenance={"arguments": {"eps": "8/255"}})) == pytest.approx(8 / 255)
    assert run_eps(records.with_(provenance={})) == pytest.approx(2 / 255)
    assert np.isnan(run_eps(Records()))


def test_many_classes_keep_their_probabilities_out(make_records: Callable[..., Records]) -> None:
    rows = summarise(make_records(nb_classes=120))["tables"]["samples"]
    assert all(row["p_original_before"] is None for row in rows)
    assert all(row["neighbor_prediction"] is not None for row in rows)
