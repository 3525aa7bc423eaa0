"""CIFAR-10 and CIFAR-100 as torchvision keeps them: ``ROOT/cifar-10-batches-py``, ``ROOT/cifar-100-python``.

These files are pickles, which run code when they are read. torchvision compares each with the MD5 sum of the official
file before it opens any, so that nothing but the official data is ever unpickled.

A. Krizhevsky: Learning Multiple Layers of Features from Tiny Images (2009).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import DataError
from ..protocols import Dataset
from . import checks
from .arrays import ArrayDataset
from .subset import part


def cifar10(
    argument: str,
    *,
    split: str = "train",
    download: bool = False,
    indices: Sequence[int] | None = None,
    limit: int | None = None,
) -> Dataset:
    """Return CIFAR-10: 50,000 training and 10,000 test images (3, 32, 32), in the official order.

    :param argument: the folder that holds ``cifar-10-batches-py``.
    :param split: ``train`` or ``test``.
    :param download: fetch the official archive where it is not there (170 MB); never by default.
    :param indices: sample ids to keep; None for all.
    :param limit: keep the first N.
    :raises DataError: where the files are missing, or not the official ones, or cannot be fetched.
    """
    return _cifar("CIFAR10", "cifar10", argument, split, download, indices, limit)


def cifar100(
    argument: str,
    *,
    split: str = "train",
    download: bool = False,
    indices: Sequence[int] | None = None,
    limit: int | None = None,
) -> Dataset:
    """Return CIFAR-100, fine labels; parameters and errors are those of :func:`cifar10`."""
    return _cifar("CIFAR100", "cifar100", argument, split, download, indices, limit)


def _cifar(
    kind: str,
    name: str,
    root: str,
    split: str,
    download: bool,
    indices: Sequence[int] | None,
    limit: int | None,
) -> Dataset:
    from torchvision import datasets

    where = f"{name}:{root} ({split})"
    checks.split(split, ("train", "test"), where)
    source = getattr(datasets, kind)
    if not download:
        checks.existing(root, name)
    try:
        data: Any = source(root, train=split == "train", download=download)
    except (RuntimeError, OSError) as error:
        action = "could not be fetched" if download else "is not there, or is not the official one"
        cause = " ".join(str(error).split())[:200]
        raise DataError(
            f"{where}: {source.base_folder!r} in {root!r} {action}: {cause}; fetch it with --download, "
            f"or unpack {source.url} there"
        ) from error
    x = data.data.transpose(0, 3, 1, 2)
    return part(ArrayDataset(x, data.targets, class_names=data.classes, name=where, allow_bytes=True), indices, limit)
