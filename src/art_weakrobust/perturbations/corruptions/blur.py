"""Defocus blur (Hendrycks and Dietterich, arXiv 1903.12261)."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ...kernels.norms import wide
from .constants import constants
from .levels import to_levels, truncated

_NOTHING = 1e-18  # weights below this are left out: 8-bit levels do not see them


def defocus_blur(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:  # noqa: ARG001 - one signature for all
    """Return the images blurred by a disk with a smoothed edge, mirrored at the borders, at 8-bit levels.

    Pixels are read at 8-bit levels and summed in float64, as in the original: many sums lie so close to a level that
    float32 would cut them to another one.

    :param x: float32 (n, c, h, w) in [0, 1], at least 8 x 8 pixels.
    :param ids: int64 (n,) sample ids; nothing here is random.
    :param severity: 1 to 5.
    :param seed: any integer.
    :raises DataError: for smaller images.
    :raises UsageError: for another severity.
    """
    kernel = _disk(*constants("defocus_blur", x.shape, severity))
    reach = len(kernel) // 2
    height, width = x.shape[-2:]
    planes = pad(to_levels(x).to(wide(x.device)), (reach, reach, reach, reach), mode="reflect")
    blurred = torch.zeros(x.shape, dtype=planes.dtype, device=x.device)
    for (row, column), weight in np.ndenumerate(kernel):  # by taps: twice as fast as conv2d in float32, and exact
        if weight:
            blurred.add_(planes[..., row : row + height, column : column + width], alpha=float(weight))
    return truncated(blurred.div_(255)).to(x.dtype)


@lru_cache(maxsize=32)
def _disk(radius: float, edge: float) -> np.ndarray:
    """Return the kernel (k, k): a disk of that radius under a Gaussian of 3 taps (5 above 8 px)."""
    reach = max(8, math.ceil(radius))
    axis = np.arange(-reach, reach + 1)
    disk = ((axis[:, None] ** 2 + axis[None] ** 2) <= radius**2).astype(np.float64)
    disk /= disk.sum()
    taps = 1 if radius <= 8 else 2
    weight = np.exp(-(np.arange(-taps, taps + 1) ** 2) / (2 * edge**2))
    weight /= weight.sum()
    for axis_number in (0, 1):
        # the disk may touch the rim of its grid, where the originals' filter mirrors it
        around = [(taps, taps) if number == axis_number else (0, 0) for number in (0, 1)]
        mirrored = np.pad(disk, around, mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(mirrored, 2 * taps + 1, axis=axis_number)
        disk = windows @ weight
    cut = int(np.flatnonzero((disk > _NOTHING).any(0))[0])
    disk = disk[cut : len(disk) - cut, cut : len(disk) - cut]
    return np.where(disk > _NOTHING, disk, 0.0)
