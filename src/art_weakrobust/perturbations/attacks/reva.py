"""The two of REVa's six attacks that ART has not, and the suite (rows/reva.py has the parameters).

Source: Nuhu et al., https://arxiv.org/abs/2509.19197, and its code, https://github.com/arnuhu08/REVa.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from art.attacks import EvasionAttack
from art.estimators.estimator import BaseEstimator, LossGradientsMixin
from art.utils import check_and_transform_label_format, get_labels_np_array
from tqdm.auto import trange

from ...protocols import Estimator
from .rows.reva import REVA
from .settings import refuse_mask

_START = 1e-3
"""Standard deviation of the universal perturbation that Adam starts from."""

_OPTIONS = ["eps", "max_iter", "batch_size", "verbose"]


def suite(*, eps: float | str | None = None) -> list[str]:
    """Return REVa's six as they are written one by one.

    :param eps: one budget for all, in place of their own: ``--attacks reva:eps=2/255``.
    """
    return [row.name if eps is None else f"{row.name}:eps={eps}" for row in REVA]


class RandomisedFGSM(EvasionAttack):
    """R+FGSM (Tramèr et al., https://arxiv.org/abs/1705.07204), iterated: a random signed step, then gradient steps.

    :param eps: Linf budget.
    :param eps_step: of the random step and of every other.
    :param max_iter: gradient steps.
    """

    attack_params = EvasionAttack.attack_params + _OPTIONS + ["eps_step", "targeted"]
    _estimator_requirements = (BaseEstimator, LossGradientsMixin)

    def __init__(
        self,
        estimator: Estimator,
        eps: float = 4 / 255,
        eps_step: float = 1 / 255,
        max_iter: int = 10,
        targeted: bool = False,
        batch_size: int = 32,
        verbose: bool = True,
    ) -> None:
        super().__init__(estimator=estimator)
        self.eps, self.eps_step, self.max_iter = eps, eps_step, max_iter
        self._targeted, self.batch_size, self.verbose = targeted, batch_size, verbose

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> np.ndarray:
        """Return adversarial samples, float32 like ``x``; ``y`` are one-hot or indices, predictions where None."""
        refuse_mask(self, kwargs)
        labels = _labels(self.estimator, x, y, self.batch_size)
        low, high = _range(self.estimator)
        sign = -1 if self.targeted else 1
        x_adv = np.clip(x + self.eps_step * np.sign(np.random.standard_normal(x.shape)), low, high).astype(np.float32)
        for _ in trange(self.max_iter, desc="R+FGSM", leave=False, disable=not self.verbose):
            for rows in _batches(len(x), self.batch_size):
                gradient = self.estimator.loss_gradient(x_adv[rows], labels[rows])
                delta = x_adv[rows] + sign * self.eps_step * np.sign(gradient) - x[rows]
                x_adv[rows] = np.clip(x[rows] + np.clip(delta, -self.eps, self.eps), low, high)
        return x_adv


class AdamUniversal(EvasionAttack):
    """One perturbation for all samples, by Adam on the loss of those that it is crafted on.

    :param eps: Linf budget.
    :param learning_rate: of Adam.
    :param max_iter: passes over the samples.
    """

    attack_params = EvasionAttack.attack_params + _OPTIONS + ["learning_rate"]
    _estimator_requirements = (BaseEstimator, LossGradientsMixin)

    def __init__(
        self,
        estimator: Estimator,
        eps: float = 0.1,
        learning_rate: float = 0.01,
        max_iter: int = 10,
        batch_size: int = 100,
        verbose: bool = True,
    ) -> None:
        super().__init__(estimator=estimator)
        self.eps, self.learning_rate, self.max_iter = eps, learning_rate, max_iter
        self.batch_size, self.verbose = batch_size, verbose
        self.noise: np.ndarray | None = None

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> np.ndarray:
        """Craft :attr:`noise`, float32 (1, c, h, w), on ``x`` and return ``x`` with it."""
        refuse_mask(self, kwargs)
        labels = _labels(self.estimator, x, y, self.batch_size)
        low, high = _range(self.estimator)
        delta = torch.from_numpy(np.float32(_START) * np.random.standard_normal((1, *x.shape[1:])).astype(np.float32))
        adam = torch.optim.Adam([delta], lr=self.learning_rate, maximize=True)
        for _ in trange(self.max_iter, desc="Universal perturbation", leave=False, disable=not self.verbose):
            for rows in _batches(len(x), self.batch_size):
                moved = x[rows] + delta.numpy()
                gradient = self.estimator.loss_gradient(np.clip(moved, low, high), labels[rows])
                inside = (moved >= low) & (moved <= high)  # clipped pixels follow no gradient
                delta.grad = torch.from_numpy((gradient * inside).sum(axis=0, keepdims=True, dtype=np.float32))
                adam.step()
            delta.clamp_(-self.eps, self.eps)
        self.noise = delta.numpy().copy()
        return np.asarray(np.clip(x + self.noise, low, high), np.float32)


def _labels(estimator: Any, x: np.ndarray, y: np.ndarray | None, batch_size: int) -> np.ndarray:
    if y is None:
        return np.asarray(get_labels_np_array(estimator.predict(x, batch_size=batch_size)))
    return np.asarray(check_and_transform_label_format(y, nb_classes=estimator.nb_classes))


def _range(estimator: Any) -> tuple[float, float]:
    low, high = (-np.inf, np.inf) if estimator.clip_values is None else estimator.clip_values
    return float(low), float(high)


def _batches(n: int, size: int) -> Iterator[slice]:
    return (slice(start, start + size) for start in range(0, n, size))
