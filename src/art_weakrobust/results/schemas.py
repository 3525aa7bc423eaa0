"""The schemas of the rows: arrow tables that can be conformed and merged.

A table may carry more columns than its schema names (a third party's scorer knows more, say); it never carries fewer
once it has passed :func:`conform`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from ..errors import DataError

Table: TypeAlias = pa.Table
_TEXT = pa.dictionary(pa.int32(), pa.string())

SCREENED = "screened"
"""Status of a sample that is not among the weakest, and was scored no further than it took to know that."""

SCORES = pa.schema(
    [
        ("index", pa.int64()),
        ("path", _TEXT),
        ("label", pa.int64()),
        ("prediction", pa.int64()),
        ("correct", pa.bool_()),
        ("status", _TEXT),
        ("scorer", _TEXT),
        ("score", pa.float64()),
        ("margin", pa.float32()),
        ("neighbor_margin", pa.float32()),
        ("worst_neighbor", pa.int32()),
        ("first_order_distance", pa.float32()),
        ("misprediction_score", pa.float64()),
        ("flips", pa.int32()),
        ("neighbors", pa.int32()),
        ("fooled", pa.bool_()),
        ("found", pa.bool_()),
        ("perturbation_norm", pa.float32()),
        ("adversarial_distance", pa.float32()),
        ("certified_radius", pa.float32()),
    ]
)
"""One row a sample. Higher ``score`` is weaker; ``status`` is ``ok``, or says why there is none (NaN):
``misclassified``, ``screened`` (its ``neighbors`` are fewer, and ``found`` is null where they hold no error) or
``error: …``."""

WEAK_SET = pa.schema(
    [("index", pa.int64()), ("reason", _TEXT), ("kind", _TEXT), ("weight", pa.float32()), ("role", _TEXT)]
)
"""One row a chosen sample. ``role``: tune | held_out | control; ``reason``: score | margin | control."""

KINDS = ("fragile", "mislabelled", "ambiguous", "atypical", "steady")
"""Why a sample is weak; ``steady`` is one without an error nearby and without a doubt."""

LABEL_CHECKS = ("built-in", "cleanlab")
"""Who says that a label is wrong."""

TRIAGE = pa.schema(
    [
        ("index", pa.int64()),
        ("kind", _TEXT),
        ("weight", pa.float32()),
        ("doubt", pa.float32()),
        ("suggested", pa.int64()),
        ("agreement", pa.float32()),
        ("shift_confidence", pa.float32()),
        ("confidence", pa.float32()),
        ("margin", pa.float32()),
        ("neighbor_distance", pa.float32()),
        ("adversarial_distance", pa.float32()),
        ("masked", pa.bool_()),
        ("brightness", pa.float32()),
        ("contrast", pa.float32()),
        ("sharpness", pa.float32()),
        ("colourfulness", pa.float32()),
    ]
)
"""One row a scored sample. ``kind``: one of :data:`KINDS`, null where unknown; ``weight``: in (0, 1], for training.

The evidence: ``doubt``, how much of the support for the label and for the class ``suggested`` instead goes to the
latter; ``agreement``, share of the nearest samples in feature space with the same label, and ``neighbor_distance``,
mean cosine distance to them; ``shift_confidence`` and ``confidence``, the label's probability, of the image moved and
as it is; ``masked``, whether following the gradient proves nothing, null where the sample is wrong or has no gradient.
Then properties of the image."""

DISTANCES = pa.schema(
    [
        ("index", pa.int64()),
        ("phase", _TEXT),
        ("norm", _TEXT),
        ("distance", pa.float32()),
        ("status", _TEXT),
        ("certified_radius", pa.float32()),
        ("engine", _TEXT),
    ]
)
"""One row a sample x norm (``inf`` | ``2``) x phase. ``status``: ok | misclassified | censored | error: …;
``distance`` is null but for ``ok``."""

TYPES = pa.schema(
    [
        ("type", pa.string()),
        ("family", pa.string()),
        ("group", pa.string()),
        ("origin", pa.string()),
        ("norm", pa.string()),
        ("eps", pa.float64()),
        ("source", pa.string()),
    ]
)
"""One row a perturbation type. ``family``: clean | noise | attacks | corruptions; ``origin``: generated | stored;
``norm``: 1 | 2 | inf."""

VALIDATION = pa.schema(
    [
        ("index", pa.int64()),
        ("set", _TEXT),
        ("phase", _TEXT),
        ("type", _TEXT),
        ("severity", pa.int8()),
        ("label", pa.int64()),
        ("prediction", pa.int64()),
        ("correct", pa.bool_()),
        ("perturbation_norm", pa.float32()),
        ("queries", pa.int32()),
        ("status", _TEXT),
        ("broken_by", _TEXT),
    ]
)
"""One row a sample x perturbation. ``status``: ok | misclassified (clean, so not attacked) | over_budget | error: …;
``correct`` is null where the verdict is unknown."""

SAMPLES = pa.schema(
    [
        ("index", pa.int64()),
        ("rank", pa.int32()),
        ("shape", pa.list_(pa.int32())),
        ("original", pa.binary()),
        ("neighbor", pa.binary()),
        ("adversarial", pa.binary()),
        ("p_original_before", pa.list_(pa.float32())),
        ("p_neighbor_before", pa.list_(pa.float32())),
        ("p_original_after", pa.list_(pa.float32())),
        ("p_neighbor_after", pa.list_(pa.float32())),
    ]
)
"""What the report shows of the weakest samples: pixels as uint8 bytes in (c, h, w) order, and probabilities."""

FLIPS = pa.schema(
    [
        ("set", _TEXT),
        ("index", pa.int64()),
        ("path", pa.string()),
        ("shape", pa.list_(pa.int32())),
        ("original", pa.binary()),
    ]
)
"""A few samples that fine-tuning fixed, broke or left, of the sets of which ``SAMPLES`` has none: pixels as there. What
became of each under which type is told by the verdicts."""


def conform(table: Table, schema: pa.Schema) -> Table:
    """Return ``table`` with every column of ``schema`` in its order and type; missing ones are null, others follow.

    :raises DataError: where a column cannot be cast.
    """
    columns: dict[str, Any] = {}
    for column in schema:
        if column.name in table.column_names:
            values = table.column(column.name)
            try:
                columns[column.name] = _cast(values, column.type)
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
                raise DataError(f"column {column.name!r} is {values.type}, expected {column.type}: {error}") from error
        else:
            columns[column.name] = pa.nulls(table.num_rows, column.type)
    columns |= {name: table.column(name) for name in table.column_names if name not in columns}
    return pa.table(columns).replace_schema_metadata(None)


def _cast(values: pa.ChunkedArray, target: pa.DataType) -> pa.ChunkedArray:
    if values.type == target:
        return values
    if pa.types.is_dictionary(target):
        return values.cast(pa.string()).dictionary_encode()
    return values.cast(target)


def merge(tables: Iterable[Table]) -> Table:
    """Join parts of one table, in their order; columns missing in some are null there.

    :raises DataError: for no parts at all.
    """
    parts = list(tables)
    if not parts:
        raise DataError("there are no parts to merge: not a single row was made")
    return pa.concat_tables(parts, promote_options="permissive").unify_dictionaries().combine_chunks()


def column(table: Table, name: str) -> np.ndarray:
    """Return a column as numpy: text as objects, null numbers as NaN, null booleans in an object array."""
    values = table.column(name)
    if pa.types.is_dictionary(values.type):
        values = values.cast(pa.string())
    return np.asarray(values.to_numpy(zero_copy_only=False))
