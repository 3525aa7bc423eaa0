"""Some samples of a data set, under the ids that they have there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from ..errors import DataError
from ..protocols import Dataset
from ..results import Samples
from . import checks
from .base import ids_of, labels_in, limited_ids


class Derived:
    """What is made of samples of another data set; what it does not say itself, the other one knows.

    :param data: the other one.
    :param ids: int64 (n,) of its own samples, sorted.
    """

    def __init__(self, data: Dataset, ids: np.ndarray) -> None:
        self.data, self.ids = data, np.asarray(ids, np.int64)

    def __len__(self) -> int:
        return len(self.ids)

    def __getattr__(self, name: str) -> Any:
        """Return what the other data set knows: ``class_names``, ``input_shape``, ``nb_classes``, ``fingerprint``."""
        if name.startswith("__") or "data" not in vars(self):
            raise AttributeError(name)
        return getattr(self.data, name)


class Subset(Derived):
    """A :class:`~art_weakrobust.protocols.Dataset` of some ids of another one; ids stay those of the whole split."""

    def labels(self) -> np.ndarray:
        """Return the labels of these samples, int64 (n,), in the order of :attr:`ids`."""
        whole = getattr(self.data, "labels", None)
        if callable(whole):
            labels: np.ndarray = np.asarray(whole(), np.int64)[self._places()]
            return labels
        return labels_in(self.chunks)

    def paths(self) -> tuple[str, ...] | None:
        """Return where these samples come from, in the order of :attr:`ids`, or None."""
        read = getattr(self.data, "paths", None)
        whole = read() if callable(read) else None
        return None if whole is None else tuple(whole[at] for at in self._places())

    def take(self, ids: np.ndarray) -> Samples:
        """Return the samples of these ids, in this order.

        :raises DataError: for an id that does not belong to the subset.
        """
        _refuse_stray(ids, self)
        return self.data.take(ids)

    def chunks(self, size: int, ids: np.ndarray | None = None) -> Iterator[Samples]:
        """Yield the samples of ``ids`` (all of the subset by default) in order, ``size`` at a time.

        :raises DataError: for an id that does not belong to the subset.
        """
        if ids is not None:
            _refuse_stray(ids, self)
        return self.data.chunks(size, self.ids if ids is None else ids)

    def _places(self) -> np.ndarray:
        """Return where these samples stand among those of the other data set, which may be a subset itself."""
        places: np.ndarray = np.searchsorted(ids_of(self.data), self.ids)
        return places


def part(data: Dataset, indices: Sequence[int] | None = None, limit: int | None = None, seed: int = 0) -> Dataset:
    """Return the samples of a data set that a loader was asked for, under the ids that they have there.

    :param indices: sample ids, each once; None for all.
    :param limit: the first N of these; from class folders a seeded, stratified N.
    :raises DataError: for an id that does not exist, or none at all.
    :raises UsageError: for a limit below 1.
    """
    if indices is None:
        ids = limited_ids(data, limit, seed)
    else:
        there = ids_of(data)
        ids = np.unique(checks.sample_ids(indices, int(there[-1]) + 1, getattr(data, "name", "data")))
        _refuse_stray(ids, data)
        if len(ids) == 0:
            raise DataError("indices is empty; name at least one sample id, or leave it out for all")
        ids = ids if limit is None else ids[:limit]
    return data if len(ids) == len(data) else Subset(data, ids)


def _refuse_stray(ids: np.ndarray, data: Dataset) -> None:
    stray = np.setdiff1d(ids, ids_of(data))
    if len(stray):
        raise DataError(f"sample {stray[0]} is not in this subset of {len(data)} samples")
