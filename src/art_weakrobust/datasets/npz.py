"""Arrays ``x_train, y_train, x_test, y_test`` in one npz file; stored ones are mapped, compressed ones are read."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from os import SEEK_CUR
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from ..errors import DataError
from ..protocols import Dataset
from . import checks
from .arrays import ArrayDataset
from .downloads import mistaken_for
from .splits import named, part_of_one
from .subset import part

_LOCAL_HEADER = struct.Struct("<26xHH")  # lengths of the name and of the extra field end it
_DAMAGED = (
    *(OSError, ValueError, TypeError, SyntaxError, EOFError, RuntimeError, MemoryError, tokenize.TokenError),
    *(zipfile.BadZipFile, zlib.error, struct.error),
)  # what numpy, zipfile and zlib raise for damaged headers and data


def npz(
    argument: str,
    *,
    split: str = "train",
    indices: Sequence[int] | None = None,
    limit: int | None = None,
    seed: int = 0,
) -> Dataset:
    """Return the arrays of a split: x (n, c, h, w), floats in [0, 1] or uint8, which is divided by 255; y as in ART.

    Nothing is unpickled. Arrays that ``numpy.savez`` wrote stay on disk until a batch is taken; those of
    ``numpy.savez_compressed`` are read into memory, the asked split alone. An array
    ``class_names`` of text is read where there is one.

    :param argument: path of the file.
    :param split: ``train`` or ``test``, or any other word with arrays ``x_WORD`` and ``y_WORD``; of a single split,
        whatever its word is, ``train`` and ``test`` are the halves and ``all`` is the whole.
    :param indices: sample ids to keep; None for all.
    :param limit: keep the first N.
    :param seed: of the halves of a single split.
    :raises DataError: where the file or an array is not what it should be.
    """
    path = checks.existing(argument, "npz")
    name = f"npz:{argument} ({split})"
    try:
        if mistake := mistaken_for(path):
            raise DataError(f"npz: {argument!r} {mistake}")
        with zipfile.ZipFile(path) as archive:
            arrays = {Path(item.filename).stem: item for item in archive.infolist() if item.filename.endswith(".npy")}
            there = _splits(set(arrays), argument)
            word = named(split, there, f"npz:{argument}")
            x, y = (_array(path, archive, arrays[f"{axis}_{word}"]) for axis in "xy")
            names = _array(path, archive, arrays["class_names"]) if "class_names" in arrays else ()
    except _DAMAGED as error:
        raise DataError(f"npz: {argument!r} cannot be read as npz: {error}; write it again with numpy.savez") from error
    class_names = [str(name) for name in np.ravel(names)]
    data = ArrayDataset(x, y, class_names=class_names, name=name, allow_bytes=True)
    return part(part_of_one(data, split, seed) if len(there) == 1 else data, indices, limit)


def _splits(arrays: set[str], argument: str) -> list[str]:
    words = sorted({name[2:] for name in arrays if name.startswith("x_") and f"y_{name[2:]}" in arrays})
    if not words:
        have = ", ".join(map(repr, sorted(arrays))) or "nothing"
        raise DataError(f"npz: {argument!r} needs arrays x_train, y_train, x_test, y_test; it holds: {have}")
    halfway = sorted(name for name in arrays if name[:2] in ("x_", "y_") and name[2:] not in words)
    if len(words) == 1 and halfway:
        raise DataError(
            f"npz: {argument!r} has {halfway[0]!r} without its other half: a split needs both x_WORD and y_WORD"
        )
    return words


def _array(path: Path, archive: zipfile.ZipFile, item: zipfile.ZipInfo) -> np.ndarray:
    """Map an array that is stored as it is; read one that is compressed."""
    if item.compress_type != zipfile.ZIP_STORED:
        with archive.open(item) as file:
            _header(file, item)
        with archive.open(item) as file:
            return np.asarray(npy.read_array(file, allow_pickle=False))
    with path.open("rb") as raw:
        raw.seek(item.header_offset)
        raw.seek(sum(_LOCAL_HEADER.unpack(raw.read(_LOCAL_HEADER.size))), SEEK_CUR)
        shape, fortran, dtype = _header(raw, item)
        return np.memmap(path, dtype, "r", raw.tell(), shape, "F" if fortran else "C")


def _header(file: IO[bytes], item: zipfile.ZipInfo) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Read the header of an array and compare it with the size of the data before anything is allocated for them."""
    start = file.tell()
    read = npy.read_array_header_1_0 if npy.read_magic(file) == (1, 0) else npy.read_array_header_2_0
    shape, fortran, dtype = read(file)
    if dtype.hasobject:
        raise ValueError(f"{item.filename} would have to be unpickled, which would run code")
    if 0 in shape:
        raise ValueError(f"{item.filename} is empty: its shape is {shape}")
    if file.tell() - start + math.prod(shape) * dtype.itemsize != item.file_size:
        raise ValueError(f"{item.filename} is cut short, or its header is wrong")
    return shape, fortran, dtype
