"""What the report shows as images: the weakest samples, as the scorer at hand found them, and some of each outcome."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from ..analysis.gallery import pixel_bytes, weakest_samples
from ..analysis.scorer import ChunkScorer
from ..protocols import Dataset, Estimator, Scorer
from ..results import FLIPS, Scores, Table, Validation, WeakSet, conform, merge
from ..validation.flips import examples
from .street import Sets

FLIPPED_SETS = ("control", "test")
"""Sets of which :func:`gallery` shows nothing: it has the weak set's."""

MOST_FLIPPED = 100
"""Images of each that are kept, so that a page of two hundred types does not outgrow its cap."""

_OF_THE_SCORER = ("source", "seed", "attack")


def gallery(scores: Scores, weak_set: WeakSet, scorer: Scorer, estimator: Estimator, data: Dataset) -> Table:
    """Return the weakest samples with their most damaging neighbor, or the adversarial that the scorer found.

    :param scorer: a neighbor is made again as it made it; of a third party's scorer nothing but the original is shown.
    :return: rows of :data:`~art_weakrobust.results.SAMPLES`, the probabilities those of ``estimator`` as *before*.
    """
    chunk = scorer.build(estimator) if isinstance(scorer, ChunkScorer) else None
    how = {name: getattr(chunk, name) for name in _OF_THE_SCORER if hasattr(chunk, name)}
    return weakest_samples(scores, weak_set, estimator, None, data, **how)


def flipped(before: Validation, after: Validation, sets: Sets) -> Table:
    """Return the originals of a few samples of each outcome, by set and type; see :func:`.validation.flips.examples`.

    :param sets: those that were validated; some of :data:`FLIPPED_SETS`.
    :return: rows of :data:`~art_weakrobust.results.FLIPS`.
    """
    found = [FLIPS.empty_table()]
    for name in (name for name in FLIPPED_SETS if name in sets):
        data, ids = sets[name]
        chosen = np.array(examples(before, after, name, ids, MOST_FLIPPED), np.int64)
        if len(chosen):
            samples = data.take(chosen)
            columns = {
                "set": [name] * len(chosen),
                "index": samples.ids,
                "shape": [list(samples.x.shape[1:])] * len(chosen),
                "original": pixel_bytes(samples.x),
            }
            columns |= {} if samples.paths is None else {"path": list(samples.paths)}
            found.append(conform(pa.table(columns), FLIPS))
    return merge(found)
