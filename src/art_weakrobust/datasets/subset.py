"""Some samples of a data set, under the ids that they have there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..errors import DataError
from ..protocols import Dataset
from ..results import Samples


class Subset:
    """A :class:`~art_weakrobust.protocols.Dataset` of some ids of another one; ids stay those of the whole split.

    :param data: the whole split.
    :param ids: int64 (n,) the samples that belong to it, sorted.
    """

    def __init__(self, data: Dataset, ids: np.ndarray) -> None:
        self.data, self.ids = data, np.asarray(ids, np.int64)

    def __len__(self) -> int:
        return len(self.ids)

    def __getattr__(self, name: str) -> Any:
        """Return what the whole data set knows: ``class_names``, ``input_shape``, ``nb_classes``, ``fingerprint``."""
        if name.startswith("__") or "data" not in vars(self):
            raise AttributeError(name)
        return getattr(self.data, name)

    def labels(self) -> np.ndarray:
        """Return the labels of these samples, int64 (n,), in the order of :attr:`ids`."""
        return np.asarray(self.data.labels())[self.ids]  # type: ignore[attr-defined]

    def take(self, ids: np.ndarray) -> Samples:
        """Return the samples of these ids, in this order.

        :raises DataError: for an id that does not belong to the subset.
        """
        stray = np.setdiff1d(ids, self.ids)
        if len(stray):
            raise DataError(f"sample {stray[0]} is not in this subset of {len(self)} samples")
        return self.data.take(ids)

    def chunks(self, size: int, ids: np.ndarray | None = None) -> Iterator[Samples]:
        """Yield the samples of ``ids`` (all of the subset by default) in order, ``size`` at a time."""
        return self.data.chunks(size, self.ids if ids is None else ids)
