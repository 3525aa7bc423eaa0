"""cleanlab's filter in place of our own threshold; an optional extra."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import UsageError


def check_installed() -> None:
    """Refuse to go on without cleanlab.

    :raises UsageError: where it is not installed.
    """
    try:
        import cleanlab.filter  # noqa: F401
    except ImportError as error:
        raise UsageError("label check 'cleanlab' needs an extra: pip install 'art-weakrobust[cleanlab]'") from error


def issues(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Say of every sample whether cleanlab takes it for mislabelled, bool (n,).

    Its default filter: pruning by noise rate (Northcutt et al., https://arxiv.org/abs/1911.00068).

    :param labels: int64 (n,).
    :param probabilities: (n, K), of somebody who has not seen the labels.
    :raises UsageError: where cleanlab is not installed.
    """
    check_installed()
    from cleanlab.filter import find_label_issues

    found, numbers = np.unique(labels, return_inverse=True)  # it refuses classes of which there is no sample
    shares = probabilities[:, found]
    whole = shares / np.maximum(shares.sum(1, keepdims=True), 1e-12)
    marked: Any = find_label_issues(numbers, whole, n_jobs=1)
    return np.asarray(marked, bool)
