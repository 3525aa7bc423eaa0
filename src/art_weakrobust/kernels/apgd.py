"""APGD (Croce and Hein, arXiv 2003.01690) over budgets of each sample's own; with targets it is APGD-T."""

from __future__ import annotations

from math import ceil, inf

import torch
from torch import Tensor

from .closest import Ask, Closest
from .norms import lp_norm, per_sample, project

_MOMENTUM, _RISES = 0.75, 0.75
"""alpha and rho of the paper."""


def checkpoints(steps: int) -> list[int]:
    """Return the numbers of steps after which APGD asks itself whether to halve its step (section 3 of the paper)."""
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return sorted({min(ceil(round(share * steps, 9)), steps) for share in shares[1:]})


def apgd(
    ask: Ask, closest: Closest, eps: Tensor, steps: int, start: Tensor, *, clip: tuple[float, float] = (0.0, 1.0)
) -> Closest:
    """Return the closest adversarials after APGD in balls of each sample's own radius; one gradient a step and sample.

    A sample leaves as soon as it is adversarial, so that easy ones cost little.

    :param ask: its ``value`` is what is made small: the margin, or the label's logit minus a target's.
    :param closest: what is known: of norm 2 or ``inf``.
    :param eps: radius of each ball, (n,).
    :param steps: at least 1.
    :param start: where the search begins, shaped as the samples; brought into the ball.
    :param clip: lowest and highest value of a pixel.
    """
    rows = torch.arange(len(eps), device=eps.device)
    x = closest.x
    at = _placed(start, x, closest.norm, eps, clip)
    before, size = at, 2 * eps
    least, lowest, slope = torch.full_like(eps, inf), at, torch.zeros_like(x)
    rises, last, halved = torch.zeros_like(eps), 0, torch.zeros_like(eps, dtype=torch.bool)
    least_then = least
    asks = set(checkpoints(steps))
    for number in range(steps):
        value, gradient, wrong = ask(at, rows)
        closest = closest.joined(rows, Closest.unknown(x, closest.norm).seen(at, wrong))
        rises = rises + (value < least) if number else rises
        better = value < least
        least, lowest = value.where(better, least), _where(better, at, lowest)
        slope = _where(better, gradient, slope)
        if number in asks:
            stuck = (rises < _RISES * (number - last)) | (~halved & (least >= least_then))
            size = torch.where(stuck, size / 2, size)
            at, gradient = _where(stuck, lowest, at), _where(stuck, slope, gradient)
            before = _where(stuck, lowest, before)
            rises, last, halved, least_then = torch.zeros_like(rises), number, stuck, least
        stay = ~wrong
        if not bool(stay.all()):
            rows, x, at, before, gradient, lowest, slope = (
                v[stay] for v in (rows, x, at, before, gradient, lowest, slope)
            )
            eps, size, least, least_then, rises, halved = (
                v[stay] for v in (eps, size, least, least_then, rises, halved)
            )
            if not len(rows):
                break
        momentum = 1.0 if number == 0 else _MOMENTUM
        target = _placed(at - per_sample(size, at) * _direction(gradient, closest.norm), x, closest.norm, eps, clip)
        moved = at + momentum * (target - at) + (1 - momentum) * (at - before)
        before, at = at, _placed(moved, x, closest.norm, eps, clip)
    return closest


def _direction(gradient: Tensor, norm: float) -> Tensor:
    if norm == inf:
        return gradient.sign()
    length = lp_norm(gradient, 2.0)
    return gradient / per_sample(length.masked_fill(length == 0, 1.0), gradient)


def _placed(points: Tensor, x: Tensor, norm: float, eps: Tensor, clip: tuple[float, float]) -> Tensor:
    return (x + project(points - x, norm, eps)).clamp(*clip)


def _where(rows: Tensor, chosen: Tensor, other: Tensor) -> Tensor:
    return torch.where(rows.view(-1, *[1] * (chosen.dim() - 1)), chosen, other)
