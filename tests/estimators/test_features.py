"""Features are what goes into the layer that decides."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from art_weakrobust.estimators.features import penultimate
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.models.normalise import Normalised
from art_weakrobust.testing.networks import resnet20, small_cnn

X = torch.rand(5, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def asked(module: nn.Module, x: torch.Tensor = X) -> tuple[torch.Tensor, torch.Tensor]:
    shape = tuple(x.shape[1:])
    estimator = FastPyTorchClassifier(module, nn.CrossEntropyLoss(), shape, 10, clip_values=(0, 1), device_type="cpu")
    with penultimate(estimator) as ask:
        return ask(x)


@pytest.mark.parametrize("wrapped", [False, True], ids=["bare", "normalised"])
def test_the_last_layer_makes_the_logits_of_them(wrapped):
    network = resnet20().eval()
    features, logits = asked(Normalised(network, (0.5,) * 3, (0.2,) * 3) if wrapped else network)
    assert features.shape == (5, 64)
    torch.testing.assert_close(network.linear(features), logits)


def test_a_head_that_is_a_convolution_is_found():
    network = nn.Sequential(nn.Conv2d(3, 7, 3), nn.AdaptiveAvgPool2d(1), nn.Conv2d(7, 10, 1), nn.Flatten())
    assert asked(network)[0].shape == (5, 7)


class Ensemble(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList([small_cnn((3, 32, 32), seed=seed) for seed in (0, 1)])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return sum(part(x) for part in self.parts) / 2


def test_where_no_layer_makes_the_logits_they_serve_as_features():
    features, logits = asked(Ensemble())
    assert torch.equal(features, logits)


def test_modes_and_hooks_are_left_as_they_were():
    network = small_cnn((3, 32, 32)).train()
    asked(network)
    assert all(part.training for part in network.modules())
    assert not any(part._forward_hooks for part in network.modules())
