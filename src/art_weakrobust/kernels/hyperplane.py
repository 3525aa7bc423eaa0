"""The nearest point of a half-space inside a box, exactly: the projection of FAB (Croce and Hein, arXiv 1907.02044).

For a linear margin it is the nearest point at which the class changes; of any other margin it is the first-order guess.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UsageError
from ..threat import parse_norm
from .norms import wide


def nearest_crossing(
    x: Tensor, gradient: Tensor, gap: Tensor, norm: float, clip: tuple[float, float] = (0.0, 1.0)
) -> tuple[Tensor, Tensor]:
    """Return the nearest points u in the box with ``gradient . (u - x) <= -gap``, and whether there are any.

    Pixel i moves against its gradient by ``min(theta w_i, room_i)``, ``room_i`` being what the box leaves it, ``w_i``
    1 in Linf and ``|gradient_i|`` in L2; theta is where the piecewise linear gain of all pixels reaches the gap.

    :param x: (n, ...), inside the box.
    :param gradient: shaped as ``x``.
    :param gap: what has to be gained, (n,), from 0.
    :param norm: 2 or ``inf``.
    :param clip: lowest and highest value of a pixel.
    :return: the points, shaped as ``x``, and bool (n,); where the whole box is on this side, the point is the corner in
        which the linear function is least.
    :raises UsageError: for another norm.
    """
    norm = parse_norm(norm)
    if norm not in (2.0, float("inf")):
        raise UsageError(f"norm {norm:g} has no projection here; use 2 or inf")
    flat, slope = (values.flatten(1).to(wide(x.device)) for values in (x, gradient))
    size = slope.abs()
    room = torch.where(slope > 0, flat - clip[0], clip[1] - flat).clamp_min(0)
    weight = torch.ones_like(size) if norm == float("inf") else size
    gain = size * weight
    limit = torch.where(gain > 0, room / weight, 0.0)
    theta, reached = _reaching(gain, limit, gap.to(flat).clamp_min(0))
    moved = flat - slope.sign() * torch.minimum(theta.unsqueeze(1) * weight, room)
    return moved.to(x.dtype).clamp_(*clip).view_as(x), reached


def _reaching(gain: Tensor, limit: Tensor, gap: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least theta with ``sum_i gain_i min(theta, limit_i) >= gap``, inf where none is, and whether one is.

    :param gain: (n, d), from 0.
    :param limit: (n, d), from 0.
    :param gap: (n,), from 0.
    """
    limit, order = limit.sort(1)
    gain = gain.gather(1, order)
    saturated = (gain * limit).cumsum(1)
    moving = gain.sum(1, keepdim=True) - gain.cumsum(1)  # of the pixels beyond, which have not come to their limit
    enough = saturated + moving * limit >= gap.unsqueeze(1)
    reached = enough.any(1)
    first = enough.to(torch.int8).argmax(1, keepdim=True)
    before = (saturated - gain * limit).gather(1, first).squeeze(1)
    rate = (moving + gain).gather(1, first).squeeze(1)
    theta = (gap - before).clamp_min(0) / rate
    return torch.where(gap == 0, 0.0, torch.where(reached, theta, torch.inf)), reached
