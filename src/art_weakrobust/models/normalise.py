"""Normalisation inside the model, so that everything outside works on pixels in [0, 1]."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..errors import ModelError, UsageError


class Normalised(nn.Module):
    """A network behind ``(x - mean) / std``, a value a channel.

    The constants move with the module and are no part of its state dict; weights are read from and saved with
    ``inner(module)``, whose names are the network's own.

    :param module: takes normalised images (n, c, h, w).
    :param mean: c values, or one for all channels.
    :param std: likewise, above zero.
    :raises UsageError: where a value makes no sense.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, module: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        mean, std = channel_values(mean, "mean"), channel_values(std, "std")
        if len(mean) != len(std) and 1 not in (len(mean), len(std)):
            raise UsageError(f"mean has {len(mean)} values and std {len(std)}; give one a channel, or one for all")
        self.module = module
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of pixels (n, c, h, w) in [0, 1].

        :raises ModelError: for another number of channels, which would otherwise be multiplied without a word.
        """
        channels = max(len(self.mean), len(self.std))
        if channels not in (1, x.shape[1]):
            raise ModelError(f"mean and std have {channels} values, the images {x.shape[1]} channels; give as many")
        logits: Tensor = self.module((x - self.mean) / self.std)
        return logits


def normalised(module: nn.Module, mean: Sequence[float] | str | None, std: Sequence[float] | str | None) -> nn.Module:
    """Return the module with mean and std put inside, or as it is where neither is given.

    :param mean: values, or text as ``"0.485,0.456,0.406"``.
    :raises UsageError: where one is given without the other, or a value makes no sense.
    """
    if mean is None and std is None:
        return module
    if mean is None or std is None:
        given, missing = ("std", "mean") if mean is None else ("mean", "std")
        raise UsageError(f"{given} was given without {missing}; give both (mean 0 or std 1 change nothing)")
    return Normalised(module, channel_values(mean, "mean"), channel_values(std, "std"))


def inner(module: nn.Module) -> nn.Module:
    """Return the network whose state dict has the names of its checkpoint: what is wrapped, or itself."""
    while isinstance(module, Normalised):
        module = module.module
    return module


def channel_values(values: Sequence[float] | str | float, name: str) -> list[float]:
    """Return ``mean`` or ``std`` as floats.

    :param values: numbers, or text with commas between them.
    :raises UsageError: for what is no finite number, a mean above 1 or a std that is not above zero.
    """
    parts = values.split(",") if isinstance(values, str) else values if isinstance(values, Sequence) else [values]
    try:
        numbers = [float(part) for part in parts]
    except (TypeError, ValueError):
        raise UsageError(f"{name} {values!r} is not a list of numbers; write 0.485,0.456,0.406") from None
    if not numbers or not all(math.isfinite(number) for number in numbers):
        raise UsageError(f"{name} {values!r} has to hold finite numbers; write 0.485,0.456,0.406")
    if name == "std" and min(numbers) <= 0:
        raise UsageError(f"std {values!r} has to be above zero in every channel")
    if name == "mean" and max(numbers) > 1:
        raise UsageError(f"mean {values!r} is meant for pixels from 0 to 255; divide mean and std by 255")
    return numbers
