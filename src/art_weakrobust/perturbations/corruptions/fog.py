"""Fog: a plasma fractal over the image (Hendrycks and Dietterich, arXiv 1903.12261), keyed by (seed, id, severity)."""

from __future__ import annotations

import torch
from torch import Tensor

from ...kernels import keyed
from .constants import constants
from .entry import corruption

_WIBBLE = 100.0  # what a height of the coarsest square is moved by, as the root of it


@corruption
def fog(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:
    """Return the images under a plasma fractal, dimmed so that their brightest pixel stays in range, at 8-bit levels.

    The fractal's map is square, with the next power of two above the longer side; the image sees its upper left part.

    Parameters and errors are those of :class:`.entry.Checked`.
    """
    amount, decay = constants("fog", x.shape, severity)
    height, width = x.shape[-2:]
    side = 1 << (max(height, width) - 1).bit_length()
    draws = keyed.symmetric(ids, severity, (side, side), keyed.derive(seed, "fog"))
    mist = _plasma(draws, decay)[:, None, :height, :width]
    brightest = x.amax((1, 2, 3), keepdim=True)
    return torch.add(x, mist, alpha=amount).mul_(brightest / (brightest + amount))


def _plasma(draws: Tensor, decay: float) -> Tensor:
    """Return height maps (n, side, side) from 0 to 1 by the diamond-square algorithm on a torus.

    Every place is set once, to the mean of four neighbors plus its draw; a level of the grid at a time, for all samples
    at once, so that a place's draw is its lane.

    :param draws: float32 (n, side, side) in [-1, 1), ``side`` a power of two.
    :param decay: what the wibble is divided by from one level to the next, finer one.
    """
    n, side, _ = draws.shape
    heights = draws.new_zeros(n, 1, 1)
    wibble = _WIBBLE
    for cells in (1 << level for level in range(side.bit_length() - 1)):
        half = side // cells // 2
        noise = draws[:, ::half, ::half].mul(wibble**2).view(n, cells, 2, cells, 2)
        finer = torch.empty_like(noise)
        pairs = heights + heights.roll(-1, 1)
        squares = (pairs + pairs.roll(-1, 2)).mul_(0.25).add_(noise[:, :, 1, :, 1])
        across = (heights + heights.roll(-1, 2)).add_(squares).add_(squares.roll(1, 1))
        down = pairs.add_(squares).add_(squares.roll(1, 2))
        finer[:, :, 0, :, 0] = heights
        finer[:, :, 1, :, 1] = squares
        torch.add(noise[:, :, 0, :, 1], across, alpha=0.25, out=finer[:, :, 0, :, 1])
        torch.add(noise[:, :, 1, :, 0], down, alpha=0.25, out=finer[:, :, 1, :, 0])
        heights = finer.view(n, 2 * cells, 2 * cells)
        wibble /= decay
    low, high = heights.amin((1, 2), keepdim=True), heights.amax((1, 2), keepdim=True)
    return heights.sub_(low).div_(high - low)
