"""Killed at any instant, a run ends with the same rows and the same weights."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from art_weakrobust.store import Run, read_safetensors

KILLED = -9
FAILED_AT_A_WRITE = 137


def rows(out):
    """Return everything that has to be the same: scores, weak set, verdicts, weights."""
    with Run.open(out, write=False) as run:
        tables = [run.read_table(name) for name in ("scores", "weak_set", "validation", "types")]
    return [table.to_pylist() for table in tables], read_safetensors(out / "model.safetensors")[0]


def assert_same(out, reference):
    (tables, weights), (expected_tables, expected_weights) = rows(out), rows(reference)
    for table, expected in zip(tables, expected_tables, strict=True):
        assert repr(table) == repr(expected)  # as text, so that NaN equals NaN
    assert weights.keys() == expected_weights.keys()
    for name, values in weights.items():
        np.testing.assert_array_equal(values, expected_weights[name])


@pytest.mark.parametrize("stage", ["neighborhood", "pgd", "training"])
def test_a_run_killed_in_the_middle_of_a_stage_ends_with_the_same_rows(stage, children, small_run, tmp_path):
    out = tmp_path / "run"
    assert children(out, kill_in=stage) == KILLED
    assert (out / "manifest.json").exists()
    assert not (out / "report.html").exists()
    assert children(out) == 0
    assert_same(out, small_run)


def chain_of_kills(children, out, *failpoints, **how):
    """Start the run again and again; each child dies at its next writes, by turns at each of the failpoints."""
    for deaths in range(500):
        code = children(out, failpoint=failpoints[deaths % len(failpoints)], **how)
        if code == 0:
            return deaths
        assert code == FAILED_AT_A_WRITE
    raise AssertionError("the run never ends")


def test_a_run_that_dies_right_before_and_right_after_its_writes_ends_with_the_same_rows(children, small_run, tmp_path):
    # a child's first write says in the manifest that a stage goes on; a stage that is all but done ends at the fourth
    assert chain_of_kills(children, tmp_path / "run", "1+", "2", "5+", "6") > 20
    assert_same(tmp_path / "run", small_run)


def test_a_screening_that_dies_at_its_writes_ends_with_the_same_rows(children, tmp_path):
    """Every round, audit and widening is a piece of work of its own; what they decide follows from their rows."""
    given = {"radius": 0.3, "neighbors": 6, "limit": 150, "screen": True, "max_missed": 0.3}
    how = {"given": given, "stages": ("score", "select")}
    out, straight = tmp_path / "killed", tmp_path / "straight"
    assert children(straight, **how) == 0
    assert chain_of_kills(children, out, "5+", "6", "7+", **how) > 3
    told = []
    for path in (out, straight):
        with Run.open(path, write=False) as run:
            facts = run.manifest["stages"]["score"]["facts"]
            rows = [run.read_table(name).to_pylist() for name in ("scores", "weak_set")]
            told.append(repr([rows, facts["screening"], facts["missed_bound"], run.read_json("findings.json")]))
    assert told[0] == told[1]


def test_the_dial_killed_half_way_is_turned_by_the_next_command(children, small_run, small_options, tmp_path):
    out, straight = tmp_path / "killed", tmp_path / "straight"
    given = {**small_options, "clean_budget": 0.0}
    for copy in (out, straight):
        shutil.copytree(small_run, copy)
    assert children(straight, given=given) == 0
    code = children(out, given=given, failpoint="3")
    assert code == FAILED_AT_A_WRITE
    assert children(out, given=given) == 0
    assert_same(out, straight)


@pytest.mark.parametrize("write", ["3", "4", "5", "6", "7"])
def test_a_dial_killed_half_way_is_turned_back_by_the_command_of_the_run(
    write, children, small_run, small_options, tmp_path
):
    out = tmp_path / "run"
    shutil.copytree(small_run, out)
    code = children(out, given={**small_options, "clean_budget": 0.0}, failpoint=write)
    assert code == FAILED_AT_A_WRITE
    assert children(out) == 0
    assert_same(out, small_run)
