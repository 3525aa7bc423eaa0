"""The blur of a lens out of focus: a disk whose edge is smoothed, as OpenCV makes and applies it.

A disk is a pile of runs, one a row, and a run is the difference of two running totals: it costs one addition a row,
whatever its length, and on 8-bit levels all of them are exact. Only the smoothed edge needs fractions.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad

from ...kernels.norms import wide
from .blocks import blocks

_GRID = 8  # the disk is drawn on a grid that reaches at least this far
_NOTHING = 1e-12  # weights below this are left out: 8-bit levels do not see them


def disk_filter(levels: Tensor, radius: float, edge: float) -> Tensor:
    """Return planes (n, c, h, w) under the disk, mirrored at the centres of the outermost pixels, in float64.

    :param levels: floating point integers, 0 to 255.
    :param radius: of the disk, in pixels.
    :param edge: standard deviation of the Gaussian that smooths it: 3 taps up to a radius of 8, otherwise 5.
    """
    disk = _disk(radius, edge)
    blurred = torch.empty(levels.shape, dtype=wide(levels.device), device=levels.device)
    for block in blocks(levels, copies=16):
        _blur(levels[block], disk, blurred[block])
    return blurred.div_(disk.pixels)


class _Disk(NamedTuple):
    """A disk and what smooths its edge; rows are counted from its centre.

    :ivar rows: half the length of a run -> the rows that have it.
    :ivar reach: its last row.
    :ivar pixels: how many it has.
    :ivar taps: weights of the smoothing, an odd number.
    :ivar rim: half the length of a run -> rows that get it, too, and its weight there: the smoothing mirrors the grid
        at its rim, which a disk as large as the grid touches.
    """

    rows: Mapping[int, list[int]]
    reach: int
    pixels: int
    taps: list[float]
    rim: Mapping[int, list[tuple[int, float]]]


def _blur(levels: Tensor, disk: _Disk, out: Tensor) -> None:
    """Fill ``out`` with the sums over the disk."""
    height, width = levels.shape[-2:]
    spill = len(disk.taps) // 2
    reach = disk.reach + spill
    padded = pad(levels, (reach,) * 4, mode="reflect")
    totals = [pad(padded, side).cumsum(dim) for side, dim in (((1, 0), 3), ((0, 0, 1, 0), 2))]

    def run(half: int, dim: int) -> Tensor:
        size = levels.shape[dim] + 2 * spill
        ends = (totals[3 - dim].narrow(dim, start, size) for start in (disk.reach + half + 1, disk.reach - half))
        return torch.sub(*ends)

    piled = levels.new_zeros((*levels.shape[:2], height + 2 * spill, width + 2 * spill))
    for half, rows in disk.rows.items():
        along = run(half, 3)
        for row in rows:
            piled.add_(along.narrow(2, disk.reach + row, height + 2 * spill))
    piled = _slices(2, height, ((piled.to(out.dtype), tap, weight) for tap, weight in enumerate(disk.taps)))
    sides = []
    for half, places in disk.rim.items():
        runs = run(half, 3), run(half, 2)
        sides += [(runs, reach + row, weight) for row, weight in places]
    if sides:
        piled += _slices(2, height, ((runs[0], start, weight) for runs, start, weight in sides))
    out.copy_(_slices(3, width, ((piled, tap, weight) for tap, weight in enumerate(disk.taps))))
    if sides:
        beside = _slices(3, width, ((runs[1], start, weight) for runs, start, weight in sides))
        out.add_(_slices(2, height, ((beside, tap, weight) for tap, weight in enumerate(disk.taps))))


def _slices(dim: int, size: int, terms: Iterable[tuple[Tensor, int, float]]) -> Tensor:
    """Return the weighted sum of slices of one size along a dimension, each with its start."""
    (planes, start, weight), *others = terms
    total = planes.narrow(dim, start, size) * weight
    for planes, start, weight in others:
        total.add_(planes.narrow(dim, start, size), alpha=weight)
    return total


@lru_cache(maxsize=32)
def _disk(radius: float, edge: float) -> _Disk:
    reach, grid = math.floor(radius), max(_GRID, math.ceil(radius))
    halves = {row: math.isqrt(math.floor(radius**2 - row**2)) for row in range(-reach, reach + 1)}
    rows: dict[int, list[int]] = defaultdict(list)
    for row, half in halves.items():
        rows[half].append(row)
    spill = 1 if radius <= 8 else 2
    taps = np.exp(-(np.arange(-spill, spill + 1) ** 2) / (2 * edge**2))
    taps = taps[taps > _NOTHING * taps.sum()] / taps.sum()
    spill = len(taps) // 2
    rim: dict[int, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for place in range(-reach - spill, reach + spill + 1):
        for row, weight in enumerate(taps.tolist(), place - spill):
            mirrored = int(math.copysign(2 * grid, row)) - row
            if abs(place) > grid and row in halves:
                rim[halves[row]][place] -= weight  # the smoothing stays on the grid
            elif abs(place) <= grid < abs(row) and mirrored in halves:
                rim[halves[mirrored]][place] += weight
    pixels = sum(2 * half + 1 for half in halves.values())
    return _Disk(dict(rows), reach, pixels, taps.tolist(), {half: list(found.items()) for half, found in rim.items()})
