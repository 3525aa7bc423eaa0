"""What a training is to do: its samples, its perturbation types, its recipe, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import TrainingError
from ..kernels.keyed import derive
from ..perturbations.types import AttackType, CorruptionType
from ..protocols import Dataset
from ..threat import ThreatModel
from .checkpoint import digest
from .guard import Guard
from .recipe import Recipe
from .sampling import batches, draw_epoch, odds_of
from .views import crop_and_flip

Progress = Callable[[str, int, int], None]
"""Told ``(stage, done, total)`` as the work goes on."""

Odds = dict[str, dict[str, float]]
"""Family -> type -> how often it is drawn relative to the others."""

_NORM_VIEWS = 2048


@dataclass(frozen=True)
class Job:
    """What is to be trained on, and how.

    :param data: the training set.
    :param ids: int64 (n,), the samples that may be drawn; nothing else of ``data`` is ever asked for.
    :param weights: (n,), how likely each is.
    :param guard: for training's own choices.
    :param attacks: few-step attacks to draw from, each with norm 2 or ``inf``.
    :param corruptions: corruptions to draw from, none of them stored.
    :param weak: names of the types that are drawn more often.
    :param threat: of the PGD-20 that judges on the guard part.
    :raises TrainingError: where there is no sample.
    """

    data: Dataset
    ids: np.ndarray
    weights: np.ndarray
    guard: Guard
    attacks: tuple[AttackType, ...]
    corruptions: tuple[CorruptionType, ...]
    weak: tuple[str, ...]
    threat: ThreatModel
    recipe: Recipe
    seed: int
    epochs: int
    batch_size: int

    def __post_init__(self) -> None:
        if not len(self.ids):
            raise TrainingError("x: no sample is left to train on once held-out half, control and guard are taken out")

    @property
    def steps_per_epoch(self) -> int:
        """How many batches an epoch has."""
        return max(1, -(-len(self.ids) // self.batch_size))

    @property
    def steps(self) -> int:
        """How many batches all epochs have."""
        return self.steps_per_epoch * self.epochs

    @property
    def corrected_at(self) -> int:
        """After how many steps the odds are corrected: one epoch, or a third of a run of fewer than three."""
        return min(self.steps_per_epoch, math.ceil(self.steps / 3))

    def odds(self, weak: Mapping[str, list[str]] | None = None) -> Odds:
        """Return the odds of every type by family, the weak ones (``weak``, or those handed in) up."""
        families = {"attacks": [k.name for k in self.attacks], "corruptions": [k.name for k in self.corruptions]}
        return {
            family: odds_of(names, self.weak if weak is None else weak[family], self.recipe.weak_odds)
            for family, names in families.items()
        }

    def crop(self, x: np.ndarray, draws: Tensor) -> Tensor:
        """Return training views of images: cropped and mirrored."""
        recipe, shape = self.recipe, x.shape[1:]
        pixels = torch.from_numpy(x).to(draws.device)
        return crop_and_flip(pixels, draws, recipe.border(shape), recipe.mirrored(shape), derive(self.seed, "crop"))

    def fingerprints(self) -> dict[str, str]:
        """Return what identifies the samples of a training."""
        known = getattr(self.data, "fingerprint", None)
        return {
            "data": known() if known is not None else str(len(self.data)),
            "samples": digest(self.ids, self.weights),
            "guard": digest(self.guard.split.encode(), self.guard.ids),
        }

    def norm_views(self, device: torch.device) -> list[Tensor]:
        """Return the training views from which the dial estimates batch norm, in batches of nearly one size."""
        drawn = draw_epoch(self.ids, np.ones(len(self.ids)), derive(self.seed, "dial"), 0)[:_NORM_VIEWS]
        views, first = [], self.epochs * len(self.ids)  # numbers of draws that no epoch has used
        for ids in batches(drawn, max(self.batch_size, 64)):
            draws = torch.arange(first, first + len(ids), device=device)
            views.append(self.crop(self.data.take(ids).x, draws))
            first += len(ids)
        return views
