"""Which clean test image a corrupted one was made from; what is claimed is checked on pixels."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from zlib import crc32

import numpy as np

from ....datasets.base import ids_of, labels_of
from ....datasets.subset import Derived
from ....errors import DataError
from ....protocols import Dataset
from ....results import Samples
from ..constants import check_severity

_CHECKED = 64
"""Images that a pairing is checked on; by chance, one in 64 would look most like its partner."""

_ROOM = 1 << 30
"""More images than any set has at one severity."""


class Renumbered(Derived):
    """A :class:`~art_weakrobust.protocols.Dataset` of some rows of another one, under other ids.

    :param data: the stored images; ids are their positions.
    :param ids: int64 (n,) new ids, each once.
    :param rows: int64 (n,) position in ``data`` of each.
    :param labels: int64 (n,), or None to keep those of ``data``.
    """

    def __init__(self, data: Dataset, ids: np.ndarray, rows: np.ndarray, labels: np.ndarray | None = None) -> None:
        order = np.argsort(ids, kind="stable")
        super().__init__(data, ids[order])
        self.rows = np.asarray(rows, np.int64)[order]
        self._labels = labels_of(data)[self.rows] if labels is None else np.asarray(labels, np.int64)[order]

    def labels(self) -> np.ndarray:
        """Return the labels, int64 (n,), in the order of :attr:`ids`."""
        return self._labels.copy()

    def take(self, ids: np.ndarray) -> Samples:
        """Return the samples of these ids, in this order.

        :raises DataError: for an id that is not there.
        """
        at = self._at(ids)
        return self._renamed(self.data.take(self.rows[at]), at)

    def chunks(self, size: int, ids: np.ndarray | None = None) -> Iterator[Samples]:
        """Yield the samples of ``ids`` (all by default) in order, ``size`` at a time."""
        at = np.arange(len(self)) if ids is None else self._at(ids)
        start = 0
        for samples in self.data.chunks(size, self.rows[at]):
            yield self._renamed(samples, at[start : start + len(samples)])
            start += len(samples)

    def _at(self, ids: np.ndarray) -> np.ndarray:
        wanted = np.asarray(ids, np.int64)
        at = np.minimum(np.searchsorted(self.ids, wanted), max(0, len(self) - 1))
        strange = wanted[self.ids[at] != wanted] if len(self) else wanted
        if len(strange):
            raise DataError(f"{getattr(self.data, 'name', 'the set')} has no image of sample {strange[0]}")
        return at

    def _renamed(self, samples: Samples, at: np.ndarray) -> Samples:
        return Samples(self.ids[at], samples.x, self._labels[at], samples.paths)


def unpaired(data: Dataset, name: str) -> Renumbered:
    """Return stored images under ids of their own: negative, so that none is ever taken for a test image's.

    :param name: of the set: images of one position have one id in all its types, and no other set has that id.
    """
    rows = np.arange(len(data), dtype=np.int64)
    return Renumbered(data, rows - (crc32(name.encode()) + 1) * _ROOM, rows)


def check_there(severity: int, there: Sequence[int], where: str) -> None:
    """Refuse a severity that a set lacks.

    :param there: those that it has.
    :raises UsageError: for anything but 1 to 5.
    :raises DataError: for one that is not there.
    """
    if check_severity(severity, where) not in there:
        raise DataError(
            f"{where} has no severity {severity}; it has {', '.join(map(str, there))}: "
            "choose among them with --severities"
        )


def check_shape(clean: Dataset, stored: Dataset, where: str) -> None:
    """Refuse stored images of another size than the test images, which no model of theirs takes.

    :raises DataError: with both shapes.
    """
    wanted, found = (getattr(data, "input_shape", None) for data in (clean, stored))
    if wanted is not None and found is not None and tuple(wanted) != tuple(found):
        raise DataError(
            f"{where} holds images of {tuple(found)}, the test images are {tuple(wanted)} (channels, height, width); "
            "choose the set of these images, or :resize=N:crop=N behind an ImageNet-C"
        )


def check_labels(clean: Dataset, labels: np.ndarray, where: str) -> None:
    """Refuse a set whose labels are none of the test images'.

    :raises DataError: for a label outside their classes.
    """
    classes = getattr(clean, "nb_classes", None)
    if classes is not None and len(labels) and labels.max() >= classes:
        raise DataError(
            f"{where} holds the label {labels.max()}, and the test images have {classes} classes; "
            "choose the corrupted set of these images"
        )


def look_alike(clean: Dataset, stored: Dataset, ids: Sequence[int] | np.ndarray) -> bool:
    """Say whether corrupted images look like the clean ones of the same ids.

    Of up to 64 images, three in four have to correlate with their own clean image as much as with no other one.

    :param stored: the mildest severity there is.
    :param ids: of both.
    """
    known = np.intersect1d(np.asarray(ids, np.int64), ids_of(clean))
    if not len(known):
        return False
    chosen = known[np.unique(np.linspace(0, len(known) - 1, _CHECKED).astype(np.int64))]
    rows = [_centred(data.take(chosen).x) for data in (stored, clean)]
    if rows[0].shape != rows[1].shape:
        return False
    alike = rows[0] @ rows[1].T
    own = np.diagonal(alike)
    return bool((own >= alike.max(axis=1) - 1e-9).mean() >= 0.75)


def _centred(x: np.ndarray) -> np.ndarray:
    flat = x.reshape(len(x), -1).astype(np.float64)
    flat -= flat.mean(axis=1, keepdims=True)
    return np.asarray(flat / np.maximum(np.linalg.norm(flat, axis=1, keepdims=True), 1e-12))
