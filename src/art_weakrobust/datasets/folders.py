"""Images in class folders: ``ROOT/SPLIT/CLASS/*.jpg``, or ``ROOT/CLASS/*.jpg`` where there is one split only.

Ids are positions among the paths of a split, sorted as text; one split alone is halved, as :mod:`.splits` does.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import DataError, nearest
from ..protocols import Dataset
from . import checks
from .base import digest
from .encoded import EncodedImages, file_bytes
from .fit import Fit
from .splits import ALL, WORDS, named, part_of_one
from .subset import part

SUFFIXES = (".jpg", ".jpeg", ".png")
_FOLDERS = frozenset(word for words in WORDS.values() for word in words)
_SAMPLED = 1024  # files whose sizes the fingerprint reads


@dataclass(frozen=True)
class Found:
    """Image files of a split.

    :param root: that the paths are shown relative to.
    :param files: sorted by path.
    :param classes: name of each file's class folder.
    """

    root: Path
    files: tuple[Path, ...]
    classes: tuple[str, ...]


def folder(
    argument: str,
    *,
    split: str = "train",
    resize: int | None = None,
    crop: int | None = None,
    interpolation: str = "bilinear",
    squash: bool = False,
    indices: Sequence[int] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Return the images of a split of an ImageFolder layout; classes are the folders of all splits, sorted.

    :param argument: path of the root.
    :param split: ``train``, ``test``, ``validation``, or ``all``: every image there is; a single split is halved.
    :param resize: see :class:`~art_weakrobust.datasets.fit.Fit`, as for ``crop``, ``interpolation`` and ``squash``.
    :param indices: sample ids to keep; None for all.
    :param limit: keep a seeded, stratified N.
    :param seed: of the halves of a single split, and of ``limit``.
    :raises DataError: where a folder, a class or an image is not what it should be.
    """
    root, where = checks.existing(argument, "folder"), f"folder:{argument} ({split})"
    bases = _bases(root, where)
    names = _classes(bases, where)
    labels = {name: number for number, name in enumerate(names)}
    found = _files(root, _asked(bases, split, where), where)
    data = FolderImages(found, where, labels, names, Fit(resize, crop, interpolation, squash))
    return part(part_of_one(data, split, seed) if len(bases) == 1 else data, indices, limit, seed)


def imagenet(
    argument: str,
    *,
    split: str = "train",
    resize: int | None = None,
    crop: int | None = None,
    interpolation: str = "bilinear",
    squash: bool = False,
    indices: Sequence[int] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Return images of ImageNet-1k in the ImageFolder layout, with the class of each folder's WordNet id.

    A tree that lacks some of the 1,000 folders keeps the class numbers of the whole. Parameters are those of
    :func:`folder`.

    :raises DataError: for a folder whose name is none of the 1,000 WordNet ids, and as :func:`folder` does.
    """
    root, where = checks.existing(argument, "imagenet"), f"imagenet:{argument} ({split})"
    bases = _bases(root, where)
    labels = {wnid: number for number, wnid in enumerate(wnids())}
    for name in _classes(bases, where):
        if name not in labels:
            hint = nearest(name, tuple(labels)) or ";"
            raise DataError(
                f"{where}: the folder {name!r} is none of ImageNet-1k's 1,000 WordNet ids{hint} "
                "for classes of your own use folder:ROOT"
            )
    found = _files(root, _asked(bases, split, where), where)
    data = FolderImages(found, where, labels, _names(), Fit(resize, crop, interpolation, squash))
    return part(part_of_one(data, split, seed) if len(bases) == 1 else data, indices, limit, seed)


def wnids() -> tuple[str, ...]:
    """Return the 1,000 WordNet ids of ImageNet-1k (ILSVRC 2012), in the order of the classes."""
    return tuple(Path(__file__).with_name("imagenet_wnids.txt").read_text(encoding="ascii").split())


class FolderImages(EncodedImages):
    """Image files, read when they are taken; their paths are told relative to the root.

    :param found: the files.
    :param name: how messages call the set.
    :param labels: class folder -> label.
    :param class_names: in the order of the labels.
    :param fit: what is done to every image.
    """

    class_folders = True

    def __init__(
        self, found: Found, name: str, labels: Mapping[str, int], class_names: Sequence[str], fit: Fit
    ) -> None:
        self._found = found
        y = np.array([labels[kind] for kind in found.classes], np.int64)
        super().__init__(name, y, len(class_names), class_names, fit)

    def fingerprint(self) -> str:
        """Hash all paths and labels, and the sizes of files (of 1,024, evenly spread, where there are more)."""
        spread = np.unique(np.linspace(0, len(self) - 1, min(len(self), _SAMPLED)).astype(np.int64))
        sizes = np.array([self._found.files[i].stat().st_size for i in spread], np.int64)
        paths = "\n".join(self._paths(np.arange(len(self))))
        return digest(paths, self.labels(), sizes, *self.fit.facts())

    def _encoded(self, ids: np.ndarray) -> list[bytes]:
        return [file_bytes(self._found.files[i]) for i in ids]

    def _where(self, name: str, index: int) -> str:
        return f"sample {index} of {name}, {str(self._found.files[index])!r},"

    def _paths(self, ids: np.ndarray) -> tuple[str, ...]:
        return tuple(self._found.files[i].relative_to(self._found.root).as_posix() for i in ids)


def _bases(root: Path, where: str) -> dict[str, Path]:
    """Return folder name -> folder of the splits; ``""`` -> the root itself where the classes lie in it.

    Beside a split that is called as splits are, a folder with a class of it is one as well, whatever its name.
    """
    if not root.is_dir():
        raise DataError(f"{where}: {str(root)!r} is a file, expected a folder of class folders")
    inside = _folders(root, where)
    splits = {entry.name: entry for entry in inside if entry.name.lower() in _FOLDERS}
    if not splits:
        return {"": root}
    kinds = {kind.name for split in splits.values() for kind in _folders(split, where)}
    others = [entry for entry in inside if entry.name not in splits]
    return splits | {entry.name: entry for entry in others if kinds & {kind.name for kind in _folders(entry, where)}}


def _folders(base: Path, where: str) -> list[Path]:
    try:
        return sorted(entry for entry in base.iterdir() if entry.is_dir() and not entry.name.startswith("."))
    except OSError as error:
        raise DataError(f"{where}: the folder {str(base)!r} cannot be read: {error.strerror or error}") from error


def _classes(bases: Mapping[str, Path], where: str) -> tuple[str, ...]:
    """Return the names of the class folders of all splits, sorted."""
    names: set[str] = set()
    for base in bases.values():
        inside = [entry.name for entry in _folders(base, where)]
        if not inside:
            raise DataError(f"{where}: {str(base)!r} holds no class folders; the layout is ROOT/SPLIT/CLASS/*.jpg")
        names.update(inside)
    return tuple(sorted(names))


def _asked(bases: Mapping[str, Path], split: str, where: str) -> Iterable[Path]:
    if split == ALL:
        return bases.values()
    return (bases[named(split, tuple(bases), where, all_of=True)],)


def _files(root: Path, bases: Iterable[Path], where: str) -> Found:
    pairs = sorted(
        (file, kind.name) for base in bases for kind in _folders(base, where) for file in _images(kind, where)
    )
    return Found(root, tuple(file for file, _ in pairs), tuple(kind for _, kind in pairs))


def _images(kind: Path, where: str) -> Iterator[Path]:
    count = 0
    for place, _, names in os.walk(kind):
        for name in names:
            if name.lower().endswith(SUFFIXES) and not name.startswith("."):
                count += 1
                yield Path(place, name)
    if count == 0:
        raise DataError(f"{where}: the class folder {str(kind)!r} holds no {', '.join(SUFFIXES)}; fill or remove it")


def _names() -> tuple[str, ...]:
    from torchvision.models import ResNet18_Weights

    return tuple(ResNet18_Weights.DEFAULT.meta["categories"])
