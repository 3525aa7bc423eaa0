"""Brightness, contrast and saturation (Hendrycks and Dietterich, arXiv 1903.12261)."""

from __future__ import annotations

import torch
from torch import Tensor

from ...kernels.norms import wide
from .constants import constants
from .entry import corruption


@corruption
def brightness(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:  # noqa: ARG001 - one signature for all
    """Return the images with a constant added to the value of HSV, at 8-bit levels.

    The value is the largest channel, and hue and saturation are ratios to it: all channels grow in proportion, and
    black becomes grey. This holds for any number of channels; with one it is addition.

    Parameters and errors are those of :class:`.entry.Checked`.
    """
    (added,) = constants("brightness", x.shape, severity)
    value = x.amax(1, keepdim=True)
    brighter = (value + added).clamp_(max=1)
    ratio = (x / value.clamp_min(1e-12)).masked_fill_(value == 0, 1.0)
    return ratio.mul_(brighter)


@corruption
def contrast(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:  # noqa: ARG001 - one signature for all
    """Return the images drawn towards the mean of each channel, at 8-bit levels.

    The mean is summed in float64; where it falls on the edge between two levels, batches may differ by that level.
    Parameters and errors are those of :class:`.entry.Checked`.
    """
    (kept,) = constants("contrast", x.shape, severity)
    mean = x.mean((2, 3), keepdim=True, dtype=wide(x.device)).to(x.dtype)
    return (x - mean).mul_(kept).add_(mean)


@corruption
def saturate(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:  # noqa: ARG001 - one signature for all
    """Return the images with the saturation of HSV multiplied and raised, at 8-bit levels.

    The largest channel stays; how far the others lie below it grows with the saturation. Grey has no hue; as the
    originals' hue of 0 is red, raising its saturation keeps the first channel. One channel alone stays as it is.
    Parameters and errors are those of :class:`.entry.Checked`.
    """
    times, added = constants("saturate", x.shape, severity)
    value = x.amax(1, keepdim=True)
    spread = value - x.amin(1, keepdim=True)
    saturation = (spread / value.clamp_min(1e-12)).mul_(times).add_(added).clamp_(0, 1)
    below = (value - x).div_(spread.clamp_min(1e-12))
    grey = torch.ones_like(x[:1, :, :1, :1])
    grey[:, 0] = 0
    below = torch.where(spread == 0, grey, below)
    return value - below.mul_(saturation).mul_(value)
