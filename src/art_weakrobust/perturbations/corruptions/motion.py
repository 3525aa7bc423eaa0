"""The motion blur of ImageMagick, which blurs motion and makes snow fall, each sample at its own angle."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import pad

from ...kernels.norms import wide
from .blocks import blocks


def motion_filter(planes: Tensor, angles: Tensor, radius: float, sigma: float) -> Tensor:
    """Return planes averaged along a line that starts at each pixel: half a Gaussian, nearest pixels, borders repeated.

    :param planes: float32 (n, c, h, w).
    :param angles: (n,) in degrees: 0 looks to the right of a pixel, 90 below it.
    :param radius: the line has ``2 * ceil(radius) + 1`` pixels.
    :param sigma: standard deviation of the Gaussian, in pixels.
    """
    taps = 2 * math.ceil(radius) + 1
    weights = [math.exp(-((tap / sigma) ** 2) / 2) for tap in range(taps)]
    turned = torch.deg2rad(angles.to(wide(angles.device)))
    along = torch.arange(taps, device=turned.device, dtype=turned.dtype).unsqueeze(1)
    # the reference's rounding: halves go down
    rows, columns = ((along * turn - 0.5).ceil().long().add_(taps - 1) for turn in (turned.sin(), turned.cos()))
    weights = [weight / sum(weights) for weight in weights]
    blurred = torch.empty_like(planes)
    for block in blocks(planes):
        _sum_of_moved(planes[block], rows[:, block], columns[:, block], weights, blurred[block])
    return blurred


def _sum_of_moved(planes: Tensor, rows: Tensor, columns: Tensor, weights: list[float], out: Tensor) -> None:
    """Fill ``out`` with the weighted sum of the planes moved by (rows, columns), both (taps, n), offset by taps - 1."""
    height, width = planes.shape[-2:]
    samples = torch.arange(len(planes), device=planes.device)
    padded = pad(planes, (len(weights) - 1,) * 4, mode="replicate")
    windows = padded.unfold(2, height, 1).unfold(3, width, 1)  # a view: the planes moved by any number of pixels
    torch.mul(planes, weights[0], out=out)
    for row, column, weight in zip(rows[1:], columns[1:], weights[1:], strict=True):
        out.add_(windows[samples, :, row, column], alpha=weight)
