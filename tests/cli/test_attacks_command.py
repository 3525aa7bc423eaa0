"""``art-weakrobust attacks`` says what is known of every attack, and ``--attacks`` takes each by its name."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from art_weakrobust.perturbations.attacks.catalogue import ROWS
from art_weakrobust.store import Run

SIX = {f"reva-{name}-linf" for name in ("bim", "fgsm", "pgd", "rfgsm", "uap", "mifgsm")}


def test_every_attack_is_listed_with_norms_cost_and_needs(cli):
    answer = cli("attacks", "--json", "--no-plugins")
    assert answer.status == 0
    listed = {entry["name"]: entry for entry in json.loads(answer.out)["attacks"]}
    assert set(listed) == {row.name for row in ROWS} | {"reva"}
    for row in ROWS:
        entry = listed[row.name]
        assert entry["norms"] == ["inf" if norm == float("inf") else f"{norm:g}" for norm in row.norms]
        assert (entry["cost"], entry["needs"], entry["y"]) == (row.cost, list(row.needs), row.y)
        assert entry["source"].startswith("https://")


def test_the_table_has_a_line_for_each(cli):
    lines = cli("attacks", "--no-plugins").out.splitlines()
    assert lines[0].split()[:4] == ["name", "norms", "budget", "cost"]
    assert {line.split()[0] for line in lines[1:]} == {row.name for row in ROWS} | {"reva"}
    (deepfool,) = [line for line in lines if line.startswith("deepfool ")]
    assert deepfool.split()[1:5] == ["2", "smallest", "medium", "gradients"]


def test_listing_them_loads_neither_torch_nor_art():
    code = (
        "import sys; from art_weakrobust.cli.app import build\n"
        "try: build()(['attacks', '--no-plugins'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'art') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip().splitlines()[-1] == "[]"


@pytest.fixture(scope="module")
def with_reva(own_cache, some_of, tmp_path_factory):
    """A run directory validated, before fine-tuning, against REVa's six."""
    from art_weakrobust.cli.app import build

    out = tmp_path_factory.mktemp("reva") / "run"
    for words in (
        ["score", *some_of("radius", "neighbors"), "--limit", "150"],
        ["select"],
        ["validate", "--test-limit", "40", "--attacks", "reva", "--corruptions", "contrast", "--severities", "1"],
    ):
        with pytest.raises(SystemExit) as left:
            build()([*words, "--out", str(out), "--no-plugins", "--quiet"])
        assert not left.value.code, words
    return out


def test_the_suite_is_validated_as_six_types_and_all_verdicts_are_known(with_reva):
    with Run.open(with_reva, write=False) as run:
        rows = [row for row in run.read_table("validation").to_pylist() if row["type"].startswith("reva-")]
        weak = {row["index"] for row in run.read_table("weak_set").to_pylist()}
    assert {row["type"] for row in rows} == SIX
    assert {row["status"] for row in rows} <= {"ok", "misclassified"}
    assert {row["index"] for row in rows if row["set"] == "held_out"} <= weak


def test_an_attack_that_crafts_cannot_score_what_it_would_be_crafted_on(cli, tmp_path):
    words = ["score", "--scorer", "attack:attack=uap", "--out", tmp_path / "run", "--no-plugins", "--quiet"]
    assert "beyond --limit" in cli(*words).error


def test_an_attack_that_crafts_scores_by_what_the_limit_leaves(cli, tmp_path):
    words = ["score", "--scorer", "attack:attack=reva-uap", "--limit", "60", "--out", tmp_path / "run"]
    assert cli(*words, "--no-plugins", "--quiet").status == 0
    with Run.open(tmp_path / "run", write=False) as run:
        assert len(run.read_table("scores")) == 60
