"""Spatter: drops of water or mud on the lens (Hendrycks and Dietterich, arXiv 1903.12261), keyed by (seed, id)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, pad

from ...kernels import keyed
from ...kernels.norms import wide
from .blocks import blocks
from .constants import constants
from .edges import canny, distance
from .entry import corruption
from .gaussian import gaussian_filter
from .levels import luma

_WATER = (175, 238, 238)  # pale turquoise
_MUD = (63, 42, 20)
_FARTHEST = 20  # pixels from a drop's rim beyond which its shade stays the same
_SOLID = 0.8  # where smoothed mud is thinner than this, there is none
_EMBOSS = ((-2, -1, 0), (-1, 1, 1), (0, 1, 2))


@corruption
def spatter(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:
    """Return the images behind drops of water (severities 1 to 3) or mud (4 and 5), at 8-bit levels.

    Drops are where smoothed noise is above a threshold. Water is lit by its distance to the drops' rims; mud covers.
    Noise above 1, which the originals let wrap around to 0, counts as 1; an image without a drop stays as it is.

    Parameters and errors are those of :class:`.entry.Checked`.
    """
    mean, deviation, sigma, threshold, strength, mud = constants("spatter", x.shape, severity)
    height, width = x.shape[-2:]
    noise = keyed.normal(ids, severity, (height, width), keyed.derive(seed, "spatter"))
    liquid = gaussian_filter(noise.to(wide(x.device)).mul_(deviation).add_(mean), sigma)
    liquid.masked_fill_(liquid < threshold, 0)
    if mud:
        cover = gaussian_filter((liquid > threshold).to(liquid.dtype), strength).to(x.dtype).unsqueeze(1)
        cover.masked_fill_(cover < _SOLID, 0)
        return x * (1 - cover) + cover * _colour(_MUD, x)
    levels, light = liquid.clamp_(0, 1).mul_(255).int(), torch.empty_like(x[:, :1])
    for block in blocks(levels, copies=16):
        light[block, 0] = _lit(levels[block])
    return torch.add(x, light * _colour(_WATER, x), alpha=strength)


def _colour(levels: tuple[int, int, int], x: Tensor) -> Tensor:
    """Return the colour for images like ``x``, (1, 3 or 1, 1, 1): its luma where they do not have three channels."""
    colour = torch.tensor(levels, device=x.device, dtype=x.dtype).div_(255).view(1, 3, 1, 1)
    return colour if x.shape[1] == 3 else luma(colour)


def _lit(liquid: Tensor) -> Tensor:
    """Return how much light drops throw, from 0 to 1, float32 (n, h, w).

    Their distance from rims, smoothed, equalised and embossed, times their thickness.

    :param liquid: int32 (n, h, w), 0 to 255.
    """
    far = distance(canny(liquid, 50, 150), _FARTHEST)
    levels = _equalised(_smoothed(far).floor_())
    around = _mirrored(levels).squeeze(1)
    embossed = torch.zeros_like(levels)
    for row, weights in enumerate(_EMBOSS):
        for column, weight in enumerate(weights):
            height, width = levels.shape[-2:]
            embossed.add_(around[:, row : row + height, column : column + width], alpha=weight)
    embossed.clamp_(0, 255)
    light = liquid * _smoothed(embossed).round_()
    return light.div_(light.amax((1, 2), keepdim=True).clamp_min_(1))


def _mirrored(planes: Tensor) -> Tensor:
    return pad(planes.unsqueeze(1), (1, 1, 1, 1), mode="reflect")


def _smoothed(planes: Tensor) -> Tensor:
    """Return the means of 3 x 3 pixels, mirrored at the borders."""
    return avg_pool2d(_mirrored(planes), 3, stride=1).squeeze(1)


def _equalised(levels: Tensor) -> Tensor:
    """Return levels spread so that their histogram is even, the least of a plane becoming 0, as OpenCV does it.

    :param levels: float32 (n, h, w), integers 0 to 20.
    """
    n, height, width = levels.shape
    places = levels.long().flatten(1)
    counts = places.new_zeros(n, _FARTHEST + 1).scatter_add_(1, places, torch.ones_like(places))
    least = places.amin(1, keepdim=True)
    above = (counts.cumsum(1) - counts.gather(1, least)).clamp_min_(0)
    total = height * width - counts.gather(1, least)
    table = (above * (255.0 / total.clamp_min(1))).round_()
    table = torch.where(total == 0, least.to(table.dtype), table)  # a plain plane stays
    return table.gather(1, places).view(n, height, width).to(levels.dtype)
