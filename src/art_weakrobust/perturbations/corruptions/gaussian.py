"""The Gaussian filter of scipy and scikit-image, as matrix products."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

_TILE = 32  # lines made by one product: it leaves out those that are out of their reach


def gaussian_filter(x: Tensor, sigma: float, *, truncate: float = 4.0, mode: str = "nearest") -> Tensor:
    """Return planes (..., h, w) under a Gaussian, in their type: in float64 no batch size shows at 8-bit levels.

    Borders are part of the matrices: a wide Gaussian costs no more for reaching far beyond the image.

    :param x: floating point.
    :param sigma: standard deviation in pixels.
    :param truncate: where the Gaussian is cut off, in standard deviations.
    :param mode: ``nearest`` repeats the outermost pixels, ``reflect`` mirrors the image at their outer edges.
    """
    height, width = x.shape[-2:]
    reach = int(truncate * sigma + 0.5)
    down, across = (_matrix(size, sigma, reach, mode, x.device, x.dtype) for size in (height, width))
    rows = x.reshape(-1, width)
    smooth = torch.empty_like(rows)
    for tile, near in _tiles(width, reach):
        torch.mm(rows[:, near], across[tile, near].T, out=smooth[:, tile])
    planes = smooth.view(-1, height, width)
    blurred = torch.empty_like(planes)
    for tile, near in _tiles(height, reach):
        torch.bmm(down[tile, near].expand(len(planes), -1, -1), planes[:, near], out=blurred[:, tile])
    return blurred.view(x.shape)


def _tiles(size: int, reach: int) -> Iterator[tuple[slice, slice]]:
    """Yield lines, a tile at a time, and those that they depend on."""
    for start in range(0, size, _TILE):
        yield slice(start, start + _TILE), slice(max(start - reach, 0), start + _TILE + reach)


@lru_cache(maxsize=64)
def _matrix(size: int, sigma: float, reach: int, mode: str, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the filter of one dimension, borders included: (size, size), rows are outputs."""
    taps = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (taps / sigma) ** 2) if reach else np.ones(1)
    places = np.arange(size)[:, None] + taps
    if mode == "nearest":
        places = places.clip(0, size - 1)
    else:
        places = places % (2 * size)
        places = np.minimum(places, 2 * size - 1 - places)
    matrix = np.zeros((size, size))
    np.add.at(matrix, (np.arange(size)[:, None], places), weights / weights.sum())
    with torch.inference_mode(False):
        return torch.from_numpy(matrix).to(device, dtype)
