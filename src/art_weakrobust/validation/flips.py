"""Image by image, what became of each verdict: fixed, broken, the same. Tested in :mod:`.comparison`, counted here."""

from __future__ import annotations

from collections import Counter

import numpy as np

from ..results import Validation
from .rows import Row
from .verdicts import Verdicts, align, shown_sets

FIXED, BROKEN, RIGHT, WRONG, BETWEEN, UNKNOWN = "f", "b", "r", "w", "m", "-"
OUTCOMES = {FIXED: "fixed", BROKEN: "broken", RIGHT: "right", WRONG: "wrong", BETWEEN: "between"}
"""Code -> field of :func:`flip_table`."""

EXAMPLES = {FIXED: 6, BROKEN: 6, WRONG: 3, RIGHT: 3, BETWEEN: 3}
"""Code -> samples that are shown of each type, those that changed before the others."""


def flip_table(before: Validation, after: Validation) -> list[Row]:
    """Return one row a set and type: how many images fine-tuning fixed and broke, and how many stayed as they were.

    Fields: type, family, set, severities, n, fixed, broken, right (both times), wrong (both times), between. Of several
    severities an image is fixed where it is right at more of them than before, broken where at fewer; ``between`` are
    those that are right at as many as before, neither at all nor at none. The five add up to n; fixed and broken are
    ``gained`` and ``lost`` of :func:`.comparison.paired_table`, which has the test.
    """
    rows: list[Row] = []
    for name in shown_sets(before, after):
        first, second = align(Verdicts.of(before, name), Verdicts.of(after, name))
        for kind in first.types:
            counts = Counter(_codes(first.values(kind.type), second.values(kind.type)))
            row: Row = {"type": kind.type, "family": kind.family, "set": name}
            row |= {"severities": len(first.severities(kind.type)), "n": counts.total() - counts[UNKNOWN]}
            rows.append(row | {field: counts[code] for code, field in OUTCOMES.items()})
    return rows


def outcomes(before: Validation, after: Validation | None, name: str) -> dict[str, dict[int, str]]:
    """Return type -> sample id -> code of :data:`OUTCOMES`, ``-`` where unknown, of one set.

    :param after: None for a diagnosis, in which nothing is fixed or broken: right, wrong, or between.
    """
    first = Verdicts.of(before, name)
    first, second = (first, first) if after is None else align(first, Verdicts.of(after, name))
    return {
        kind.type: dict(zip(first.ids.tolist(), _codes(first.values(kind.type), second.values(kind.type)), strict=True))
        for kind in first.types
    }


def examples(before: Validation, after: Validation, name: str, most: int) -> list[int]:
    """Return ids of a set, rising, so that every cell of its table has up to :data:`EXAMPLES` of them.

    Every cell gets its first before any gets its second, and those that changed come before the others; a cell takes
    what others have chosen before it chooses its own. Clean images are left out, as in the table of the report.

    :param most: ids in all; where there are too many cells, the last ones may get none.
    """
    clean = {kind.type for kind in before.types if kind.family == "clean"}
    found = [codes for kind, codes in outcomes(before, after, name).items() if kind not in clean]
    cells = [
        (code, dict.fromkeys(index for index, own in codes.items() if own == code))
        for code in EXAMPLES
        for codes in found
    ]
    chosen: set[int] = set()
    for wanted in range(1, max(EXAMPLES.values()) + 1):
        for code, cell in cells:
            if len(chosen) < most and wanted <= EXAMPLES[code] and len(cell.keys() & chosen) < wanted:
                chosen.update([index for index in cell if index not in chosen][:1])
    return sorted(chosen)


def _codes(before: np.ndarray, after: np.ndarray) -> list[str]:
    """Return a code an image from its shares of right severities, (n,) each."""
    known = np.isfinite(before) & np.isfinite(after)
    told = [~known, after > before, after < before, after == 1, after == 0]
    return list(np.select(told, [UNKNOWN, FIXED, BROKEN, RIGHT, WRONG], BETWEEN).tolist())
