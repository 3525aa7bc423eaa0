"""Gaussian, shot, impulse and speckle noise (Hendrycks and Dietterich, arXiv 1903.12261).

Every draw is a function of (seed, sample id, severity). Indices into tables, sums and products decide, never a device's
``log``: the noise is the same everywhere.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from scipy.stats import poisson
from torch import Tensor

from ...kernels import keyed
from .constants import constants
from .entry import corruption
from .levels import to_levels

_BITS = 24  # of a hash that choose a value: probabilities are multiples of 2^-24
_CELL_BITS = 8  # of those that choose a cell of a Poisson table
_REST_BITS = _BITS - _CELL_BITS
_CROWDED = -1  # marks a cell in which more than one count begins


@corruption
def gaussian_noise(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:
    """Return the images with normal noise, at 8-bit levels.

    Parameters and errors are those of :class:`.entry.Checked`.
    """
    (sigma,) = constants("gaussian_noise", x.shape, severity)
    noise = keyed.normal(ids, severity, x.shape[1:], keyed.derive(seed, "gaussian_noise"))
    return noise.mul_(sigma).add_(x)


@corruption
def speckle_noise(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:
    """Return the images with normal noise in proportion to each pixel, at 8-bit levels.

    Parameters and errors are those of :class:`.entry.Checked`.
    """
    (sigma,) = constants("speckle_noise", x.shape, severity)
    noise = keyed.normal(ids, severity, x.shape[1:], keyed.derive(seed, "speckle_noise"))
    return noise.mul_(sigma).add_(1).mul_(x)


@corruption
def impulse_noise(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:
    """Return the images with salt and pepper: a share of the values, not of the pixels, becomes 1 or 0 at even odds.

    One draw decides both: its upper 24 bits whether, its lowest bit which. Parameters and errors are those of
    :class:`.entry.Checked`.
    """
    (share,) = constants("impulse_noise", x.shape, severity)
    drawn = keyed.bits(ids, severity, x.shape[1:], keyed.derive(seed, "impulse_noise"))
    salt = drawn.bitwise_and(1)
    replaced = drawn.bitwise_right_shift_(32 - _BITS) <= int(share * 2**_BITS) - 2 ** (_BITS - 1)
    return torch.where(replaced, salt.to(x.dtype), x)


@corruption
def shot_noise(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:
    """Return the images as a sensor counts them, ``Poisson(x * c) / c``, at 8-bit levels.

    Pixels are read at 8-bit levels: the inverse distribution function of each of the 256 intensities is a table of
    integers, exact to 2^-24, so that every device counts the same photons. Parameters and errors are those of
    :class:`.entry.Checked`.
    """
    (photons,) = constants("shot_noise", x.shape, severity)
    drawn = keyed.bits(ids, severity, x.shape[1:], keyed.derive(seed, "shot_noise"))
    drawn.bitwise_right_shift_(32 - _BITS).bitwise_and_(2**_BITS - 1)
    counts = _counted(to_levels(x).flatten(), drawn.flatten(), _poisson_table(photons, x.device))
    return counts.view(x.shape).to(x.dtype).div_(photons)


class _PoissonTable(NamedTuple):
    """The inverse distribution functions of all 256 levels.

    :ivar cells: int32 (256 * cells,): the count at a cell's start, times 2^17, plus how far into the cell the next one
        begins; or ``_CROWDED``.
    :ivar steps: int64 (256 * width,), rising: where each count ends, level by level.
    :ivar width: counts of a level.
    """

    cells: Tensor
    steps: Tensor
    width: int


def _counted(level: Tensor, drawn: Tensor, table: _PoissonTable) -> Tensor:
    """Return how many photons each 24-bit draw stands for, int32 (m,): by its cell, by search where that is crowded."""
    cell = table.cells.index_select(0, (level << _CELL_BITS).add_(drawn >> _REST_BITS))
    rest = drawn.bitwise_and(2**_REST_BITS - 1)
    counts = (cell >> (_REST_BITS + 1)).add_(rest >= cell.bitwise_and(2 ** (_REST_BITS + 1) - 1))
    crowded = (cell == _CROWDED).nonzero().squeeze(1)
    if len(crowded):
        where = level[crowded].long()
        place = torch.searchsorted(table.steps, (where << _BITS) + drawn[crowded], right=True)
        counts[crowded] = (place - where * table.width).int()
    return counts


@lru_cache(maxsize=16)
def _poisson_table(photons: float, device: torch.device) -> _PoissonTable:
    width = int(poisson.isf(2.0 ** -(_BITS + 1), photons)) + 2
    rates = np.arange(256) / 255 * photons
    steps = np.round(poisson.cdf(np.arange(width)[None], rates[:, None]) * 2**_BITS).astype(np.int64)
    steps += np.arange(256, dtype=np.int64)[:, None] << _BITS
    steps = steps.ravel()
    starts = np.arange(256 << _CELL_BITS, dtype=np.int64) << _REST_BITS
    first, last = (np.searchsorted(steps, place, side="right") for place in (starts, starts + 2**_REST_BITS - 1))
    into = np.minimum(steps[np.minimum(first, len(steps) - 1)] - starts, 2**_REST_BITS)
    counts = first - (starts >> _BITS) * width
    cells = np.where(last - first > 1, _CROWDED, (counts << (_REST_BITS + 1)) + into).astype(np.int32)
    with torch.inference_mode(False):
        return _PoissonTable(torch.from_numpy(cells).to(device), torch.from_numpy(steps).to(device), width)
