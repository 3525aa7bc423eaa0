"""Arrow tables as parquet bytes and back, and what it means that two tables hold the same rows."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ..errors import RunError
from ..results import Table, conform

_COLUMNS = b"art_weakrobust.columns"  # which columns its writer had, before the schema's others joined them as nulls


def stored(table: Table, schema: pa.Schema | None) -> Table:
    """Return a table as it comes back from :func:`to_parquet`: the columns it had, in the schema's types.

    :raises DataError: where a column does not fit the schema.
    """
    whole = table if schema is None else conform(table, schema)
    return whole.select(table.column_names).replace_schema_metadata(None)


def to_parquet(table: Table, schema: pa.Schema | None = None) -> memoryview:
    """Return the bytes of a parquet file with every column of ``schema``; pages carry checksums."""
    whole = table if schema is None else conform(table, schema)
    whole = whole.replace_schema_metadata({_COLUMNS: json.dumps(table.column_names)})
    sink = pa.BufferOutputStream()
    pq.write_table(whole, sink, write_page_checksum=True)
    return memoryview(sink.getvalue())


def read_parquet(path: Path, *, own_columns: bool = False) -> Table:
    """Read one parquet file.

    :param own_columns: only the columns that its writer had.
    :raises RunError: where it is missing or damaged.
    """
    try:
        # Not pq.read_table, which takes a folder called 'eps=0.1' for a column.
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            table = file.read()
    except FileNotFoundError:
        raise RunError(f"{path} is missing: the stage that writes it has to run first") from None
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise RunError(f"{path} is damaged ({reason}); delete it and redo its stage with --force") from error
    names = json.loads((table.schema.metadata or {}).get(_COLUMNS, b"null"))
    table = table.replace_schema_metadata(None)
    return table.select(names) if own_columns and names is not None else table


def ordered(table: Table, keys: Sequence[str]) -> Table:
    """Return the rows sorted by some columns, nulls last; rows alike in them keep their order."""
    keys = [key for key in keys if key in table.column_names]
    if not keys or not table.num_rows:
        return table
    sortable = pa.table({key: _undictionaried(table.column(key)) for key in keys})
    return table.take(pc.sort_indices(sortable, sort_keys=[(key, "ascending") for key in keys]))


def same_rows(first: Table, second: Table, keys: Sequence[str]) -> bool:
    """Say whether two tables hold the same rows in whatever order; NaN is the same as NaN, null only as null."""
    if first.num_rows != second.num_rows or sorted(first.column_names) != sorted(second.column_names):
        return False
    first, second = ordered(first, keys), ordered(second, keys)
    return all(_same(first.column(name), second.column(name)) for name in first.column_names)


def _same(first: pa.ChunkedArray, second: pa.ChunkedArray) -> bool:
    first, second = _undictionaried(first), _undictionaried(second)
    if first.type != second.type:
        return False
    if pa.types.is_floating(first.type):
        return bool(first.is_null().equals(second.is_null())) and np.array_equal(
            first.to_numpy(), second.to_numpy(), equal_nan=True
        )
    return bool(first.equals(second))


def _undictionaried(values: pa.ChunkedArray) -> pa.ChunkedArray:
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values
