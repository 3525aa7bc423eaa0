"""ImageNet-C, ImageNet-3DCC and sets of their layout: ``CORRUPTION/SEVERITY/CLASS/*.JPEG``, read when it is needed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from ....datasets import checks
from ....datasets.base import ids_of, labels_of
from ....datasets.fit import Fit
from ....datasets.folders import FolderImages, Found, wnids
from ....errors import DataError, UsageError
from ....protocols import Dataset
from ..constants import SEVERITIES
from . import manifest as manifests
from . import tree
from .pairing import Renumbered, check_labels, check_shape, check_there, look_alike, unpaired
from .tree import Key

SUBSETS = ("all", "robustbench")


@dataclass(frozen=True)
class StoredFolders:
    """One corruption of a set in the layout of ImageNet-C: a :class:`~art_weakrobust.protocols.StoredCorruption`.

    :param name: of the set, as in ``imagenet-c``.
    :param root: ``.../fog``.
    :param severities: that every class is there at, sorted.
    :param labels: class folder -> label, as far as the folders' names tell.
    :param fit: what is done to every image.
    :param subset: the images to read; None for all.
    :param named_by_id: whether files are named by the ids of the clean images, and not as these are.
    :param partners: image -> (id, label) of the clean image that it was made from; empty where unpaired.
    :param paired: whether ids are those of the test images; :attr:`pairing` says how, or why not.
    """

    name: str
    root: Path
    severities: tuple[int, ...]
    labels: Mapping[str, int]
    fit: Fit
    subset: tuple[Key, ...] | None = None
    named_by_id: bool = False
    partners: Mapping[Key, tuple[int, int]] | None = None
    paired: bool = False
    pairing: str = "unpaired: not held against test images yet"

    def dataset(self, severity: int) -> Dataset:
        """Return the images of one severity.

        :raises UsageError: for anything but 1 to 5.
        :raises DataError: for a severity that the set lacks, an image that another severity has, and for folders whose
            labels nobody knows.
        """
        check_there(severity, self.severities, self._where)
        files = self._files(severity)
        if self.partners is not None:
            keys = [key for key in files if key in self.partners]
            ids, y = np.array([self.partners[key] for key in keys], np.int64).reshape(-1, 2).T
            data = self._images(severity, {key: files[key] for key in keys})
            return Renumbered(data, ids, np.arange(len(keys)), y)
        unknown = next((kind for kind, _ in files if kind not in self.labels), None)
        if unknown is not None:
            raise DataError(
                f"{self._where}: {self.pairing}, and the class folder {unknown!r} is no WordNet id of ImageNet-1k, so "
                "its label is unknown; validate on the test images that the set was made of"
            )
        return unpaired(self._images(severity, files), self.name)

    def against(self, clean: Dataset) -> StoredFolders:
        """Return the set as it stands to the clean test images: paired with them by path, or not.

        Images are paired where class folder and name are the same and the mildest severity looks like the test images;
        labels are then those of the test images.

        :raises DataError: for images of another size, and for labels outside the test images' classes.
        """
        check_shape(clean, self._images(self.severities[0], self._mildest), self._where)
        partners = self._partners(clean)
        if partners:
            how = f"paired by path with {len(partners)} of the {len(clean)} test images"
            found = replace(self, partners=partners, paired=True, pairing=how)
            ids = np.array([number for number, _ in partners.values()], np.int64)
            if look_alike(clean, found.dataset(self.severities[0]), ids):
                return found
        reason = "looks like the test image of the same path at the mildest severity" if partners else "has its path"
        alone = replace(self, pairing=f"unpaired: no test image {reason}")
        known = np.array([self.labels.get(kind, -1) for kind, _ in self._mildest], np.int64)
        check_labels(clean, known, self._where)
        return alone

    def _partners(self, clean: Dataset) -> dict[Key, tuple[int, int]]:
        """Return image -> (id, label) of the clean image of that path, for images that are in both."""
        ids, labels = ids_of(clean), labels_of(clean)
        if self.named_by_id:
            folders = {label: kind for kind, label in self.labels.items()}
            keys: list[Key] = [(folders.get(int(y), ""), id_name(i)) for i, y in zip(ids, labels, strict=True)]
        else:
            read = getattr(clean, "paths", None)
            paths = read() if callable(read) else None
            keys = [] if paths is None else [key_of(path) for path in paths]
        known = set(self._mildest)
        return {key: (int(i), int(y)) for key, i, y in zip(keys, ids, labels, strict=bool(keys)) if key in known}

    @cached_property
    def _mildest(self) -> dict[Key, Path]:
        return self._read(self.severities[0])

    def _files(self, severity: int) -> dict[Key, Path]:
        """Return the images of one severity, the same ones as of the mildest."""
        if severity == self.severities[0]:
            return self._mildest
        files = self._read(severity)
        if differ := sorted(set(files) ^ set(self._mildest)):
            kind, stem = differ[0]
            lacks = severity if differ[0] in self._mildest else self.severities[0]
            raise DataError(
                f"{self._where}: severity {lacks} lacks the image {kind}/{stem} ({len(differ)} differ between "
                f"severities {self.severities[0]} and {severity}); fetch {self.root / str(lacks)} again"
            )
        return files

    def _read(self, severity: int) -> dict[Key, Path]:
        files = tree.images(self.root / str(severity), self._where)
        if self.subset is None:
            return files
        missing = [key for key in self.subset if key not in files]
        if missing:
            kind, stem = missing[0]
            raise DataError(
                f"{self._where}: severity {severity} lacks {kind}/{stem} of RobustBench's subset ({len(missing)} of "
                f"{len(self.subset)} images missing); fetch it again, or leave out subset"
            )
        return {key: files[key] for key in self.subset}

    def _images(self, severity: int, files: Mapping[Key, Path]) -> FolderImages:
        kinds = sorted({kind for kind, _ in files})
        labels = self.labels if set(kinds) <= set(self.labels) else {kind: at for at, kind in enumerate(kinds)}
        found = Found(self.root, tuple(files.values()), tuple(kind for kind, _ in files))
        return FolderImages(found, f"{self._where}, severity {severity}", labels, tuple(labels), self.fit)

    @property
    def _where(self) -> str:
        return f"{self.name}: {str(self.root)!r}"


def imagenet_c(
    argument: str, *, subset: str = "all", resize: int | None = None, crop: int | None = None
) -> dict[str, StoredFolders]:
    """Return every corruption of an ImageNet-C, ``imagenet-c/fog`` -> the set.

    :param argument: the folder of the corruptions, or the one that holds ``ImageNet-C``.
    :param subset: ``all`` (50,000 images a severity), or ``robustbench``: the 5,000 that RobustBench evaluates on.
    :param resize: see :class:`~art_weakrobust.datasets.fit.Fit`, as for ``crop``; the sets are of 224 pixels.
    :raises DataError: where a corruption, a severity or a class is missing.
    """
    return _found("imagenet-c", "ImageNet-C", argument, subset, Fit(resize, crop))


def imagenet_3dcc(
    argument: str, *, subset: str = "all", resize: int | None = None, crop: int | None = None
) -> dict[str, StoredFolders]:
    """Return every corruption of an ImageNet-3DCC; parameters and errors are those of :func:`imagenet_c`."""
    return _found("imagenet-3dcc", "ImageNet-3DCC", argument, subset, Fit(resize, crop))


def key_of(path: str) -> Key:
    """Return class folder and name of an image without its suffix."""
    parts = PurePosixPath(path)
    return parts.parent.name, parts.stem


def id_name(number: int) -> str:
    """Return the name, without suffix, of an image that has no path of its own."""
    return f"{int(number):08d}"


def _found(name: str, folder: str, argument: str, subset: str, fit: Fit) -> dict[str, StoredFolders]:
    if subset not in SUBSETS:
        raise UsageError(f"{name}: subset {subset!r} is not known; use {' or '.join(SUBSETS)}")
    root = checks.existing(argument, name)
    root = root / folder if (root / folder).is_dir() else root
    where = f"{name}: {str(root)!r}"
    found, written = tree.corruptions(root, where), manifests.read(root)
    if written is not None:
        found = {kind: severities for kind, severities in found.items() if kind in written.corruptions}
        if not found:
            raise DataError(f"{where} holds no corruption that is whole; finish it with `art-weakrobust corrupt`")
    severities = SEVERITIES if written is None else written.severities
    tree.check_whole(root, found, severities, where)
    named = wnids() if written is None else written.classes
    labels = {kind: label for label, kind in enumerate(named)}
    chosen = tree.robustbench_subset() if subset == "robustbench" else None
    by_id = written is not None and written.named_by == "id"
    return {
        f"{name}/{kind}": StoredFolders(name, root / kind, severities, labels, fit, chosen, by_id) for kind in found
    }
