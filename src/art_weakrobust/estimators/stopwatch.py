"""How many seconds an image costs under an execution plan."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from .search import example_images
from .streams import LEAST_PART, slices

if TYPE_CHECKING:
    from .pytorch import FastPyTorchClassifier

_BATCHES = 4
"""Batches of one prediction where it is measured by itself: streams have to be set up, and some end before others."""

_LEAST_BATCHES = 2
"""The same where the model is slow: a single batch is not cut into streams."""

_PROBE = 8
"""Images of the first look at how slow a model is, and the fewest that are measured."""

Plan = dict[str, Any]


class Stopwatch:
    """Measures seconds an image: the least of what repetitions there is time for, as other work only ever adds.

    An image costs a prediction by ``predict``, an input gradient, and a prediction in the precision of the search, as
    far as they are asked for. Where a pass of a batch would not end in time, fewer images are measured; a batch
    larger than the first plan's then costs infinitely much, as it would be a guess.

    :param x: images to repeat, or None for noise.
    :param gradients: whether input gradients are measured.
    :param searches: whether predictions in the precision of the search are, as scoring asks for them; several batches
        at a time, and as many for every plan, so that none looks faster for having had more.
    :param clock: seconds, from any zero.
    """

    def __init__(
        self,
        estimator: FastPyTorchClassifier,
        x: np.ndarray | None,
        *,
        gradients: bool = True,
        searches: bool = False,
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        self._estimator, self._gradients, self._searches, self._clock = estimator, gradients, searches, clock
        if x is None or not len(x):
            x = example_images(estimator.input_shape, estimator.clip_values).numpy()
        self._x = np.asarray(x, dtype=np.float32)
        self._least, self._batch_size = float("inf"), 0
        self._size, self._batches = 0, 0
        self._warm: set[tuple[tuple[str, Any], ...]] = set()

    def __call__(self, plan: Plan, seconds: float) -> float:
        """Return seconds an image under ``plan``, measured for about ``seconds``; as many warm a new plan up."""
        self._estimator.plan = dict(plan)
        if not self._batch_size:
            self._pass(_PROBE)  # the first of all sets libraries up
            self._least, self._batch_size = self._pass(_PROBE) / _PROBE, plan["batch_size"]
        in_time = max(_PROBE, int(seconds / self._least))
        if plan["batch_size"] > max(in_time, self._batch_size):
            return float("inf")
        size: int = min(plan["batch_size"], in_time)
        if self._searches:
            size = self._size = self._size or min(size, max(in_time // _LEAST_BATCHES, 2 * LEAST_PART))
        key = tuple(sorted(plan.items()))
        self._pass(_PROBE if key in self._warm else size)  # folds, compiles, fills caches
        self._warm.add(key)
        if not self._batches:
            self._batches = self._some_batches(size, seconds) if self._searches else 1
        batches = self._batches
        end, least = self._clock() + seconds, self._pass(size, batches)
        while self._clock() + least < end:
            least = min(least, self._pass(size, batches))
        self._least = min(self._least, least / (size * batches))
        return least / (size * batches)

    def _some_batches(self, size: int, seconds: float) -> int:
        """Return how many batches of ``size`` images take about so many seconds: two to :data:`_BATCHES`."""
        return max(_LEAST_BATCHES, round(seconds / max(self._pass(size), seconds / _BATCHES)))

    def _pass(self, size: int, batches: int = 1) -> float:
        """Return the seconds that predictions of ``size`` images at a time take, and what else is measured."""
        estimator, x = self._estimator, np.resize(self._x, (size * batches, *self._x.shape[1:]))
        images, precision = torch.from_numpy(x), estimator.plan["precision"]
        start = self._clock()
        labels = torch.from_numpy(estimator.predict(x, batch_size=size).argmax(1))
        if self._searches:
            answers = estimator.each(lambda part: estimator.predict_tensor(images[part], precision), len(images), size)
            answers[-1].flatten()[:1].cpu()  # waits for the device, whichever it is
        if self._gradients:
            for part in slices(len(images), size):
                gradient = estimator.loss_gradient_tensor(images[part].to(estimator.device), labels[part])
            gradient.flatten()[:1].cpu()
        return self._clock() - start
