"""Defocus, motion, zoom and Gaussian blur (Hendrycks and Dietterich, arXiv 1903.12261)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ...kernels import keyed
from ...kernels.norms import wide
from .blocks import blocks
from .constants import constants
from .disk import disk_filter
from .entry import corruption
from .gaussian import gaussian_filter
from .levels import to_levels
from .motion import motion_filter
from .resample import zoomed


@corruption
def defocus_blur(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:  # noqa: ARG001 - one signature for all
    """Return the images blurred by a disk with a smoothed edge, mirrored at the borders; read and made at 8-bit levels.

    Parameters and errors are those of :class:`.entry.Checked`.
    """
    radius, edge = constants("defocus_blur", x.shape, severity)
    # in float64 until it is cut down: a disk of five pixels leaves a fifth of the sums a hair from a level
    return disk_filter(to_levels(x, x.dtype), radius, edge).div_(255)


@corruption
def gaussian_blur(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:  # noqa: ARG001 - one signature for all
    """Return the images under a Gaussian, the outermost pixels repeated, at 8-bit levels.

    Parameters and errors are those of :class:`.entry.Checked`.
    """
    (sigma,) = constants("gaussian_blur", x.shape, severity)
    blurred = torch.empty_like(x)
    for block in blocks(x):
        blurred[block] = gaussian_filter(x[block].to(wide(x.device)), sigma)
    return blurred


@corruption
def motion_blur(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:
    """Return the images blurred along a line that starts at each pixel, at 8-bit levels.

    The line's angle to the horizontal is drawn within 45 degrees; kernel and rounding (to the nearest level, whether
    quantised or not) are ImageMagick's. Parameters and errors are those of
    :class:`.entry.Checked`.
    """
    radius, sigma = constants("motion_blur", x.shape, severity)
    angles = keyed.symmetric(ids, severity, (), keyed.derive(seed, "motion_blur"), 45.0)
    blurred = motion_filter(to_levels(x, x.dtype), angles, radius, sigma)
    return blurred.round_().clamp_(0, 255).div_(255)


@corruption
def zoom_blur(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:  # noqa: ARG001 - one signature for all
    """Return the means of the images and their zooms, at 8-bit levels.

    Zooms go up from 1, the image itself, which so counts twice. Parameters and errors are those of
    :class:`.entry.Checked`.
    """
    stop, step = constants("zoom_blur", x.shape, severity)
    factors = np.arange(1, stop, step).tolist()  # numpy's rounding decides whether the last one is in, as published
    n, channels, height, width = x.shape
    lines = to_levels(x, x.dtype).permute(2, 3, 0, 1).reshape(height, width, n * channels)
    for block in blocks(lines, 2, copies=2):
        planes = lines[..., block].contiguous()  # with planes innermost, a line is read in one piece
        total = planes.clone()
        for factor in factors:
            total.add_(zoomed(planes, factor, dims=(0, 1)))
        lines[..., block] = total.div_(255 * (len(factors) + 1))
    return lines.view(height, width, n, channels).permute(2, 3, 0, 1).contiguous()
