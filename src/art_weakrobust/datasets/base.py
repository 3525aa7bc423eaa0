"""What all data sets here share: ids, labels, chunks; only where the pixels come from differs."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from hashlib import blake2b

import numpy as np

from ..errors import DataError, UsageError
from ..protocols import Dataset
from ..results import Samples
from . import checks
from .decoding import read_ahead

_LABELS_AT_ONCE = 512  # images in memory where labels come with them alone


class ImageDataset(ABC):
    """One split of labelled images of one size; ids are positions in its official order.

    :param name: how messages call it.
    :param labels: int64 (n,), checked.
    :param input_shape: (c, h, w).
    :param nb_classes: number of classes; None counts up to the largest label of this split.
    :param class_names: in the order of the labels, or empty.
    """

    encoded = False
    """True where taking samples means decoding files: chunks are then read ahead, by threads."""

    halved_by: int | None = None
    """The seed of the halves, where this is the one split there is; set by whoever read it."""

    class_folders = False
    """True where samples are sorted by class, so that the first N would be of one class alone."""

    def __init__(
        self,
        name: str,
        labels: np.ndarray,
        input_shape: tuple[int, int, int],
        nb_classes: int | None = None,
        class_names: Sequence[str] = (),
    ) -> None:
        self.name = name
        self.input_shape = input_shape
        self.class_names = tuple(class_names)
        self.nb_classes = nb_classes or len(self.class_names) or int(labels.max()) + 1
        self._labels = labels

    def __len__(self) -> int:
        return len(self._labels)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {len(self)} x {self.input_shape}, {self.nb_classes} classes>"

    def labels(self) -> np.ndarray:
        """Return all labels, int64 (n,); no image is decoded."""
        return self._labels.copy()

    def paths(self) -> tuple[str, ...] | None:
        """Return where every sample comes from, in the order of the ids, or None; no image is decoded."""
        return self._paths(np.arange(len(self)))

    def take(self, ids: np.ndarray) -> Samples:
        """Return the samples of these ids, in this order, as one batch in memory: x float32 (n, c, h, w) in [0, 1].

        :raises DataError: for an id that does not exist, and for an image that cannot be used.
        """
        ids = checks.sample_ids(ids, len(self), self.name)
        return Samples(ids, self._images(ids), self._labels[ids], self._paths(ids))

    def chunks(self, size: int, ids: np.ndarray | None = None) -> Iterator[Samples]:
        """Yield the samples of ``ids`` (all by default) in order, ``size`` at a time."""
        if size < 1:
            raise DataError(f"size {size} has to be 1 or more")
        wanted = np.arange(len(self)) if ids is None else checks.sample_ids(ids, len(self), self.name)
        cuts = (wanted[start : start + size] for start in range(0, len(wanted), size))
        yield from read_ahead(self.take, cuts) if self.encoded else map(self.take, cuts)

    @abstractmethod
    def fingerprint(self) -> str:
        """Return a short text that changes when the data do; what it covers is the source's to say."""

    @abstractmethod
    def _images(self, ids: np.ndarray) -> np.ndarray:
        """Return a fresh float32 (n, c, h, w) array of the images of these ids."""

    def _paths(self, ids: np.ndarray) -> tuple[str, ...] | None:  # noqa: ARG002 - most sources know no paths
        return None


def ids_of(dataset: Dataset) -> np.ndarray:
    """Return the ids of a data set, int64: its own ``ids`` where it is a subset, otherwise all positions."""
    ids = getattr(dataset, "ids", None)
    return np.arange(len(dataset), dtype=np.int64) if ids is None else np.asarray(ids, np.int64)


def labels_of(dataset: Dataset) -> np.ndarray:
    """Return all labels of a data set, int64; read chunk by chunk where it has no ``labels()``."""
    labels = getattr(dataset, "labels", None)
    if callable(labels):
        return np.asarray(labels(), np.int64)
    return labels_in(dataset.chunks)


def labels_in(chunks: Callable[[int], Iterator[Samples]]) -> np.ndarray:
    """Return the labels of a data set that knows none without its images, int64.

    :param chunks: its method.
    """
    return np.concatenate([samples.y for samples in chunks(_LABELS_AT_ONCE)])


def limited_ids(dataset: Dataset, limit: int | None, seed: int = 0) -> np.ndarray:
    """Return the sorted ids, int64, that ``--limit`` leaves: the first N, from class folders a stratified N.

    :param limit: number of samples; None or more than there are gives all.
    :param seed: of the draw from class folders.
    :raises UsageError: for a limit below 1.
    """
    if limit is not None and limit < 1:
        raise UsageError(f"limit {limit} has to be 1 or more; leave it out for all {len(dataset)} samples")
    if limit is None or limit >= len(dataset):
        return ids_of(dataset)
    if getattr(dataset, "class_folders", False):
        return stratified(ids_of(dataset), labels_of(dataset), limit, seed)
    return ids_of(dataset)[:limit]


def stratified(ids: np.ndarray, labels: np.ndarray, size: int, seed: int) -> np.ndarray:
    """Return ``size`` of the ids, sorted, int64, drawn at random with every class's share kept.

    :param ids: of samples, each once.
    :param labels: of these samples, int64, in the order of ``ids``.
    :param seed: the draw is a function of the arguments alone.
    """
    order = np.random.default_rng(seed).permutation(len(ids))
    drawn = labels[order]
    share = np.empty(len(order))  # how much of its class is dealt out when a sample is
    for label in np.unique(drawn):
        members = np.flatnonzero(drawn == label)
        share[members] = (np.arange(len(members)) + 0.5) / len(members)
    return np.sort(ids[order[np.argsort(share, kind="stable")[:size]]]).astype(np.int64)


def scaled(pixels: np.ndarray) -> np.ndarray:
    """Return uint8 pixels as float32 in [0, 1]."""
    x: np.ndarray = np.divide(pixels, np.float32(255), dtype=np.float32)
    return x


def digest(*parts: bytes | str | np.ndarray) -> str:
    """Return a short hash (blake2b, 16 bytes, hexadecimal) of parts, their kinds and lengths."""
    state = blake2b(digest_size=16)
    for part in parts:
        if isinstance(part, np.ndarray):
            state.update(f"{part.dtype.str}{part.shape}".encode())
            part = np.ascontiguousarray(part).tobytes()
        data = part.encode() if isinstance(part, str) else part
        state.update(len(data).to_bytes(8, "little"))
        state.update(data)
    return state.hexdigest()
