"""The original's attacks, mended where they crash and quicker where nothing is lost. Imported once one runs.

Mended: the difference of logits ratio on fewer classes than it is defined for
(https://github.com/fra31/auto-attack/issues/70), more targets than there are classes (issues 76 and 110), and Square in
L1 and L2 on images that its first tiling does not fit (issue 95, and 12 x 12, 24 x 24 and others).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from pyautoattack.autopgd_base import APGDAttack, APGDAttack_targeted
from pyautoattack.checks import check_randomized, check_range_output, check_square_sr
from pyautoattack.fab_pt import FABAttack_PT
from pyautoattack.square import SquareAttack
from torch import Tensor
from torch.nn import functional

from ....kernels.losses import margin
from ....threat import norm_key
from ..stopping import DOUBT
from .recipe import Recipe

logger = logging.getLogger(__name__)

Network = Callable[[Tensor], Tensor]
"""Pixels in [0, 1] in, logits out, part of the graph of the pixels where gradients are recorded."""


@dataclass(frozen=True)
class Setting:
    """What every part is told.

    :param eps: budget on pixels in [0, 1].
    :param early_stop: whether APGD leaves a sample alone as soon as it is fooled.
    """

    norm: float
    eps: float
    recipe: Recipe
    max_iter: int
    max_queries: int
    early_stop: bool


def perturb(name: str, setting: Setting, network: Network, x: Tensor, y: Tensor, classes: int, seed: int) -> Tensor:
    """Return what one part makes of samples, shaped as they are; clean where it finds nothing.

    It seeds and draws from PyTorch's global generators: whoever calls restores them.

    :param x: float32 (n, c, h, w) in [0, 1], contiguous, n >= 1.
    :param y: int64 (n,).
    """
    common = {"norm": f"L{norm_key(setting.norm)}", "eps": setting.eps, "seed": seed, "device": x.device}
    recipe, targets = setting.recipe, min(9, classes - 1)
    attack: Any
    if name in ("apgd-ce", "apgd-dlr"):
        common |= {"n_iter": setting.max_iter, "eot_iter": recipe.draws, "logger": logger}
        common |= {"use_largereps": recipe.shrinking, "n_restarts": recipe.restarts}
        attack = _APGD(network, loss=name.removeprefix("apgd-"), **common)
    elif name == "apgd-t":
        common |= {"n_iter": setting.max_iter, "eot_iter": recipe.draws, "logger": logger}
        common |= {"use_largereps": recipe.shrinking, "n_target_classes": min(recipe.targets, targets)}
        attack = _TargetedAPGD(network, **common)
    elif name == "square":
        attack = _Square(network, n_queries=setting.max_queries, resc_schedule=False, **common)
    else:
        common |= {"n_iter": setting.max_iter, "targeted": name == "fab-t", "n_target_classes": targets}
        attack = FABAttack_PT(network, n_restarts=1 if name == "fab-t" else recipe.restarts, **common)
    if name.startswith("apgd"):
        attack.spares = setting.early_stop and recipe.draws == 1 and not recipe.shrinking
    with torch.inference_mode(False), torch.no_grad():
        found: Tensor = attack.perturb(x.clone(), y.clone())
    return found.detach()


CHECKED = 32
"""Samples on which it is looked whether the model answers at random, or gives probabilities."""


def look_at(network: Network, x: Tensor, y: Tensor, recipe: Recipe) -> None:
    """Log a warning where the model answers at random or gives probabilities, as the original does.

    Its third look, for gradients that the model computes itself, is left out: it sets ``sys.settrace`` and then removes
    whatever had been set.
    """
    if recipe.draws == 1:
        check_randomized(network, x[:CHECKED], y[:CHECKED], logger=logger)
    check_range_output(network, x[:CHECKED], logger=logger)


def look_back(robust: Mapping[str, float]) -> None:
    """Log a warning where Square broke what gradients did not: a sign that they are masked.

    :param robust: share of samples that are right, after ``clean`` and each part.
    """
    check_square_sr(dict(robust), logger=logger)


class _Sparing:
    """A network that is not asked about samples which are fooled already.

    The loop around it keeps what it has found while the answer is "right", so that this is the answer for them, without
    a gradient. The others do not notice: APGD treats each sample by itself.
    """

    def __init__(self, network: Network, y: Tensor) -> None:
        self.network, self.y = network, y
        self.fooled, self.classes = torch.zeros_like(y, dtype=torch.bool), 0

    def __call__(self, x: Tensor) -> Tensor:
        if not self.fooled.any():
            logits = self.network(x)
            self.fooled, self.classes = margin(logits.detach(), self.y) < -DOUBT, logits.shape[1]
            return logits
        rows = (~self.fooled).nonzero().squeeze(1)
        answer = functional.one_hot(self.y, self.classes).to(x) + 0 * x.flatten(1)[:, :1]  # part of the graph
        if not len(rows):
            return answer
        logits = self.network(x[rows])
        self.fooled[rows] = margin(logits.detach(), self.y[rows]) < -DOUBT
        return answer.index_copy(0, rows, logits)


class _Stopping:
    """What both kinds of APGD have in common here: each run leaves alone whom it has fooled."""

    spares = False
    model: Network

    def attack_single_run(self, x: Tensor, y: Tensor, x_init: Tensor | None = None) -> Any:
        network = self.model
        self.model = _Sparing(network, y) if self.spares else network
        try:
            return super().attack_single_run(x, y, x_init)  # type: ignore[misc]
        finally:
            self.model = network


class _APGD(_Stopping, APGDAttack):  # type: ignore[misc]
    def dlr_loss(self, x: Tensor, y: Tensor) -> Any:
        return -margin(x, y) if x.shape[1] < 3 else super().dlr_loss(x, y)


class _TargetedAPGD(_Stopping, APGDAttack_targeted):  # type: ignore[misc]
    def dlr_loss_targeted(self, x: Tensor, y: Tensor) -> Any:
        if x.shape[1] > 3:
            return super().dlr_loss_targeted(x, y)
        # No third and fourth logit to divide by; a step has a fixed length, so that the scale of the loss is nothing.
        u = torch.arange(len(x))
        return x[u, self.y_target] - x[u, y]


class _Square(SquareAttack):  # type: ignore[misc]
    """Square on any image: one that the first tiling of L1 and L2 does not fit is attacked inside a larger one."""

    predict: Network

    def attack_single_run(self, x: Tensor, y: Tensor) -> Any:
        height, width = x.shape[2:]
        if self.norm == "Linf" or _fits(height, width):
            return super().attack_single_run(x, y)
        side = next(s for s in range(max(height, width), 2 * max(height, width) + 5) if _fits(s, s))
        top, left = (side - height) // 2, (side - width) // 2
        inside = (slice(None), slice(None), slice(top, top + height), slice(left, left + width))
        frame = functional.pad(x, (left, side - width - left, top, side - height - top))
        with self._asked_about(inside):
            queries, found = super().attack_single_run(frame, y)
        return queries, found[inside].contiguous()

    @contextmanager
    def _asked_about(self, inside: tuple[slice, ...]) -> Iterator[None]:
        network: Network = self.predict
        self.predict = lambda frame: network(frame[inside].contiguous())
        try:
            yield
        finally:
            self.predict = network


def _fits(height: int, width: int) -> bool:
    """Return whether tiles of a fifth of the height, from where the original begins, end inside the image."""
    tile = height // 5
    if tile < 2:
        return tile == 1  # a tile of one pixel outside of the image is an empty one
    start = (height - 5 * tile) // 2
    return all(start + side // tile * tile <= side for side in (height, width))
