from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from art_weakrobust.errors import RunError, TrainingError
from art_weakrobust.results import Finetuning
from art_weakrobust.testing.networks import small_cnn
from art_weakrobust.training.checkpoint import Checkpoint, turn_dial
from art_weakrobust.training.interpolation import Dial
from art_weakrobust.training.network import snapshot

BASE, TUNED = snapshot(small_cnn(seed=0)), snapshot(small_cnn(seed=1))
CURVE = (
    {"alpha": 0.0, "clean": 0.9, "robust": 0.0},
    {"alpha": 0.5, "clean": 0.89, "robust": 0.4},
    {"alpha": 1.0, "clean": 0.8, "robust": 0.5},
)
BUFFERS = {0.0: {}, 0.5: {"1.running_mean": torch.full((8,), 0.5)}, 1.0: {"1.running_mean": torch.ones(8)}}


@pytest.fixture
def checkpoint(tmp_path) -> Checkpoint:
    return Checkpoint(tmp_path / "training")


@pytest.fixture
def ended(checkpoint) -> Checkpoint:
    checkpoint.begin({"seed": 0}, BASE, "float32")
    checkpoint.finish(Dial(BASE, TUNED, BUFFERS, CURVE), Finetuning(curve=CURVE, guard_ids=np.arange(3)))
    return checkpoint


def test_a_new_directory_has_reached_nothing_and_keeps_the_base(checkpoint):
    assert checkpoint.begin({"seed": 0}, BASE, "float32") is None
    assert all(torch.equal(tensor, BASE[name]) for name, tensor in checkpoint.base().items())


def test_an_interrupted_training_finds_its_last_epoch_and_no_older_one(checkpoint):
    checkpoint.begin({"seed": 0}, BASE, "bfloat16")
    for epoch in (1, 2):
        checkpoint.save_epoch(
            epoch, {"last": TUNED, "ema": BASE, "optimizer": {"0.m": torch.ones(epoch)}}, {"history": [epoch]}
        )

    reached = checkpoint.begin({"seed": 0}, BASE, "float32")

    assert (reached["epoch"], reached["history"], reached["precision"]) == (2, [2], "bfloat16")
    stored = checkpoint.load_epoch(2)
    assert torch.equal(stored["last"]["0.weight"], TUNED["0.weight"])
    assert torch.equal(stored["ema"]["0.weight"], BASE["0.weight"])
    assert torch.equal(stored["optimizer"]["0.m"], torch.ones(2))
    assert [file.name for file in checkpoint.directory.glob("epoch-*")] == ["epoch-2.safetensors"]


def test_another_training_in_the_directory_is_refused_with_both_values(checkpoint):
    checkpoint.begin({"seed": 0, "eps": 0.1}, BASE, "float32")

    with pytest.raises(TrainingError, match=r"seed 0, not 1"):
        checkpoint.begin({"seed": 1, "eps": 0.1}, BASE, "float32")


def test_nothing_but_safetensors_and_json_is_written(ended):
    assert {file.suffix for file in ended.directory.iterdir()} == {".safetensors", ".json"}


def test_turning_the_dial_gives_the_stored_point_for_another_budget(ended):
    for budget, alpha in ((None, 1.0), (2.0, 0.5), (0.0, 0.0)):
        state, chosen = turn_dial(ended.directory, budget)
        assert chosen == alpha
        torch.testing.assert_close(
            state["0.weight"], torch.lerp(BASE["0.weight"], TUNED["0.weight"], alpha), rtol=0, atol=0
        )
        assert torch.equal(state["1.running_mean"], BUFFERS[alpha].get("1.running_mean", BASE["1.running_mean"]))


def test_a_dial_without_a_training_that_has_ended_is_refused(checkpoint):
    checkpoint.begin({"seed": 0}, BASE, "float32")

    with pytest.raises(RunError, match="no training that has ended"):
        turn_dial(checkpoint.directory, 1.0)


@pytest.mark.parametrize("name", ["tuned.safetensors", "finetuning.json"])
def test_a_damaged_file_is_named(ended, name):
    (ended.directory / name).write_bytes(b"{")

    with pytest.raises(RunError, match=name):
        turn_dial(ended.directory, 1.0)


def test_the_record_reads_back_as_it_was(ended):
    record = json.loads((ended.directory / "finetuning.json").read_text())

    assert record["guard_ids"] == [0, 1, 2]
    assert ended.finished()[1].curve == CURVE


def test_without_a_directory_nothing_is_kept():
    checkpoint = Checkpoint(None)

    assert checkpoint.begin({}, BASE, "float32") is None
    checkpoint.save_epoch(1, {}, {})
    assert checkpoint.finished() is None
    with pytest.raises(RunError, match="checkpoint_dir"):
        checkpoint.base()
