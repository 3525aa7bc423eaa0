"""Data sets by the Hugging Face ``datasets`` library: from its hub, its cache, or a local folder that it can read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError
from ..protocols import Dataset
from . import checks
from .base import digest
from .encoded import EncodedImages, file_bytes
from .fit import Fit
from .shards import column_of_labels
from .splits import named, part_of_one
from .subset import part


def hf(
    argument: str,
    *,
    split: str = "train",
    label_column: str | None = None,
    resize: int | None = None,
    crop: int | None = None,
    interpolation: str = "bilinear",
    squash: bool = False,
    download: bool = False,
    indices: Sequence[int] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Return the images of a split of a Hugging Face data set; code that comes with a data set is never run.

    :param argument: ``NAME`` or ``NAME@CONFIG`` on the hub, or the path of a local folder.
    :param split: ``train``, ``test`` (``validation`` where there is no ``test``), or as the data set calls it; a single
        split is halved, and ``all`` is the whole.
    :param label_column: where the labels are, if neither in ``label`` nor in ``fine_label``.
    :param resize: see :class:`~art_weakrobust.datasets.fit.Fit`, as for ``crop``, ``interpolation`` and ``squash``.
    :param download: fetch what is not in the library's cache; never by default.
    :param indices: sample ids to keep; None for all.
    :param limit: keep the first N.
    :param seed: of the halves of a single split.
    :raises DataError: where the data set, the split, a column, a label or an image is not what it should be.
    """
    where = f"hf:{argument} ({split})"
    there = _loaded(argument, download, where)
    rows = there[named(split, tuple(there), where)]
    data = HubImages(rows, where, label_column, Fit(resize, crop, interpolation, squash))
    return part(part_of_one(data, split, seed) if len(there) == 1 else data, indices, limit)


class HubImages(EncodedImages):
    """Images of a split that the ``datasets`` library holds in Arrow files; decoded here, when they are taken.

    :param rows: a ``datasets.Dataset`` with one image column.
    :param name: how messages call the set.
    :param label_column: None looks for ``label``, then ``fine_label``.
    :param fit: what is done to every image.
    """

    def __init__(self, rows: Any, name: str, label_column: str | None, fit: Fit) -> None:
        import datasets

        column = _image_column(rows.features, name)
        labels = column_of_labels(list(rows.features), label_column, name)
        names = tuple(getattr(rows.features[labels], "names", ()) or ())
        images = rows.select_columns([column]).cast_column(column, datasets.Image(decode=False)).flatten()
        self._files = images.rename_columns({f"{column}.bytes": "bytes", f"{column}.path": "path"}).with_format(None)
        self._names = self._files.select_columns(["path"])  # asking for these alone touches no image
        self._mark = str(getattr(rows, "_fingerprint", "") or rows.info.download_checksums)
        y = np.asarray(rows.with_format(None)[labels][:])
        y = checks.labels(y, len(rows), f"column {labels!r} of {name}", len(names) or None)
        super().__init__(name, y, class_names=names, fit=fit)

    def fingerprint(self) -> str:
        """Hash the library's own fingerprint of the split, and all labels."""
        return digest(self._mark, self.labels(), *self.fit.facts())

    def _encoded(self, ids: np.ndarray) -> list[bytes | None]:
        rows = self._files[ids.tolist()]
        return [
            file_bytes(Path(path)) if data is None and path else data
            for data, path in zip(rows["bytes"], rows["path"], strict=True)
        ]

    def _paths(self, ids: np.ndarray) -> tuple[str, ...]:
        return tuple(Path(path or "").name for path in self._names[ids.tolist()]["path"])


def _loaded(argument: str, download: bool, where: str) -> Any:
    """Return split -> rows."""
    import datasets

    name, _, config = argument.partition("@")
    if not name:
        raise DataError(f"{where} needs the name of a data set, as in hf:uoft-cs/cifar10")
    try:
        with nullcontext() if download else _offline():
            return datasets.load_dataset(name, config or None)
    except (OSError, ValueError, RuntimeError) as error:
        cause = " ".join(str(error).split())[:300]
        hint = "" if download else "; --download lets the library fetch what is not in its cache"
        raise DataError(f"{where} cannot be loaded: {cause}{hint}") from error


@contextmanager
def _offline() -> Iterator[None]:
    """Hold the library to its cache: the switch that it reads from the environment, set for the while."""
    import datasets
    import huggingface_hub.constants

    switches: tuple[Any, ...] = (datasets.config, huggingface_hub.constants)
    before = [switch.HF_HUB_OFFLINE for switch in switches]
    try:
        for switch in switches:
            switch.HF_HUB_OFFLINE = True
        yield
    finally:
        for switch, value in zip(switches, before, strict=True):
            switch.HF_HUB_OFFLINE = value


def _image_column(features: Any, where: str) -> str:
    import datasets

    columns = [name for name, kind in features.items() if isinstance(kind, datasets.Image)]
    if len(columns) != 1:
        found = ", ".join(map(repr, columns)) or "none"
        raise DataError(f"{where} needs one column of images, it has {found}; its columns are {', '.join(features)}")
    return str(columns[0])
