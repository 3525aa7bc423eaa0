"""``art-weakrobust models`` lists the zoo, and a zoo model, a black box and a pickled checkpoint are run by flags."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest


def test_all_are_listed_with_figures_and_files(cli, tmp_path):
    listed = json.loads(cli("models", "--json", "--model-dir", tmp_path).out)["models"]
    assert len(listed) == 206
    (fast,) = [row for row in listed if row["model"] == "robustbench:cifar10/Linf/Wong2020Fast"]
    assert (fast["clean"], fast["robust"], fast["input_shape"]) == (83.34, 43.21, [3, 32, 32])
    assert [file["here"] for file in fast["files"]] == [False]
    assert all(row["clean"] is not None and row["robust"] is not None for row in listed)


def test_a_data_set_and_a_threat_model_narrow_the_list(cli, tmp_path):
    (tmp_path / "cifar100" / "corruptions").mkdir(parents=True)
    (tmp_path / "cifar100" / "corruptions" / "Modas2021PRIMEResNet18.pt").touch()
    lines = cli("models", "--dataset", "cifar100", "--threat", "corruptions", "--model-dir", tmp_path).out.splitlines()
    assert len(lines) == 13
    here = [line.split()[0] for line in lines if line.split()[-1] == "here"]
    assert here == ["robustbench:cifar100/corruptions/Modas2021PRIMEResNet18"]


def test_an_unknown_data_set_is_refused(cli):
    answer = cli("models", "--dataset", "mnist")
    assert answer.status == 1
    assert "RobustBench has cifar10, cifar100, imagenet" in answer.error


def test_listing_them_loads_neither_torch_nor_robustbench():
    code = (
        "import sys; from art_weakrobust.cli.app import build\n"
        "try: build()(['models'])\n"
        "except SystemExit: pass\n"
        "print([m for m in ('torch', 'art', 'robustbench') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip().splitlines()[-1] == "[]"


def test_a_zoo_model_that_is_not_there_leaves_nothing_behind(refused, tmp_path):
    said = refused("--model", "robustbench:cifar10/Linf/Standard", "--model-dir", tmp_path / "models", status=1)
    assert f"{tmp_path}/models/cifar10/Linf/Standard.pt" in said
    assert "--download" in said


@pytest.fixture
def black_box(tmp_path, monkeypatch):
    """A module in the current directory with a black box that knows the digits by their nearest mean."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "box_of_labels.py").write_text(
        "import numpy as np\n"
        "from art_weakrobust.datasets.digits import digits\n"
        "def make():\n"
        "    data = digits(split='train').take(np.arange(300))\n"
        "    means = np.stack([data.x[data.y == k].mean(0).ravel() for k in range(10)])\n"
        "    return lambda x: ((x.reshape(len(x), 1, -1) - means) ** 2).sum(2).argmin(1)\n"
    )
    yield tmp_path
    sys.modules.pop("box_of_labels", None)


def test_a_black_box_that_gives_labels_is_scored_and_validated(cli, black_box):
    out = black_box / "run"
    flags = ("--model", "python:box_of_labels:make", "--estimator", "black-box", "--no-plugins", "--quiet")
    answer = cli(
        *("score", *flags, "--out", out, "--limit", 150, "--radius", "0.3", "--neighbors", 6, "--eps", "0.3"),
    )
    assert answer.status == 0, answer.err
    assert cli("select", "--out", out, "--quiet").status == 0
    answer = cli(
        *("validate", *flags, "--out", out, "--attacks", "hopskipjump@inf:max_iter=1:max_eval=50:init_eval=5"),
        *("--corruptions", "contrast", "--severities", "5", "--test-limit", 20),
    )
    assert answer.status == 0, answer.err

    from art_weakrobust.store import Run

    with Run.open(out, write=False) as run:
        scores = run.records().scores.table
    flips, neighbors, score = (
        np.array(scores.column(name).to_pylist(), float) for name in ("flips", "neighbors", "score")
    )
    np.testing.assert_allclose(score, flips / neighbors)  # the flip rate
    assert np.nanmax(score) > 0


def test_what_needs_gradients_is_refused_on_it_in_one_sentence(cli, black_box):
    out = black_box / "run"
    answer = cli(
        "run", "--model", "python:box_of_labels:make", "--estimator", "black-box", "--out", out, "--no-plugins"
    )
    assert answer.status == 2
    assert "attack 'fgm' needs gradients, which the estimator does not give" in answer.error
    assert not out.exists()


def test_a_pickled_checkpoint_is_read_on_the_flag_alone_and_never_on_the_manifests_word(cli, tmp_path, monkeypatch):
    import argparse

    import torch

    from art_weakrobust.models.digits_cnn import RECIPE, network

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [*sys.path])
    (tmp_path / "net_of_digits.py").write_text(
        "from art_weakrobust.models.digits_cnn import RECIPE, network\nmake = lambda: network(RECIPE.width)\n"
    )
    state = network(RECIPE.width, 3).state_dict()
    torch.save({"state_dict": state, "args": argparse.Namespace(lr=0.1)}, tmp_path / "net.pt")
    model = ("--model", "python:net_of_digits:make", "--weights", tmp_path / "net.pt")
    flags = (*model, "--no-plugins", "--quiet", "--ignore-doctor", "--out", tmp_path / "run")
    small = ("--limit", 40, "--neighbors", 2, "--radius", "0.1")
    assert "--allow-unsafe-checkpoint" in cli("score", *flags, *small).error
    assert cli("score", *flags, *small, "--allow-unsafe-checkpoint").status == 0
    again = cli(
        "validate", "--model", "python:net_of_digits:make", "--no-plugins", "--quiet", "--out", tmp_path / "run"
    )
    assert "--allow-unsafe-checkpoint" in again.error
    sys.modules.pop("net_of_digits", None)
