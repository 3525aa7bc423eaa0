"""Subclasses of ART's attacks that mend one thing each; binding and building put them in the place of the original.

Their ``y`` are the labels, as everybody else's: JSMA and the targeted universal perturbation take *targets* and say
nothing when they are handed labels, which they then aim at and reach without a step.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from art.attacks import EvasionAttack
from art.attacks.evasion import (
    AutoConjugateGradient,
    RescalingAutoConjugateGradient,
    SaliencyMapMethod,
    TargetedUniversalPerturbation,
    UniversalPerturbation,
)

from .labels import class_numbers, one_hot


class RunnerUpSaliencyMap(SaliencyMapMethod):
    """JSMA (https://arxiv.org/abs/1511.07528) towards the class that is second to the label."""

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> np.ndarray:
        """Return adversarial samples; ``y`` are labels, one-hot (n, K) or indices (n,), predictions where None."""
        scores = np.asarray(self.estimator.predict(x, batch_size=self.batch_size))
        targets = one_hot(runner_up(scores, y), scores.shape[1])
        return np.asarray(super().generate(x, targets, **kwargs))


class QuietUniversal(UniversalPerturbation):
    """Universal perturbation (https://arxiv.org/abs/1610.08401) whose inner attack draws no progress bars."""

    def _get_attack(self, a_name: str, params: dict[str, Any] | None = None) -> EvasionAttack:
        return silenced(super()._get_attack(a_name, params))


class RunnerUpUniversal(TargetedUniversalPerturbation):
    """Targeted universal perturbation towards the class that is most often second to the label."""

    def __init__(
        self,
        classifier: Any,
        attacker: str = "fgsm",
        attacker_params: dict[str, Any] | None = None,
        delta: float = 0.2,
        max_iter: int = 20,
        eps: float = 10.0,
        norm: int | float | str = np.inf,
    ) -> None:
        super().__init__(classifier, attacker, attacker_params, delta, max_iter, eps, norm)
        self._targeted = False  # y are labels here

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> np.ndarray:
        """Return adversarial samples; ``y`` are labels, one-hot (n, K) or indices (n,), predictions where None."""
        scores = np.asarray(self.estimator.predict(x))
        classes = scores.shape[1]
        target = np.bincount(runner_up(scores, y), minlength=classes).argmax()
        return np.asarray(super().generate(x, one_hot(np.full(len(x), target), classes), **kwargs))

    def _get_attack(self, a_name: str, params: dict[str, Any] | None = None) -> EvasionAttack:
        attack = silenced(super()._get_attack(a_name, params))
        attack.set_params(targeted=True)
        return attack


class _OfTheSum:
    """An estimator whose loss gradients are those of the summed loss: none is the smaller for company in its batch."""

    def __init__(self, estimator: Any) -> None:
        self._of = estimator

    def __getattr__(self, name: str) -> Any:
        return getattr(self._of, name)

    def loss_gradient(self, x: Any, y: Any, **kwargs: Any) -> Any:
        """Return the estimator's, times the samples that its loss is a mean over."""
        mean = getattr(getattr(self._of, "loss", None), "reduction", "mean") == "mean"
        return self._of.loss_gradient(x, y, **kwargs) * (len(x) if mean else 1)


class SummedConjugateGradient(AutoConjugateGradient):
    """Auto Conjugate Gradient whose steps do not shrink with the batch.

    In Linf, ART moves along the gradient itself where the paper (https://arxiv.org/abs/2206.09628) takes its sign, so
    that a mean over the batch makes steps of a batch of 256 that much smaller, and the attack that much weaker.
    """

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> np.ndarray:
        """Return adversarial samples, as ART's class does for one sample at a time."""
        with _summed(self):
            return np.asarray(super().generate(x, y, **kwargs))


class SummedRescalingConjugateGradient(RescalingAutoConjugateGradient):
    """Rescaling Auto Conjugate Gradient, mended likewise; it still measures gradients over the whole batch."""

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> np.ndarray:
        """Return adversarial samples."""
        with _summed(self):
            return np.asarray(super().generate(x, y, **kwargs))


@contextmanager
def _summed(attack: Any) -> Iterator[None]:
    before = attack._estimator
    attack._estimator = _OfTheSum(before)
    try:
        yield
    finally:
        attack._estimator = before


REPAIRED: dict[type[EvasionAttack], type[EvasionAttack]] = {
    SaliencyMapMethod: RunnerUpSaliencyMap,
    UniversalPerturbation: QuietUniversal,
    TargetedUniversalPerturbation: RunnerUpUniversal,
    AutoConjugateGradient: SummedConjugateGradient,
    RescalingAutoConjugateGradient: SummedRescalingConjugateGradient,
}
"""Class of ART's -> what we build in its place."""


def runner_up(scores: np.ndarray, y: np.ndarray | None) -> np.ndarray:
    """Return the class with the highest score beside the label, int64 (n,).

    :param scores: (n, K).
    :param y: labels, one-hot (n, K) or indices (n,); the predictions where None.
    """
    labels = scores.argmax(axis=1) if y is None else class_numbers(y)
    others = scores.astype(np.float64)
    others[np.arange(len(others)), labels] = -np.inf
    return np.asarray(others.argmax(axis=1))


def silenced(attack: EvasionAttack) -> EvasionAttack:
    """Return an attack after switching off its progress bars, where it has any."""
    if "verbose" in attack.attack_params and getattr(attack, "verbose", False):
        attack.set_params(verbose=False)
    return attack
