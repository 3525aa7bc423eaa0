"""Per-input resilient analysis: what a model says in the neighborhood of each sample.

Source: Nuhu et al., "A Validation Strategy for Deep Learning Models: Evaluating and Enhancing Robustness",
arXiv 2509.19197, section III. Misclassified samples are left out, as in the paper; ``include_misclassified`` gives the
rule of its code.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ..errors import UsageError
from ..estimators.judge import exact_float32
from ..estimators.plan import BATCH_SIZE
from ..kernels.losses import margin, misprediction_score
from ..kernels.neighborhood import neighbors
from ..kernels.norms import dual_norm
from ..protocols import Estimator
from ..results import Samples, Table
from ..threat import parse_eps, parse_norm
from .outputs import Asked, check_labels, is_decision
from .scorer import MISCLASSIFIED, NOT_FINITE, OK, ChunkScorer, known, score_table


def neighborhood(
    radius: float | str = 8 / 255,
    radius_norm: float | str = math.inf,
    neighbors: int = 50,
    quantise: bool = False,
    include_misclassified: bool = False,
    seed: int = 0,
    batch_size: int = BATCH_SIZE,
) -> ChunkScorer:
    """Return the scorer ``neighborhood``: the mean misprediction score over random neighbors; higher is weaker.

    :param radius: of the neighborhood, above 0, in the units of the pixels; ``"8/255"`` is understood.
    :param radius_norm: 2 or ``inf``.
    :param neighbors: how many a sample, at least 1.
    :param quantise: round neighbors to 8 bits.
    :param include_misclassified: score samples that are wrong when clean, too.
    :param seed: neighbors are a function of (seed, sample id, number).
    :param batch_size: images a forward pass, neighbors of several samples together: what memory is needed for.
    :raises UsageError: for a value outside its range.
    """
    function = Neighborhood(
        radius=parse_eps(radius, "radius"),
        radius_norm=parse_norm(radius_norm),
        neighbors=neighbors,
        quantise=quantise,
        include_misclassified=include_misclassified,
        seed=seed,
        batch_size=batch_size,
    )
    return ChunkScorer("neighborhood", lambda _estimator: function)


@dataclass(frozen=True, kw_only=True)
class Neighborhood:
    """The chunk function; parameters and errors are those of :func:`neighborhood`."""

    radius: float
    radius_norm: float
    neighbors: int
    quantise: bool
    include_misclassified: bool
    seed: int
    batch_size: int

    def __post_init__(self) -> None:
        if self.radius <= 0:
            raise UsageError(f"radius {self.radius!r} has to be above 0: without it a sample has no neighbors")
        if self.radius_norm not in (2.0, math.inf):
            raise UsageError(f"radius_norm {self.radius_norm:g} has no neighborhood here; use 2 or inf")
        for name in ("neighbors", "batch_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise UsageError(f"{name} {value!r} has to be a whole number from 1")

    def __call__(self, estimator: Estimator, samples: Samples) -> Table:
        """Return one row a sample."""
        with exact_float32(), torch.no_grad():
            return self._scored(Asked.of(estimator), samples)

    def _scored(self, asked: Asked, samples: Samples) -> Table:
        starts = range(0, len(samples), self.batch_size)
        clean = torch.cat([asked.logits(asked.tensor(samples.x[at : at + self.batch_size])).cpu() for at in starts])
        check_labels(clean, samples.y, samples.ids)
        finite = clean.isfinite().all(1).numpy()
        prediction = np.where(finite, clean.argmax(1).numpy(), -1)
        correct = prediction == samples.y
        rows = np.flatnonzero(finite & (correct | self.include_misclassified))
        around = self._around(asked, samples[rows]) if len(rows) else _Around.empty(self.neighbors)
        broken = ~np.isfinite(around.margin).all(1)
        status = np.where(finite, OK, NOT_FINITE).astype(object)
        status[finite & ~correct] = MISCLASSIFIED
        status[rows] = np.where(broken, NOT_FINITE, OK)

        bare = is_decision(clean).numpy()
        bare[rows] &= around.decisions.all(1)
        clean_margin = np.where(finite & ~bare, margin(clean, torch.from_numpy(samples.y)).numpy(), np.nan)
        around_margin = np.where(bare[rows] | broken, np.nan, around.margin.min(1))
        flips = np.where(broken, np.nan, around.wrong.sum(1))
        mean = np.where(broken, np.nan, around.score.mean(1, dtype=np.float64))
        all_rows = _Scatter(len(samples), rows)
        return score_table(
            samples,
            "neighborhood",
            prediction=pa.array(prediction, mask=~finite),
            correct=pa.array(correct, mask=~finite),
            status=pa.array(status, pa.string()),
            score=all_rows(mean),
            misprediction_score=known(all_rows(mean), pa.float64()),
            margin=known(clean_margin, pa.float32()),
            neighbor_margin=known(all_rows(around_margin), pa.float32()),
            worst_neighbor=known(all_rows(np.where(broken, np.nan, around.worst())), pa.int32()),
            first_order_distance=known(self._first_order(asked, samples, clean_margin, rows), pa.float32()),
            flips=known(all_rows(flips), pa.int32()),
            neighbors=known(all_rows(np.where(broken, np.nan, self.neighbors)), pa.int32()),
            found=pa.array(all_rows(flips) > 0, mask=np.isnan(all_rows(flips))),
        )

    def _around(self, asked: Asked, samples: Samples) -> _Around:
        """Judge all neighbors of all samples; a batch holds neighbors of several samples, one sample's in a row."""
        total = len(samples) * self.neighbors
        score, gap = (torch.empty(total, device=asked.device) for _ in range(2))
        decisions, wrong = (torch.empty(total, dtype=torch.bool, device=asked.device) for _ in range(2))
        for start in range(0, total, self.batch_size):
            pairs = torch.arange(start, min(start + self.batch_size, total))
            first, last = start // self.neighbors, int(pairs[-1]) // self.neighbors + 1
            x, ids, y = (asked.tensor(part[first:last]) for part in (samples.x, samples.ids, samples.y))
            owner = (pairs // self.neighbors - first).to(asked.device)
            moved = self.moved(x[owner], ids[owner], (pairs % self.neighbors).to(asked.device))
            logits, label = asked.logits(moved).to(asked.device), y[owner]
            block = slice(start, start + len(pairs))
            score[block], gap[block] = misprediction_score(logits, label), margin(logits, label)
            decisions[block], wrong[block] = is_decision(logits), logits.argmax(1) != label
        return _Around(*(part.view(-1, self.neighbors).cpu().numpy() for part in (score, gap, decisions, wrong)))

    def moved(self, x: Tensor, ids: Tensor, index: int | Tensor) -> Tensor:
        """Return one neighbor of every sample, as it is judged; ``index`` is its number, one for all or (n,)."""
        return neighbors(x, ids, index, self.radius, self.radius_norm, self.seed, quantise=self.quantise)

    def _first_order(self, asked: Asked, samples: Samples, clean_margin: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Return the margin over the dual norm of its gradient, (n,), NaN where not known or not asked for."""
        distances = np.full(len(samples), np.nan, np.float32)
        for start in range(0, len(rows), self.batch_size):
            some = rows[start : start + self.batch_size]
            x, y = (asked.tensor(part[some]) for part in (samples.x, samples.y))
            gradient = asked.margin_gradient(x, y)
            if gradient is None:
                break
            slope = dual_norm(gradient, self.radius_norm).cpu().numpy()
            distances[some] = np.divide(clean_margin[some], slope, out=distances[some], where=slope > 0)
        return distances


@dataclass(frozen=True)
class _Around:
    """What was said of the neighbors: all (samples, neighbors)."""

    score: np.ndarray
    margin: np.ndarray
    decisions: np.ndarray
    wrong: np.ndarray

    @classmethod
    def empty(cls, neighbors: int) -> _Around:
        return cls(*(np.empty((0, neighbors), dtype) for dtype in (np.float32, np.float32, np.bool_, np.bool_)))

    def worst(self) -> np.ndarray:
        """Return the number of the most damaging neighbor: the highest score, without an error the least margin."""
        number: np.ndarray = np.where(self.score.max(1) > 0, self.score.argmax(1), self.margin.argmin(1))
        return number


@dataclass(frozen=True)
class _Scatter:
    """Puts what is known of some rows among all n of them, NaN elsewhere."""

    n: int
    rows: np.ndarray

    def __call__(self, values: np.ndarray) -> np.ndarray:
        whole = np.full(self.n, np.nan)
        whole[self.rows] = values
        return whole
