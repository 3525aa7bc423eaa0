"""The embedded default: scikit-learn's handwritten digits, in one fixed split.

E. Alpaydin, C. Kaynak: Optical Recognition of Handwritten Digits (UCI, 1998), the test part: 1,797 images of 8x8.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..errors import DataError
from ..protocols import Dataset
from . import checks
from .arrays import ArrayDataset
from .subset import part

CLASS_NAMES = tuple("0123456789")
_TEST_EVERY = 4  # a quarter for testing


def digits(
    argument: str = "", *, split: str = "train", indices: Sequence[int] | None = None, limit: int | None = None
) -> Dataset:
    """Return the digits: float32 (n, 1, 8, 8) in [0, 1], of which 1,352 are for training and 445 for testing.

    The split is stratified and fixed, whatever any seed says, so that no network of this package has seen a test image:
    in file order, every fourth sample of a class is a test sample. Ids are positions within the split, in file order.

    :param split: ``train`` or ``test``.
    :param indices: sample ids to keep; None for all.
    :param limit: keep the first N.
    :raises DataError: for another split, or an argument, of which there is none.
    """
    if argument:
        raise DataError(f"digits takes no argument, {argument!r} was given; write --dataset digits")
    checks.split(split, ("train", "test"), "digits")
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    rows = np.flatnonzero(is_test(labels) == (split == "test"))
    x = (images[rows].reshape(-1, 1, 8, 8) / 16).astype(np.float32)
    return part(ArrayDataset(x, labels[rows], class_names=CLASS_NAMES, name=f"digits ({split})"), indices, limit)


def is_test(labels: np.ndarray) -> np.ndarray:
    """Return which samples are for testing, bool (n,): every fourth of each class, in file order."""
    test = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        test[np.flatnonzero(labels == label)[_TEST_EVERY - 1 :: _TEST_EVERY]] = True
    return test
