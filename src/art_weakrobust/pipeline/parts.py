"""Who is in the test set, and who in the guard part."""

from __future__ import annotations

import numpy as np

from ..datasets.base import stratified

GUARD_SIZE = 2000
"""Most samples that the guard part takes; they bound a clean budget of two points to about a standard error of 0.6."""


def split_test(labels: np.ndarray, limit: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of the test set and of the guard part of a test split.

    The guard part, at most :data:`GUARD_SIZE` samples, seeded and stratified, lies beyond ``limit`` where a tenth of
    the split is left there; otherwise a tenth of the split is taken out of the test set.

    :param labels: int64 (n,), of the whole test split.
    """
    every = np.arange(len(labels), dtype=np.int64)
    tenth = max(1, len(every) // 10)
    beyond = every[limit:] if limit is not None else every[:0]
    if len(beyond) >= tenth:
        guard = stratified(beyond, labels, min(GUARD_SIZE, len(beyond)), seed)
        return every[:limit], guard
    guard = stratified(every, labels, min(GUARD_SIZE, tenth), seed)
    return np.setdiff1d(every, guard)[:limit], guard
