"""One command after another goes down the same street as ``run``."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from art_weakrobust.store import Run, read_safetensors

TABLES = ("scores", "weak_set", "validation", "types", "samples")


def rows(out, table):
    with Run.open(out, write=False) as run:
        return repr(run.read_table(table).to_pylist())  # as text, so that NaN equals NaN


def status(out):
    with Run.open(out, write=False) as run:
        return {stage: entry["status"] for stage, entry in run.manifest["stages"].items()}


@pytest.fixture(scope="module")
def stage_by_stage(own_cache, some_of, tmp_path_factory):
    """A run directory made by one command a stage, each with its own options alone."""
    from art_weakrobust.cli.app import build

    out = tmp_path_factory.mktemp("stages") / "run"
    commands = {
        "score": some_of("radius", "neighbors", "limit"),
        "select": [],
        "validate": some_of("eps", "attacks", "corruptions", "severities", "test-limit"),
        "finetune": some_of("nb-epochs"),
        "report": [],
    }
    for name in ("score", "select", "validate", "finetune", "validate", "report"):
        words = commands.pop(name, [])
        with pytest.raises(SystemExit) as left:
            build()([name, *words, "--out", str(out), "--no-plugins", "--quiet"])
        assert not left.value.code, name
    return out


@pytest.mark.parametrize("table", TABLES)
def test_the_stage_commands_write_the_rows_that_run_writes(table, stage_by_stage, finished):
    assert rows(stage_by_stage, table) == rows(finished, table)


def test_the_stage_commands_train_the_weights_that_run_trains(stage_by_stage, finished):
    ours, expected = (read_safetensors(out / "model.safetensors")[0] for out in (stage_by_stage, finished))
    assert ours.keys() == expected.keys()
    for name, values in expected.items():
        np.testing.assert_array_equal(ours[name], values)


def test_every_stage_of_either_way_is_done(stage_by_stage, finished):
    assert set(status(finished).values()) == {"done"}
    assert status(stage_by_stage) == status(finished)


def test_the_report_of_either_way_holds_the_same_tables(stage_by_stage, finished):
    ours, expected = (json.loads((out / "summary.json").read_text()) for out in (stage_by_stage, finished))
    assert ours["tables"] == expected["tables"]


def test_a_finished_run_is_left_alone_by_the_same_command(cli, small, copied):
    (copied / "report.html").unlink()
    before = {path: path.stat().st_mtime_ns for path in copied.rglob("*.parquet")}
    assert cli("run", *small, "--out", copied).status == 0
    assert {path: path.stat().st_mtime_ns for path in copied.rglob("*.parquet")} == before
    assert (copied / "report.html").exists()


def test_the_report_needs_neither_torch_nor_art(copied):
    (copied / "report.html").unlink()
    code = (
        "import sys\nfrom art_weakrobust.cli.app import build\n"
        "try: build()(sys.argv[1:])\n"
        "except SystemExit as left: assert not left.code, left.code\n"
        "print([name for name in ('torch', 'art', 'torchvision') if name in sys.modules])"
    )
    words = ["report", "--out", str(copied), "--no-plugins", "--quiet"]
    result = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
    assert (copied / "report.html").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("command", "needs"), [("select", "scores"), ("validate", "weak set"), ("finetune", "weak set")]
)
def test_a_stage_whose_input_is_missing_names_the_command_that_makes_it(command, needs, cli, some_of, tmp_path):
    made_by = {"scores": "score", "weak set": "select"}[needs]
    out = tmp_path / "run"
    if needs == "weak set":
        assert cli("score", *some_of("neighbors"), "--limit", "20", "--out", out, "--no-plugins").status == 0
        answer = cli(command, "--out", out)
    else:
        with Run.open(out, create=True):
            pass
        answer = cli(command, "--out", out)
    assert answer.status == 1
    assert f"no {needs} yet: run `art-weakrobust {made_by}` first" in answer.error


def test_an_empty_weak_set_skips_fine_tuning_and_is_reported(cli, small, tmp_path):
    out = tmp_path / "run"
    answer = cli("run", *small[:-1], "--radius", "1e-6", "--out", out)  # not quiet
    assert answer.status == 0
    assert "finetune: skipped, the weak set is empty: no sample has an error nearby" in answer.out
    assert status(out) | {"finetune": "skipped", "after": "skipped", "report": "done"} == status(out)
    assert "PGD" in (out / "report.html").read_text(encoding="utf-8")

    alone = cli("finetune", "--out", out)
    assert alone.status == 1
    assert "nothing to fine-tune on" in alone.error
    assert "--radius" in alone.error


def test_a_selection_that_takes_nothing_is_not_blamed_on_the_neighborhood(cli, copied):
    assert cli("select", "--threshold", "2", "--force", "--out", copied).status == 0
    assert "none of the 9 samples with an error nearby" in cli("finetune", "--out", copied).error


def test_the_test_split_may_be_scored_and_validated(cli, some_of, tmp_path):
    out, few = tmp_path / "run", ["--attacks", "", "--corruptions", "", "--test-limit", "50"]
    assert cli("score", "--split", "test", *some_of("radius", "neighbors"), "--out", out).status == 0
    assert cli("select", "--out", out).status == 0
    assert cli("validate", *few, "--out", out).status == 0
    assert "holds the test set" in cli("finetune", "--out", out).error


def test_without_attacks_and_corruptions_clean_and_noise_are_left(cli, small, tmp_path):
    out = tmp_path / "run"
    assert cli("run", *small, "--attacks", "", "--corruptions", "", "--out", out).status == 0
    with Run.open(out, write=False) as run:
        assert run.read_table("types").column("type").to_pylist() == ["clean", "uniform_noise"]
    assert status(out)["finetune"] == "done"


def test_a_run_may_be_moved(cli, finished, tmp_path):
    moved = tmp_path / "somewhere" / "else"
    shutil.copytree(finished, moved)
    assert cli("validate", "--out", moved, "--no-plugins").status == 0
    assert cli("report", "--out", moved, "--no-plugins").status == 0
