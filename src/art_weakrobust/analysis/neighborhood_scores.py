"""From what a model says of samples and their neighbors to rows of scores: the chunk function of neighborhood scoring.

What :class:`Neighborhood` is made of serves whoever asks in rounds: :meth:`Neighborhood.clean` and
:meth:`Neighborhood.around` are chunk functions, the second for the neighbors ``[first, last)`` of any samples;
:func:`~.neighborhood_draws.joined` puts ranges together, and :meth:`Neighborhood.scored` makes rows of scores of both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from ..errors import UsageError
from ..estimators.precision import precision_on
from ..protocols import Estimator
from ..results import SCORES, SCREENED, Samples, Table, column, conform
from .neighborhood_clean import CleanRows
from .neighborhood_draws import COLUMNS, NeighborRows
from .neighborhood_source import NeighborSource
from .scorer import NOT_FINITE, OK, known

NAME = "neighborhood"


@dataclass(frozen=True, kw_only=True)
class Neighborhood:
    """The chunk function; errors are those of :func:`~.neighborhood.neighborhood`.

    :param source: of the neighbors.
    :param norm: in which the first-order distance is measured.
    """

    source: NeighborSource
    norm: float
    neighbors: int
    include_misclassified: bool
    batch_size: int
    precision: str | None = None
    first_order: bool = True

    def __post_init__(self) -> None:
        for name in ("neighbors", "batch_size"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 1:
                raise UsageError(f"{name} {value!r} has to be a whole number from 1")
        if self.precision is not None:
            precision_on(torch.device("cpu"), self.precision)  # refuses what is not known

    def __call__(self, estimator: Estimator, samples: Samples) -> Table:
        """Return one row a sample."""
        clean = self.clean(estimator, samples)
        asked = samples[np.flatnonzero(column(clean, "status") == OK)]
        return self.scored(clean, self.around()(estimator, asked) if len(asked) else COLUMNS.empty_table())

    @property
    def clean(self) -> CleanRows:
        """The chunk function of the samples themselves; those of status ``ok`` have neighbors to be asked about."""
        return CleanRows(
            norm=self.norm,
            include_misclassified=self.include_misclassified,
            batch_size=self.batch_size,
            first_order=self.first_order,
        )

    def around(self, first: int = 0, last: int | None = None, *, exact_margin: bool = True) -> NeighborRows:
        """Return the chunk function of the neighbors ``[first, last)``, all by default."""
        return NeighborRows(
            source=self.source,
            first=first,
            last=self.neighbors if last is None else last,
            batch_size=self.batch_size,
            precision=self.precision,
            exact_margin=exact_margin,
        )

    def scored(self, clean: Table, around: Table) -> Table:
        """Return rows of :data:`~art_weakrobust.results.SCORES` from what is known of samples and their neighbors.

        :param clean: rows of :meth:`clean`.
        :param around: rows of :meth:`around`, whole or joined, of some of these samples; the others have no score, nor
            have those that were asked about fewer than all their neighbors: their status is ``screened``, and they are
            known to have an error nearby, or not known to have one.
        :return: in the order of ``clean``. Of a run in bfloat16 the rows also hold ``measured``, ``audited``,
            ``margin_error`` and ``margin_bound``; see :data:`~.neighborhood_draws.COLUMNS`.
        """
        rows = _places(column(clean, "index"), column(around, "index"))
        n = clean.num_rows

        def spread(values: np.ndarray) -> np.ndarray:
            whole = np.full(n, np.nan)
            whole[rows] = values
            return whole

        said = {name: column(around, name) for name in COLUMNS.names}
        broken = np.isnan(said["score_sum"])
        status = column(clean, "status").astype(object)
        status[rows[broken]] = NOT_FINITE
        short = rows[~broken & (said["neighbors"] < self.neighbors)]
        status[short] = SCREENED
        bare = column(clean, "decision").astype(bool)
        bare[rows] &= said["decision"]
        asked = np.where(broken, np.nan, said["neighbors"].astype(np.float64))
        mean, flips = spread(said["score_sum"] / asked), spread(np.where(broken, np.nan, said["flips"]))
        mean[short] = np.nan
        found = pa.array(flips > 0, mask=np.isnan(flips) | ((status == SCREENED) & ~(flips > 0)))
        worst = np.where(said["worst_score"] > 0, said["worst_number"], said["least_number"])
        margin = np.where(bare, np.nan, column(clean, "margin").astype(np.float64))
        columns = {
            **{name: clean.column(name) for name in ("index", "path", "label", "prediction", "correct")},
            "status": pa.array(status, pa.string()),
            "scorer": pa.repeat(NAME, n),
            "score": mean,
            "misprediction_score": known(mean, pa.float64()),
            "margin": known(margin, pa.float32()),
            "neighbor_margin": known(np.where(bare, np.nan, spread(said["least_margin"])), pa.float32()),
            "worst_neighbor": known(spread(np.where(broken, np.nan, worst)), pa.int32()),
            "first_order_distance": known(
                np.where(bare, np.nan, column(clean, "first_order_distance").astype(np.float64)), pa.float32()
            ),
            "flips": known(flips, pa.int32()),
            "neighbors": known(spread(asked), pa.int32()),
            "found": found,
        }
        if said["margin_bound"].any():
            kinds = {"measured": pa.int32(), "audited": pa.int32()}
            for name in _OF_BFLOAT16:
                columns[name] = known(spread(said[name]), kinds.get(name, pa.float32()))
        return conform(pa.table(columns), SCORES)


_OF_BFLOAT16 = ("measured", "audited", "margin_error", "margin_bound")


def precision_facts(scores: Table) -> dict[str, Any]:
    """Return what a run in bfloat16 saw of its bound; nothing of one in float32.

    :param scores: rows of :meth:`Neighborhood.scored`.
    """
    if "measured" not in scores.column_names:
        return {}
    measured, audited, error, bound = (np.nan_to_num(column(scores, name).astype(float)) for name in _OF_BFLOAT16)
    neighbors = np.nan_to_num(column(scores, "neighbors").astype(float))
    return {
        "precision_screening": {
            "neighbors": int(neighbors.sum()),
            "in_float32": int(np.where(bound > 0, measured, neighbors).sum()),
            "audited": int(audited.sum()),
            "largest_margin_error": float(error.max(initial=0)),
            "margin_bound": float(bound.max(initial=0)),
        }
    }


def _places(ids: np.ndarray, some: np.ndarray) -> np.ndarray:
    """Return where ``some`` ids stand among all of them."""
    order = np.argsort(ids, kind="stable")
    places: np.ndarray = order[np.searchsorted(ids, some, sorter=order)]
    return places
