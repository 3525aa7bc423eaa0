"""Pixelate (Hendrycks and Dietterich, arXiv 1903.12261)."""

from __future__ import annotations

import math
from functools import lru_cache, partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from .apply import check_pixels
from .constants import constants
from .entry import in_threads_corruption
from .in_threads import eight_bits, in_threads
from .levels import to_levels

_LARGE = 64 * 64  # pixels of a plane
_BITS = 22  # Pillow's fixed point: 32 bits less 8 of the pixel less 2 of room


@in_threads_corruption
def pixelate(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:  # noqa: ARG001 - one signature for all
    """Return the images made small and large again with Pillow's box filter, bit for bit as Pillow does it.

    Parameters and errors are those of :class:`.entry.Checked`.
    """
    (ratio,) = constants("pixelate", x.shape, severity)
    if x.device.type == "cpu" and x.shape[2] * x.shape[3] >= _LARGE:
        return in_threads(x, partial(_pixelated, ratio=ratio))
    check_pixels(x, ids, "pixelate")
    levels = to_levels(x, torch.uint8)
    for dim in (3, 2):  # Pillow rounds to levels after the first
        levels = _shrunk(levels, dim, int(levels.shape[dim] * ratio))
    for dim in (3, 2):
        levels = levels.index_select(dim, _nearest(levels.shape[dim], x.shape[dim], x.device))
    return levels.to(x.dtype).div_(255)


def _pixelated(images: np.ndarray, out: np.ndarray, ratio: float) -> None:
    """Fill ``out`` with the same by Pillow itself: its filter works along rows, of all images (k, c, h, w) at once."""
    height, width = (int(side * ratio) for side in out.shape[2:])
    small = _by_pillow(_by_pillow(eight_bits(images), width).swapaxes(2, 3), height).swapaxes(2, 3)
    rows = _nearest(height, out.shape[2], torch.device("cpu")).numpy()
    columns = _nearest(width, out.shape[3], torch.device("cpu")).numpy()
    wide = np.divide(small, np.float32(255)).take(columns, axis=3)
    wide.take(rows, axis=2, out=out, mode="clip")


def _by_pillow(levels: np.ndarray, width: int) -> np.ndarray:
    """Return uint8 levels (k, c, h, w) with rows of another width, by the box filter."""
    strip = Image.fromarray(np.ascontiguousarray(levels).reshape(-1, levels.shape[3]))
    return np.asarray(strip.resize((width, strip.height), Image.Resampling.BOX)).reshape(*levels.shape[:3], width)


def _shrunk(levels: Tensor, dim: int, size: int) -> Tensor:
    """Return uint8 levels with one dimension made smaller: means over boxes, rounded to levels.

    Sums of levels are integers, and Pillow's fixed-point weights are exact in float32: for boxes of up to 160 pixels
    the means come out as Pillow's.
    """
    taps, counts, weights, ragged = _boxes(levels.shape[dim], size, levels.device)
    shape = [size if d == dim else 1 for d in range(4)]
    total = levels.index_select(dim, taps[0]).to(torch.float32)
    for number, tap in enumerate(taps[1:], 1):
        values = levels.index_select(dim, tap)
        total.add_(values.mul_((counts > number).view(shape)) if number in ragged else values)
    return total.mul_(weights.view(shape)).add_(0.5).to(torch.uint8)


@lru_cache(maxsize=64)
def _boxes(before: int, after: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor, frozenset[int]]:
    """Return source positions int64 (taps, after), how many of them count, their weight, and which do not always.

    An output pixel is the mean of the source pixels whose centres lie in its box (lower edge in, upper edge out).
    """
    scale = before / after
    centre = (np.arange(after) + 0.5) * scale
    places = np.maximum((centre - scale / 2 + 0.5).astype(np.int64), 0) + np.arange(math.ceil(scale) + 1)[:, None]
    offset = (places - centre + 0.5) / scale
    inside = (
        (places < np.minimum((centre + scale / 2 + 0.5).astype(np.int64), before)) & (offset > -0.5) & (offset <= 0.5)
    )
    counts = inside.sum(0)
    first = places[inside.argmax(0), np.arange(after)]
    taps = np.minimum(first + np.arange(counts.max())[:, None], before - 1)
    weights = np.floor(2.0**_BITS / counts + 0.5) / 2.0**_BITS
    ragged = frozenset(range(int(counts.min()), int(counts.max())))
    with torch.inference_mode(False):
        tensors = (torch.from_numpy(taps), torch.from_numpy(counts), torch.from_numpy(weights.astype(np.float32)))
        on_device = [tensor.to(device) for tensor in tensors]
    return on_device[0], on_device[1], on_device[2], ragged


@lru_cache(maxsize=64)
def _nearest(before: int, after: int, device: torch.device) -> Tensor:
    """Return the source pixel in which the centre of each output pixel lies, int64 (after,)."""
    places = np.floor((np.arange(after) + 0.5) * (before / after)).astype(np.int64)
    with torch.inference_mode(False):
        return torch.from_numpy(places).to(device)
