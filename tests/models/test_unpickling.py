"""With the user's word, and only then, more than tensors is read: the harmless few first."""

from __future__ import annotations

import argparse
import collections

import numpy as np
import pytest
import torch
from torch import nn

from art_weakrobust.errors import ModelError
from art_weakrobust.models.unpickling import torch_content
from art_weakrobust.models.weights import load_weights, read_weights

STATE = {"weight": torch.eye(2), "bias": torch.zeros(2)}
LOUD = {"state_dict": STATE, "args": argparse.Namespace(lr=0.1), "best": np.float64(0.9), "curve": np.zeros(3)}


class Flag:
    raised = 0

    def __reduce__(self):
        return (raise_flag, ())


def raise_flag():
    Flag.raised += 1
    return Flag.raised


@pytest.fixture
def file(tmp_path):
    return tmp_path / "checkpoint.pt"


def test_it_is_refused_unless_it_is_allowed_and_the_error_says_how(file):
    torch.save(LOUD, file)
    with pytest.raises(ModelError, match=r"--allow-unsafe-checkpoint \(allow_unsafe=True\)"):
        torch_content(file)
    assert torch_content(file, allow_unsafe=True)["args"] == LOUD["args"]


def test_arguments_and_numbers_are_read_without_unpickling_at_large(file, monkeypatch):
    torch.save(LOUD, file)
    modes = []
    load = torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: (modes.append(k["weights_only"]), load(*a, **k))[1])
    torch_content(file, allow_unsafe=True)
    assert modes == [True, True]


def test_code_in_a_file_runs_on_the_users_word_alone(file):
    torch.save({"state_dict": STATE, "more": Flag()}, file)
    with pytest.raises(ModelError):
        read_weights(file)
    assert Flag.raised == 0
    assert read_weights(file, allow_unsafe=True).keys() == STATE.keys()
    assert Flag.raised == 1


def test_of_a_whole_module_the_state_dict_is_taken(file):
    own = nn.Linear(2, 2)
    torch.save(own, file)
    module = nn.Linear(2, 2)
    load_weights(module, file, allow_unsafe=True)
    assert torch.equal(module.weight, own.weight)


def test_plain_checkpoints_need_no_word(file):
    torch.save(collections.OrderedDict(STATE), file)
    assert torch_content(file).keys() == STATE.keys()


def test_a_damaged_file_is_damaged_whatever_is_allowed(file):
    torch.save(LOUD, file)
    file.write_bytes(file.read_bytes()[:300])
    with pytest.raises(ModelError, match="damaged or cut short"):
        torch_content(file, allow_unsafe=True)
