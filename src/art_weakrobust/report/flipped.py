"""A few samples of each cell of the table of flips, of the sets of which no weak sample is shown: who, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ..results import Records, column
from ..validation.flips import EXAMPLES, OUTCOMES, changed
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
    ids = column(records.flipped, "index")[where]
    paths = records.flipped.column("path").to_pylist()
    first, second = align(Verdicts.of(records.before, name), Verdicts.of(records.after, name))
    _, kept, places = np.intersect1d(ids, first.ids, return_indices=True)
    kinds = [kind.type for kind in first.types if kind.family != "clean"]  # the table of flips has no row of it
    most = max(1, _MOST // max(1, len(kinds)))
    for kind in kinds:
        columns = [at for at, (own, _) in enumerate(first.columns) if own == kind]
        codes = changed(first, second, kind)[places]
        for code, count in EXAMPLES.items():
            for at in np.flatnonzero(codes == code)[: min(count, most)]:
                place, tile = places[at], int(where[kept[at]])
                row: Row = {"set": name, "type": kind, "outcome": OUTCOMES[code], "index": int(first.ids[place])}
                row |= {"path": paths[tile], "label": class_name(records, _known(first.labels[place]))}
                row["severities"] = len(columns)
                for phase, own in (("before", first), ("after", second)):
                    read = own.predictions[place, columns[0]] if len(columns) == 1 else -1
                    row[f"right_{phase}"] = int((own.right[place, columns] == RIGHT).sum())
                    row[f"prediction_{phase}"] = class_name(records, _known(read))
                yield row | {"tile": tile}


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
