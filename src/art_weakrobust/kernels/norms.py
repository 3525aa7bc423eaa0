"""Lp distances, projections and dual norms of batches; every sample is one vector, whatever its shape."""

from __future__ import annotations

from typing import overload

import torch
from torch import Tensor

from ..threat import parse_norm

_TINY = 1e-12


def wide(device: torch.device) -> torch.dtype:
    """Return the type to sum in, so that no batch size shows in float32: float64, which MPS does not have."""
    return torch.float32 if device.type == "mps" else torch.float64


@overload
def per_sample(value: Tensor, like: Tensor) -> Tensor: ...
@overload
def per_sample(value: float, like: Tensor) -> float: ...
@overload
def per_sample(value: float | Tensor, like: Tensor) -> float | Tensor: ...
def per_sample(value: float | Tensor, like: Tensor) -> float | Tensor:
    """Return a number as it is, and a tensor (n,) with as many dimensions as ``like``, so that they multiply."""
    return value.reshape(-1, *[1] * (like.dim() - 1)).to(like) if isinstance(value, Tensor) and value.dim() else value


def lp_norm(delta: Tensor, norm: float) -> Tensor:
    """Return the Lp norm of every sample, (n,) in the type of ``delta``.

    :param delta: (n, ...).
    :param norm: 1, 2 or ``inf``. L1 and L2 are summed in float64.
    """
    flat = delta.flatten(1) if delta.dim() > 1 else delta.unsqueeze(1)
    norm = parse_norm(norm)
    if norm == float("inf"):
        return flat.abs().amax(1)
    length: Tensor = torch.linalg.vector_norm(flat, norm, dim=1, dtype=wide(delta.device))
    return length.to(delta.dtype)


def dual_norm(grad: Tensor, norm: float) -> Tensor:
    """Return the norm dual to ``norm`` of every gradient, (n,): L1 for Linf, L2 for L2, Linf for L1.

    A linear function whose value is m is zero at the distance ``m / dual_norm(gradient)``.

    :param grad: (n, ...).
    :param norm: 1, 2 or ``inf``: the norm in which distances in the input are measured.
    """
    return lp_norm(grad, {1.0: float("inf"), 2.0: 2.0, float("inf"): 1.0}[parse_norm(norm)])


def project(delta: Tensor, norm: float, eps: float | Tensor) -> Tensor:
    """Return the nearest perturbation (in L2) of norm at most ``eps``, shaped as ``delta``.

    :param delta: (n, ...).
    :param norm: 1, 2 or ``inf``. L1 by sorting (Duchi et al. 2008, https://doi.org/10.1145/1390156.1390191).
    :param eps: radius, one number or (n,).
    """
    norm = parse_norm(norm)
    radius = per_sample(eps, delta)
    if norm == float("inf"):
        return (
            delta.clamp(-radius, radius) if isinstance(radius, float | int) else delta.minimum(radius).maximum(-radius)
        )
    if norm == 2.0:
        length = per_sample(lp_norm(delta, 2.0), delta)
        return delta * (radius / length.clamp_min(_TINY)).clamp_max(1.0)
    return _project_l1(delta, eps)


def _project_l1(delta: Tensor, eps: float | Tensor) -> Tensor:
    flat = delta.flatten(1)
    size = flat.abs().to(wide(delta.device))
    radius = torch.as_tensor(eps, dtype=size.dtype, device=size.device).expand(len(size)).unsqueeze(1)
    ordered = size.sort(1, descending=True).values
    excess = ordered.cumsum(1) - radius
    rank = torch.arange(1, size.shape[1] + 1, device=size.device, dtype=size.dtype)
    last = (ordered * rank > excess).sum(1, keepdim=True).clamp_min(1)
    threshold = (excess.gather(1, last - 1) / last).clamp_min(0.0)
    return (flat.sign() * (size - threshold).clamp_min(0.0).to(delta.dtype)).view_as(delta)
