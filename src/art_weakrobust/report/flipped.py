"""A few samples of each cell of the table of flips, of the sets of which no weak sample is shown: who, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..results import Records, column
from ..validation.flips import EXAMPLES, OUTCOMES, outcomes
from ..validation.verdicts import RIGHT, Verdicts, align
from .images import Sheet, drawable, thumbs
from .weakest import class_name

Row = dict[str, Any]
_MOST = 200
"""Rows of one set and outcome: of many types fewer samples each are shown, one at least, for the page's size."""


def flipped_rows(records: Records) -> list[Row]:
    """Return one row a set, type, outcome and sample that is shown of it, :data:`EXAMPLES` of each outcome at most.

    Fields: set, type, outcome (a field of :func:`~art_weakrobust.validation.flips.flip_table`), index, path, label,
    severities, right_before and right_after (at how many of them), prediction_before and prediction_after (of single
    verdicts, else None), tile (place in the sheet).
    """
    before, after, kept = records.before, records.after, records.flipped
    if before is None or after is None or kept is None:
        return []
    return [row for name in sorted(set(column(kept, "set"))) for row in _rows(records, name)]


def _rows(records: Records, name: str) -> Iterator[Row]:
    assert records.before is not None
    assert records.after is not None
    assert records.flipped is not None
    where = np.flatnonzero(column(records.flipped, "set") == name)
    tiles = dict(zip(column(records.flipped, "index")[where].tolist(), where.tolist(), strict=True))
    paths = records.flipped.column("path").to_pylist()
    first, second = align(Verdicts.of(records.before, name), Verdicts.of(records.after, name))
    place = {index: at for at, index in enumerate(first.ids.tolist())}
    clean = {kind.type for kind in first.types if kind.family == "clean"}  # the table of flips has no row of it
    found = {kind: codes for kind, codes in outcomes(records.before, records.after, name).items() if kind not in clean}
    most = max(1, _MOST // max(1, len(found)))
    for kind, codes in found.items():
        columns = [at for at, (own, _) in enumerate(first.columns) if own == kind]
        for code, count in EXAMPLES.items():
            for index in [index for index in tiles if codes.get(index) == code][: min(count, most)]:
                row: Row = {
                    "set": name,
                    "type": kind,
                    "outcome": OUTCOMES[code],
                    "index": index,
                    "path": paths[tiles[index]],
                }
                row |= {"label": class_name(records, _known(first.labels[place[index]])), "severities": len(columns)}
                for phase, own in (("before", first), ("after", second)):
                    read = own.predictions[place[index], columns[0]] if len(columns) == 1 else -1
                    row[f"right_{phase}"] = int((own.right[place[index], columns] == RIGHT).sum())
                    row[f"prediction_{phase}"] = class_name(records, _known(read))
                yield row | {"tile": tiles[index]}


def flipped_images(records: Records) -> Sheet | None:
    """Return the sheet of these samples; None where there are none, or they are no images of one shape."""
    rows = [] if records.flipped is None else records.flipped.to_pylist()
    if not rows or any(row["shape"] != rows[0]["shape"] for row in rows) or not drawable(rows[0]["shape"]):
        return None
    return thumbs(rows[0]["shape"], [row["original"] for row in rows])


def by_cell(rows: Sequence[Mapping[str, Any]], name: str, kind: str) -> dict[str, list[Mapping[str, Any]]]:
    """Return outcome -> the rows of one set and type."""
    mine = [row for row in rows if row["set"] == name and row["type"] == kind]
    return {outcome: [row for row in mine if row["outcome"] == outcome] for outcome in OUTCOMES.values()}


def _known(label: Any) -> int | None:
    return int(label) if label >= 0 else None
