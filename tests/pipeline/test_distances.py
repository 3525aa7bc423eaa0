"""Refined adversarial distances in a run: whose, in which norms and phases, and the same however often it is killed."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from art_weakrobust.errors import UsageError
from art_weakrobust.pipeline.options import Options
from art_weakrobust.report.summary import summarise
from art_weakrobust.results import DISTANCES, column
from art_weakrobust.store import Run

KILLED = -9


@pytest.fixture(scope="module")
def options(small_options):
    chosen = {"attacks": "fgm", "corruptions": "", "distances": "inf,2", "top_k": 12, "fill": True, "nb_epochs": 1}
    return {**small_options, **chosen}


@pytest.fixture(scope="module")
def measured(children, options, tmp_path_factory):
    out = tmp_path_factory.mktemp("distances") / "run"
    assert children(out, given=options) == 0
    return out


def rows(out):
    with Run.open(out, write=False) as run:
        return run.read_table("distances")


def test_weak_set_and_control_are_measured_in_both_norms_and_the_tune_half_before_alone(measured):
    with Run.open(measured, write=False) as run:
        weak_set = run.records().weak_set
    table = rows(measured)
    assert set(DISTANCES.names) == set(table.column_names)
    for norm in ("inf", "2"):
        for phase, roles in (("before", ("tune", "held_out", "control")), ("after", ("held_out", "control"))):
            mine = (column(table, "phase") == phase) & (column(table, "norm") == norm)
            expected = np.sort(np.concatenate([weak_set.ids(role) for role in roles]))
            np.testing.assert_array_equal(np.sort(column(table, "index")[mine]), expected)


def test_a_distance_is_null_but_where_one_was_verified(measured):
    table = rows(measured)
    ok = column(table, "status") == "ok"
    assert ok.any()
    np.testing.assert_array_equal(np.isfinite(column(table, "distance")), ok)
    assert set(column(table, "engine")) == {"descent"}


def test_weak_samples_lie_nearer_to_the_boundary_than_the_control_group(measured):
    with Run.open(measured, write=False) as run:
        weak_set = run.records().weak_set
    table = rows(measured)
    before = (column(table, "phase") == "before") & (column(table, "norm") == "inf")
    index, distance = column(table, "index"), column(table, "distance")
    weak, control = (
        np.nanmedian(distance[before & np.isin(index, weak_set.ids(role))]) for role in ("held_out", "control")
    )
    assert weak < control


def test_the_summary_draws_the_security_curve_of_the_control_group_from_them(measured):
    with Run.open(measured, write=False) as run:
        records = run.records()
    tables = summarise(records)["tables"]
    curve = tables["security_curve"]
    assert {(row["phase"], row["norm"]) for row in curve} == {(p, n) for p in ("before", "after") for n in ("inf", "2")}
    before = [row for row in curve if row["phase"] == "before" and row["norm"] == "inf"]
    assert before[0]["eps"] == 0
    assert before[0]["accuracy"] == 1
    assert [row["accuracy"] for row in before] == sorted((row["accuracy"] for row in before), reverse=True)
    assert {row["n"] for row in before} == {len(records.weak_set.control)}
    assert all(row["adversarial_distance"] is not None for row in tables["samples"])


@pytest.mark.parametrize(("norm", "key"), [("inf", "inf"), (2.0, "2")])
def test_samples_have_the_distance_in_the_norm_that_ranks(norm, key, measured):
    with Run.open(measured, write=False) as run:
        records = run.records()
    told = dict(records.provenance) | {"arguments": {**records.provenance["arguments"], "distance_norm": norm}}
    table = rows(measured)
    mine = (column(table, "phase") == "before") & (column(table, "norm") == key)
    known = dict(zip(column(table, "index")[mine].tolist(), column(table, "distance")[mine].tolist(), strict=True))
    for row in summarise(records.with_(provenance=told))["tables"]["samples"]:
        assert row["adversarial_distance"] == pytest.approx(known[row["index"]], rel=1e-6)


def assert_same_before(out, reference):
    """Text, in which NaN equals NaN."""
    mine, theirs = (
        sorted(repr(row) for row in rows(path).to_pylist() if row["phase"] == "before") for path in (out, reference)
    )
    assert mine == theirs


@pytest.fixture
def begun(measured, tmp_path):
    """A copy of the run in which the base model is still to be validated, and all that comes after."""
    out = tmp_path / "run"
    shutil.copytree(measured, out)
    with Run.open(out) as run:
        run.redo("before")
    return out


def test_a_run_killed_among_the_distances_ends_with_the_same_rows(children, options, measured, begun):
    assert children(begun, given=options, stages=("before",), kill_in="distance-2") == KILLED
    assert children(begun, given=options, stages=("before",)) == 0
    assert_same_before(begun, measured)


def test_a_stage_that_dies_at_every_write_ends_with_the_same_rows(children, options, measured, begun):
    deaths = 0
    while children(begun, given=options, stages=("before",), failpoint=("1+", "2", "5+")[deaths % 3]) != 0:
        deaths += 1
        assert deaths < 60
    assert deaths > 3
    assert_same_before(begun, measured)


def test_a_norm_is_added_to_a_validation_as_it_is(children, options, measured, begun):
    assert children(begun, given={**options, "distances": "inf"}, stages=("before",)) == 0
    assert set(column(rows(begun), "norm")) == {"inf"}
    assert children(begun, given=options, stages=("before",)) == 0
    assert_same_before(begun, measured)


@pytest.mark.parametrize(("written", "said"), [("1", "use inf, 2 or both"), ("3", "use 1, 2 or inf")])
def test_a_norm_without_a_search_is_refused(written, said):
    with pytest.raises(UsageError, match=said):
        Options().with_({"distances": written})
