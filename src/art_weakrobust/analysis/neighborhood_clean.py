"""What a model says of the samples themselves, before it is asked about their neighbors."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ..estimators.judge import exact_float32
from ..kernels.losses import margin
from ..kernels.norms import dual_norm
from ..protocols import Estimator
from ..results import Samples, Table
from .outputs import Asked, check_labels, is_decision
from .scorer import MISCLASSIFIED, NOT_FINITE, OK, known, paths


@dataclass(frozen=True, kw_only=True)
class CleanRows:
    """A chunk function: one row a sample, what is known of it without any neighbor.

    The columns are ``index``, ``label``, ``path``, ``prediction``, ``correct``, ``status``, ``margin``,
    ``first_order_distance``, and ``decision``: whether the answer is a bare label, whose margin says nothing.
    Samples whose status is ``ok`` are to be asked about their neighbors.

    :param norm: in which ``first_order_distance`` is measured.
    :param first_order: False leaves it null, and spares the gradient.
    :param include_misclassified: let samples that are wrong count as ``ok``, too.
    :param batch_size: images a pass; one forwards gives logits and, backwards, the gradient.
    """

    norm: float = math.inf
    include_misclassified: bool = False
    batch_size: int
    first_order: bool = True

    def __call__(self, estimator: Estimator, samples: Samples) -> Table:
        """Return the rows."""
        with exact_float32(), torch.no_grad():
            return self._judged(Asked.of(estimator), samples)

    def _judged(self, asked: Asked, samples: Samples) -> Table:
        answers = [self._asked(asked, samples[at : at + self.batch_size]) for at in self._starts(samples)]
        gap, slope, prediction, decision = (np.concatenate(part) for part in zip(*answers, strict=True))
        finite = prediction >= 0
        correct = prediction == samples.y
        status = np.where(finite, OK, NOT_FINITE).astype(object)
        if not self.include_misclassified:
            status[finite & ~correct] = MISCLASSIFIED
        distance = np.full(len(samples), np.nan, np.float32)
        np.divide(gap, slope, out=distance, where=(status == OK) & (slope > 0))
        return pa.table(
            {
                "index": samples.ids,
                "label": samples.y,
                "path": paths(samples),
                "prediction": pa.array(prediction, mask=~finite),
                "correct": pa.array(correct, mask=~finite),
                "status": pa.array(status, pa.string()),
                "margin": known(np.where(finite, gap, np.nan), pa.float32()),
                "first_order_distance": known(distance, pa.float32()),
                "decision": decision,
            }
        )

    def _starts(self, samples: Samples) -> range:
        return range(0, len(samples), self.batch_size)

    def _asked(self, asked: Asked, samples: Samples) -> tuple[np.ndarray, ...]:
        """Return margin, dual norm of its gradient (NaN of a black box), prediction (-1: none) and whether bare."""
        x, y = asked.tensor(samples.x), asked.tensor(samples.y)

        def gap(logits: Tensor, labels: Tensor) -> Tensor:
            check_labels(logits, samples.y, samples.ids)
            return margin(logits, labels)

        logits, gradient = asked.logits_and_gradient(x, y, gap) if self.first_order else (asked.logits(x), None)
        slope = torch.full((len(x),), torch.nan) if gradient is None else dual_norm(gradient, self.norm)
        prediction = torch.where(logits.isfinite().all(1), logits.argmax(1), -1)
        parts = (gap(logits, y), slope, prediction, is_decision(logits))
        return tuple(part.cpu().numpy() for part in parts)
