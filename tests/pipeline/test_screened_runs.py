"""Runs that screen, and runs that ask for a radius: what their directories hold, and what they refuse."""

from __future__ import annotations

import numpy as np
import pytest

from art_weakrobust.errors import RunError, UsageError
from art_weakrobust.pipeline import auto_radius
from art_weakrobust.pipeline.again import again
from art_weakrobust.pipeline.context import Context
from art_weakrobust.pipeline.run import execute
from art_weakrobust.results import column
from art_weakrobust.store import Run

SMALL = {"radius": 0.3, "neighbors": 12, "limit": 300, "screen": True, "max_missed": 0.2, "fill": True}
SCORED = ("score", "select")


def run(out, stages=SCORED, resume=False, force=False, **given):
    return execute(out, stages, given, resume=resume, force=force, third_party=False)


@pytest.fixture(scope="module")
def screened(own_cache, tmp_path_factory):
    out = tmp_path_factory.mktemp("screened") / "run"
    return run(out, **SMALL)


def test_a_screened_run_tells_what_it_spent_and_what_it_may_have_missed(screened):
    notes = screened.records.notes
    assert notes["missed_bound"]["upper"] <= 0.2
    (note,) = [finding for finding in screened.records.findings if finding["code"] == "screened"]
    assert "of the neighbors to find the" in note["seen"]
    with Run.open(screened.out, write=False) as there:
        facts = there.manifest["stages"]["score"]["facts"]["screening"]
    assert facts["neighbors_drawn"] < facts["neighbors_in_all"]


def test_a_screened_run_has_the_weak_set_of_an_exhaustive_one(screened, tmp_path):
    whole = run(tmp_path / "run", **{**SMALL, "screen": False}).records.weak_set
    weak = screened.records.weak_set
    both = np.intersect1d(np.union1d(weak.tune, weak.held_out), np.union1d(whole.tune, whole.held_out))
    assert len(both) >= 0.8 * len(whole) > 0


def test_a_sample_left_out_cannot_be_scored_again_and_one_in_full_can(screened):
    status, index = (column(screened.records.scores.table, name) for name in ("status", "index"))
    with pytest.raises(RunError, match="was left out by --screen"):
        again(screened.out, int(index[status == "screened"][0]), {}, third_party=False)
    stored, now = again(screened.out, int(index[status == "ok"][0]), {}, third_party=False)
    assert stored["flips"] == now["flips"]


def test_more_than_was_sought_is_refused_and_nothing_changes(screened):
    with pytest.raises(UsageError, match="more than the"):
        run(screened.out, ("select",), resume=True, force=True, top_k=200)


@pytest.mark.parametrize("other", [{"threshold": 0.5}, {"per_class": 3}])
def test_screening_goes_with_no_other_way_to_select(other, tmp_path):
    with pytest.raises(UsageError, match="does not go with --screen"):
        run(tmp_path / "run", **{**SMALL, **other})


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"screen": True, "scorer": "boundary"}, "--screen does not go with --scorer 'boundary'"),
        ({"scorer": "neighborhood:screen=true"}, "write that in place of screen="),
    ],
)
def test_a_screening_that_the_scorer_cannot_be_told_of_is_refused_before_the_run(given, said, tmp_path):
    with pytest.raises(UsageError, match=said):
        run(tmp_path / "run", **given)
    assert not (tmp_path / "run").exists()


def test_without_screening_the_share_that_is_selected_does_not_bind_the_scores(own_cache, tmp_path):
    given = {**SMALL, "screen": False, "limit": 60}
    run(tmp_path / "run", **given)
    again = run(tmp_path / "run", ("select",), resume=True, force=True, fraction=0.3)
    assert len(again.records.weak_set) > 0.2 * 60


AUTO = {"radius": "auto", "neighbors": 6, "limit": 200}


def test_a_radius_that_is_asked_for_is_measured_once_and_kept(own_cache, tmp_path, monkeypatch):
    out = tmp_path / "run"
    outcome = run(out, **AUTO)
    with Run.open(out, write=False) as there:
        radius = there.manifest["arguments"]["radius"]
        assert there.manifest["stages"]["score"]["options"]["radius"] == radius
    curve = outcome.records.notes["radius_curve"]
    assert {"radius", "share", "n", "lower", "upper"} == set(curve[0])
    assert radius in [point["radius"] for point in curve]

    def measured_again(*_args, **_kwargs):
        raise AssertionError("the radius was measured again")

    monkeypatch.setattr(auto_radius, "suggest_radius", measured_again)
    assert run(out, **AUTO).records.scores.table.num_rows == 200
    run(out, ("select",), resume=True, force=True)
    with pytest.raises(AssertionError, match="measured again"):
        run(out, **{**AUTO, "neighbors": 7})


def test_the_model_is_loaded_once_for_its_radius_and_its_scores(own_cache, tmp_path, monkeypatch):
    loaded = []
    load = Context._model
    monkeypatch.setattr(Context, "_model", lambda context: loaded.append(1) or load(context))
    run(tmp_path / "run", **AUTO)
    assert len(loaded) == 1


def test_a_corruption_has_no_radius_to_measure(own_cache, tmp_path):
    with pytest.raises(UsageError, match="has severities and no radius"):
        run(tmp_path / "run", **{**AUTO, "neighbor_source": "contrast"})
    assert not (tmp_path / "run").exists()
