"""Who is in the test set, and who in the guard part."""

from __future__ import annotations

import numpy as np

from ..datasets.base import stratified

GUARD_SIZE = 2000
"""Most samples that the guard part takes; they bound a clean budget of two points to about a standard error of 0.6."""


def split_test(ids: np.ndarray, labels: np.ndarray, limit: int | None, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of the test set and of the guard part of a test split.

    The guard part, at most :data:`GUARD_SIZE` samples, seeded and stratified, lies beyond ``limit`` where a tenth of
    the split is left there; otherwise a tenth of the split is taken out of the test set.

    :param ids: int64 (n,), of the whole test split, sorted.
    :param labels: int64 (n,), in the order of ``ids``.
    """
    tenth = max(1, len(ids) // 10)
    first = len(ids) if limit is None else limit
    beyond = ids[first:]
    if len(beyond) >= tenth:
        guard = stratified(beyond, labels[first:], min(GUARD_SIZE, len(beyond)), seed)
        return ids[:first], guard
    guard = stratified(ids, labels, min(GUARD_SIZE, tenth), seed)
    return np.setdiff1d(ids, guard)[:first], guard
