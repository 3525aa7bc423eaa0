"""Images in parquet files of the Hugging Face layout: read by row group, decoded when they are taken.

The image column is ``img`` or ``image``: ``struct<bytes, path>``, or plain bytes. The label column is ``label`` or
``fine_label``. Class names come from the Hugging Face metadata of the schema, where they are.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import DataError
from ..protocols import Dataset
from . import checks
from .base import digest
from .encoded import EncodedImages
from .fit import Fit
from .shards import CACHE_BYTES, Shards, column_of_labels, find_shards
from .splits import part_of_one
from .subset import part

_IMAGE_COLUMNS = ("img", "image")


def parquet(
    argument: str,
    *,
    split: str = "train",
    label_column: str | None = None,
    resize: int | None = None,
    crop: int | None = None,
    interpolation: str = "bilinear",
    squash: bool = False,
    indices: Sequence[int] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Return the images of a split of a folder of ``train-*``/``test-*`` parquet files, or of one file.

    :param argument: path of the folder or file.
    :param split: ``train``, ``test`` or ``validation``; see :func:`~art_weakrobust.datasets.shards.find_shards`. A
        single split, as one file is, is halved, and ``all`` is the whole.
    :param label_column: where the labels are, if neither in ``label`` nor in ``fine_label``.
    :param resize: see :class:`~art_weakrobust.datasets.fit.Fit`, as for ``crop``, ``interpolation`` and ``squash``.
    :param indices: sample ids to keep; None for all.
    :param limit: keep the first N.
    :param seed: of the halves of a single split.
    :raises DataError: where a path, file, column, label or image is not what it should be.
    """
    path = checks.existing(argument, "parquet")
    where = f"parquet:{argument} ({split})"
    files, alone = find_shards(path, split, where)
    data = ParquetImages(files, where, label_column=label_column, fit=Fit(resize, crop, interpolation, squash))
    return part(part_of_one(data, split, seed) if alone else data, indices, limit)


class ParquetImages(EncodedImages):
    """Images and labels in parquet files.

    At most ``cache_bytes`` of encoded row groups stay in memory, so that random batches are fast; pixels are decoded
    for the batch alone.

    :param files: in the order of the ids.
    :param name: how messages call the set.
    :param label_column: None looks for ``label``, then ``fine_label``.
    :param fit: what is done to every image.
    """

    def __init__(
        self,
        files: list[Path],
        name: str,
        *,
        label_column: str | None = None,
        cache_bytes: int = CACHE_BYTES,
        fit: Fit = Fit(),  # noqa: B008 - frozen
    ) -> None:
        self._shards = Shards(files, name, cache_bytes)
        _same_columns(self._shards)
        self._image_column = _image_column(self._shards.schema, name)
        labels = column_of_labels(self._shards.schema.names, label_column, name)
        if len(self._shards) == 0:
            raise DataError(f"{name} holds no rows; at least one image is needed")
        names = _class_names(self._shards.notes, labels)
        y = _labels(self._shards.column(labels), f"column {labels!r} of {name}", len(names) or None)
        super().__init__(name, y, class_names=names, fit=fit)

    def fingerprint(self) -> str:
        """Hash file names, sizes, row counts, footers (with sizes and statistics of all columns) and labels."""
        return digest(*self._shards.facts(), self.labels(), *self.fit.facts())

    def _encoded(self, ids: np.ndarray) -> list[bytes | None]:
        return self._values(ids, "bytes")

    def _paths(self, ids: np.ndarray) -> tuple[str, ...] | None:
        column = self._shards.schema.field(self._image_column).type
        if not pa.types.is_struct(column) or column.get_field_index("path") < 0:
            return None
        return tuple(path or "" for path in self._values(ids, "path"))

    def _values(self, ids: np.ndarray, field: str) -> list[Any]:
        values: list[Any] = [None] * len(ids)
        for positions, column in self._shards.rows(ids, self._image_column):
            part = pc.struct_field(column, field) if pa.types.is_struct(column.type) else column
            for position, value in zip(positions.tolist(), part.to_pylist(), strict=True):
                values[position] = value
        return values


def _same_columns(shards: Shards) -> None:
    for file, schema in zip(shards.files, shards.schemas, strict=True):
        if not schema.equals(shards.schema):
            raise DataError(
                f"{shards.where}: {file.name!r} has other columns than {shards.files[0].name!r} "
                f"({_columns(schema)}, not {_columns(shards.schema)}); keep the shards of one set together"
            )


def _columns(schema: pa.Schema) -> str:
    return ", ".join(f"{field.name!r}: {field.type}" for field in schema)


def _image_column(schema: pa.Schema, where: str) -> str:
    for name in _IMAGE_COLUMNS:
        if name in schema.names:
            kind = schema.field(name).type
            if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
                kind = kind.field("bytes").type
            if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
                return name
            raise DataError(
                f"{where}: column {name!r} is {schema.field(name).type}, "
                "expected struct<bytes, path> or bytes of PNG or JPEG"
            )
    raise DataError(
        f"{where} has no image column {' or '.join(map(repr, _IMAGE_COLUMNS))}; its columns are: {_columns(schema)}"
    )


def _labels(column: pa.ChunkedArray, where: str, nb_classes: int | None) -> np.ndarray:
    if column.null_count:
        missing = int(pc.index(pc.is_null(column), True).as_py())
        raise DataError(f"{where} has no label at sample {missing}; every image needs one")
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise DataError(f"{where} holds {column.type}, expected whole numbers: class indices from 0")
    return checks.labels(column.to_numpy(), len(column), where, nb_classes)


def _class_names(notes: Mapping[bytes, bytes], label_column: str) -> tuple[str, ...]:
    """Names are a courtesy: metadata that cannot be read as Hugging Face writes them give none."""
    try:
        features = json.loads(notes[b"huggingface"])["info"]["features"]
        names = features[label_column]["names"]
    except (KeyError, TypeError, ValueError):
        return ()
    return tuple(names) if isinstance(names, list) and all(isinstance(name, str) for name in names) else ()
