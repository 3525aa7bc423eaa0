"""The built-in engine of adversarial distances: first order, descents on the margin, APGD below what is known.

1. One gradient for each of the likeliest other classes says how far away its boundary is to first order (exactly so for
   a linear model) and in which order the classes are worth looking at.
2. From the nearest of these points a descent settles on the boundary, whatever class is beyond.
3. Rounds, each with a descent to the class that is next in that order; a sample takes part where that class may lie
   nearer than what is known of it, so that easy ones are done at once.
4. Where the budget has served all classes, APGD-T looks inside the ball of the closest adversarial known, which shrinks
   as long as it finds one.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

import numpy as np
import torch
from torch import Tensor

from ..errors import ModelError, UsageError
from ..estimators.pytorch import FastPyTorchClassifier
from ..kernels.apgd import apgd
from ..kernels.closest import Answer, Ask, Closest
from ..kernels.hyperplane import nearest_crossing
from ..kernels.losses import margin
from ..kernels.minimum_norm import descend
from ..kernels.norms import lp_norm, per_sample
from ..protocols import Estimator
from ..results import Samples
from .boundary_engine import Found
from .outputs import Asked, in_logits
from .scorer import OK

LEAST_BUDGET = 20
_TARGETS = 9
"""Other classes that are looked at, the likeliest first; as many as AutoAttack takes."""
_OVERSHOOT = 1.001
"""By how much more than the margin a crossing gains: where the classes tie nothing is adversarial."""
_SLACK = 1.5
"""A class is worth a round while its boundary, to first order, is nearer than so many times what is known."""
_FIRST, _LONGEST = 50, 100
"""Steps of the first descent: as far as the budget goes, and at most."""
_SHORT = 20
"""Steps of a round at least, and of APGD at a time."""
_LAST, _AGAIN, _BELOW = 2, 2, 0.98
"""Classes that APGD-T tries last, how often, and in balls of which share of the known distance."""


@dataclass(frozen=True, kw_only=True)
class MinimumNormSearch:
    """An :class:`~.boundary_engine.Engine` in Linf and L2, by gradients of a PyTorch classifier.

    :param norm: 2 or ``inf``.
    :param budget: gradients a sample at most, from 20.
    :param batch_size: samples a pass.
    """

    norm: float
    budget: int
    batch_size: int
    name: str = "descent"

    def __post_init__(self) -> None:
        if self.norm not in (2.0, inf):
            raise UsageError(
                f"distance_norm {self.norm:g} has no search of its own: use 2 or inf, or an attack in L1 as attack="
            )
        whole = isinstance(self.budget, int) and not isinstance(self.budget, bool)
        if not whole or self.budget < LEAST_BUDGET:
            raise UsageError(f"budget {self.budget!r} has to be a whole number of gradients from {LEAST_BUDGET}")

    def on(self, estimator: Estimator) -> MinimumNormSearch:
        """Return itself, for an estimator that it can search on.

        :raises ModelError: for one without gradients that PyTorch gives, and says what to use in its place.
        """
        if Asked.of(estimator).fast is None:
            raise ModelError(
                f"the built-in search for adversarial distances needs the gradients of a PyTorch classifier, and a "
                f"{type(estimator).__name__} gives none: name an attack that goes with it, as in "
                "boundary:attack=hopskipjump"
            )
        return self

    def __call__(self, estimator: Estimator, samples: Samples, eps_max: float) -> Found:  # noqa: ARG002
        """Return the closest adversarial of each sample, however far: nothing is nearer for a limit.

        Where the copy saw none, it is the first-order guess: logits may tie within what floating point tells.
        """
        asked = Asked.of(estimator)
        assert asked.fast is not None  # checked before the run
        points = []
        with asked.fast.searching("float32"):
            for at in range(0, len(samples), self.batch_size):
                some = samples[at : at + self.batch_size]
                search = _Search.of(asked.fast, asked.tensor(some.x), asked.tensor(some.y), self.norm)
                closest = search.searched(self.budget)
                found = per_sample(closest.found, closest.x).bool()
                points.append(closest.points.where(found, search.start).cpu().numpy())  # a guess is the judge's to try
        return Found(np.concatenate(points), np.full(len(samples), OK, object))


@dataclass(frozen=True)
class _Search:
    """One batch.

    :param targets: other classes of each sample in the order of their first-order distance, int64 (n, t).
    :param guess: that distance, (n, t), ``inf`` where the whole box is on this side.
    :param start: the nearest point beyond a boundary, to first order, shaped as ``x``.
    """

    model: FastPyTorchClassifier
    x: Tensor
    y: Tensor
    norm: float
    targets: Tensor
    guess: Tensor
    start: Tensor

    @classmethod
    def of(cls, model: FastPyTorchClassifier, x: Tensor, y: Tensor, norm: float) -> _Search:
        """Look at the likeliest other classes, one gradient each."""
        logits = in_logits(model.predict_tensor(x))
        likeliest = logits.scatter(1, y.unsqueeze(1), -torch.inf).argsort(dim=1, descending=True, stable=True)
        targets = likeliest[:, : min(_TARGETS, logits.shape[1] - 1)]
        nearest, guesses = Closest.unknown(x, norm), []
        for target in targets.unbind(1):
            point, reached = _crossing(margins(model, y, target), x, norm)
            nearest = nearest.seen(point, reached)
            guesses.append(lp_norm(point - x, norm).masked_fill(~reached, torch.inf))
        guess, order = torch.stack(guesses, 1).sort(dim=1, stable=True)
        return cls(model, x, y, norm, targets.gather(1, order), guess, nearest.points)

    def searched(self, budget: int) -> Closest:
        """Return the closest adversarials for a budget of gradients a sample."""
        classes = self.targets.shape[1]
        left = budget - classes
        first = min(left, max(_FIRST, left // 3), _LONGEST)
        closest = descend(margins(self.model, self.y), Closest.unknown(self.x, self.norm), first, self.start)
        left -= first
        last = _LAST * _AGAIN * _SHORT if left >= classes * _SHORT + _LAST * _AGAIN * _SHORT else 0
        rounds = min(classes, (left - last) // _SHORT)
        for number in range(rounds):
            closest = self._nearer(closest, number, functools.partial(_descended, steps=(left - last) // rounds))
        for number in range(min(_LAST, classes) if last else 0):
            closest = self._nearer(closest, number, _below)
        return closest

    def _nearer(self, closest: Closest, number: int, look: Callable[[Ask, Closest], Closest]) -> Closest:
        """Let the samples look to which the class of this number may be nearer than what is known."""
        rows = (~(self.guess[:, number] > _SLACK * closest.distance)).nonzero().squeeze(1)
        if not len(rows):
            return closest
        return closest.joined(
            rows, look(margins(self.model, self.y[rows], self.targets[rows, number]), closest.of(rows))
        )


def _crossing(ask: Ask, x: Tensor, norm: float) -> tuple[Tensor, Tensor]:
    """Return the nearest points beyond a boundary, to first order, and whether the box holds any."""
    value, gradient, _ = ask(x, torch.arange(len(x), device=x.device))
    return nearest_crossing(x, gradient, value * _OVERSHOOT, norm)


def _descended(ask: Ask, closest: Closest, steps: int) -> Closest:
    start, _ = _crossing(ask, closest.x, closest.norm)
    return descend(ask, closest, steps - 1, start)


def _below(ask: Ask, closest: Closest) -> Closest:
    """Return what APGD finds in balls a little smaller than the known distance, and once more where it does."""
    rows = closest.found.nonzero().squeeze(1)
    for _ in range(_AGAIN):
        if not len(rows):
            break
        known = closest.of(rows)
        nearer = apgd(_among(ask, rows), known, _BELOW * known.distance, _SHORT, known.points)
        closest = closest.joined(rows, nearer)
        rows = rows[nearer.distance < known.distance]
    return closest


def _among(ask: Ask, rows: Tensor) -> Ask:
    """Return the question of a search among some of the samples."""
    return lambda points, part: ask(points, rows[part])


def margins(model: FastPyTorchClassifier, y: Tensor, target: Tensor | None = None) -> Ask:
    """Return the question of a search: the margin over the best other class, or over a class of each sample's own.

    :param y: labels, int64 (n,).
    :param target: int64 (n,).
    """

    def ask(points: Tensor, rows: Tensor) -> Answer:
        label = y[rows]

        def gap(outputs: Tensor, _: Tensor) -> Tensor:
            logits = in_logits(outputs)
            if target is None:
                return margin(logits, label)
            return (logits.gather(1, label.unsqueeze(1)) - logits.gather(1, target[rows].unsqueeze(1))).squeeze(1)

        outputs, gradient = model.logits_and_gradient(points, label, gap)
        wrong = outputs.isfinite().all(1) & (outputs.argmax(1) != label)
        return Answer(gap(outputs, label), gradient, wrong)

    return ask
