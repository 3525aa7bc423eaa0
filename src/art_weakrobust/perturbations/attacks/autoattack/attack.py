"""AutoAttack, APGD-CE and APGD-T as attacks of ART."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
from art.attacks import EvasionAttack
from art.estimators.classification import PyTorchClassifier
from art.estimators.estimator import BaseEstimator, LossGradientsMixin

from ....errors import AttackError, UsageError
from ....estimators.pytorch import FastPyTorchClassifier, answers_as_its_module
from ....protocols import Estimator
from ....threat import parse_eps, parse_norm
from ..labels import class_numbers
from ..settings import refuse_mask, whole
from .recipe import MAX_ITER, MAX_QUERIES, Recipe, recipe_of

_OPTIONS = ["norm", "eps", "max_iter", "early_stop", "seed", "batch_size"]
"""What decides the result; ``state`` does not."""


class _Original(EvasionAttack):
    """What the three share: a budget, a seed, chunks, and the original's code."""

    _estimator_requirements = (BaseEstimator, LossGradientsMixin)
    attack_params = EvasionAttack.attack_params + _OPTIONS

    def __init__(
        self,
        estimator: Estimator,
        norm: float | str,
        eps: float | str,
        max_iter: int,
        max_queries: int,
        early_stop: bool,
        seed: int,
        batch_size: int,
        state: str | Path | None,
    ) -> None:
        super().__init__(estimator=estimator)
        self.norm, self.eps = parse_norm(norm), parse_eps(eps)
        self.max_iter, self.max_queries, self.early_stop = max_iter, max_queries, early_stop
        self.seed, self.batch_size, self.state = seed, batch_size, state
        self._check_params()

    def _check_params(self) -> None:
        self.norm, self.eps = parse_norm(self.norm), parse_eps(self.eps)
        for name in ("max_iter", "max_queries", "batch_size"):
            whole(name, getattr(self, name), type(self).__name__)
        self._recipe()

    @abstractmethod
    def _recipe(self) -> Recipe:
        """Return what is run."""

    def _run(self, x: np.ndarray, y: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """Return adversarial samples, float32, and the name of the part that made each, or ""."""
        from .cascade import Cascade  # loads the original, which nobody has to wait for who does not run it
        from .parts import Setting

        estimator, clip_values = _searchable(self.estimator, type(self).__name__)
        images = np.ascontiguousarray(x, np.float32)
        labels = _labels(estimator, images, y, self.batch_size)
        setting = Setting(self.norm, self.eps, self._recipe(), self.max_iter, self.max_queries, self.early_stop)
        state = None if self.state is None else Path(str(self.state)).expanduser()
        cascade = Cascade(estimator, clip_values, setting, int(self.seed), int(self.batch_size), state)
        return cascade.run(images, labels)


class AutoAttack(_Original):
    """AutoAttack by the original's own code: after it, :attr:`broken_by` says which part broke each sample.

    Perturbed samples are those of pyautoattack for the same seeds and chunks, but for APGD's, which are the first that
    it found and not the last (``early_stop``), and for rounding where the search runs on a folded copy of the model.
    A sample counts as broken once the judge sees it so.

    :param norm: 1, 2 or ``inf``.
    :param eps: budget.
    :param version: ``standard`` (APGD-CE, APGD-T, FAB-T, Square), ``plus``, ``rand`` for models that answer at random,
        or ``custom``.
    :param attacks_to_run: of ``custom``: out of ``apgd-ce, apgd-dlr, apgd-t, fab, fab-t, square``.
    :param max_iter: steps of APGD and FAB; AutoAttack's figures are those of 100.
    :param max_queries: of Square; AutoAttack's figures are those of 5000.
    :param early_stop: whether APGD leaves alone whom it has fooled, which changes no verdict; not in the versions that
        need all points, ``standard`` in L1 and ``rand``.
    :param seed: of everything that is drawn; the global generators are left as they were.
    :param batch_size: samples a chunk, which every part takes on at once.
    :param state: a folder for what is finished, so that a run that was killed goes on there; any number of runs, of any
        models, may share it.
    :raises UsageError: for a value that is not known.
    """

    attack_params = _Original.attack_params + ["version", "attacks_to_run", "max_queries"]  # noqa: RUF005

    def __init__(
        self,
        estimator: Estimator,
        norm: float | str = inf,
        eps: float | str = 8 / 255,
        version: str = "standard",
        attacks_to_run: Sequence[str] | str | None = None,
        max_iter: int = MAX_ITER,
        max_queries: int = MAX_QUERIES,
        early_stop: bool = True,
        seed: int = 0,
        batch_size: int = 256,
        state: str | Path | None = None,
    ) -> None:
        self.version, self.attacks_to_run = version, attacks_to_run
        self.broken_by: np.ndarray | None = None
        super().__init__(estimator, norm, eps, max_iter, max_queries, early_stop, seed, batch_size, state)

    def _recipe(self) -> Recipe:
        return recipe_of(self.version, self.norm, self.attacks_to_run)

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> np.ndarray:
        """Return adversarial samples, float32 like ``x`` (n, c, h, w), clean where none was found; sets ``broken_by``.

        :param y: labels, one-hot (n, K) or indices (n,) of any integer type; predictions where None.
        :raises AttackError: for an estimator that is more than its module, or has no range of pixels.
        :raises UsageError: for labels that are no classes, and for a ``mask``.
        """
        refuse_mask(self, kwargs)
        x_adv, self.broken_by = self._run(x, y)
        return x_adv


class AutoPGDCrossEntropy(_Original):
    """AutoAttack's first part alone: APGD on the cross-entropy, of one start (in L1 five, from a larger ball).

    Parameters are those of :class:`AutoAttack`.
    """

    _part = "apgd-ce"

    def __init__(
        self,
        estimator: Estimator,
        norm: float | str = inf,
        eps: float | str = 8 / 255,
        max_iter: int = MAX_ITER,
        early_stop: bool = True,
        seed: int = 0,
        batch_size: int = 256,
        state: str | Path | None = None,
    ) -> None:
        super().__init__(estimator, norm, eps, max_iter, MAX_QUERIES, early_stop, seed, batch_size, state)

    def _recipe(self) -> Recipe:
        return recipe_of("standard", self.norm).alone(self._part)

    def generate(self, x: np.ndarray, y: np.ndarray | None = None, **kwargs: Any) -> np.ndarray:
        """Return adversarial samples; parameters and errors are those of :meth:`AutoAttack.generate`."""
        refuse_mask(self, kwargs)
        return self._run(x, y)[0]


class AutoPGDTargeted(AutoPGDCrossEntropy):
    """AutoAttack's second part alone: APGD on the difference of logits ratio, towards the nine likeliest other classes.

    It is untargeted in ART's sense: any other class will do. Parameters are those of :class:`AutoAttack`.
    """

    _part = "apgd-t"


def _searchable(estimator: Estimator, name: str) -> tuple[FastPyTorchClassifier, tuple[float, float]]:
    """Return the fast classifier that is searched on, and the range of its pixels."""
    if not (isinstance(estimator, PyTorchClassifier) and answers_as_its_module(estimator)):
        raise AttackError(
            f"{name} attacks the module of a PyTorchClassifier, and a {type(estimator).__name__} answers by more than "
            f"that; choose pgd or square, which ask the estimator itself"
        )
    fast = FastPyTorchClassifier.sharing(estimator)
    if fast.nb_classes < 2:
        raise AttackError(f"{name} needs a logit for each of two classes or more, and the estimator has one output")
    if not fast.all_framework_preprocessing:
        raise AttackError(
            f"{name} differentiates through the estimator, and its preprocessing in NumPy has no gradient in PyTorch; "
            f"use the PyTorch versions of those defences, or choose pgd or square"
        )
    bounds = [] if fast.clip_values is None else [np.unique(bound) for bound in fast.clip_values]
    if len(bounds) != 2 or any(len(bound) > 1 for bound in bounds) or bounds[0] >= bounds[1]:
        raise AttackError(
            f"{name} needs one range of pixels, and the estimator has clip_values={fast.clip_values!r}; "
            f"build it with clip_values=(0, 1)"
        )
    return fast, (float(bounds[0][0]), float(bounds[1][0]))


def _labels(estimator: FastPyTorchClassifier, x: np.ndarray, y: np.ndarray | None, batch_size: int) -> np.ndarray:
    """Return labels as int64 (n,): the original fails on any other integer type."""
    if y is None:
        return np.asarray(estimator.predict(x, batch_size=batch_size).argmax(axis=1), np.int64)
    labels = class_numbers(np.asarray(y))
    odd = labels[(labels < 0) | (labels >= estimator.nb_classes)]
    if len(labels) != len(x) or len(odd):
        got = f"the label {odd[0]}" if len(odd) else f"{len(labels)} labels for {len(x)} images"
        raise UsageError(f"y: got {got}, expected one class from 0 to {int(estimator.nb_classes) - 1} for each image")
    return labels
