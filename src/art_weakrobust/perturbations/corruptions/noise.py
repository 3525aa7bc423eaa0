"""Gaussian and shot noise (Hendrycks and Dietterich, arXiv 1903.12261), keyed by (seed, sample id, severity)."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import torch
from scipy.stats import poisson
from torch import Tensor

from ...kernels import keyed
from .constants import constants
from .levels import to_levels, truncated

_UNIT = 1 << 24  # keyed numbers are multiples of 2^-24: probabilities are counted in these


def gaussian_noise(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:
    """Return the images with normal noise, at 8-bit levels.

    :param x: float32 (n, c, h, w) in [0, 1], at least 8 x 8 pixels.
    :param ids: int64 (n,) sample ids.
    :param severity: 1 to 5.
    :param seed: any integer.
    :raises DataError: for smaller images.
    :raises UsageError: for another severity.
    """
    (sigma,) = constants("gaussian_noise", x.shape, severity)
    noise = keyed.normal(ids, severity, x.shape[1:], keyed.derive(seed, "gaussian_noise"))
    return truncated(noise.mul_(sigma).add_(x))


def shot_noise(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:
    """Return the images as a sensor counts them, ``Poisson(x * c) / c``, at 8-bit levels.

    Pixels are read at 8-bit levels: the inverse distribution function of each of the 256 intensities is a table of
    integers, exact to 2^-24, so that every device counts the same photons. Parameters and errors are those of
    :func:`gaussian_noise`.
    """
    (photons,) = constants("shot_noise", x.shape, severity)
    table, width = _poisson_table(photons, x.device)
    drawn = keyed.bits(ids, severity, x.shape[1:], keyed.derive(seed, "shot_noise"))
    level = to_levels(x).long()
    place = level * _UNIT + drawn.bitwise_right_shift_(8).bitwise_and_(_UNIT - 1)
    counts = torch.searchsorted(table, place, right=True).sub_(level * width)
    return truncated(counts.to(torch.float32).div_(photons))


@lru_cache(maxsize=16)
def _poisson_table(photons: float, device: torch.device) -> tuple[Tensor, int]:
    """Return the distribution functions of all levels, one rising int64 table, and how many entries a level has."""
    width = int(poisson.isf(2.0**-25, photons)) + 2
    rates = np.arange(256) / 255 * photons
    steps = np.round(poisson.cdf(np.arange(width)[None], rates[:, None]) * _UNIT).astype(np.int64)
    steps += np.arange(256, dtype=np.int64)[:, None] * _UNIT
    with torch.inference_mode(False):
        return torch.from_numpy(steps.ravel()).to(device), width
