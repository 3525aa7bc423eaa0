"""What a stage is, when it is done, and what force removes."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from art_weakrobust.errors import AttackError, RunError
from art_weakrobust.store import STAGES, Run

OPTIONS = {"radius": 8 / 255, "norm": math.inf, "severities": (1, 2), "model": Path("a/b"), "neighbors": np.int64(50)}


@pytest.fixture
def run(tmp_path):
    with Run.open(tmp_path / "run", create=True) as run:
        yield run


def fill(run):
    """Go down the whole street; every stage writes one file of its own beside those of the layout."""
    for stage in STAGES:
        run.begin(stage, {"seed": 0})
        run.write_json(f"{stage}.json", stage)
        if stage == "score":
            run.parts("scores").write("a", pa.table({"index": [0], "score": [1.0]}))
        if stage in ("before", "after"):
            run.parts("validation").write("a", pa.table({"index": [0], "type": ["clean"]}))
        run.finish(stage)


def status(run):
    return {stage: entry["status"] for stage, entry in run.manifest["stages"].items()}


def test_a_stage_is_complete_once_it_is_finished_with_the_same_options(run):
    assert not run.begin("score", OPTIONS)
    assert not run.begin("score", OPTIONS)
    run.finish("score", seconds=1.5)
    assert run.begin("score", OPTIONS)
    assert run.manifest["stages"]["score"]["facts"] == {"seconds": 1.5}


def test_a_stage_stays_complete_for_the_next_process(run):
    run.begin("score", OPTIONS)
    run.finish("score")
    run.close()
    with Run.open(run.path) as again:
        assert again.begin("score", OPTIONS)


@pytest.mark.parametrize("ended", [True, False])
def test_other_options_are_refused_with_both_values_and_nothing_changes(run, ended):
    run.begin("score", {"radius": 0.1, "neighbors": 50, "seed": 0})
    if ended:
        run.finish("score")
    before = (run.path / "manifest.json").read_bytes()
    with pytest.raises(RunError) as caught:
        run.begin("score", {"radius": 0.2, "seed": 0, "scorer": "attack"})
    for word in ("radius: 0.1 there, 0.2 now", 'scorer: (not given) there, "attack" now', "50 there", "--force"):
        assert word in str(caught.value)
    assert "seed" not in str(caught.value)
    assert (run.path / "manifest.json").read_bytes() == before


def test_a_stage_that_failed_before_it_wrote_anything_may_be_tried_with_other_options(run):
    run.begin("score", {"radius": 0.1})
    run.fail("score", "no such attack")
    assert not run.begin("score", {"radius": 0.2})
    run.parts("scores").write("a", pa.table({"index": [0]}))
    run.fail("score", "later")
    with pytest.raises(RunError, match="other options"):
        run.begin("score", {"radius": 0.3})


def test_leaving_with_an_error_marks_the_stage_as_failed_and_says_why(tmp_path):
    def attacked():
        with Run.open(tmp_path / "run", create=True) as run:
            run.begin("before", {})
            run.parts("validation").write("a", pa.table({"index": [0], "type": ["clean"]}))
            raise AttackError("pgd went wrong")

    with pytest.raises(AttackError):
        attacked()
    with Run.open(tmp_path / "run", write=False) as run:
        entry = run.manifest["stages"]["before"]
    assert (entry["status"], entry["facts"]) == ("failed", {"reason": "pgd went wrong"})


def test_a_stage_may_be_skipped_without_being_begun(run):
    run.skip("finetune", "the weak set is empty", samples=0)
    assert status(run) == {"finetune": "skipped"}
    assert run.records().provenance["stages"]["finetune"]["reason"] == "the weak set is empty"
    assert not run.begin("finetune", {"epochs": 3})


def test_an_unknown_stage_is_a_programming_error(run):
    with pytest.raises(ValueError, match="doctor"):
        run.begin("doctor", {})


@pytest.mark.parametrize("stage", STAGES)
def test_force_redoes_a_stage_and_those_after_it_alone(run, stage):
    fill(run)
    assert not run.begin(stage, {"seed": 1}, force=True)
    first = STAGES.index(stage)
    kept = dict.fromkeys(STAGES[:first], "done")
    if "report" in kept:
        kept["report"] = "running"
    assert status(run) == kept | {stage: "running"}
    assert {path.stem for path in run.path.glob("*.json")} == {"manifest", *STAGES[:first]}
    assert bool(list(run.path.glob("scores/*"))) == (first > 0)
    assert {path.name.split(".")[0] for path in run.path.glob("validation/*")} == {"before", "after"} & set(
        STAGES[:first]
    )


def test_force_removes_nothing_that_the_manifest_does_not_list(run):
    fill(run)
    mine = [run.path / name for name in ("notes.txt", "scores/mine.parquet", "validation/mine.csv", "training/log.txt")]
    for path in mine:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    run.write_json("of-no-stage.json", 1)
    run.begin("score", {}, force=True)
    assert [path.read_text() for path in mine] == ["mine"] * len(mine)
    assert run.read_json("of-no-stage.json") == 1


def test_perturbation_types_may_be_added_and_the_parts_are_kept(run):
    run.begin("before", {"attacks": ["fgm"], "seed": 0}, extends=("attacks",))
    run.parts("validation").write("fgm", pa.table({"index": [0]}))
    run.finish("before")
    assert not run.begin("before", {"attacks": ["pgd", "fgm"], "seed": 0}, extends=("attacks",))
    assert run.parts("validation").has("fgm")
    assert run.records().before is None
    run.finish("before")
    assert run.begin("before", {"attacks": ["pgd", "fgm"], "seed": 0}, extends=("attacks",))


@pytest.mark.parametrize("options", [{"attacks": ["pgd"], "seed": 0}, {"attacks": ["fgm", "pgd"], "seed": 1}])
def test_growing_types_excuses_neither_fewer_types_nor_another_option(run, options):
    run.begin("before", {"attacks": ["fgm"], "seed": 0})
    run.finish("before")
    with pytest.raises(RunError, match="other options"):
        run.begin("before", options, extends=("attacks",))


def test_types_do_not_grow_unless_the_caller_says_so(run):
    run.begin("before", {"attacks": ["fgm"]})
    with pytest.raises(RunError, match="attacks"):
        run.begin("before", {"attacks": ["fgm", "pgd"]})


def test_a_report_is_out_of_date_once_an_earlier_stage_works_again(run):
    fill(run)
    run.begin("after", {"seed": 0}, extends=("attacks",))
    assert run.begin("report", {"seed": 0})
    run.begin("after", {"seed": 0, "attacks": ["fgm"]}, force=True)
    run.finish("after")
    assert not run.begin("report", {"seed": 0})


def test_options_that_json_cannot_hold_are_a_programming_error(run):
    with pytest.raises(TypeError, match="object"):
        run.begin("score", {"attack": object()})


def test_update_keeps_the_stores_own_keys(run):
    run.update(title="digits", plan={"batch_size": 256})
    with pytest.raises(ValueError, match="stages"):
        run.update(stages={})
    assert run.manifest["plan"] == {"batch_size": 256}


def test_the_manifest_handed_out_is_a_copy(run):
    run.manifest["stages"]["score"] = "done"
    assert run.manifest["stages"] == {}
