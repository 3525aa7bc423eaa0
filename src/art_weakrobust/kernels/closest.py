"""What every minimum-norm search asks for and keeps: answers of the model, and the closest adversarial so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from .norms import lp_norm


class Answer(NamedTuple):
    """What a model says of some points.

    :param value: what is to fall below zero, (n,): the logit of the label minus another.
    :param gradient: of each value with respect to its point, shaped as the points.
    :param wrong: whether the prediction is not the label, bool (n,).
    """

    value: Tensor
    gradient: Tensor
    wrong: Tensor


Ask = Callable[[Tensor, Tensor], Answer]
"""Points (n, ...) and the positions of their samples in the search, int64 (n,) -> the answer; one gradient a point."""


@dataclass(frozen=True)
class Closest:
    """The closest adversarial of each sample that a search has come by.

    :param x: the clean samples, (n, ...).
    :param norm: in which distances are measured.
    :param points: shaped as ``x``; the sample itself where nothing was found.
    :param distance: (n,), ``inf`` where nothing was found.
    """

    x: Tensor
    norm: float
    points: Tensor
    distance: Tensor

    @classmethod
    def unknown(cls, x: Tensor, norm: float) -> Closest:
        """Return what is known before any search: nothing."""
        return cls(x, norm, x, torch.full((len(x),), torch.inf, device=x.device))

    @property
    def found(self) -> Tensor:
        """Whether an adversarial is known, bool (n,)."""
        return self.distance.isfinite()

    def seen(self, points: Tensor, wrong: Tensor) -> Closest:
        """Return what is known after these points, shaped as ``x``, of which some are ``wrong``, bool (n,)."""
        distance = lp_norm(points - self.x, self.norm)
        nearer = wrong & (distance < self.distance)
        return replace(
            self,
            points=points.where(nearer.view(-1, *[1] * (points.dim() - 1)), self.points),
            distance=distance.where(nearer, self.distance),
        )

    def of(self, rows: Tensor) -> Closest:
        """Return what is known of some samples, by their positions."""
        return replace(self, x=self.x[rows], points=self.points[rows], distance=self.distance[rows])

    def joined(self, rows: Tensor, part: Closest) -> Closest:
        """Return what is known with that of a search among some samples, wherever it is nearer."""
        nearer = part.distance < self.distance[rows]
        points, distance = self.points.clone(), self.distance.clone()
        points[rows[nearer]], distance[rows[nearer]] = part.points[nearer], part.distance[nearer]
        return replace(self, points=points, distance=distance)
