"""Pixelate (Hendrycks and Dietterich, arXiv 1903.12261)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from .constants import constants
from .levels import to_levels

_BITS = 22  # Pillow's fixed point: 32 bits less 8 of the pixel less 2 of room


def pixelate(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:  # noqa: ARG001 - one signature for all
    """Return the images made small and large again with Pillow's box filter, bit for bit as Pillow does it.

    :param x: float32 (n, c, h, w) in [0, 1], at least 8 x 8 pixels; read at 8-bit levels.
    :param ids: int64 (n,) sample ids; nothing here is random.
    :param severity: 1 to 5.
    :param seed: any integer.
    :raises DataError: for smaller images.
    :raises UsageError: for another severity.
    """
    (ratio,) = constants("pixelate", x.shape, severity)
    height, width = x.shape[-2:]
    levels = to_levels(x)
    for size_of in (lambda side: int(side * ratio), lambda side: side):
        levels = _resized(_resized(levels, 3, size_of(width)), 2, size_of(height))
    return levels.to(torch.float32).div_(255)


def _resized(levels: Tensor, dim: int, size: int) -> Tensor:
    """Return the levels with one dimension resized: box averages in fixed point, rounded to levels."""
    taps, weights = _box(levels.shape[dim], size, levels.device)
    shape = [size if d == dim else 1 for d in range(4)]
    total = torch.full((), 1 << (_BITS - 1), dtype=torch.int32, device=levels.device)
    for tap, weight in zip(taps, weights, strict=True):
        total = total + levels.index_select(dim, tap) * weight.view(shape)
    return (total >> _BITS).clamp_(0, 255)


@lru_cache(maxsize=64)
def _box(before: int, after: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return source positions int64 and fixed-point weights int32, both (taps, after), of a box filter.

    An output pixel is the mean of the source pixels whose centres lie in its footprint (lower edge in, upper edge out);
    when enlarging, of the one that it lies in.
    """
    scale = before / after
    centre = (np.arange(after) + 0.5) * scale
    support = 0.5 * max(scale, 1.0)
    first = np.maximum((centre - support + 0.5).astype(np.int64), 0)
    last = np.minimum((centre + support + 0.5).astype(np.int64), before)
    taps = first[None] + np.arange(int((last - first).max()))[:, None]
    offset = (taps - centre + 0.5) / max(scale, 1.0)
    inside = (taps < last) & (offset > -0.5) & (offset <= 0.5)
    weights = np.where(inside, np.floor(2.0**_BITS / inside.sum(0) + 0.5), 0).astype(np.int32)
    with torch.inference_mode(False):
        return torch.from_numpy(np.minimum(taps, before - 1)).to(device), torch.from_numpy(weights).to(device)
