"""The minimum-norm searches FMN (Pintor et al., arXiv 2102.12827) and DDN (Rony et al., arXiv 1811.09600).

All descend on the margin within a ball whose radius shrinks where the point is adversarial and grows where it is not,
so that they come to rest on the boundary. Steps and changes of the radius fall along a cosine. :func:`descend` is ours:
FMN whose steps are a share of the radius, so that one schedule fits samples whose distances are orders apart.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ..errors import UsageError
from ..threat import parse_norm
from .closest import Ask, Closest
from .norms import dual_norm, lp_norm, per_sample, project

_TINY = 1e-12
_BEYOND = 1.001
"""Times the distance of a plane: on it the classes tie, and nothing is adversarial."""


def fmn(
    ask: Ask,
    closest: Closest,
    steps: int,
    *,
    step: tuple[float, float] = (1.0, 0.0),
    shrink: tuple[float, float] = (0.05, 0.0),
    clip: tuple[float, float] = (0.0, 1.0),
) -> Closest:
    """Return the closest adversarials after a search by FMN, Algorithm 1 of the paper; one gradient a step and sample.

    It starts from the points that are known, and from the sample itself where none is.

    :param ask: see :data:`~.closest.Ask`.
    :param closest: what is known: of norm 2 or ``inf``.
    :param steps: at least 1.
    :param step: length of a step in L2, alpha, at the first step and at the end.
    :param shrink: by which share the radius changes, gamma, likewise.
    :param clip: lowest and highest value of a pixel.
    """
    x, rows = closest.x, torch.arange(len(closest.x), device=closest.x.device)
    delta, radius = closest.points - x, closest.distance
    for number in range(steps):
        alpha, gamma = (_cosine(first, last, number / steps) for first, last in (step, shrink))
        points = (x + delta).clamp(*clip)
        value, gradient, wrong = ask(points, rows)
        before, closest = closest, closest.seen(points, wrong)
        # the plane on which the margin vanishes to first order, as long as no adversarial is known
        plane = lp_norm(delta, closest.norm) + value.abs() / dual_norm(gradient, closest.norm).clamp_min(_TINY)
        grown = (radius * (1 + gamma)).where(before.found, plane * _BEYOND)
        radius = torch.minimum(radius * (1 - gamma), closest.distance).where(wrong, grown)
        delta = project(delta - alpha * _unit(gradient), closest.norm, radius)
        delta = (x + delta).clamp(*clip) - x
    return closest


def descend(
    ask: Ask,
    closest: Closest,
    steps: int,
    start: Tensor,
    *,
    step: tuple[float, float] = (1.0, 0.01),
    shrink: tuple[float, float] = (0.05, 0.001),
    momentum: float = 0.5,
    clip: tuple[float, float] = (0.0, 1.0),
) -> Closest:
    """Return the closest adversarials after a descent from some points; one gradient a step and sample.

    It differs from :func:`fmn` in its steps: they are a share of the radius, along the sign of the gradient in Linf,
    and have a momentum. As long as no adversarial is known, the radius ends a hair beyond the plane.

    :param start: shaped as the samples.
    :param step: length of a step in the norm at hand, as a share of the radius, at the first step and at the end.
    :param momentum: share of the last move that is made again.

    The other parameters are those of :func:`fmn`.
    """
    x, norm, rows = closest.x, closest.norm, torch.arange(len(start), device=start.device)
    delta, radius = start - x, closest.distance
    last = delta
    for number in range(steps):
        alpha, gamma = (_cosine(*ends, number / steps) for ends in (step, shrink))
        points = (x + delta).clamp(*clip)
        value, gradient, wrong = ask(points, rows)
        before, closest = closest, closest.seen(points, wrong)
        plane = lp_norm(delta, norm) + value.abs() / dual_norm(gradient, norm).clamp_min(_TINY)
        grown = (radius * (1 + gamma)).where(before.found, plane * _BEYOND)
        radius = (closest.distance * (1 - gamma)).where(wrong, grown)
        direction = gradient.sign() if norm == math.inf else _unit(gradient)
        stride = per_sample(alpha * radius.clamp_max(_farthest(x, norm)), x)
        moved = delta - stride * direction + momentum * (delta - last)
        last, delta = delta, (x + project(moved, norm, radius)).clamp(*clip) - x
    return closest


def ddn(
    ask: Ask,
    closest: Closest,
    steps: int,
    *,
    radius: float = 1.0,
    step: tuple[float, float] = (1.0, 0.01),
    shrink: float = 0.05,
    clip: tuple[float, float] = (0.0, 1.0),
) -> Closest:
    """Return the closest adversarials after a search by DDN, Algorithm 1 of the paper, from the samples themselves.

    Parameters are those of :func:`fmn` but for these:

    :param closest: of norm 2.
    :param radius: at the first step.
    :param shrink: by which share the radius changes at every step.
    :raises UsageError: for another norm.
    """
    if parse_norm(closest.norm) != 2.0:
        raise UsageError(f"norm {closest.norm:g} is not possible: DDN works in L2; use fmn")
    x, rows = closest.x, torch.arange(len(closest.x), device=closest.x.device)
    delta, size = torch.zeros_like(x), torch.full((len(x),), radius, device=x.device)
    for number in range(steps):
        points = (x + delta).clamp(*clip)
        _, gradient, wrong = ask(points, rows)
        closest = closest.seen(points, wrong)
        size = size * torch.where(wrong, 1 - shrink, 1 + shrink)
        delta = delta - _cosine(*step, number / steps) * _unit(gradient)
        delta = _unit(delta) * per_sample(size, x)
        delta = (x + delta).clamp(*clip) - x
    return closest


def _cosine(first: float, last: float, share: float) -> float:
    """Return a value on the way from ``first`` to ``last``, along half a period of the cosine."""
    return last + (first - last) * (1 + math.cos(math.pi * share)) / 2


def _farthest(x: Tensor, norm: float) -> float:
    """Return the distance between opposite corners of the unit box."""
    return 1.0 if norm == math.inf else math.sqrt(x[0].numel())


def _unit(direction: Tensor) -> Tensor:
    return direction / per_sample(lp_norm(direction, 2.0).clamp_min(_TINY), direction)
