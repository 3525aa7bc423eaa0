"""The views of a sample that training draws: cropped and mirrored, adversarial, corrupted; all keyed, none stored."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from ..kernels import keyed
from ..kernels.gradients import random_start, step
from ..perturbations.types import CorruptionType
from ..threat import ThreatModel
from .network import Forward
from .recipe import Recipe


def crop_and_flip(x: Tensor, draws: Tensor, border: int, mirror: bool, seed: int) -> Tensor:
    """Return random crops of the zero-padded images, half of them mirrored.

    :param x: float32 (n, c, h, w).
    :param draws: int64 (n,), the number of each draw: what a view looks like is a function of it and the seed.
    :param border: pixels added on every side; 0 leaves the images where they are.
    :param mirror: whether half of the images are mirrored.
    """
    n, _, height, width = x.shape
    u = keyed.uniform(draws, 0, (3,), seed)
    top, left = (u[:, :2] * (2 * border + 1)).long().unbind(1)
    rows = top[:, None] + torch.arange(height, device=x.device)
    columns = torch.arange(width, device=x.device).expand(n, width)
    if mirror:
        columns = torch.where(u[:, 2:] < 0.5, width - 1 - columns, columns)
    columns = left[:, None] + columns
    padded = functional.pad(x, (border,) * 4).permute(0, 2, 3, 1)
    return padded[torch.arange(n, device=x.device)[:, None, None], rows[:, :, None], columns[:, None, :]].permute(
        0, 3, 1, 2
    )


def adversarial(
    forward: Forward,
    module: nn.Module,
    x: Tensor,
    y: Tensor,
    draws: Tensor,
    threat: ThreatModel,
    recipe: Recipe,
    seed: int,
) -> Tensor:
    """Return fresh adversarial views: a random start and a few steps, with ``module`` in evaluation mode.

    :param module: left in evaluation mode; its batch norm statistics are read, never moved.
    :param x: float32 (n, c, h, w), the clean views.
    :param y: int64 (n,).
    :param draws: int64 (n,), see :func:`crop_and_flip`.
    :param threat: norm (2 or ``inf``) and budget.
    """
    module.eval()
    x = x.contiguous()
    found = random_start(x, draws, threat.norm, threat.eps, seed, threat.clip_values)
    for _ in range(recipe.steps):
        _, gradient = forward.gradient(module, found, y)
        found = step(found, gradient, x, threat.norm, threat.eps, recipe.step_size * threat.eps, threat.clip_values)
    return found


@torch.no_grad()
def corrupted(
    x: Tensor, draws: Tensor, kinds: Sequence[CorruptionType], severities: Sequence[int], seed: int
) -> Tensor:
    """Return the images in as many runs as there are ``kinds``, each run corrupted by its own type and severity.

    :param x: float32 (n, c, h, w).
    :param draws: int64 (n,), see :func:`crop_and_flip`.
    :param kinds: the corruption of each run, none of them stored; at most n.
    :param severities: 1 to 5, one a run.
    """
    runs = zip(x.contiguous().tensor_split(len(kinds)), draws.tensor_split(len(kinds)), kinds, severities, strict=True)
    done = [
        kind.corruption(part, ids, severity, keyed.derive(seed, kind.name))  # type: ignore[operator]
        for part, ids, kind, severity in runs
    ]
    return torch.cat([part.to(x) for part in done])
