"""The parts of a table: one parquet file a chunk of work, each written once."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa

from ..errors import RunError
from ..results import Table, conform, merge
from .atomic import atomic_write
from .tables import read_parquet, stored, to_parquet

_KEY = re.compile(r"[a-z0-9][a-z0-9._+-]{0,180}\Z")


class Parts:
    """What one stage has written of one table.

    :param folder: where the parts lie, as in ``run/scores``.
    :param stage: the stage whose parts these are; its name begins theirs, so that the manifest knows them.
    :param schema: the columns that every part carries in its file, as nulls where its writer has none.
    :param writable: False refuses to write.
    """

    def __init__(self, folder: Path, stage: str, schema: pa.Schema | None = None, *, writable: bool = True) -> None:
        self._folder, self._stage, self._schema, self._writable = folder, stage, schema, writable

    def path(self, key: str) -> Path:
        """Return the file of a key.

        :raises ValueError: for a key that is not of lower case letters, digits, ``.``, ``_``, ``+`` and ``-``.
        """
        if not _KEY.match(key):
            raise ValueError(f"part key {key!r} has to be of a-z, 0-9, '.', '_', '+' and '-', at most 181 of them")
        return self._folder / f"{self._stage}.{key}.parquet"

    def has(self, key: str) -> bool:
        """Say whether the part was written; since writing is atomic, it then is whole."""
        return self.path(key).is_file()

    def read(self, key: str) -> Table:
        """Return the part as :meth:`write` returned it.

        :raises RunError: where it is missing or damaged.
        """
        return read_parquet(self.path(key), own_columns=True)

    def write(self, key: str, table: Table) -> Table:
        """Write the part and return it as :meth:`read` will: same rows and columns, in the types of the schema.

        :raises DataError: where a column does not fit the schema.
        :raises RunError: where it cannot be written.
        """
        if not self._writable:
            raise RunError(f"{self._folder.parent} was opened for reading only; nothing is written to it")
        atomic_write(self.path(key), to_parquet(table, self._schema))
        return stored(table, self._schema)

    def files(self) -> list[Path]:
        """Return the files of all parts, by name."""
        return sorted(self._folder.glob(f"{self._stage}.*.parquet"))

    def merged(self) -> Table | None:
        """Return all parts as one table with the schema's columns, or None where there is no part."""
        tables = [read_parquet(file) for file in self.files()]
        if not tables:
            return None
        table = merge(tables)
        return table if self._schema is None else conform(table, self._schema)
