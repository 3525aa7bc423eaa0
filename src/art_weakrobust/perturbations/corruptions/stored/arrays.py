"""CIFAR-10-C, CIFAR-100-C and sets of their layout: ``CORRUPTION.npy``, a block of rows a severity, ``labels.npy``.

Source: Hendrycks and Dietterich, https://arxiv.org/abs/1903.12261.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from ....datasets import checks
from ....datasets.base import ImageDataset, digest, ids_of, labels_of, scaled
from ....datasets.downloads import mistaken_for
from ....errors import DataError
from ....protocols import Dataset
from ..constants import SEVERITIES
from . import manifest as manifests
from .pairing import check_labels, check_shape, check_there, look_alike, unpaired
from .sums import check_sums

OFFICIAL = (10_000, 32, 32, 3)
"""Images a severity, height, width, channels of the official sets."""
_SAMPLED = 512


class Block(ImageDataset):
    """The images of one severity, on disk until a batch is taken; ids are positions in the block.

    :param name: how messages call it.
    :param pixels: uint8 (n, h, w, c), memory-mapped.
    :param labels: int64 (n,).
    """

    def __init__(self, name: str, pixels: np.ndarray, labels: np.ndarray) -> None:
        super().__init__(name, labels, (pixels.shape[3], pixels.shape[1], pixels.shape[2]))
        self._pixels = pixels

    def fingerprint(self) -> str:
        """Hash shape, labels and the bytes of 512 images, evenly spread."""
        rows = np.unique(np.linspace(0, len(self) - 1, min(len(self), _SAMPLED)).astype(np.int64))
        return digest(str(self._pixels.shape), self._labels, self._pixels[rows])

    def _images(self, ids: np.ndarray) -> np.ndarray:
        return scaled(np.ascontiguousarray(self._pixels[ids].transpose(0, 3, 1, 2)))


@dataclass(frozen=True)
class StoredArrays:
    """One corruption of a set in the layout of CIFAR-C: a :class:`~art_weakrobust.protocols.StoredCorruption`.

    :param name: of the set, as in ``cifar10-c``.
    :param file: ``.../fog.npy``.
    :param labels: int64 (n,) of one severity.
    :param severities: that the file holds, sorted.
    :param paired: whether ids are those of the test images; :attr:`pairing` says how, or why not.
    """

    name: str
    file: Path
    labels: np.ndarray
    severities: tuple[int, ...] = SEVERITIES
    paired: bool = False
    pairing: str = "unpaired: not held against test images yet"

    def dataset(self, severity: int) -> Dataset:
        """Return the images of one severity.

        :raises UsageError: for anything but 1 to 5.
        :raises DataError: for a severity that the set lacks.
        """
        check_there(severity, self.severities, self._where)
        n = len(self.labels)
        pixels = np.load(self.file, mmap_mode="r", allow_pickle=False)[(severity - 1) * n : severity * n]
        block = Block(f"{self._where}, severity {severity}", pixels, self.labels)
        return block if self.paired else unpaired(block, self.name)

    def against(self, clean: Dataset) -> StoredArrays:
        """Return the set as it stands to the clean test images: paired with them by index, or not.

        It is paired where the labels of the same ids are the same, every one, and the mildest severity looks like the
        test images: as in ``cifar10:``, whose order is the official one, or any set of that order.

        :raises DataError: for images of another size or labels outside the test images' classes.
        """
        mildest = replace(self, paired=True).dataset(self.severities[0])
        check_shape(clean, mildest, self._where)
        check_labels(clean, self.labels, self._where)
        reason = self._other(clean, mildest)
        how = "paired by index with the test images" if reason is None else f"unpaired: {reason}"
        return replace(self, paired=reason is None, pairing=how)

    def _other(self, clean: Dataset, mildest: Dataset) -> str | None:
        """Return why the images are not those of the test images, None where they are."""
        ids = ids_of(clean)
        if not len(ids) or ids.max() >= len(self.labels):
            return f"it holds {len(self.labels)} images a severity, and none of sample {ids.max()}"
        if not np.array_equal(labels_of(clean), self.labels[ids]):
            return "its labels are in another order"
        if not look_alike(clean, mildest, ids):
            return "its mildest severity does not look like the test images of the same index"
        return None

    @property
    def _where(self) -> str:
        return f"{self.name}: {str(self.file)!r}"


def cifar10_c(argument: str, *, md5: bool = False) -> dict[str, StoredArrays]:
    """Return every corruption of a CIFAR-10-C, ``cifar10-c/fog`` -> the set.

    :param argument: the folder of the ``.npy`` files, or the one that holds ``CIFAR-10-C``.
    :param md5: hold the files against the sums of the official ones first.
    :raises DataError: where a file is missing, damaged, or of the wrong shape.
    """
    return _found("cifar10-c", "CIFAR-10-C", argument, md5)


def cifar100_c(argument: str, *, md5: bool = False) -> dict[str, StoredArrays]:
    """Return every corruption of a CIFAR-100-C; parameters and errors are those of :func:`cifar10_c`."""
    return _found("cifar100-c", "CIFAR-100-C", argument, md5)


def _found(name: str, folder: str, argument: str, md5: bool) -> dict[str, StoredArrays]:
    root = checks.existing(argument, name)
    root = root / folder if (root / folder).is_dir() else root
    if not root.is_dir():
        raise DataError(f"{name}: {str(root)!r} is a file, expected the folder of its .npy files")
    files = sorted(file for file in root.glob("*.npy") if file.name != "labels.npy")
    if not files:
        raise DataError(f"{name}: {str(root)!r} holds no CORRUPTION.npy; name the folder that does")
    if md5:
        check_sums(name, [*files, root / "labels.npy"])
    written = manifests.read(root)
    severities: tuple[int, ...] = SEVERITIES
    n, *size = OFFICIAL
    if written is not None:
        channels, height, width = written.shape
        n, size, severities = written.samples, [height, width, channels], written.severities
    for file in files:
        _check(name, _mapped(name, file), file, (n * max(severities), *size))
    labels = _labels(name, root / "labels.npy", n)
    return {f"{name}/{file.stem}": StoredArrays(name, file, labels, severities) for file in files}


def _mapped(name: str, file: Path) -> np.ndarray:
    try:
        if mistake := mistaken_for(file):
            raise DataError(f"{name}: {str(file)!r} {mistake}")
        array: np.ndarray = np.load(file, mmap_mode="r", allow_pickle=False)
    except FileNotFoundError:
        raise DataError(f"{name}: {str(file)!r} is missing; every set has one") from None
    except (OSError, ValueError, EOFError) as error:
        raise DataError(f"{name}: {str(file)!r} cannot be read as .npy: {error}; fetch or write it again") from error
    return array


def _check(name: str, array: np.ndarray, file: Path, shape: tuple[int, ...]) -> None:
    if array.shape != shape or array.dtype != np.uint8:
        raise DataError(
            f"{name}: {str(file)!r} is {array.dtype} of shape {array.shape}, expected uint8 of {shape}: a block of "
            "rows for each severity, channels last; fetch it again, or write your own with `art-weakrobust corrupt`"
        )


def _labels(name: str, file: Path, n: int) -> np.ndarray:
    """Return the labels of one severity: all blocks have the same ones."""
    array = _mapped(name, file)
    if array.ndim != 1 or len(array) < n or len(array) % n:
        raise DataError(f"{name}: {str(file)!r} has shape {array.shape}, expected ({n},) or a block of it a severity")
    labels = checks.labels(np.asarray(array), len(array), f"{name}: {file.name}")
    if not (labels.reshape(-1, n) == labels[:n]).all():
        raise DataError(
            f"{name}: {str(file)!r} has other labels for some severities: it is not of the layout of CIFAR-C"
        )
    return labels[:n]
