"""The stages that need no run directory: what the pipeline and ``WeakRobustValidator.evaluate`` both do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..analysis.complete import complete
from ..datasets.base import ids_of
from ..datasets.subset import Subset
from ..protocols import Dataset, Estimator, Map, Scorer
from ..results import Scores, Triage, WeakSet, column
from ..selection import kinds_named, select

Sets = dict[str, tuple[Dataset, np.ndarray]]


def score(scorer: Scorer, estimator: Estimator, data: Dataset, over: Map, *, name: str) -> Scores:
    """Return one complete row a sample: what the scorer gave, with label, prediction, correct, status and path.

    :param name: of the scorer, for the rows.
    """
    return complete(scorer(estimator, data, over), estimator, data, over, scorer=name)


def choose(scores: Scores, options: Mapping[str, Any], seed: int, triage: Triage | None = None) -> WeakSet:
    """Return the weak set, its halves and the control group.

    :param options: ``fraction``, ``top_k``, ``threshold``, ``per_class``, ``fill``, ``kinds``; the default fraction
        gives way to ``top_k`` or ``threshold``.
    """
    chosen = dict(options) | {"kinds": kinds_named(options.get("kinds")), "triage": triage}
    if chosen.get("top_k") is not None or chosen.get("threshold") is not None:
        chosen["fraction"] = None
    return select(scores, **chosen, seed=seed)


def craft_of(train: Dataset, weak_set: WeakSet) -> Dataset | None:
    """Return the training samples outside weak set and control, for attacks that make one perturbation for all.

    :param train: the samples that the weak set was chosen from.
    """
    whole = train.data if isinstance(train, Subset) else train
    left = np.setdiff1d(ids_of(train), column(weak_set.table, "index").astype(np.int64))
    return Subset(whole, left) if len(left) else None


def why_empty(scores: Scores) -> str:
    """Return why the selection took no sample, and what to try."""
    found = int((column(scores.table, "found") == True).sum())  # noqa: E712 - null where unknown
    if not found:
        return "the weak set is empty: no sample has an error nearby; try a larger --radius, or --fill"
    taken = f"the selection takes none of the {found} samples with an error nearby"
    return f"the weak set is empty: {taken}; try a larger --fraction or --top-k, or a lower --threshold"


def sets_of(
    weak_set: WeakSet, train: Dataset, test: Dataset | None, test_ids: np.ndarray | None = None, *, tune: bool
) -> Sets:
    """Return the sets to validate on: the held-out half, the control group, the test set, and the tune half if asked.

    :param tune: True before fine-tuning alone; its figures guide training and are shown nowhere.
    """
    roles = ("tune", "held_out", "control") if tune else ("held_out", "control")
    sets: Sets = {role: (train, weak_set.ids(role)) for role in roles}
    if test is not None:
        sets["test"] = (test, ids_of(test) if test_ids is None else test_ids)
    return {name: (data, ids) for name, (data, ids) in sets.items() if len(ids)}
