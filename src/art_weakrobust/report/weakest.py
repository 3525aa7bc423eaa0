"""The weakest samples as rows of the summary: who they are, what went wrong beside them, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from ..results import Records, column
from ..threat import norm_key
from ..validation import flips
from ..validation.flips import BROKEN, FIXED, RIGHT, UNKNOWN, WRONG

MAX_CLASSES_IN_FULL = 100
"""With more classes the samples' probability vectors stay in ``samples.parquet``: they would outweigh all the rest."""
LIKELIEST = 5
"""Classes of which a sample's probabilities are shown."""
_PIXELS = ("original", "neighbor", "adversarial", "shape")
_SCORED = ("path", "score", "misprediction_score", "flips", "neighbors", "worst_neighbor", "margin")
_CHANCES = ("p_original_before", "p_neighbor_before", "p_original_after", "p_neighbor_after")

Row = dict[str, Any]
Outcomes = Mapping[str, Mapping[int, str]]


def sample_rows(records: Records, judged: Outcomes) -> list[Row]:
    """Return one row a shown sample, the weakest first; what training saw has no figure after it.

    Beside the scores: ``outcome``, a code of :data:`~art_weakrobust.validation.flips.OUTCOMES` at the sample's own
    neighbor; ``outcomes``, one code a type of ``judged``; ``chances``, rows of class and its probability at
    original and neighbor before, then after, of the likeliest classes; ``change_linf`` and ``change_l2``, the norms of
    the stored 8-bit change on the scale [0, 1].

    :param judged: what :func:`outcomes` returned.
    """
    if records.samples is None or not records.samples.num_rows:
        return []
    table = records.samples.sort_by("rank")
    scored = _by_index(None if records.scores is None else records.scores.table, table)
    refined = _refined(records, table)
    chosen = _by_index(None if records.weak_set is None else records.weak_set.table, table)
    return [
        _row(
            records,
            shown,
            scored.get(shown["index"], {}) | refined.get(shown["index"], {}),
            chosen.get(shown["index"], {}),
            judged,
        )
        for shown in table.to_pylist()
    ]


def outcomes(records: Records) -> Outcomes:
    """Return type -> id -> code on the held-out half alone: training saw the other."""
    if records.before is None:
        return {}
    found = flips.outcomes(records.before, records.after, "held_out")
    clean = {kind.type for kind in records.before.types if kind.family == "clean"}
    return {kind: codes for kind, codes in found.items() if kind not in clean}


def _row(
    records: Records,
    shown: Mapping[str, Any],
    known: Mapping[str, Any],
    picked: Mapping[str, Any],
    judged: Outcomes,
) -> Row:
    index, own, role = shown["index"], known.get("label"), picked.get("role")
    near = shown.get("p_neighbor_before")
    read = int(np.argmax(near)) if near else None
    hidden = {name: None for name in _CHANCES if role == "tune" and name.endswith("after")}
    chances = {name: shown.get(name) for name in _CHANCES} | hidden
    row: Row = {"rank": shown["rank"], "index": index, "label": class_name(records, own), "class": own}
    row |= {"neighbor_prediction": class_name(records, read), "neighbor_class": read}
    row |= {name: known.get(name) for name in (*_SCORED, "adversarial_distance", "certified_radius")}
    row |= {"kind": picked.get("kind"), "role": role, **_change(shown)}
    row["right_after"] = _right(chances["p_neighbor_after"], own)
    row["outcome"] = _outcome(chances, own)
    row["outcomes"] = "".join(codes.get(index, UNKNOWN) for codes in judged.values())
    row["chances"] = _likeliest(records, chances, own, read)
    for name, values in chances.items():
        whole = values is not None and len(values) <= MAX_CLASSES_IN_FULL
        row[name] = [round(value, 4) for value in values or ()] if whole else None
    return row


def _change(shown: Mapping[str, Any]) -> Row:
    """Return what is shown beside the original, and by how much it differs."""
    kind = next((kind for kind in ("neighbor", "adversarial") if shown.get(kind) is not None), None)
    if kind is None or shown.get("original") is None:
        return {"beside": None, "change_linf": None, "change_l2": None}
    one, other = (np.frombuffer(shown[name], np.uint8).astype(np.float64) / 255 for name in ("original", kind))
    change = np.abs(other - one)
    return {"beside": kind, "change_linf": float(change.max()), "change_l2": float(np.sqrt((change**2).sum()))}


def _right(chances: Sequence[float] | None, own: int | None) -> bool | None:
    return bool(np.argmax(chances) == own) if chances and own is not None else None


def _outcome(chances: Mapping[str, Sequence[float] | None], own: int | None) -> str:
    """Return what became of a sample: broken where the original itself is lost, else what its neighbor tells."""
    first, near, kept, after = (_right(chances[name], own) for name in _CHANCES)
    if near is None or after is None:
        return UNKNOWN
    if (first and kept is False) or (near and not after):
        return BROKEN
    if near:
        return RIGHT
    return FIXED if after else WRONG


def _likeliest(
    records: Records, chances: Mapping[str, Sequence[float] | None], own: int | None, read: int | None
) -> list[Row]:
    """Return the label, what was read instead, and the likeliest other classes, each with its probabilities."""
    vectors = [values for values in chances.values() if values]
    if not vectors:
        return []
    order = np.argsort(-np.max(vectors, axis=0), kind="stable").tolist()
    first = [k for k in (own, read) if k is not None and 0 <= k < len(order)]
    named = list(dict.fromkeys([*first, *order]))[:LIKELIEST]
    return [
        {"name": class_name(records, k), "p": [round(values[k], 4) if values else None for values in chances.values()]}
        for k in named
    ]


def class_name(records: Records, label: int | None) -> str | None:
    """Return the name of a class, its number where it has none; None stays None."""
    if label is None:
        return None
    return str(records.class_names[label]) if 0 <= label < len(records.class_names) else str(label)


def _refined(records: Records, shown: pa.Table) -> dict[int, Row]:
    """Return index -> the refined distance and radius before fine-tuning, in the norm that scores are ranked by."""
    if records.distances is None:
        return {}
    norm = norm_key(float(records.provenance.get("arguments", {}).get("distance_norm", "inf")))
    of = (column(records.distances, "phase") == "before") & (column(records.distances, "norm") == norm)
    rows = _by_index(records.distances.filter(pa.array(of)), shown)
    found = {"adversarial_distance": "distance", "certified_radius": "certified_radius"}
    return {
        index: {name: row[own] for name, own in found.items() if row[own] is not None} for index, row in rows.items()
    }


def _by_index(table: pa.Table | None, shown: pa.Table) -> dict[int, Row]:
    """Return index -> row, of the shown samples alone: there may be a million others."""
    if table is None:
        return {}
    mine = table.filter(pa.array(np.isin(column(table, "index"), column(shown, "index"))))
    return {row["index"]: row for row in mine.to_pylist()}
