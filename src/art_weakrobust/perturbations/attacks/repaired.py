"""Subclasses of ART's attacks that mend one thing each; binding and building put them in the place of the original.

Their ``y`` are the labels, as everybody else's: JSMA and the targeted universal perturbation take *targets* and say
nothing when they are handed labels, which they then aim at and reach without a step.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from art.attacks import EvasionAttack
from art.attacks.evasion import SaliencyMapMethod, TargetedUniversalPerturbation, UniversalPerturbation

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


REPAIRED: dict[type[EvasionAttack], type[EvasionAttack]] = {
    SaliencyMapMethod: RunnerUpSaliencyMap,
    UniversalPerturbation: QuietUniversal,
    TargetedUniversalPerturbation: RunnerUpUniversal,
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
