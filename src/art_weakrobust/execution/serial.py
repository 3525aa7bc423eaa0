"""The Map that works in this process: chunk after chunk, each done and stored once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping

import numpy as np
import pyarrow as pa

from ..datasets.base import ids_of
from ..errors import DataError, PluginError, UsageError
from ..protocols import ChunkFunction, Dataset, Estimator
from ..results import Samples, Table, merge
from ..store import Parts

Progress = Callable[[str, int, int], None]
"""Told ``(stage, samples done, samples in all)`` before the first chunk and after every one."""


class SerialMap:
    """A :class:`~art_weakrobust.protocols.Map` without workers.

    Chunks are cut by the order of the ids and ``chunk_size`` alone. One whose part exists is not computed again, and
    its samples are not read. A part is known by the stage's name, the stamp and the ids themselves, so that a part of
    other work is never taken for this one's. Memory holds the pixels of one chunk, and the rows.

    :param parts: where the rows are kept; None keeps them in memory alone.
    :param chunk_size: samples a chunk, at least 1.
    :param stamp: columns that every row gets, as in ``{"phase": "before"}``.
    :param progress: see :data:`Progress`.
    """

    def __init__(
        self,
        parts: Parts | None = None,
        *,
        chunk_size: int = 512,
        stamp: Mapping[str, str] | None = None,
        progress: Progress | None = None,
    ) -> None:
        if chunk_size < 1:
            raise UsageError(f"chunk_size {chunk_size!r} has to be at least 1")
        self._parts, self._chunk_size = parts, int(chunk_size)
        self._stamp, self._progress = dict(stamp or {}), progress
        self._done: set[str] = set()

    def __call__(
        self, stage: str, function: ChunkFunction, estimator: Estimator, data: Dataset, ids: np.ndarray | None = None
    ) -> Table:
        """Return the rows of ``function`` over all chunks, in the order of the ids.

        :param stage: a name for this piece of work; on the same ids, unlike that of any other piece.
        :param function: samples in, arrow table out.
        :param ids: int64 (n,) sample ids; None for all.
        :raises UsageError: where work of this name was done on these ids already: two pieces would share their parts.
        :raises PluginError: where the function returns no arrow table.
        :raises DataError: where the data set gives other samples than it was asked for.
        """
        ids = ids_of(data) if ids is None else np.asarray(ids, dtype=np.int64).reshape(-1)
        chunks = [ids[start : start + self._chunk_size] for start in range(0, len(ids), self._chunk_size)]
        if not chunks:
            return self._stamped(pa.table({"index": pa.array([], pa.int64())}))
        self._claim(stage, ids)
        keys = [self._key(stage, number, chunk) for number, chunk in enumerate(chunks)]
        parts = self._parts
        kept = set() if parts is None else {key for key in keys if parts.has(key)}
        missing = [chunk for key, chunk in zip(keys, chunks, strict=True) if key not in kept]
        samples = _read(data, missing, self._chunk_size)
        tables: list[Table] = []
        done = 0
        self._tell(stage, done, len(ids))
        for key, chunk in zip(keys, chunks, strict=True):
            if parts is not None and key in kept:
                table = parts.read(key)
            else:
                table = self._stamped(_checked(function(estimator, next(samples)), stage, function))
                table = table if parts is None else parts.write(key, table)
            tables.append(table)
            done += len(chunk)
            self._tell(stage, done, len(ids))
        return merge(tables)

    def _tell(self, stage: str, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(stage, done, total)

    def _claim(self, stage: str, ids: np.ndarray) -> None:
        """Refuse a second piece of work of one name on the same ids, which would be given the first one's rows."""
        digest = self._digest(stage, ids)
        if digest in self._done:
            raise UsageError(
                f"work called {stage!r} was done on these {len(ids)} samples already; "
                f"give every piece of work a name of its own"
            )
        self._done.add(digest)

    def _key(self, stage: str, number: int, chunk: np.ndarray) -> str:
        name = _slug("-".join([stage, *self._stamp.values()]))
        return f"{name}-{number:06d}-{self._digest(stage, chunk)}"

    def _digest(self, stage: str, ids: np.ndarray) -> str:
        """Return 16 hex digits that stand for the whole name, which a slug does not, and for the ids."""
        name = json.dumps([stage, sorted(self._stamp.items())]).encode()
        return hashlib.blake2b(name + b"\0" + ids.astype("<i8").tobytes(), digest_size=8).hexdigest()

    def _stamped(self, table: Table) -> Table:
        for name, value in self._stamp.items():
            column = pa.DictionaryArray.from_arrays(pa.array(np.zeros(table.num_rows, np.int32)), [value])
            if name in table.column_names:
                table = table.set_column(table.column_names.index(name), name, column)
            else:
                table = table.append_column(name, column)
        return table


def _read(data: Dataset, chunks: list[np.ndarray], size: int) -> Iterator[Samples]:
    """Yield the samples of some chunks; all but the last chunk of the whole are full, so that the cuts agree."""
    if not chunks:
        return
    batches = iter(data.chunks(size, np.concatenate(chunks)))
    for chunk in chunks:
        samples = next(batches, None)
        if samples is None or not np.array_equal(samples.ids, chunk):
            got = "nothing" if samples is None else f"{len(samples)} samples from id {samples.ids[:1].tolist()}"
            raise DataError(
                f"data set {type(data).__name__} gave {got} where {len(chunk)} samples from id {chunk[0]} were asked "
                f"for; its chunks(size, ids) has to yield the ids in their order, size at a time"
            )
        yield samples


def _checked(table: object, stage: str, function: ChunkFunction) -> Table:
    if not isinstance(table, pa.Table):
        name = getattr(function, "__qualname__", type(function).__name__)
        raise PluginError(
            f"work {stage!r}: {name} returned {type(table).__name__}, expected a pyarrow.Table "
            f"with one or more rows a sample; build one with pyarrow.table({{'index': samples.ids, ...}})"
        )
    return table


def _slug(text: str) -> str:
    slug = re.sub(r"[^a-z0-9._+]+", "-", text.lower()).strip("-.")
    return slug[:80] or "work"
