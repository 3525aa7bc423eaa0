"""Steps of gradient attacks: FGSM (Goodfellow et al., arXiv 1412.6572) and PGD (Madry et al., arXiv 1706.06083)."""

from __future__ import annotations

from torch import Tensor

from ..errors import UsageError
from ..threat import parse_norm
from .neighborhood import ball, placed
from .norms import lp_norm, per_sample, project

_START = 1 << 33  # index of the draw: no neighbor has such a number


def random_start(
    x: Tensor, ids: Tensor, norm: float, eps: float | Tensor, seed: int, clip: tuple[float, float] = (0.0, 1.0)
) -> Tensor:
    """Return points drawn uniformly from the ball around ``x``, clipped: where a PGD restart begins.

    :param x: float32 (n, ...).
    :param ids: int64 (n,) sample ids: a start is a function of (seed, id).
    :param norm: 2 or ``inf``.
    :param eps: radius of the ball, one number or (n,).
    :param clip: lowest and highest value of a pixel.
    :raises UsageError: for another norm.
    """
    return placed(ball(x, ids, _START, eps, norm, seed), x, clip)


def step(
    x_adv: Tensor,
    grad: Tensor,
    x: Tensor,
    norm: float,
    eps: float | Tensor,
    eps_step: float | Tensor,
    clip: tuple[float, float] = (0.0, 1.0),
) -> Tensor:
    """Return one step of steepest ascent from ``x_adv``, projected onto the ball around ``x`` and clipped.

    :param x_adv: (n, ...), where the attack stands.
    :param grad: gradient of what is to grow, shaped as ``x_adv``; one of zeros leaves the point where it is.
    :param x: the clean samples, shaped as ``x_adv``.
    :param norm: 2 (a step along the unit gradient) or ``inf`` (along its sign).
    :param eps: radius of the ball, one number or (n,).
    :param eps_step: length of the step, one number or (n,).
    :param clip: lowest and highest value of a pixel.
    :raises UsageError: for another norm.
    """
    norm = parse_norm(norm)
    if norm == float("inf"):
        direction = grad.sign()
    elif norm == 2.0:
        length = per_sample(lp_norm(grad, 2.0), grad)
        direction = grad / length.masked_fill(length == 0, 1.0)
    else:
        raise UsageError(f"norm {norm:g} has no gradient step here; use 2 or inf")
    return placed(project(x_adv + per_sample(eps_step, x) * direction - x, norm, eps), x, clip)
