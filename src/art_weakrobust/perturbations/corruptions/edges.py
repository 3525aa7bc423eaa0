"""Edges and distances to them, of batches of 8-bit planes, as OpenCV finds them: spatter's drops have rims."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import max_pool2d, pad

_TAN_22_5 = 13573  # the tangent of 22.5 degrees in fixed point, times 2^15
_NEAR = (1.0, 1.4, 2.1969)  # lengths of a step to a neighbor: across a side, across a corner, a knight's move


def canny(levels: Tensor, low: int, high: int) -> Tensor:
    """Return where the edges are (Canny 1986): ridges of the gradient above ``low`` that touch one above ``high``.

    Sobel's gradient, its L1 length, and ties that go to the later pixel: all in integers.

    :param levels: int32 (n, h, w), 0 to 255.
    :param low: gradient that continues an edge.
    :param high: gradient that starts one.
    """
    across, down = _sobel(levels)
    length = across.abs() + down.abs()
    ridge = _is_ridge(length, across, down) & (length > low)
    edges = ridge & (length > high)
    while True:  # grows along the ridges until it stands still
        grown = max_pool2d(edges.unsqueeze(1).float(), 3, stride=1, padding=1).squeeze(1).bool() & ridge
        if torch.equal(grown, edges):
            return edges
        edges = grown


def _sobel(levels: Tensor) -> tuple[Tensor, Tensor]:
    """Return the differences to the right and downwards, smoothed along the other dimension; borders are repeated."""
    padded = pad(levels.unsqueeze(1).float(), (1, 1, 1, 1), mode="replicate").squeeze(1).int()
    rows = padded[:, :-2] + 2 * padded[:, 1:-1] + padded[:, 2:]
    columns = padded[:, :, :-2] + 2 * padded[:, :, 1:-1] + padded[:, :, 2:]
    return rows[:, :, 2:] - rows[:, :, :-2], columns[:, 2:] - columns[:, :-2]


def _is_ridge(length: Tensor, across: Tensor, down: Tensor) -> Tensor:
    """Return where the gradient is longest among the two neighbors that it points to and away from."""
    height, width = length.shape[-2:]
    padded = pad(length, (1, 1, 1, 1))

    def beside(row: int, column: int) -> Tensor:
        return padded[:, 1 + row : 1 + row + height, 1 + column : 1 + column + width]

    steep, flat = down.abs() << 15, across.abs() * _TAN_22_5
    sideways = steep < flat
    upright = steep > flat + (across.abs() << 16)
    falling = (across ^ down) < 0
    horizontal = (length > beside(0, -1)) & (length >= beside(0, 1))
    vertical = (length > beside(-1, 0)) & (length >= beside(1, 0))
    one_way = (length > beside(-1, -1)) & (length > beside(1, 1))
    other_way = (length > beside(-1, 1)) & (length > beside(1, -1))
    diagonal = torch.where(falling, other_way, one_way)
    return torch.where(sideways, horizontal, torch.where(upright, vertical, diagonal))


def distance(edges: Tensor, farthest: int) -> Tensor:
    """Return how far each pixel is from the nearest edge, at most ``farthest``: float32 (n, h, w).

    Distances are chamfer distances (Borgefors 1986): the shortest way in steps to the 16 nearest neighbors, whose
    lengths are rounded to 2^-16, so that every sum is exact.

    :param edges: bool (n, h, w).
    :param farthest: in pixels.
    """
    height, width = edges.shape[-2:]
    far = torch.full_like(edges, farthest, dtype=torch.float32)
    reached = far.masked_fill(edges, 0)
    steps = [
        (row, column, round(_NEAR[abs(row) + abs(column) - 1] * 2**16) / 2**16)
        for row in range(-2, 3)
        for column in range(-2, 3)
        if (abs(row), abs(column)) in {(0, 1), (1, 0), (1, 1), (1, 2), (2, 1)}
    ]
    for _ in range(farthest):  # no step is shorter than a pixel
        padded = pad(reached, (2, 2, 2, 2), value=float(farthest))
        before = reached
        for row, column, length in steps:
            beside = padded[:, 2 + row : 2 + row + height, 2 + column : 2 + column + width]
            reached = torch.minimum(reached, beside + length)
        if torch.equal(reached, before):
            break
    return reached
