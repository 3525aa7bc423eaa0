"""Models for the benchmark's tests: the digits' network, more and more of it noise."""

from __future__ import annotations

import torch
from torch import nn

from art_weakrobust.models.digits_cnn import digits_cnn


def noisy(scale: float) -> nn.Module:
    net, _ = digits_cnn()
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in net.parameters():
            weight += scale * weight.std().nan_to_num(0.0) * torch.randn(weight.shape, generator=generator)
    return net


def first() -> nn.Module:
    return noisy(0.0)


def second() -> nn.Module:
    return noisy(0.15)


def third() -> nn.Module:
    return noisy(0.3)


def broken() -> nn.Module:
    raise ValueError("no such luck")
