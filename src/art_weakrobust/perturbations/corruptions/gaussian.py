"""The Gaussian filter of scipy and scikit-image, as two matrix products."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor


def gaussian_filter(x: Tensor, sigma: float, *, truncate: float = 4.0, mode: str = "nearest") -> Tensor:
    """Return planes (..., h, w) under a Gaussian, in their type: in float64 no batch size shows at 8-bit levels.

    Borders are part of the matrices: any width of the Gaussian costs the same, however far it reaches beyond the image.

    :param x: floating point.
    :param sigma: standard deviation in pixels.
    :param truncate: where the Gaussian is cut off, in standard deviations.
    :param mode: ``nearest`` repeats the outermost pixels, ``reflect`` mirrors the image at their outer edges.
    """
    height, width = x.shape[-2:]
    down, across = (_matrix(size, sigma, truncate, mode, x.device, x.dtype) for size in (height, width))
    return down @ (x @ across.T)


@lru_cache(maxsize=64)
def _matrix(size: int, sigma: float, truncate: float, mode: str, device: torch.device, dtype: torch.dtype) -> Tensor:
    """Return the filter of one dimension, borders included: (size, size), rows are outputs."""
    reach = int(truncate * sigma + 0.5)
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
