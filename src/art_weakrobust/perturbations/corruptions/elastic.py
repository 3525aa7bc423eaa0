"""Elastic transform (Hendrycks and Dietterich, arXiv 1903.12261), keyed by (seed, sample id, severity)."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import grid_sample

from ...kernels import keyed
from ...kernels.norms import wide
from .constants import constants
from .entry import corruption
from .gaussian import gaussian_filter


@corruption
def elastic_transform(x: Tensor, ids: Tensor, severity: int, seed: int) -> Tensor:
    """Return the images moved by a random affine map and then by a smooth random field, at 8-bit levels.

    The constants are ImageNet-C's, whose severities are no one thing made stronger: the field of the first two at
    224 px is smoothed until little is left of it, and their affine map is 5 to 10 times that of the others; lengths
    are multiples of 244 px there, a slip of the originals that its authors kept. At 32 px the first has no field.

    Parameters and errors are those of :class:`.entry.Checked`.
    """
    strength, sigma, jitter = constants("elastic_transform", x.shape, severity)
    height, width = x.shape[-2:]
    purpose = keyed.derive(seed, "elastic_transform")
    corners = keyed.symmetric(ids, severity, (3, 2), keyed.derive(purpose, "affine"), jitter)
    rows, columns = _lines(x)
    sloped = _affine(corners, height, width)
    moved = _read(x, *(a * columns + b * rows + c for a, b, c in sloped), mirror_pixels=False)
    if strength:
        field = keyed.symmetric(ids, severity, (2, height, width), keyed.derive(purpose, "field"))
        across, down = gaussian_filter(field, sigma, truncate=3, mode="reflect").mul_(strength).unbind(1)
        moved = _read(moved, across + columns, down + rows, mirror_pixels=True)
    return moved


def _lines(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return the numbers of the rows (h, 1) and columns (w,)."""
    height, width = x.shape[-2:]
    return (
        torch.arange(height, device=x.device, dtype=x.dtype).unsqueeze(1),
        torch.arange(width, device=x.device, dtype=x.dtype),
    )


def _affine(moves: Tensor, height: int, width: int) -> list[tuple[Tensor, ...]]:
    """Return (a, b, c), each (n, 1, 1), of the source column and row of a pixel: ``a * column + b * row + c``.

    Three points about the centre are moved, and the map that brings them back says where a pixel is read. Three moved
    points in a line have none: everything then reads one point, as with OpenCV.

    :param moves: float32 (n, 3, 2), column and row, in pixels.
    """
    centre = torch.tensor([width // 2, height // 2])
    side = min(height, width) // 3
    points = (centre + side * torch.tensor([[1, 1], [1, -1], [-1, -1]])).to(moves.device, wide(moves.device))
    targets = points + moves
    (p, q), (u, v) = ((t[..., 1:, :] - t[..., :1, :]).unbind(-2) for t in (points, targets))
    area = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    inverse = torch.where(area == 0, 0.0, 1 / area)
    rows = []
    for axis in (0, 1):
        a = (p[axis] * v[:, 1] - q[axis] * u[:, 1]) * inverse
        b = (q[axis] * u[:, 0] - p[axis] * v[:, 0]) * inverse
        c = points[0, axis] - a * targets[:, 0, 0] - b * targets[:, 0, 1]
        rows.append(tuple(number.to(moves.dtype).view(-1, 1, 1) for number in (a, b, c)))
    return rows


def _read(x: Tensor, columns: Tensor, rows: Tensor, *, mirror_pixels: bool) -> Tensor:
    """Return the images read at positions (n, h, w) in pixels, linearly, mirrored at the borders.

    :param mirror_pixels: mirror at the edge of the outermost pixels (they come twice) rather than at their centres.
    """
    height, width = x.shape[-2:]
    spans = [(size, 1.0) if mirror_pixels else (size - 1, 0.0) for size in (width, height)]
    grid = [(position * 2 + shift) / span - 1 for position, (span, shift) in zip((columns, rows), spans, strict=True)]
    return grid_sample(x, torch.stack(grid, -1), padding_mode="reflection", align_corners=not mirror_pixels)
