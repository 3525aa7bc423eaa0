"""The tables of a summary as CSV, one file a table: the figures of the page, for spreadsheets and scripts."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def csv_files(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, bytes]:
    """Return ``NAME.csv`` -> content of every table that has rows.

    Columns are those of any row, in the order of their first appearance; unknown is an empty cell, a list or a mapping
    JSON. A text that a spreadsheet would run as a formula begins with an apostrophe.
    """
    return {f"{name}.csv": _table(rows).encode() for name, rows in tables.items() if rows}


def csv_text(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return CSV: a header and rows of as many values, each made a :func:`cell`."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)  # lines end as RFC 4180 has it: with "\n" alone, Python 3.11 leaves "\r" unquoted
    writer.writerows([cell(value) for value in row] for row in (head, *rows))
    return buffer.getvalue()


def cell(value: Any) -> Any:
    """Return a value as a cell of CSV; numbers stay numbers, minus and all."""
    if isinstance(value, Mapping | list | tuple):
        value = json.dumps(value, ensure_ascii=False)
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _table(rows: Sequence[Mapping[str, Any]]) -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return csv_text(columns, ([row.get(name) for name in columns] for row in rows))
