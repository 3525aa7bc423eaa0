"""The stage between scoring and selection: asked for or left out, killed and gone on with, and shown by the report."""

from __future__ import annotations

import json

import pytest

from art_weakrobust.errors import RunError, UsageError
from art_weakrobust.pipeline.options import Options
from art_weakrobust.pipeline.run import execute
from art_weakrobust.results import KINDS
from art_weakrobust.store import Run

CHOOSING = ("score", "triage", "select")
GIVEN = {"radius": 0.3, "eps": 0.1, "neighbors": 6, "limit": 600, "triage": True, "seed": 0}


def tables(out):
    with Run.open(out, write=False) as run:
        return [repr(run.read_table(name).to_pylist()) for name in ("scores", "triage", "weak_set")]


@pytest.fixture(scope="session")
def triaged(children, tmp_path_factory):
    """A run directory that was scored, triaged and selected in one go."""
    out = tmp_path_factory.mktemp("triaged") / "run"
    assert children(out, given=GIVEN, stages=CHOOSING) == 0
    return out


def again(out, stages=("select",), **given):
    return execute(out, stages, given, third_party=False)


def test_the_weak_set_has_the_kinds_and_weights_of_the_triage(triaged):
    with Run.open(triaged, write=False) as run:
        of_all = {row["index"]: (row["kind"], row["weight"]) for row in run.read_table("triage").to_pylist()}
        weak = run.read_table("weak_set").to_pylist()
    assert len(of_all) == 600
    assert weak
    assert all((row["kind"], row["weight"]) == of_all[row["index"]] for row in weak)


def test_features_are_put_away_once_the_stage_is_done(triaged):
    assert not list((triaged / "evidence").glob("*.parquet"))


def test_segments_stand_beside_what_the_doctor_found(triaged):
    notes = json.loads((triaged / "findings.json").read_bytes())
    assert {"findings", "segments"} <= notes.keys()


def test_the_manifest_counts_the_kinds(triaged):
    with Run.open(triaged, write=False) as run:
        facts = run.manifest["stages"]["triage"]["facts"]
    assert sum(facts[kind] for kind in KINDS) == facts["samples"] == 600


def test_without_the_option_nothing_is_triaged(children, tmp_path):
    out = tmp_path / "run"
    assert children(out, given={**GIVEN, "triage": False}, stages=CHOOSING) == 0
    assert not (out / "triage.parquet").exists()
    assert "segments" not in json.loads((out / "findings.json").read_bytes())
    with Run.open(out, write=False) as run:
        assert set(run.read_table("weak_set").column("kind").to_pylist()) == {None}
    with pytest.raises(RunError, match="art-weakrobust triage"):
        execute(out, ("select",), {"triage": True}, force=True, third_party=False)


def test_kinds_choose_who_may_be_weak(triaged, tmp_path):
    import shutil

    out = tmp_path / "run"
    shutil.copytree(triaged, out)
    with pytest.raises(RunError, match="kinds"):
        again(out, kinds="fragile")
    records = execute(out, ("select",), {"kinds": "fragile"}, force=True, third_party=False).records
    weak = records.weak_set.to_pandas()
    assert set(weak[weak["role"] != "control"]["kind"]) == {"fragile"}
    assert "mislabelled" not in set(weak["kind"])


def test_a_triage_made_after_selection_is_there_for_the_next_one(triaged, tmp_path):
    import shutil

    out = tmp_path / "run"
    shutil.copytree(triaged, out)
    execute(out, ("select",), {"triage": False}, force=True, third_party=False)
    again(out, ("triage",), triage=True)
    with pytest.raises(RunError, match="triage: false there, true now"):
        again(out)
    records = execute(out, ("select",), {"kinds": "fragile"}, force=True, third_party=False).records
    assert len(records.weak_set) > 0


def test_a_triage_that_is_killed_half_way_goes_on_to_the_same_rows(children, triaged, tmp_path):
    out = tmp_path / "run"
    assert children(out, given=GIVEN, stages=CHOOSING, kill_in="triage") == -9
    assert list((out / "evidence").glob("triage.*.parquet"))
    assert children(out, given=GIVEN, stages=CHOOSING) == 0
    assert tables(out) == tables(triaged)


@pytest.mark.parametrize("failpoints", [("1+", "2+", "4+"), ("1", "2", "5")], ids=["after", "before"])
def test_a_triage_that_dies_at_every_write_goes_on_to_the_same_rows(failpoints, children, triaged, tmp_path):
    out, deaths = tmp_path / "run", 0
    while (code := children(out, given=GIVEN, stages=CHOOSING, failpoint=failpoints[deaths % 3])) != 0:
        assert code == 137
        deaths += 1
        assert deaths < 200
    assert deaths > 8
    assert tables(out) == tables(triaged)


def test_another_eps_is_other_work_for_triage(triaged):
    with pytest.raises(RunError, match="eps"):
        again(triaged, ("triage",), eps=0.2)


@pytest.mark.parametrize(
    ("given", "word"),
    [({"kinds": "fragile"}, "--triage"), ({"triage": True, "label_check": "guess"}, "--label-check")],
)
def test_options_that_do_not_go_together_are_refused(given, word):
    with pytest.raises(UsageError, match=word):
        Options().with_(given)


def test_a_kind_that_there_is_not_is_told_before_anything_is_scored(tmp_path):
    with pytest.raises(UsageError, match=r"--kinds has 'fragil'.*fragile"):
        execute(tmp_path / "run", CHOOSING, {"triage": True, "kinds": "fragil"}, resume=False, third_party=False)
    assert not (tmp_path / "run").exists()
