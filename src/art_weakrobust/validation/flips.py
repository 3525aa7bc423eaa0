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
            counts = Counter(changed(first, second, kind.type).tolist())
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
        kind.type: dict(zip(first.ids.tolist(), changed(first, second, kind.type).tolist(), strict=True))
        for kind in first.types
    }


def examples(before: Validation, after: Validation, name: str, ids: np.ndarray, most: int) -> list[int]:
    """Return ids of a set, rising, so that every cell of its table has up to :data:`EXAMPLES` of them.

    Every cell gets its first before any gets its second, and those that changed come before the others; a cell takes
    what others have chosen before it chooses its own. Clean images are left out, as in the table of the report.

    :param ids: that may be chosen.
    :param most: ids in all; where there are more cells than that, the last ones may get none.
    """
    first, second = align(Verdicts.of(before, name), Verdicts.of(after, name))
    kinds = [kind.type for kind in first.types if kind.family != "clean"]
    told = [changed(first, second, kind) for kind in kinds]
    allowed = np.isin(first.ids, ids)
    cells = {code: [np.flatnonzero((own == code) & allowed) for own in told] for code in EXAMPLES}
    chosen, count = np.zeros(len(first.ids), bool), 0
    for wanted in range(1, max(EXAMPLES.values()) + 1):
        for code in (code for code, shown in EXAMPLES.items() if wanted <= shown):
            for cell in cells[code]:
                free = cell[~chosen[cell]]
                if len(free) and len(cell) - len(free) < wanted and count < most:
                    chosen[free[0]], count = True, count + 1
        if count == most:
            break
    return sorted(first.ids[chosen].tolist())


def changed(before: Verdicts, after: Verdicts, kind: str) -> np.ndarray:
    """Return a code of :data:`OUTCOMES`, or ``-`` where unknown, for each image (n,) under a type.

    :param before: on the same images, in the same order, as ``after``.
    """
    first, second = before.values(kind), after.values(kind)
    known = np.isfinite(first) & np.isfinite(second)
    told = [~known, second > first, second < first, second == 1, second == 0]
    return np.select(told, [UNKNOWN, FIXED, BROKEN, RIGHT, WRONG], BETWEEN)
