"""What a run directory holds a command to, what may be added, and what ``--force`` redoes."""

from __future__ import annotations

import os

import pytest

from art_weakrobust.results import column
from art_weakrobust.store import Run

NETS = """
from art_weakrobust.testing.networks import small_cnn

def mine():
    return small_cnn()
"""


@pytest.fixture
def read():
    """Return a function that gives the manifest's stages and the records of a run."""

    def opened(out):
        with Run.open(out, write=False) as run:
            return run.manifest["stages"], run.records()

    return opened


def times(folder):
    """Return when each file below a folder was written; a file that was written again has another."""
    return {path.name: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("words", "stage", "values"),
    [
        (["run", "--seed", "1"], "score", "seed: 0 there, 1 now"),
        (["run", "--radius", "0.2"], "score", "radius: 0.3 there, 0.2 now"),
        (["select", "--fraction", "0.5"], "select", "fraction: 0.1 there, 0.5 now"),
        (["run", "--attacks", "fgm"], "before", 'attacks: ["pgd:max_iter=3"] there, ["fgm"] now'),
        (["validate", "--eps", "8/255"], "before", "eps: 0.1 there, 0.03"),
        (["finetune", "--nb-epochs", "2"], "finetune", "nb_epochs: 1 there, 2 now"),
    ],
    ids=lambda value: value[1].strip("-") if isinstance(value, list) else "",
)
def test_options_that_differ_are_refused_with_both_values(words, stage, values, cli, small, copied, tree):
    before = tree(copied)
    common = small if words[0] == "run" else ()
    answer = cli(words[0], *common, *words[1:], "--out", copied)
    assert answer.status == 1
    assert f"stage {stage!r}" in answer.error
    assert values in answer.error
    assert "--force" in answer.error
    assert tree(copied) == before


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (["validate", "--seed", "1"], "seed: 0 there, 1 now"),
        (["validate", "--limit", "300"], "limit: 400 there, 300 now"),
        (["finetune", "--dataset", "digits:"], "dataset: 'digits' there, 'digits:' now"),
    ],
    ids=["seed", "limit", "dataset"],
)
@pytest.mark.parametrize("force", [[], ["--force"]], ids=["", "force"])
def test_a_stage_goes_on_with_what_was_scored_alone(words, values, force, cli, copied, tree):
    before = tree(copied)
    answer = cli(*words, *force, "--out", copied)
    assert answer.status == 1
    assert values in answer.error
    assert "art-weakrobust score --force" in answer.error
    assert tree(copied) == before


def test_the_seed_of_the_selection_is_that_of_the_scores(cli, copied):
    assert "--seed" in cli("select", "--seed", "1", "--out", copied).error


def test_scores_by_an_attack_are_held_to_its_budget(cli, some_of, tmp_path):
    out, words = tmp_path / "run", [*some_of("limit"), "--scorer", "attack:attack=fgm", "--no-plugins"]
    assert cli("score", *words, "--eps", "0.1", "--out", out).status == 0
    answer = cli("run", *words, "--eps", "0.2", "--out", out)
    assert answer.status == 1
    assert "stage 'score'" in answer.error
    assert "eps: 0.1 there, 0.2 now" in answer.error


def test_the_same_option_written_otherwise_is_the_same(cli, copied):
    assert (
        cli(
            "validate", "--eps", "1/10", "--severities", "5, 1", "--attacks", " pgd:max_iter=3 ,", "--out", copied
        ).status
        == 0
    )


def test_force_redoes_the_stage_that_differs_and_those_after_it_alone(cli, small, copied, read):
    scores = times(copied / "scores")
    validation = times(copied / "validation")
    foreign = [copied / "notes.txt", copied / "scores" / "mine.parquet.bak", copied / "training" / "mine.bin"]
    for path in foreign:
        path.write_text("mine")
    assert cli("run", *small, "--fraction", "0.01", "--force", "--out", copied).status == 0
    stages, records = read(copied)
    assert {entry["status"] for entry in stages.values()} == {"done"}
    assert stages["select"]["options"]["fraction"] == 0.01
    assert len(records.weak_set) == 4
    assert times(copied / "scores").items() >= scores.items()
    after = times(copied / "validation")
    assert not any(after.get(name) == time for name, time in validation.items())
    assert [path.read_text() for path in foreign] == ["mine"] * 3


def test_force_with_the_same_options_redoes_the_stages_from_the_first(cli, small, copied):
    before = times(copied / "scores") | times(copied / "validation")
    assert cli("run", *small, "--force", "--out", copied).status == 0
    after = times(copied / "scores") | times(copied / "validation")
    assert before.keys() == after.keys()
    assert not any(after[name] == time for name, time in before.items())


def test_force_with_a_wrong_option_removes_nothing(cli, small, copied, tree):
    before = tree(copied)
    assert cli("run", *small, "--attacks", "pdg", "--force", "--out", copied).status == 2
    assert tree(copied) == before


def test_attacks_may_be_added_to_a_validation_and_what_was_done_is_kept(cli, copied, read):
    parts = times(copied / "validation")
    answer = cli("validate", "--attacks", "pgd:max_iter=3,fgm,bim:max_iter=2", "--out", copied)
    assert answer.status == 0
    assert times(copied / "validation").items() >= parts.items()
    _, records = read(copied)
    for validation in (records.before, records.after):
        assert {"pgd-linf", "fgm-linf", "bim-linf"} <= set(column(validation.table, "type"))


def test_an_attack_that_was_added_stays_with_the_next_command(cli, copied, read):
    cli("validate", "--attacks", "pgd:max_iter=3,fgm", "--out", copied)
    assert cli("validate", "--out", copied).status == 0
    assert "fgm-linf" in set(column(read(copied)[1].after.table, "type"))


def test_the_same_attack_twice_asks_for_a_label(cli, copied, read, tree):
    before = tree(copied)
    answer = cli("validate", "--attacks", "pgd:max_iter=3,pgd:max_iter=2", "--out", copied)
    assert answer.status == 2
    assert "label=" in answer.error
    assert "'pgd-linf'" in answer.error
    assert tree(copied) == before

    attacks = "pgd:max_iter=3,pgd:max_iter=2:label=short"
    assert cli("validate", "--attacks", attacks, "--out", copied).status == 0
    assert {"pgd-linf", "short"} <= set(column(read(copied)[1].after.table, "type"))


def test_a_clean_budget_on_a_trained_run_turns_the_dial_alone(cli, copied, read):
    weights = ("base.safetensors", "dial.safetensors", "epoch-1.safetensors", "tuned.safetensors")
    trained, tuned = times(copied / "training"), (copied / "model.safetensors").read_bytes()
    before = read(copied)[1].finetuning
    answer = cli("finetune", "--clean-budget", "0", "--out", copied)
    assert answer.status == 0
    assert "the dial stands at 0\n" in answer.out
    stages, records = read(copied)
    assert (before.alpha, records.finetuning.alpha) == (1.0, 0.0)
    assert records.finetuning.history == before.history
    assert "after" not in stages  # its rows were of other weights
    assert [times(copied / "training")[name] for name in weights] == [trained[name] for name in weights]
    assert (copied / "model.safetensors").read_bytes() != tuned

    assert cli("validate", "--out", copied).status == 0
    assert read(copied)[1].after is not None


def test_the_dial_turns_where_attacks_were_added_since(cli, copied, read):
    cli("validate", "--attacks", "pgd:max_iter=3,fgm,pgd@2:max_iter=2", "--out", copied)
    assert cli("finetune", "--clean-budget", "1", "--out", copied).status == 0
    assert cli("validate", "--out", copied).status == 0
    assert "pgd-l2" in set(column(read(copied)[1].after.table, "type"))


def test_a_python_factory_is_named_again_by_the_user(cli, some_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*os.sys.path])
    (tmp_path / "nets_named_again.py").write_text(NETS)
    name, out = "python:nets_named_again:mine", tmp_path / "run"
    scored = cli("score", "--model", name, *some_of("radius", "neighbors"), "--limit", "40", "--out", out)
    assert scored.status == 0
    assert cli("select", "--out", out).status == 0  # only reads results

    answer = cli("validate", "--out", out)
    assert answer.status == 2
    assert f"name it again with --model {name}" in answer.error
    few = ["--attacks", "fgm", "--corruptions", "", "--test-limit", "20"]
    assert cli("validate", "--model", name, *few, "--out", out).status == 0


def test_a_report_imports_no_factory_that_the_manifest_names(cli, some_of, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*os.sys.path])
    (tmp_path / "nets_of_a_report.py").write_text(NETS)
    out = tmp_path / "run"
    cli("score", "--model", "python:nets_of_a_report:mine", *some_of("neighbors"), "--limit", "20", "--out", out)
    (tmp_path / "nets_of_a_report.py").write_text("raise SystemExit('imported')")
    monkeypatch.delitem(os.sys.modules, "nets_of_a_report")
    assert cli("select", "--out", out).status == 0
    assert cli("report", "--out", out).status == 0
