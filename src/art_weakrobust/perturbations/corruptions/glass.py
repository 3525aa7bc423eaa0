"""Glass blur (Hendrycks and Dietterich, arXiv 1903.12261), keyed by (seed, sample id, severity)."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from ...kernels import keyed
from ...kernels.norms import wide
from .blocks import blocks
from .constants import constants
from .entry import corruption
from .gaussian import gaussian_filter
from .levels import truncated

_BITS = 24  # of a hash that choose a move


@corruption
def glass_blur(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:
    """Return the images blurred, their pixels moved about, and blurred again, at 8-bit levels.

    The originals mean to swap each pixel with a random one near it. As their swap works on views of one array, it
    copies: the near one stays as it is, and some pixels are lost. This is followed.

    Parameters and errors are those of :class:`.entry.Checked`.
    """
    sigma, reach, rounds = constants("glass_blur", x.shape, severity)
    purpose = keyed.derive(seed, "glass_blur")
    shattered = torch.empty_like(x)
    for block in blocks(x):
        sources = _sources(ids[block], severity, x.shape[-2:], round(reach), round(rounds), purpose)
        planes = truncated(gaussian_filter(x[block].to(wide(x.device)), sigma)).flatten(2)
        moved = planes.gather(2, sources.unsqueeze(1).expand_as(planes)).view(x[block].shape)
        shattered[block] = gaussian_filter(moved, sigma)
    return shattered


def _sources(ids: Tensor, severity: int, shape: tuple[int, ...], reach: int, rounds: int, seed: int) -> Tensor:
    """Return which pixel each pixel ends up with, int64 (n, h * w) positions in the image.

    :param reach: a pixel is taken from ``-reach`` to ``reach - 1`` rows and columns away.
    :param rounds: how often all are moved.
    """
    height, width = shape
    moves, movable = _moves(height, width, reach, ids.device)
    drawn = keyed.bits(ids, severity, (rounds, height * width), seed)
    drawn.bitwise_right_shift_(32 - _BITS).bitwise_and_(2**_BITS - 1).mul_(len(moves)).bitwise_right_shift_(_BITS)
    pixels = torch.arange(len(ids) * height * width, device=ids.device).view(len(ids), height * width)
    sources = pixels.flatten()
    for choice in drawn.unbind(1):
        steps = moves.index_select(0, choice.flatten()).view_as(pixels).mul_(movable)
        sources = sources.index_select(0, _followed(pixels, steps, movable))
    return sources.view_as(pixels).sub_(pixels[:, :1])


def _followed(pixels: Tensor, steps: Tensor, movable: Tensor) -> Tensor:
    """Return where the value that a round gives each pixel was before it, int64 (n * h * w,).

    The originals go from the last pixel to the first. A source further on in the image has thus been overwritten before
    it is copied, and what counts is its own source. These chains are followed by doubling: every step goes as far as
    all steps before it.

    :param pixels: positions of all images' pixels, int64 (n, h * w).
    :param steps: from each to its source, likewise.
    :param movable: 1 for pixels that are overwritten, otherwise 0, int64 (h * w,).
    """
    sources = (pixels + steps).flatten()
    later = (steps > 0).flatten()
    pending = later.nonzero().squeeze(1)
    chained = torch.zeros_like(later)
    chained[pending] = movable[sources[pending] % len(movable)] > 0
    pending = pending[chained[pending]]
    while len(pending):
        through = sources[pending]
        sources[pending] = sources[through]
        chained[pending] = chained[through]
        pending = pending[chained[pending]]
    return sources


@lru_cache(maxsize=16)
def _moves(height: int, width: int, reach: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return moves, as differences of positions int64 (4 * reach^2,), and 1 for pixels that move, int64 (h * w,)."""
    with torch.inference_mode(False):
        away = torch.arange(-reach, reach, device=device)
        movable = torch.zeros(height, width, dtype=torch.int64, device=device)
        movable[reach + 1 : height - reach + 1, reach + 1 : width - reach + 1] = 1
        return (away.unsqueeze(1) * width + away).flatten(), movable.flatten()
