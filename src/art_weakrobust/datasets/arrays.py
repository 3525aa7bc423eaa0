"""Samples that are already in memory, or memory-mapped: what ART's signatures call ``x`` and ``y``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from ..protocols import Dataset
from . import checks
from .base import ImageDataset, digest

_SAMPLED = 4096  # images that the fingerprint of a large array reads


class ArrayDataset(ImageDataset):
    """Arrays as a data set; they are referred to, not copied, and a batch is copied when it is taken.

    :param x: floats (n, c, h, w), finite, in [0, 1]; a memory map will do.
    :param y: class indices (n,) or (n, 1), or one-hot rows (n, K).
    :param class_names: in the order of the labels, or empty.
    :param paths: where each sample comes from, n of them, or None.
    :param name: how messages call it.
    :param allow_bytes: take uint8 pixels as well; 0 to 255 then become 0 to 1.
    :raises DataError: where an array is not what is said above.
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        *,
        class_names: Sequence[str] = (),
        paths: Sequence[str] | None = None,
        name: str = "array",
        allow_bytes: bool = False,
    ) -> None:
        x, y = _numpy(x, f"x of {name}"), _numpy(y, f"y of {name}")
        checks.image_array(x, f"x of {name}", allow_bytes=allow_bytes)
        classes = len(class_names) or (int(y.shape[1]) if y.ndim == 2 and y.shape[1] > 1 else None)
        if y.ndim == 2 and y.shape[1] > 1 and classes != y.shape[1]:
            raise DataError(f"y of {name} has {y.shape[1]} classes, class_names {classes}; give one name a class")
        labels = checks.labels(y, len(x), f"y of {name}", classes)
        if paths is not None and len(paths) != len(x):
            raise DataError(f"paths of {name} has {len(paths)} entries for {len(x)} images; every image needs one")
        super().__init__(name, labels, (x.shape[1], x.shape[2], x.shape[3]), classes, class_names)
        self._x = x
        self._path_of = None if paths is None else tuple(paths)

    def fingerprint(self) -> str:
        """Hash shape, type, all labels and the bytes of the images (of 4,096, evenly spread, where there are more)."""
        rows = np.unique(np.linspace(0, len(self) - 1, min(len(self), _SAMPLED)).astype(np.int64))
        return digest(f"{self._x.dtype.str}{self._x.shape}", self._labels, self._x[rows])

    def _images(self, ids: np.ndarray) -> np.ndarray:
        x = np.asarray(self._x[ids])
        scale = np.float32(255 if x.dtype == np.uint8 else 1)
        return x.astype(np.float32, copy=False) / scale

    def _paths(self, ids: np.ndarray) -> tuple[str, ...] | None:
        return None if self._path_of is None else tuple(self._path_of[i] for i in ids)


def as_dataset(x: Any, y: Any = None, *, name: str = "array") -> Dataset:
    """Return ``x`` where it is a :class:`~art_weakrobust.protocols.Dataset`, otherwise arrays wrapped in one.

    :param x: a data set, or images as :class:`ArrayDataset` takes them.
    :param y: their labels; None with a data set, which has its own.
    :raises DataError: where labels are missing, come twice, or an array is not what it should be.
    """
    if isinstance(x, Dataset):
        if y is not None:
            raise DataError("y was given beside a data set, which has its own labels; leave y out")
        return x
    if y is None:
        raise DataError(f"y is missing: {type(x).__name__} x needs labels (class indices or one-hot)")
    return ArrayDataset(x, y, name=name)


def _numpy(value: Any, where: str) -> np.ndarray:
    """A tensor on a GPU or with a gradient, or a ragged list, says no here, in its own words."""
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise DataError(f"{where} is a {type(value).__name__} that is no array: {error}") from error
    if array.dtype == object:
        raise DataError(f"{where} is a {type(value).__name__} of unequal or unknown parts, expected one array")
    return array
