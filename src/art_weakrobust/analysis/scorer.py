"""A scorer that asks the same of every chunk."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from ..protocols import ChunkFunction, Dataset, Estimator, Map
from ..results import SCORES, Samples, Scores, Table, conform

OK, MISCLASSIFIED = "ok", "misclassified"
NOT_FINITE = "error: the model's output is not finite"


@dataclass(frozen=True)
class ChunkScorer:
    """Runs one chunk function over all samples; a :class:`~art_weakrobust.protocols.Scorer`.

    :param name: of the scorer, in its rows and as the stage of the Map.
    :param build: from an estimator to the chunk function.
    :param told: from all rows to what the manifest says of the scoring as a whole.
    """

    name: str
    build: Callable[[Estimator], ChunkFunction]
    told: Callable[[Table], Mapping[str, Any]] = lambda _table: {}

    def __call__(self, estimator: Estimator, data: Dataset, over: Map) -> Scores:
        """Return one row a sample."""
        table = over(self.name, self.build(estimator), estimator, data)
        table = conform(table, SCORES)
        return Scores(table, self.told(table))


def score_table(samples: Samples, scorer: str, **columns: np.ndarray | pa.Array) -> Table:
    """Return rows of :data:`~art_weakrobust.results.SCORES`, with what is known of the samples themselves.

    :param columns: by name; what is missing is null.
    """
    known = {
        "index": samples.ids,
        "label": samples.y,
        "path": paths(samples),
        "scorer": pa.repeat(scorer, len(samples)),
    }
    return conform(pa.table({**known, **columns}), SCORES)


def paths(samples: Samples) -> pa.Array:
    """Return where the samples come from, null where they have no paths."""
    return pa.nulls(len(samples), pa.string()) if samples.paths is None else pa.array(samples.paths, pa.string())


def known(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    """Return numbers as an arrow column, null where they are not finite: unknown."""
    unknown = ~np.isfinite(values)
    return pa.array(np.where(unknown, 0, values), mask=unknown).cast(kind)
