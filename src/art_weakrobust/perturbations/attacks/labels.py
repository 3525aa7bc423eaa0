"""Labels in the two forms that attacks take: class numbers, or one column a class."""

from __future__ import annotations

import numpy as np

from ...estimators.labels import is_index


def class_numbers(y: np.ndarray) -> np.ndarray:
    """Return labels as int64 (n,).

    :param y: indices (n,) or (n, 1) of any type, or one column a class (n, K).
    """
    return np.asarray(y.reshape(-1) if is_index(y) else y.argmax(axis=1), np.int64)


def one_hot(classes: np.ndarray, nb_classes: int) -> np.ndarray:
    """Return class numbers, int64 (n,), as float32 (n, nb_classes)."""
    rows: np.ndarray = np.eye(nb_classes, dtype=np.float32)[classes]
    return rows
