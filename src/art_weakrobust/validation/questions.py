"""What is asked of a chunk of samples: pure functions of estimator and samples that return verdicts."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from ..errors import UserError
from ..estimators.judge import judge_logits
from ..kernels.keyed import derive
from ..kernels.neighborhood import neighbors
from ..perturbations.attacks.judge import MISCLASSIFIED, distance, error_status, verdicts
from ..perturbations.attacks.runner import attack_samples
from ..perturbations.corruptions.apply import corrupted
from ..perturbations.corruptions.constants import SEVERITIES
from ..perturbations.types import AttackType, CorruptionType
from ..protocols import Estimator
from ..results import VALIDATION, Samples, Table, conform, merge


@dataclass(frozen=True, kw_only=True)
class Question:
    """One perturbation type, asked of one set; called with estimator and samples it returns rows of ``VALIDATION``.

    :param type: name of the perturbation type.
    :param set: name of the set of samples.
    :param batch_size: of the judge's forward passes.
    """

    type: str
    set: str = ""
    batch_size: int = 256

    def __call__(self, estimator: Estimator, samples: Samples) -> Table:
        """Return one or more rows a sample."""
        return self._judged(estimator, samples, samples.x)

    def _judged(
        self, estimator: Estimator, samples: Samples, x: np.ndarray, severity: int | None = None, **columns: Any
    ) -> Table:
        """Return the rows of perturbed images ``x``, judged against the labels of ``samples``."""
        prediction, correct, status = verdicts(judge_logits(estimator, x, self.batch_size), samples.y)
        known = pa.array(prediction, pa.int64(), mask=prediction < 0)
        return self._rows(
            samples, severity, prediction=known, correct=pa.array(correct, pa.bool_()), status=status, **columns
        )

    def _rows(self, samples: Samples, severity: int | None, *, status: Any, **columns: Any) -> Table:
        """Return rows of ``VALIDATION``; columns that are not given are null."""
        n = len(samples)
        given = {
            "index": samples.ids,
            "set": pa.repeat(self.set, n),
            "type": pa.repeat(self.type, n),
            "severity": pa.nulls(n, pa.int8()) if severity is None else pa.repeat(severity, n),
            "label": samples.y,
            "status": status,
        }
        return conform(pa.table({**given, **columns}), VALIDATION)


@dataclass(frozen=True, kw_only=True)
class Plain(Question):
    """The images as they are: clean, or corrupted on disk."""

    severity: int | None = None

    def __call__(self, estimator: Estimator, samples: Samples) -> Table:
        """Return one row a sample."""
        return self._judged(estimator, samples, samples.x, self.severity)


@dataclass(frozen=True, kw_only=True)
class Noisy(Question):
    """One neighbor of each sample, uniform in the ball of ``radius``."""

    radius: float = 8 / 255
    norm: float = inf
    seed: int = 0

    def __call__(self, estimator: Estimator, samples: Samples) -> Table:
        """Return one row a sample."""
        # A seed of its own: the neighbors that made a sample weak would say nothing new about it.
        seed = derive(self.seed, self.type)
        x, ids = torch.from_numpy(samples.x), torch.from_numpy(samples.ids)
        noisy = neighbors(x, ids, 0, self.radius, self.norm, seed).numpy()
        return self._judged(estimator, samples, noisy, perturbation_norm=distance(noisy, samples.x, self.norm))


@dataclass(frozen=True, kw_only=True)
class Attacked(Question):
    """An attack, built on the estimator at hand, and never believed."""

    attack: AttackType
    seed: int = 0
    early_stop: bool = True

    def __call__(self, estimator: Estimator, samples: Samples) -> Table:
        """Return one row a sample."""
        result = attack_samples(
            self.attack, estimator, samples, seed=self.seed, batch_size=self.batch_size, early_stop=self.early_stop
        )
        columns = result.columns()
        attacked = result.status != MISCLASSIFIED
        if attacked.any() and all(verdict is None for verdict in result.correct[attacked]):
            # Where the attack crashed, those that it need not attack would be all that counts, each of them an error.
            columns["correct"] = pa.nulls(len(samples), pa.bool_())
        return self._rows(samples, None, **columns)


@dataclass(frozen=True, kw_only=True)
class Corrupted(Question):
    """A corruption at several severities."""

    corruption: CorruptionType
    severities: tuple[int, ...] = SEVERITIES
    seed: int = 0

    def __call__(self, estimator: Estimator, samples: Samples) -> Table:
        """Return one row a sample and severity."""
        return merge(self._at(severity, estimator, samples) for severity in self.severities)

    def _at(self, severity: int, estimator: Estimator, samples: Samples) -> Table:
        try:
            x = self._corrupted(samples, severity, getattr(estimator, "device", "cpu"))
        except UserError:
            raise
        except Exception as error:  # not swallowed: it is the status, and the verdict is unknown
            return self._rows(samples, severity, status=pa.repeat(error_status(error), len(samples)))
        return self._judged(estimator, samples, x, severity)

    def _corrupted(self, samples: Samples, severity: int, device: Any) -> np.ndarray:
        """Return the corrupted images, float32 in [0, 1]; ``device`` is where they are made."""
        corruption: Any = self.corruption.corruption
        seed = derive(self.seed, self.type)
        x, ids, size = samples.x, samples.ids, self.batch_size
        return corrupted(corruption, self.type, x, ids, severity, seed, batch_size=size, device=device)
