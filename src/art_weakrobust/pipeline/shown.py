"""What the report shows of the weakest samples: how the scorer at hand found them."""

from __future__ import annotations

from ..analysis.gallery import weakest_samples
from ..analysis.scorer import ChunkScorer
from ..protocols import Dataset, Estimator, Scorer
from ..results import Scores, Table, WeakSet

_OF_THE_SCORER = ("source", "seed", "attack")


def gallery(scores: Scores, weak_set: WeakSet, scorer: Scorer, estimator: Estimator, data: Dataset) -> Table:
    """Return the weakest samples with their most damaging neighbor, or the adversarial that the scorer found.

    :param scorer: a neighbor is made again as it made it; of a third party's scorer nothing but the original is shown.
    :return: rows of :data:`~art_weakrobust.results.SAMPLES`, the probabilities those of ``estimator`` as *before*.
    """
    chunk = scorer.build(estimator) if isinstance(scorer, ChunkScorer) else None
    how = {name: getattr(chunk, name) for name in _OF_THE_SCORER if hasattr(chunk, name)}
    return weakest_samples(scores, weak_set, estimator, None, data, **how)
