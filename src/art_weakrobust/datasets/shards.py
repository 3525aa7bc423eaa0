"""Parquet files of one split, in order, as one long table: which they are, and reading them by row group."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import DataError, nearest
from .downloads import mistaken_for
from .splits import named

CACHE_BYTES = 256 * 2**20
"""Encoded row groups kept for random access: all of CIFAR, a small part of ImageNet."""

_RECENT = 3
"""Row groups that are kept while batches go through them in order; a batch that touches as many is a random one."""

LABEL_COLUMNS = ("label", "fine_label")

_SHARD = re.compile(r"(?P<split>[A-Za-z]+)(?:-(?P<number>\d+)(?:-of-(?P<count>\d+))?.*)?\.parquet\Z")


def find_shards(path: Path, split: str, where: str) -> tuple[list[Path], bool]:
    """Return the files of a split, sorted by name, and whether it is all there is, as a single file is.

    In a folder they are ``SPLIT-*.parquet`` or ``SPLIT.parquet``; beside those, a file of any other name is a split.

    :raises DataError: where there are none, or some of ``-of-NNNNN`` are missing.
    """
    if path.is_file():
        named(split, (path.stem,), where)
        return [path], True
    by_word: dict[str, list[Path]] = {}
    others: dict[str, list[Path]] = {}
    for file in filter(Path.is_file, _listed(path, where)):
        if match := _SHARD.match(file.name):
            by_word.setdefault(match["split"].lower(), []).append(file)
        elif file.suffix == ".parquet" and not file.name.startswith(("_", ".")):
            others[file.stem.lower()] = [file]
    if not by_word:
        raise DataError(f"{where}: no SPLIT-*.parquet in {str(path)!r}{_further_in(path)}")
    by_word |= others
    files = by_word[named(split, tuple(by_word), where)]
    _complete(files, where)
    return files, len(by_word) == 1


def column_of_labels(names: Sequence[str], wanted: str | None, where: str) -> str:
    """Return the name of the column of the labels.

    :param names: of all columns.
    :param wanted: the one that the user named; None looks for :data:`LABEL_COLUMNS`.
    :raises DataError: where it is not there.
    """
    candidates = (wanted,) if wanted else LABEL_COLUMNS
    name = next((name for name in candidates if name in names), None)
    if name is None:
        hint = nearest(wanted, tuple(names)) if wanted else ""
        raise DataError(
            f"{where} has no label column {' or '.join(map(repr, candidates))}{hint or ';'} its columns are: "
            f"{', '.join(map(repr, names))}; name the one that holds the labels with --label-column"
        )
    return name


def _listed(folder: Path, where: str) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError as error:
        raise DataError(f"{where}: the folder {str(folder)!r} cannot be read: {error.strerror or error}") from error


def _further_in(path: Path) -> str:
    inside = sorted({file.parent.relative_to(path).as_posix() for file in path.glob("*/*.parquet")})
    return f"; name the folder that holds them: {', '.join(inside)}" if inside else "; it holds no such parquet files"


def _complete(files: Sequence[Path], where: str) -> None:
    """A missing shard would quietly shift every id behind it."""
    named = [match for file in files if (match := _SHARD.match(file.name)) and match["count"]]
    counts = {match["count"] for match in named}
    if len(counts) > 1:
        raise DataError(
            f"{where}: {files[0].parent.name!r} mixes shards of {' and of '.join(sorted(counts))}; keep one set"
        )
    have = {int(match["number"]) for match in named}
    if named and len(have) != (count := int(named[0]["count"])):
        missing = sorted(set(range(count)) - have)[:3]
        raise DataError(f"{where}: shards {missing} of {count} are missing beside {files[0].name!r}; download them")


class Shards:
    """The rows of several parquet files; row groups are read when a row is asked for, the last ones are kept.

    :param files: in order.
    :param where: how messages call the set.
    :raises DataError: for a file that is no parquet file, or is damaged.
    """

    def __init__(self, files: Sequence[Path], where: str, cache_bytes: int = CACHE_BYTES) -> None:
        self.where = where
        self.files = tuple(files)
        footers = [_footer(file, where) for file in self.files]
        self._metadata = [metadata for metadata, _ in footers]
        self.schemas = [schema for _, schema in footers]
        self._groups = [(f, g) for f, meta in enumerate(self._metadata) for g in range(meta.num_row_groups)]
        rows = [self._metadata[f].row_group(g).num_rows for f, g in self._groups]
        self._ends = np.cumsum(rows, dtype=np.int64)
        self._recent: OrderedDict[tuple[int, str], pa.ChunkedArray] = OrderedDict()
        self._cache: OrderedDict[tuple[int, str], pa.ChunkedArray] = OrderedDict()
        self._cache_bytes = cache_bytes
        self._lock = Lock()

    def __len__(self) -> int:
        return int(self._ends[-1]) if len(self._ends) else 0

    @property
    def schema(self) -> pa.Schema:
        """The columns of the first file."""
        return self.schemas[0]

    @property
    def notes(self) -> Mapping[bytes, bytes]:
        """The key-value metadata of the first file."""
        return self._metadata[0].metadata or {}

    def column(self, name: str) -> pa.ChunkedArray:
        """Return one whole column of all files; the others are not read."""
        parts = [self._read(number, name) for number in range(len(self._groups))]
        return pa.chunked_array([chunk for part in parts for chunk in part.chunks], type=self.schema.field(name).type)

    def rows(self, ids: np.ndarray, name: str) -> Iterator[tuple[np.ndarray, pa.ChunkedArray]]:
        """Yield, a row group at a time, the positions in ``ids`` of its rows, and their values of a column."""
        group_of = np.searchsorted(self._ends, ids, side="right")
        numbers = np.unique(group_of)
        for number in numbers:
            positions = np.flatnonzero(group_of == number)
            start = self._ends[number - 1] if number else 0
            column = self._cached(int(number), name, scan=len(numbers) < _RECENT)
            yield positions, pc.take(column, pa.array(ids[positions] - start))

    def facts(self) -> list[bytes | str]:
        """Return what tells one set of files from another at little cost: names, sizes, row counts, footers."""
        parts: list[bytes | str] = []
        for file, meta in zip(self.files, self._metadata, strict=True):
            size = file.stat().st_size
            with file.open("rb") as opened:
                opened.seek(size - 8 - meta.serialized_size)
                parts += [f"{file.name} {size} {meta.num_rows}", opened.read(meta.serialized_size)]
        return parts

    def _cached(self, number: int, name: str, scan: bool) -> pa.ChunkedArray:
        """Return a column of a row group; what a scan reads is not kept for long, since it will not come back to it."""
        key = (number, name)
        with self._lock:  # also while reading: two threads of one batch want the same row group
            column = self._cache.pop(key, None)
            if column is None:
                column = self._recent.pop(key, None)
            elif scan:
                self._cache[key] = column
                return column
            if column is None:
                column = self._read(number, name)
            if scan:
                self._recent[key] = column
                while len(self._recent) > _RECENT:
                    self._recent.popitem(last=False)
                    pa.default_memory_pool().release_unused()  # mimalloc would keep some for each thread
                return column
            self._cache[key] = column
            while len(self._cache) > 1 and sum(kept.nbytes for kept in self._cache.values()) > self._cache_bytes:
                self._cache.popitem(last=False)
            return column

    def __getstate__(self) -> dict[str, Any]:
        """Return all but the cache and its lock, which stay in this process."""
        return {**vars(self), "_recent": OrderedDict(), "_cache": OrderedDict(), "_lock": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take everything back, with a lock of its own."""
        vars(self).update(state, _lock=Lock())

    def _read(self, number: int, name: str) -> pa.ChunkedArray:
        file, group = self._groups[number]
        try:
            with pq.ParquetFile(self.files[file], metadata=self._metadata[file]) as opened:
                column = opened.read_row_group(group, columns=[name]).column(name)
            column.validate(full=True)  # a damaged page may decode to text that is none, or to too few rows
            if len(column) != (rows := self._metadata[file].row_group(group).num_rows):
                raise pa.ArrowInvalid(f"{len(column)} rows of {rows}")
            return column
        except (pa.ArrowException, OSError, ValueError, KeyError) as error:  # names that are no text are ValueErrors
            raise DataError(
                f"{self.where}: row group {group} of {self.files[file].name!r} cannot be read: {_line(error)}; "
                "the file is damaged, download it again"
            ) from error


def _footer(file: Path, where: str) -> tuple[pq.FileMetaData, pa.Schema]:
    try:
        if mistake := mistaken_for(file):
            raise DataError(f"{where}: {file.name!r} {mistake}")
        metadata = pq.read_metadata(file)
        if min((metadata.row_group(g).num_rows for g in range(metadata.num_row_groups)), default=0) < 0:
            raise pa.ArrowInvalid("a negative number of rows")
        return metadata, metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(
            f"{where}: {file.name!r} is no parquet file, or cut short: {_line(error)}; download it again"
        ) from error


def _line(error: BaseException) -> str:
    return str(error).strip().split("\n")[0].rstrip(".")
