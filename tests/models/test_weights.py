"""Weights from files, good and hostile; no code in a file ever runs."""

from __future__ import annotations

import argparse

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import nn

from art_weakrobust.errors import ModelError
from art_weakrobust.models.weights import load_weights, read_weights


def net(seed: int = 0, width: int = 4, classes: int = 3) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(width, classes))


STATE = net(seed=1).state_dict()


def same(a: nn.Module, state) -> bool:
    return all(torch.equal(value, state[name]) for name, value in a.state_dict().items())


def refused(path) -> str:
    module = net()
    before = {name: value.clone() for name, value in module.state_dict().items()}
    with pytest.raises(ModelError) as caught:
        load_weights(module, path)
    assert same(module, before), "a refused file may leave nothing behind"
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "weights.pt"


def test_safetensors_are_read_whatever_their_suffix(file):
    safetensors.torch.save_file(STATE, file)
    module = net()
    load_weights(module, file)
    assert same(module, STATE)


@pytest.mark.parametrize("zipped", [True, False])
def test_both_formats_of_torch_save_are_read(file, zipped):
    torch.save(STATE, file, _use_new_zipfile_serialization=zipped)
    module = net()
    load_weights(module, file)
    assert same(module, STATE)


@pytest.mark.parametrize(
    "wrapped",
    [
        {"state_dict": STATE, "epoch": 3},
        {"model": STATE, "optimizer": {"lr": 0.1}},
        {"model_state_dict": STATE},
        {"model": {"state_dict": STATE}},
        {f"module.{name}": value for name, value in STATE.items()},
        {"state_dict": {f"module._orig_mod.{name}": value for name, value in STATE.items()}},
    ],
)
def test_nested_state_dicts_and_prefixes_are_seen_through(file, wrapped):
    torch.save(wrapped, file)
    assert read_weights(file).keys() == STATE.keys()


def test_a_network_whose_parts_are_called_module_keeps_that_name(file):
    class Wrapper(nn.Module):
        def __init__(self):
            super().__init__()
            self.module, self.head = nn.Linear(2, 2), nn.Linear(2, 2)

    torch.save(Wrapper().state_dict(), file)
    load_weights(Wrapper(), file)


def test_a_checkpoint_from_before_num_batches_tracked_fits(file):
    safetensors.torch.save_file({k: v for k, v in STATE.items() if "tracked" not in k}, file)
    load_weights(net(), file)


def test_wrong_names_are_shown_the_first_few(file):
    torch.save({f"backbone.{name}": value for name, value in STATE.items()}, file)
    message = refused(file)
    assert "missing 0.weight, 0.bias, 1.weight and 5 more" in message
    assert "unexpected backbone.0.weight" in message


def test_wrong_shapes_are_shown(file):
    torch.save(net(classes=10).state_dict(), file)
    assert "3.weight is (10, 4), expected (3, 4)" in refused(file)


def test_weights_that_are_not_finite_are_refused(file):
    torch.save(STATE | {"3.bias": torch.tensor([0.0, float("nan"), 1.0])}, file)
    assert "NaN or infinity in 3.bias" in refused(file)


class Bomb:
    def __reduce__(self):
        return (pytest.fail, ("it was unpickled",))


@pytest.mark.parametrize("content", [Bomb(), {"state_dict": STATE, "args": argparse.Namespace(lr=0.1)}, net()])
@pytest.mark.parametrize("zipped", [True, False])
def test_what_needs_unpickling_is_not_read_and_says_why(file, content, zipped):
    torch.save(content, file, _use_new_zipfile_serialization=zipped)
    message = refused(file)
    assert "would run code" in message
    assert "safetensors" in message


@pytest.mark.parametrize("content", [STATE["3.bias"], [1, 2], {}, {"epoch": 3}, {"state_dict": {"a": "text"}}])
def test_what_is_no_state_dict_is_named(file, content):
    torch.save(content, file)
    assert "state dict" in refused(file)


def test_files_cut_short_are_refused(file):
    for save in (torch.save, safetensors.torch.save_file):
        save(STATE, file)
        whole = file.read_bytes()
        for size in (5, 40, len(whole) // 2, len(whole) - 8):
            file.write_bytes(whole[:size])
            assert "weights" in refused(file)


@pytest.mark.parametrize("seed", range(60))
def test_altered_bytes_give_weights_or_a_model_error_and_nothing_else(file, seed):
    if seed % 3 == 0:
        safetensors.torch.save_file(STATE, file)
    else:
        torch.save(STATE, file, _use_new_zipfile_serialization=seed % 3 == 1)
    content, random = bytearray(file.read_bytes()), np.random.default_rng(seed)
    for position in random.integers(0, len(content), 3):
        content[position] = random.integers(256)
    file.write_bytes(content)
    try:
        load_weights(net(), file)
    except ModelError:
        return


def test_other_files_are_named_for_what_they_are(file, tmp_path):
    for content, words in (
        (b"", "is empty"),
        (b"\n<!doctype html><title>Quota exceeded</title>", "HTML page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS pointer"),
        (b"hello, these are no weights", "neither safetensors nor"),
        (b"\xff" * 8 + b"{" + b"\0" * 50, "damaged"),
        (b"PK\x03\x04 a zip of something else", "damaged"),
    ):
        file.write_bytes(content)
        assert words in refused(file)
    assert "is a folder" in refused(tmp_path)
    assert "did you mean 'weights.pt'" in refused(tmp_path / "weight.pt")
    assert "there is no folder" in refused(tmp_path / "no" / "weights.pt")
