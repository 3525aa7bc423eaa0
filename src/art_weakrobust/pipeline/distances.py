"""Refined adversarial distances of the samples that matter, where ``--distances`` asks for them."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from ..analysis.boundary import refined
from ..analysis.boundary_measure import DistanceRows
from ..protocols import Dataset, Estimator, Map
from ..results import DISTANCES, Table, WeakSet, conform, merge
from .context import Context

MEASURING = frozenset({"before", "after"})
"""Stages that measure distances."""


def check_distances(context: Context, stages: Collection[str]) -> None:
    """Refuse, before the run, distances of a model that has no gradients for them.

    :raises ModelError: in one sentence.
    """
    if MEASURING & set(stages):
        for norm in context.options.distance_norms():
            refined(context.base, norm)


def distances(
    estimator: Estimator, weak_set: WeakSet, train: Dataset, over: Map, context: Context, *, tune: bool
) -> Table | None:
    """Return rows of :data:`~art_weakrobust.results.DISTANCES`; None where no norm was asked for or there is no sample.

    :param over: whose rows get the phase.
    :param tune: whether to measure the half that training may see: before it alone.
    """
    roles = ("tune", "held_out", "control") if tune else ("held_out", "control")
    ids = np.sort(np.concatenate([weak_set.ids(role) for role in roles]))
    norms = context.options.distance_norms()
    if not norms or not len(ids):
        return None
    parts = [
        over(
            f"distance-{norm}",
            DistanceRows(refined(estimator, norm, batch_size=context.options.batch_size)),
            estimator,
            train,
            ids,
        )
        for norm in norms
    ]
    return conform(merge(parts), DISTANCES)
