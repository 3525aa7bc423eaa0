"""Mean and std inside the model."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from art_weakrobust.errors import ModelError, UsageError
from art_weakrobust.models.normalise import Normalised, channel_values, inner, normalised

X = torch.rand(4, 3, 5, 5, generator=torch.Generator().manual_seed(0))


def test_the_network_sees_pixels_minus_mean_over_std():
    seen = Normalised(nn.Identity(), (0.5, 0.25, 0.0), (0.5, 1.0, 2.0))(X)
    for channel, (mean, std) in enumerate(((0.5, 0.5), (0.25, 1.0), (0.0, 2.0))):
        assert torch.equal(seen[:, channel], (X[:, channel] - mean) / std)


@pytest.mark.parametrize("channels", [1, 3, 7])
def test_one_value_serves_any_number_of_channels(channels):
    x = X[:, :1].expand(4, channels, 5, 5)
    assert torch.equal(normalised(nn.Identity(), "0.5", [0.25])(x), (x - 0.5) / 0.25)


def test_the_constants_follow_the_module_and_the_weights_keep_their_own_names():
    module = normalised(nn.Sequential(nn.Conv2d(3, 2, 1)), "0.4,0.5,0.6", "0.2, 0.2, 0.2")
    assert list(inner(module).state_dict()) == ["0.weight", "0.bias"]
    assert not any(name in ("mean", "std") for name in module.state_dict())
    assert {buffer.dtype for buffer in module.double().buffers()} == {torch.float64}


def test_inner_of_a_plain_module_is_the_module():
    module = nn.Linear(2, 2)
    assert inner(module) is module
    assert normalised(module, None, None) is module


def test_gradients_reach_the_pixels():
    x = X.clone().requires_grad_()
    normalised(nn.Identity(), "0.5", "0.25")(x).sum().backward()
    assert torch.equal(x.grad, torch.full_like(X, 4.0))


def test_another_number_of_channels_is_refused_and_not_broadcast():
    module = Normalised(nn.Identity(), (0.5, 0.5, 0.5), (1, 1, 1))
    with pytest.raises(ModelError, match="3 values, the images 1 channels"):
        module(X[:, :1])


@pytest.mark.parametrize(
    ("value", "name", "words"),
    [
        ("0.2,0,0.2", "std", "above zero"),
        ("-1", "std", "above zero"),
        ("0.5;0.5", "mean", "not a list of numbers"),
        ("", "mean", "not a list of numbers"),
        ("nan", "std", "finite"),
        ((), "mean", "finite"),
        ("123.675,116.28,103.53", "mean", "divide mean and std by 255"),
    ],
)
def test_values_that_make_no_sense_are_named(value, name, words):
    with pytest.raises(UsageError, match=f"{name} .*{words}"):
        channel_values(value, name)


def test_one_without_the_other_or_of_another_length_is_refused():
    with pytest.raises(UsageError, match="mean was given without std"):
        normalised(nn.Identity(), "0.5", None)
    with pytest.raises(UsageError, match="std was given without mean"):
        normalised(nn.Identity(), None, "0.5")
    with pytest.raises(UsageError, match="mean has 3 values and std 2"):
        normalised(nn.Identity(), "0.5,0.5,0.5", "1,1")
