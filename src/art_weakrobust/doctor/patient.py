"""What the checks look at: an estimator, a few samples, and what the model says of them, computed once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf
from typing import Any

import numpy as np
from torch import nn

from ..estimators.judge import judge_logits, module_of
from ..threat import norm_suffix

Budget = tuple[float, float]
"""Norm and eps of an attack that will be run."""


@dataclass(frozen=True)
class Patient:
    """A model with some of its data.

    :param estimator: ART-compatible.
    :param x: images (n, c, h, w), as they will be given to the estimator.
    :param y: labels as they were handed in.
    :param budgets: of the attacks to come.
    :param published: clean accuracy in [0, 1] that the model's authors publish for these data, or None.
    """

    estimator: Any
    x: np.ndarray
    y: np.ndarray
    budgets: Sequence[Budget] = ()
    published: float | None = None

    @property
    def module(self) -> nn.Module | None:
        """The PyTorch module, or None for a black box."""
        return module_of(self.estimator)

    @property
    def clip(self) -> tuple[float, float]:
        """Least and largest pixel that the estimator's ``clip_values`` allow."""
        values = getattr(self.estimator, "clip_values", None)
        return (-inf, inf) if values is None else (float(np.min(values[0])), float(np.max(values[1])))

    @property
    def span(self) -> float:
        """The range of the pixels, 1 where no ``clip_values`` say."""
        low, high = self.clip
        return high - low if np.isfinite(high - low) else 1.0

    @cached_property
    def labels(self) -> np.ndarray:
        """Class indices, int64 (n,); one-hot rows are understood."""
        y = np.asarray(self.y)
        return (y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1)).astype(np.int64)

    @cached_property
    def outputs(self) -> np.ndarray:
        """What the judge says of the samples, float32 (n, K)."""
        return self.says(self.x)

    @property
    def right(self) -> np.ndarray:
        """Which samples are classified as their label says, bool (n,)."""
        return np.asarray(self.outputs.argmax(axis=1) == self.labels)

    @property
    def accuracy(self) -> float:
        """Share of samples that are right."""
        return float(self.right.mean())

    @property
    def chance(self) -> float:
        """Share of samples that the commonest label would get right."""
        return float(np.bincount(self.labels[self.labels >= 0]).max() / len(self.labels))

    def says(self, x: np.ndarray) -> np.ndarray:
        """Return the judge's outputs for other images."""
        return judge_logits(self.estimator, np.asarray(x, dtype=np.float32))


def percent(share: float) -> str:
    """Return a share as people read it."""
    return f"{100 * share:.1f} %"


def budget_name(budget: Budget) -> str:
    """Return ``Linf 0.3``."""
    norm, eps = budget
    return f"{norm_suffix(norm).capitalize()} {eps:g}"
