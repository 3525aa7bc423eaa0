"""Neighbors of a sample: REVa's local robustness looks at what a model says there (Nuhu et al., arXiv 2509.19197)."""

from __future__ import annotations

import torch
from torch import Tensor

from ..errors import UsageError
from ..threat import parse_norm
from . import keyed
from .norms import lp_norm, per_sample, wide

_LENGTH = 1 << 32  # added to the index for the draw of a distance: no neighbor has such a number


def neighbors(
    x: Tensor,
    ids: Tensor,
    index: int | Tensor,
    radius: float | Tensor,
    norm: float,
    seed: int,
    clip: tuple[float, float] = (0.0, 1.0),
    quantise: bool = False,
) -> Tensor:
    """Return one neighbor of every sample: ``clip(x + delta)``, ``delta`` uniform in a ball.

    Linf neighbors are bitwise the same on every batch size and device. L2 ones divide by a length, and agree within
    1e-6 times the radius.

    :param x: float32 (n, ...).
    :param ids: int64 (n,) sample ids.
    :param index: the number of the neighbor, one for all or int64 (n,).
    :param radius: of the ball, in the units of the pixels; one number or (n,).
    :param norm: 2 or ``inf``.
    :param seed: any integer.
    :param clip: lowest and highest value of a pixel.
    :param quantise: round to the 8-bit levels 0, 1/255, ..., 1, as REVa's code does; a pixel may then lie up to half a
        level outside the ball.
    :raises UsageError: for another norm.
    """
    return placed(ball(x, ids, index, radius, norm, seed), x, clip, quantise)


def gaussian_neighbors(
    x: Tensor,
    ids: Tensor,
    index: int | Tensor,
    sigma: float | Tensor,
    seed: int,
    clip: tuple[float, float] = (0.0, 1.0),
    quantise: bool = False,
) -> Tensor:
    """Return one neighbor of every sample: ``clip(x + delta)``, ``delta`` normal in every pixel.

    Bitwise the same on every batch size; on every device, too, wherever the inverse table of
    :func:`~.keyed.normal` is the same, and within 1e-6 times ``sigma`` where a device fuses its product and sum.

    :param sigma: standard deviation, in the units of the pixels; one number or (n,).

    The other parameters are those of :func:`neighbors`.
    """
    delta = keyed.normal(ids, index, x.shape[1:], seed, channels_last=_channels_last(x)).mul_(per_sample(sigma, x))
    return placed(delta, x, clip, quantise)


def placed(delta: Tensor, x: Tensor, clip: tuple[float, float] = (0.0, 1.0), quantise: bool = False) -> Tensor:
    """Return ``clip(x + delta)`` in the memory of ``delta``, rounded to 8 bits if asked for."""
    moved = delta.add_(x).clamp_(*clip)
    return moved.mul_(255).round_().div_(255) if quantise else moved


def ball(x: Tensor, ids: Tensor, index: int | Tensor, radius: float | Tensor, norm: float, seed: int) -> Tensor:
    """Return perturbations shaped as ``x``, uniform in the ball of ``norm`` (2 or ``inf``) and ``radius``.

    They lie in memory as ``x`` does, so that nothing is copied before a network that takes its images channels last.
    Parameters and errors are those of :func:`neighbors`. L2: a normal direction, times ``u^(1/d)``.
    """
    shape, last = x.shape[1:], _channels_last(x)
    norm = parse_norm(norm)
    if norm == float("inf"):
        if isinstance(radius, float | int):
            return keyed.symmetric(ids, index, shape, seed, float(radius), channels_last=last)
        return keyed.symmetric(ids, index, shape, seed, channels_last=last).mul_(per_sample(radius, x))
    if norm != 2.0:
        raise UsageError(f"radius_norm {norm:g} has no neighborhood here; use 2 or inf")
    direction = keyed.normal(ids, index, shape, seed, channels_last=last)
    u = keyed.uniform(ids, index + _LENGTH, (1,), seed)[:, 0].to(wide(x.device)).add_(2**-25)
    length = u.pow_(1 / max(shape.numel(), 1)).div_(lp_norm(direction, 2.0)).to(torch.float32)
    scale = per_sample(length * radius, direction)
    return direction.mul_(scale)


def _channels_last(x: Tensor) -> bool:
    return x.dim() == 4 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last)
