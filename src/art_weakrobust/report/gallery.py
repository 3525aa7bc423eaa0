"""What the gallery of the weakest samples can be filtered by, and what they are confused with."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ..validation.flips import BETWEEN, BROKEN, FIXED, RIGHT, UNKNOWN, WRONG
from . import wording
from .typography import shown, type_name

Summary = Mapping[str, Any]
Row = Mapping[str, Any]
MANY_OPTIONS = 30
"""With more options a filter is a text field with suggestions, not a list."""
CONFUSIONS = 12

SORTS = (
    ("rank", "weakest first"),
    ("margin", "margin, smallest first"),
    ("adversarial_distance", "adversarial distance"),
    ("change_linf", "size of the change"),
    ("class", "class"),
    ("index", "sample"),
)
AFTER = (
    (FIXED, "fixed"),
    (BROKEN, "broken"),
    (RIGHT + WRONG + BETWEEN, "unchanged"),
    (RIGHT, "right both times"),
    (WRONG, "wrong both times"),
    (BETWEEN, "partly right both times"),
)
"""The outcomes that can be asked for, each by its codes."""


def filters(summary: Summary, rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the filters that can tell some of the shown samples from others.

    Each has a ``key``, a ``label``, a word for ``all`` and ``options`` (value, text); ``many`` asks for a text field.
    """
    found = [
        _filter("class", "Class", "all classes", _counted(rows, "class", lambda row: shown(row["label"]))),
        _filter("read", "Read as", "anything", _counted(rows, "neighbor_class", _read)),
        _filter("type", "Wrong under", "any type", _types(summary, rows)),
        _filter("kind", "Kind", "all kinds", _counted(rows, "kind", lambda row: shown(row["kind"]))),
    ]
    told = any(code != UNKNOWN for row in rows for code in row["outcome"] + row["outcomes"])
    if wording.fine_tuned(summary) and told:
        found.append(_filter("after", "After fine-tuning", "whatever", list(AFTER)))
    alone = ("type", "kind")  # of which one option tells samples apart, and is linked to from outside
    return [one for one in found if len(one["options"]) > (one["key"] not in alone)]


def sorts(rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return the orders that the shown samples have values for."""
    return [(key, text) for key, text in SORTS if any(row.get(key) is not None for row in rows)]


def weak_total(summary: Summary) -> int:
    """Return the number of weak samples, of which the weakest are shown."""
    roles = summary["weak_set"]
    return roles["tune"] + roles["held_out"] if roles else len(summary["tables"]["samples"])


def confusions(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Return the commonest pairs of label and what was read instead, among the shown samples."""
    pairs = Counter(
        (row["class"], row["neighbor_class"]) for row in rows if None not in (row["class"], row["neighbor_class"])
    )
    names = {row["class"]: row["label"] for row in rows} | {
        row["neighbor_class"]: row["neighbor_prediction"] for row in rows
    }
    return [
        {"class": own, "read": other, "label": names[own], "prediction": names[other], "n": number}
        for (own, other), number in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))
        if own != other
    ][:CONFUSIONS]


def _filter(key: str, label: str, every: str, options: list[tuple[str, str]]) -> dict[str, Any]:
    return {"key": key, "label": label, "all": every, "options": options, "many": len(options) > MANY_OPTIONS}


def _counted(rows: Sequence[Row], key: str, name: Callable[[Row], str]) -> list[tuple[str, str]]:
    counts = Counter(row[key] for row in rows if row[key] is not None)
    names = {row[key]: name(row) for row in rows if row[key] is not None}
    uses = Counter(names.values())  # ImageNet has two classes named crane: an option is found by its text
    texts = {value: text if uses[text] == 1 else f"{text}, class {value}" for value, text in names.items()}
    return [(str(value), f"{texts[value]} ({counts[value]})") for value in sorted(counts)]


def _read(row: Row) -> str:
    return shown(row["neighbor_prediction"])


def _types(summary: Summary, rows: Sequence[Row]) -> list[tuple[str, str]]:
    """Return the types under which a shown sample of the held-out half was judged, and how many were wrong."""
    codes = [[row["outcomes"][at : at + 1] for row in rows] for at in range(len(summary["outcome_types"]))]
    judged = [[code for code in own if code not in ("", UNKNOWN)] for own in codes]
    return [
        (kind, f"{type_name(kind)} ({len(own) - own.count(RIGHT)})")
        for kind, own in zip(summary["outcome_types"], judged, strict=True)
        if own
    ]
