"""Snow (Hendrycks and Dietterich, arXiv 1903.12261), keyed by (seed, sample id, severity)."""

from __future__ import annotations

import torch
from torch import Tensor

from ...kernels import keyed
from .constants import constants
from .entry import corruption
from .levels import luma, truncated
from .motion import motion_filter
from .resample import zoomed


@corruption
def snow(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:
    """Return the images whitened, with flakes that fall and, turned by half a circle, fall once more; at 8-bit levels.

    Parameters and errors are those of :class:`.entry.Checked`.
    """
    mean, deviation, zoom, threshold, radius, sigma, kept = constants("snow", x.shape, severity)
    purpose = keyed.derive(seed, "snow")
    flakes = keyed.normal(ids, severity, x.shape[-2:], keyed.derive(purpose, "flakes")).mul_(deviation).add_(mean)
    flakes = zoomed(flakes, zoom)
    flakes = truncated(flakes.masked_fill_(flakes < threshold, 0)).unsqueeze(1)
    angles = keyed.symmetric(ids, severity, (), keyed.derive(purpose, "angle"), 45.0).sub_(90)
    flakes = motion_filter(flakes, angles, radius, sigma).mul_(255).round_().div_(255)
    white = torch.maximum(x, luma(x).mul_(1.5).add_(0.5))
    return torch.lerp(white, x, kept).add_(flakes).add_(flakes.flip((2, 3)))
