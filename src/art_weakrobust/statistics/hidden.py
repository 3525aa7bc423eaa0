"""How many things of a kind may be hidden where only a sample was looked at: exact bounds of finite populations."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from .inference import CONFIDENCE


def most_hidden(
    hits: Sequence[int], drawn: Sequence[int], sizes: Sequence[int], *, confidence: float = CONFIDENCE
) -> int:
    """Return how many things of a kind some strata hold at most, those found included: an exact one-sided bound.

    It is the largest total under which finding as few as were found is no surprise, however the total is spread over
    the strata: the worst spread counts, so that nothing is assumed of who hides where.

    :param hits: how many were found in each stratum; their sum counts.
    :param drawn: how many members of each stratum were looked at, drawn at random without replacement.
    :param sizes: how many members each stratum has; two or three strata, since all ways to spread a total are tried.
    :param confidence: how often the bound holds at least, between 0 and 1.
    :raises ValueError: where a stratum has fewer members than were drawn, or fewer drawn than found.

    Source: the hypergeometric test, inverted; for one stratum J. P. Buonaccorsi, Am. Stat. 41 (1987) 215-218.
    """
    _check(confidence)
    if not all(0 <= k <= n <= size for k, n, size in zip(hits, drawn, sizes, strict=True)):
        raise ValueError(f"hits={list(hits)}, drawn={list(drawn)} and sizes={list(sizes)} are no sample of strata")
    found = sum(hits)
    low, high = found, sum(sizes) - (sum(drawn) - found)  # those found, and beside them all who were not looked at
    while low < high:
        middle = (low + high + 1) // 2
        if _chance_of_so_few(found, drawn, sizes, middle) > 1 - confidence:
            low = middle
        else:
            high = middle - 1
    return low


def smallest_audit(sizes: Sequence[int], limit: int, *, confidence: float = CONFIDENCE) -> list[int]:
    """Return how many of each stratum to draw, all at one rate, so that :func:`most_hidden` of no hits meets a limit.

    :param sizes: how many members each stratum has.
    :param limit: what the bound may be, from 0.
    :param confidence: of the bound.
    """
    _check(confidence)
    whole = sum(sizes)

    def drawn(total: int) -> list[int]:
        return [-(-total * size // max(whole, 1)) for size in sizes]

    low, high = 0, max(0, whole - limit)  # who looks at so many hides no more than the limit
    while low < high:
        middle = (low + high) // 2
        if _chance_of_so_few(0, drawn(middle), sizes, limit + 1) <= 1 - confidence:
            high = middle
        else:
            low = middle + 1
    return drawn(low)


def _chance_of_so_few(found: int, drawn: Sequence[int], sizes: Sequence[int], total: int) -> float:
    """Return how likely ``found`` at most are found, for the worst way to spread ``total`` over the strata."""
    seen = np.arange(found + 1)
    spread, chances = (
        np.zeros(1, np.int64),
        np.eye(1, found + 1),
    )  # spread so far (s,); chance of 0 … found (s, found+1)
    for n, size in zip(drawn[:-1], sizes[:-1], strict=True):
        own = np.arange(min(size, total) + 1)
        table = stats.hypergeom.pmf(seen, size, own[:, None], n)
        moved = np.stack([np.pad(table, ((0, 0), (k, 0)))[:, : found + 1] for k in range(found + 1)])
        spread = np.add.outer(spread, own).ravel()
        chances = np.einsum("sk,kot->sot", chances, moved).reshape(len(spread), found + 1)
        spread, chances = spread[spread <= total], chances[spread <= total]
    rest = total - spread
    spread, chances, rest = spread[rest <= sizes[-1]], chances[rest <= sizes[-1]], rest[rest <= sizes[-1]]
    last = stats.hypergeom.cdf(found - seen, sizes[-1], rest[:, None], drawn[-1])
    return float((chances * last).sum(1).max(initial=0.0))


def _check(confidence: float) -> None:
    if not 0 < confidence < 1:
        raise ValueError(f"confidence={confidence} has to lie between 0 and 1")
