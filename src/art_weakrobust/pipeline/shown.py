"""What the report shows of the weakest samples, before and after."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ..analysis.gallery import weakest_samples
from ..analysis.scorer import ChunkScorer
from ..protocols import Dataset, Estimator, Scorer
from ..results import SAMPLES, Scores, Table, WeakSet, column, conform

_OF_THE_SCORER = ("radius", "radius_norm", "seed", "quantise", "attack")


def gallery(scores: Scores, weak_set: WeakSet, scorer: Scorer, estimator: Estimator, data: Dataset) -> Table:
    """Return the weakest samples with their most damaging neighbor, or the adversarial that the scorer found.

    :param scorer: a neighbor is made again as it made it; of a third party's scorer nothing but the original is shown.
    :return: rows of :data:`~art_weakrobust.results.SAMPLES`, the probabilities those of ``estimator`` as *before*.
    """
    chunk = scorer.build(estimator) if isinstance(scorer, ChunkScorer) else None
    how = {name: getattr(chunk, name) for name in _OF_THE_SCORER if hasattr(chunk, name)}
    return weakest_samples(scores, weak_set, estimator, None, data, **how)


def with_after(shown: Table, now: Table, weak_set: WeakSet) -> Table:
    """Return ``shown`` with the probabilities of ``now`` as those *after*, null in the tune half, which training saw.

    :param now: :func:`gallery` of the same samples with the fine-tuned estimator.
    """
    unseen = np.isin(column(shown, "index"), weak_set.held_out)
    table = shown
    for name in ("p_original", "p_neighbor"):
        values = now.column(f"{name}_before").to_pylist()
        after = pa.array(
            [v if there else None for v, there in zip(values, unseen, strict=True)], pa.list_(pa.float32())
        )
        table = table.set_column(table.column_names.index(f"{name}_after"), f"{name}_after", after)
    return conform(table, SAMPLES)
