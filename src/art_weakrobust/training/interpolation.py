"""The dial: weights between base and tuned, which trade robustness for clean accuracy after training.

Interpolating a fine-tuned network with its base is WiSE-FT's idea (Wortsman et al., https://arxiv.org/abs/2109.01903).
Batch norm is estimated anew at every point, on training views as training draws them: on plain images clean accuracy
falls by up to five points and the dial looks useless.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .network import Forward, restore, snapshot

State = dict[str, Tensor]


@dataclass(frozen=True)
class Dial:
    """All that turning the dial takes: two sets of weights, the batch norm of every point, and what was measured there.

    :param base: weights and buffers of the base network.
    :param tuned: those of the tuned one.
    :param buffers: alpha -> batch norm statistics of that point.
    :param curve: one mapping a point: ``alpha``, ``clean``, ``robust``, ``n``, ``n_robust``, and intervals.
    """

    base: State
    tuned: State
    buffers: Mapping[float, State]
    curve: tuple[Mapping[str, Any], ...]

    def state(self, alpha: float) -> State:
        """Return weights and buffers of one point of the curve."""
        return interpolate(self.base, self.tuned, alpha) | self.buffers[alpha]


def interpolate(base: State, tuned: State, alpha: float) -> State:
    """Return ``base + alpha * (tuned - base)`` for weights and real buffers; counts are the tuned network's.

    The ends are exact: 0 gives the base and 1 the tuned network, bit for bit.
    """
    if alpha in (0.0, 1.0):
        return dict(base if alpha == 0.0 else tuned)
    return {
        name: torch.lerp(base[name], tensor, alpha) if tensor.is_floating_point() else tensor
        for name, tensor in tuned.items()
    }


@torch.no_grad()
def reestimate(module: nn.Module, forward: Forward, views: Sequence[Tensor]) -> State:
    """Estimate batch norm anew on training views, and return its statistics; everything else stays in evaluation mode.

    :param views: batches of float32 (n, c, h, w), of nearly one size: each counts alike.
    """
    module.eval()
    norms = {
        name: part for name, part in module.named_modules() if isinstance(part, _BatchNorm) and part.track_running_stats
    }
    momenta = {name: part.momentum for name, part in norms.items()}
    for part in norms.values():
        part.reset_running_stats()
        part.momentum = None  # the mean over all batches
        part.train()
    if norms:
        for batch in views:
            forward(module, batch)
    for name, part in norms.items():
        part.momentum = momenta[name]
        part.eval()
    owned = {
        f"{name}.{buffer}" if name else buffer for name, part in norms.items() for buffer, _ in part.named_buffers()
    }
    return {name: tensor for name, tensor in snapshot(module).items() if name in owned}


def trace(
    module: nn.Module,
    forward: Forward,
    ends: tuple[State, State],
    alphas: Sequence[float],
    views: Sequence[Tensor],
    judge: Callable[[nn.Module], dict[str, Any]],
    progress: Callable[[str, int, int], None],
) -> Dial:
    """Set a network to every point between base and tuned, judge it there, and return the dial.

    :param module: a network of the same shape, whose weights are overwritten.
    :param ends: weights and buffers of base and tuned network. The base is judged as it is, without a new batch norm.
    :param views: see :func:`reestimate`.
    :param judge: gives what the guard part says of a network.
    """
    base, tuned = ends
    buffers: dict[float, State] = {}
    curve = []
    for number, alpha in enumerate(alphas, start=1):
        restore(module, interpolate(base, tuned, alpha))
        buffers[alpha] = reestimate(module, forward.exact(), views) if alpha else {}
        curve.append({"alpha": alpha, **judge(module)})
        progress("dial", number, len(alphas))
    return Dial(base, tuned, buffers, tuple(curve))


def choose(curve: Sequence[Mapping[str, Any]], clean_budget: float | None) -> float:
    """Return the most robust point whose clean accuracy is within the budget; of equals, the most accurate.

    :param curve: points with ``alpha``, ``clean`` and ``robust``; the base, at 0, is always within.
    :param clean_budget: points of clean accuracy that may be lost; None asks for the tuned network.
    """
    if clean_budget is None:
        return 1.0
    base = next(point["clean"] for point in curve if point["alpha"] == 0)
    # counts over one n: the tolerance only undoes the rounding of the division
    within = [point for point in curve if 100 * (base - point["clean"]) <= clean_budget + 1e-6]
    return float(max(within, key=lambda point: (point["robust"], point["clean"]))["alpha"])
