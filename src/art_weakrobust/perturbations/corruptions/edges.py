"""Edges and distances to them, of batches of 8-bit planes, as OpenCV finds them: spatter's drops have rims."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
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

    Distances are chamfer distances (Borgefors 1986): the shortest way in steps to the 16 nearest neighbors. In each row
    the edge that counts is the one nearest in columns, so that rows are all there is to search.

    :param edges: bool (n, h, w).
    :param farthest: in pixels.
    """
    height = edges.shape[1]
    columns = _columns_to_an_edge(edges, farthest)
    lengths = _lengths(farthest, edges.device)
    padded = pad(columns, (0, 0, farthest, farthest), value=farthest)
    reached = columns.to(torch.float32)
    for rows in range(1, farthest):
        above, below = (padded[:, farthest + move : farthest + move + height] for move in (-rows, rows))
        nearest = torch.minimum(above, below).flatten()
        reached = torch.minimum(reached, lengths[rows].index_select(0, nearest).view_as(reached))
    return reached


def _columns_to_an_edge(edges: Tensor, farthest: int) -> Tensor:
    """Return how many columns away the nearest edge of the same row is, int32 (n, h, w), at most ``farthest``."""
    width = edges.shape[2]
    places = torch.arange(width, device=edges.device, dtype=torch.int32)
    before = torch.where(edges, places, -farthest).cummax(2).values
    after = torch.where(edges, places, width + farthest).flip(2).cummin(2).values.flip(2)
    return torch.minimum(places - before, after - places).clamp_(max=farthest)


@lru_cache(maxsize=4)
def _lengths(farthest: int, device: torch.device) -> Tensor:
    """Return the length of the shortest way over so many rows and columns, float32 (farthest, farthest + 1), capped.

    As in OpenCV, steps have lengths in units of 2^-16.
    """
    side, corner, knight = (round(length * 2**16) / 2**16 for length in _NEAR)
    rows, columns = np.ogrid[:farthest, : farthest + 1]
    most, least = np.maximum(rows, columns), np.minimum(rows, columns)
    flat = side * (most - 2 * least) + knight * least
    steep = knight * (most - least) + corner * (2 * least - most)
    lengths = np.where(2 * least <= most, flat, steep).clip(max=farthest).astype(np.float32)
    with torch.inference_mode(False):
        return torch.from_numpy(lengths).to(device)
