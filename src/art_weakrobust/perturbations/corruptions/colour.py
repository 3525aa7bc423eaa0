"""Brightness and contrast (Hendrycks and Dietterich, arXiv 1903.12261)."""

from __future__ import annotations

from torch import Tensor

from ...kernels.norms import wide
from .constants import constants
from .levels import truncated


def brightness(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:  # noqa: ARG001 - one signature for all
    """Return the images with a constant added to the value of HSV, at 8-bit levels.

    The value is the largest channel, and hue and saturation are ratios to it: all channels grow in proportion, and
    black becomes grey. This holds for any number of channels; with one it is addition.

    :param x: float32 (n, c, h, w) in [0, 1], at least 8 x 8 pixels.
    :param ids: int64 (n,) sample ids; nothing here is random.
    :param severity: 1 to 5.
    :param seed: any integer.
    :raises DataError: for smaller images.
    :raises UsageError: for another severity.
    """
    (added,) = constants("brightness", x.shape, severity)
    value = x.amax(1, keepdim=True)
    brighter = (value + added).clamp_(max=1)
    ratio = (x / value.clamp_min(1e-12)).masked_fill_(value == 0, 1.0)
    return truncated(ratio.mul_(brighter))


def contrast(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:  # noqa: ARG001 - one signature for all
    """Return the images drawn towards the mean of each channel, at 8-bit levels.

    Parameters and errors are those of :func:`brightness`. The mean is summed in float64; where it falls on the edge
    between two levels, batches may differ by that level.
    """
    (kept,) = constants("contrast", x.shape, severity)
    mean = x.mean((2, 3), keepdim=True, dtype=wide(x.device)).to(x.dtype)
    return truncated((x - mean).mul_(kept).add_(mean))
