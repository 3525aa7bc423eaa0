"""Linear interpolation along one dimension, and the zoom of snow and zoom blur built on it."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


def linear(x: Tensor, dim: int, positions: np.ndarray) -> Tensor:
    """Return ``x`` read between its places: for each position, the weighted mean of the two places around it.

    :param x: floating point, any shape.
    :param dim: the dimension to interpolate along.
    :param positions: float64 (m,) in places; those off the ends read the end.
    """
    low = np.clip(np.floor(positions), 0, max(x.shape[dim] - 2, 0))
    shape = [-1 if d == dim % x.dim() else 1 for d in range(x.dim())]
    share = torch.from_numpy(np.clip(positions - low, 0, 1)).to(x.device, x.dtype).view(shape)
    near = torch.from_numpy(low.astype(np.int64)).to(x.device)
    far = (near + 1).clamp_max_(x.shape[dim] - 1)
    return torch.lerp(x.index_select(dim, near), x.index_select(dim, far), share)


def zoomed(x: Tensor, factor: float, dims: tuple[int, int] = (-2, -1)) -> Tensor:
    """Return the middle of planes enlarged to their old size: first lines on first lines, last on last.

    ``ceil(h / factor)`` lines are enlarged to ``round(factor * that)`` as ``scipy.ndimage.zoom(order=1)`` does it, and
    what is too many is cut off evenly.

    :param x: floating point, any shape.
    :param factor: 1 or more.
    :param dims: the planes' height and width.
    """
    if factor == 1:
        return x
    for dim in dims:
        x = linear(x, dim, _places(x.shape[dim], factor))
    return x


@lru_cache(maxsize=256)
def _places(size: int, factor: float) -> np.ndarray:
    """Return where each of ``size`` lines is read after a zoom, float64 (size,)."""
    kept = math.ceil(size / factor)
    enlarged = round(kept * factor)
    first = (size - kept) // 2
    cut = (enlarged - size) // 2
    return first + np.arange(cut, cut + size) * (kept - 1) / (enlarged - 1)
