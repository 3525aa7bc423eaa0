"""What a model says of neighbors ``[first, last)`` of some samples: the piece that every way of scoring is made of.

:class:`NeighborRows` is a chunk function, pure, that a Map runs over any ids; :func:`joined` puts ranges together. Rows
of ``[0, 4)`` joined with rows of ``[4, 50)`` are, bit by bit, those of ``[0, 50)`` where the model's answers depend
neither on who else is in a batch nor on its size: scores are float32 within one power of two of another, so that their
sums in float64 are exact in any order::

    one = over("neighbors 0-1", NeighborRows(source=source, first=0, last=1, batch_size=128), estimator, data, ids)
    more = over("neighbors 1-4", NeighborRows(source=source, first=1, last=4, batch_size=128), estimator, data, fewer)
    rows = joined([one, more])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from ..errors import UsageError
from ..estimators.judge import exact_float32
from ..kernels.losses import margin, misprediction_score
from ..protocols import Estimator
from ..results import Samples, Table
from .neighborhood_precision import Answers, Screened, answered
from .neighborhood_source import NeighborSource
from .outputs import Asked, is_decision

PAIRS = 1 << 18
"""Neighbors whose answers are in memory at once: however many a sample has, about 4 MB."""


@dataclass(frozen=True, kw_only=True)
class NeighborRows:
    """The chunk function: one row a sample, whatever its status; see :data:`COLUMNS`.

    :param source: of the neighbors; see :mod:`.neighborhood_source`.
    :param first: number of the first neighbor.
    :param last: one more than that of the last.
    :param batch_size: images a forward pass, neighbors of several samples together.
    :param precision: ``float32``; ``bfloat16`` or ``auto``: decided there where that is sure, see
        :mod:`.neighborhood_precision`; None for that of the estimator's plan.
    :param exact_margin: False spares bfloat16 the search for the least margin: of samples without an error nearby it is
        then known within ``margin_bound`` alone, as a round that only orders samples can do with.
    :raises UsageError: for an empty range, or a batch without images.
    """

    source: NeighborSource
    first: int = 0
    last: int
    batch_size: int
    precision: str | None = None
    exact_margin: bool = True

    def __post_init__(self) -> None:
        if not 0 <= self.first < self.last:
            raise UsageError(f"neighbors {self.first} to {self.last} are none: the first has to be below the last")
        if self.batch_size < 1:
            raise UsageError(f"batch_size {self.batch_size!r} has to be a whole number from 1")

    @property
    def count(self) -> int:
        """How many neighbors each sample has in the range."""
        return self.last - self.first

    def __call__(self, estimator: Estimator, samples: Samples) -> Table:
        """Return one row a sample."""
        size = max(1, PAIRS // self.count)
        with exact_float32(), torch.no_grad():
            asked = Asked.of(estimator)
            slabs = [samples[start : start + size] for start in range(0, len(samples), size)] or [samples]
            return pa.concat_tables([self._rows(asked, slab) for slab in slabs])

    def _rows(self, asked: Asked, samples: Samples) -> Table:
        pairs = Pairs(self, asked, *(asked.tensor(part) for part in (samples.x, samples.ids, samples.y)))
        said, screened = answered(pairs, asked.precision(self.precision), exact_margin=self.exact_margin)
        return _summed(samples.ids, self.first, said, screened)


@dataclass(frozen=True)
class Pairs:
    """All neighbors of some samples, numbered sample by sample, and the estimator that is asked about them.

    :param rows: whose range and source they are of.
    :param x: (n, c, h, w), with ``ids`` and ``y`` on the estimator's device.
    """

    rows: NeighborRows
    asked: Asked
    x: Tensor
    ids: Tensor
    y: Tensor

    @property
    def shape(self) -> tuple[int, int]:
        """Samples, and neighbors of each."""
        return len(self.x), self.rows.count

    def answers(self, pairs: Tensor | None = None, precision: str = "float32") -> Answers:
        """Return what is said of some pairs, each field (len(pairs),) on the device.

        :param pairs: int64, rising, on the CPU, so that no batch waits for the device; None for all.
        """
        pairs = torch.arange(len(self.x) * self.rows.count) if pairs is None else pairs
        if not len(pairs):
            return Answers.empty(0, self.asked.device)

        def ask(part: slice) -> Answers:
            moved, y = self._moved(pairs[part])
            logits = self.asked.logits(moved, precision).to(self.asked.device)
            decision, wrong = is_decision(logits), logits.argmax(1) != y
            return Answers(misprediction_score(logits, y), margin(logits, y), decision, wrong)

        return Answers.joined(self.asked.each(ask, len(pairs), self.rows.batch_size))

    def _moved(self, pairs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the images of some pairs, and their labels."""
        count = self.rows.count
        first, last = int(pairs[0]) // count, int(pairs[-1]) // count + 1
        owner = (pairs // count - first).to(self.asked.device)
        index = (pairs % count + self.rows.first).to(self.asked.device)
        x, ids, y = self.asked.arranged(self.x[first:last]), self.ids[first:last], self.y[first:last]
        return self.rows.source(x[owner], ids[owner], index), y[owner]


COLUMNS = pa.schema(
    [
        ("index", pa.int64()),
        ("neighbors", pa.int64()),
        ("score_sum", pa.float64()),
        ("flips", pa.int64()),
        ("least_margin", pa.float32()),
        ("least_number", pa.int64()),
        ("worst_score", pa.float32()),
        ("worst_number", pa.int64()),
        ("decision", pa.bool_()),
        ("measured", pa.int64()),
        ("audited", pa.int64()),
        ("margin_error", pa.float32()),
        ("margin_bound", pa.float32()),
    ]
)
"""How many ``neighbors`` were asked about; sum and highest of their misprediction scores, how many were wrong, least
margin, and who has it; whether all answers were bare labels. NaN where an answer was not finite. Of a run in bfloat16:
how many neighbors were ``measured`` in both precisions, how many of these ``audited`` though they were sure, by how
much the margin differed at most, and the bound beyond which it counted as sure; 0 in float32."""


def _summed(ids: np.ndarray, first: int, said: Answers, screened: Screened) -> Table:
    """Return one row a sample from what is said of its neighbors, fields (n, neighbors)."""
    broken = ~said.margin.isfinite().all(1)
    unknown = torch.full((len(ids),), torch.nan, device=said.margin.device)
    worst, worst_number = said.score.max(1)
    least, least_number = said.margin.min(1)
    columns = {
        "neighbors": torch.full_like(least_number, said.margin.shape[1]),
        "score_sum": torch.where(broken, unknown, said.score.sum(1, dtype=torch.float64)),
        "flips": said.wrong.sum(1),
        "least_margin": torch.where(broken, unknown, least),
        "least_number": least_number + first,
        "worst_score": torch.where(broken, unknown, worst),
        "worst_number": worst_number + first,
        "decision": said.decision.all(1),
        "measured": screened.measured.sum(1),
        "audited": screened.audited.sum(1),
        "margin_error": screened.error.amax(1),
        "margin_bound": torch.full_like(least, screened.bound),
    }
    return pa.table({"index": ids, **{name: part.cpu().numpy() for name, part in columns.items()}}, schema=COLUMNS)


def joined(parts: Sequence[Table]) -> Table:
    """Return one row a sample, in the order of the ids, from rows of ranges that no two parts share.

    :param parts: tables of :data:`COLUMNS`, in the order of the ranges; each of some of the samples.
    """
    table = pa.concat_tables(parts)
    values = {name: table.column(name).to_numpy() for name in COLUMNS.names}
    order = np.argsort(values["index"], kind="stable")
    values = {name: value[order] for name, value in values.items()}
    ids, starts = np.unique(values["index"], return_index=True)
    if len(ids) == len(order):
        return pa.table(values, schema=COLUMNS)
    group = np.repeat(np.arange(len(ids)), np.diff(np.append(starts, len(order))))
    sums = {n: np.add.reduceat(values[n], starts) for n in ("neighbors", "score_sum", "flips", "measured", "audited")}
    highest = {n: np.maximum.reduceat(values[n], starts) for n in ("margin_error", "margin_bound")}
    least = np.lexsort((np.arange(len(group)), values["least_margin"], group))[starts]
    worst = np.lexsort((np.arange(len(group)), -values["worst_score"], group))[starts]
    broken = np.isnan(sums["score_sum"])
    return (
        pa.table(
            {
                "index": ids,
                **sums,
                **highest,
                "least_margin": np.where(broken, np.float32(np.nan), values["least_margin"][least]),
                "least_number": values["least_number"][least],
                "worst_score": np.where(broken, np.float32(np.nan), values["worst_score"][worst]),
                "worst_number": values["worst_number"][worst],
                "decision": np.logical_and.reduceat(values["decision"], starts),
            }
        )
        .select(COLUMNS.names)
        .cast(COLUMNS)
    )
