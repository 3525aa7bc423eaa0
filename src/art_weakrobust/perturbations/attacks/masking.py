"""Gradient masking: signs that a gradient does not lead where the loss grows, so that attacks along it prove nothing.

A sample is robust against gradient attacks either because nothing is close by, or because its gradient is useless:
zero, shattered, or of something else than the model. Source: the checks of Athalye et al.
(https://arxiv.org/abs/1802.00420, section 3.1) and Carlini et al. (https://arxiv.org/abs/1902.06705, section 5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ...errors import UsageError
from ...kernels.gradients import step
from ...kernels.keyed import normal

DIRECTIONS = 8
"""Random directions that are tried: in as many dimensions as an image has, none comes near a gradient that is right."""

SHORT = 1 / 16
"""The short step as a share of the budget: where even that does not raise the loss, the slope is not the gradient's."""

_NOISE = 1e-6  # relative: what float32 leaves of two equal losses


@dataclass(frozen=True)
class MaskingEvidence:
    """What was seen at each sample, tensors (n,).

    :param loss: at the sample.
    :param short_rise: of the loss, after a step of ``SHORT`` times the budget along the gradient.
    :param rise: the same after a step of the whole budget.
    :param random_rise: the largest after such a step along random directions.
    :param transfer_rise: the same along another model's gradient; NaN without one.
    :param flat: whether the gradient is zero everywhere, or not finite: there is nothing to follow.
    """

    loss: Tensor
    short_rise: Tensor
    rise: Tensor
    random_rise: Tensor
    transfer_rise: Tensor
    flat: Tensor

    @property
    def no_rise(self) -> Tensor:
        """Whether a short step along the gradient does not raise the loss, bool (n,)."""
        return self.short_rise <= self._noise

    @property
    def beaten_by_random(self) -> Tensor:
        """Whether a random direction raises the loss by more than the gradient does, bool (n,)."""
        return self.random_rise > self.rise + self._noise

    @property
    def beaten_by_transfer(self) -> Tensor:
        """Whether another model's gradient raises the loss by more, bool (n,); False without one."""
        return self.transfer_rise > self.rise + self._noise

    @property
    def masked(self) -> Tensor:
        """Whether any of the signs was seen, bool (n,)."""
        return self.flat | self.no_rise | self.beaten_by_random | self.beaten_by_transfer

    @property
    def _noise(self) -> Tensor:
        return _NOISE * self.loss.abs().clamp_min(1e-30)


def masking_evidence(
    loss: Callable[[Tensor], Tensor],
    gradient: Tensor,
    x: Tensor,
    ids: Tensor,
    *,
    norm: float,
    eps: float,
    seed: int = 0,
    transfer: Tensor | None = None,
    clip: tuple[float, float] = (0.0, 1.0),
) -> MaskingEvidence:
    """Look for signs of gradient masking at every sample.

    All steps have one length and stay inside the range of the pixels. The loss should be one that does not saturate:
    with the margin, a confident sample is not mistaken for a masked one.

    :param loss: images, shaped as ``x`` -> what an attack raises, of each sample (n,), in float32.
    :param gradient: that an attack would follow: of ``loss`` at ``x``, shaped as ``x``.
    :param x: float32 (n, ...), inside ``clip``.
    :param ids: int64 (n,): random directions are functions of (seed, id).
    :param norm: 2 or ``inf``.
    :param eps: length of the steps.
    :param transfer: gradient of another model's loss at ``x``, or any other direction, shaped as ``x``.
    :raises UsageError: for another norm, or an ``eps`` that is not above zero.
    """
    if not eps > 0:
        raise UsageError(f"eps {eps!r} has to be above zero")
    at = loss(x)

    def rise(direction: Tensor, length: float) -> Tensor:
        return loss(step(x, direction, x, norm, length, length, clip)) - at

    usable = gradient.nan_to_num(0.0, 0.0, 0.0)
    chance = [rise(normal(ids, number, tuple(x.shape[1:]), seed).to(x), eps) for number in range(DIRECTIONS)]
    return MaskingEvidence(
        loss=at,
        short_rise=rise(usable, eps * SHORT),
        rise=rise(usable, eps),
        random_rise=torch.stack(chance).amax(0),
        transfer_rise=torch.full_like(at, torch.nan) if transfer is None else rise(transfer, eps),
        flat=(usable.flatten(1) == 0).all(1) | ~gradient.flatten(1).isfinite().all(1),
    )
