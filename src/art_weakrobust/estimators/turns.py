"""Values of a key of the execution plan that are measured in turns, since a machine may be slow for a while."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, isnan
from typing import Any

from .stopwatch import Plan

LEAST_GAIN = 0.03
"""Share of the time that a change of the plan has to save."""

ROUNDS = 3
"""How often each value of a key has its turn, at most."""

_HOPELESS = 2.0
"""How many times slower than the settled one a value is at a turn that is its last: nothing is slow to that degree."""


def compared(
    plan: Plan,
    key: str,
    values: list[Any],
    measure: Callable[[Plan], float],
    rounds: int,
    over: Callable[[], bool],
    first: float | None,
) -> dict[Any, list[float]]:
    """Return the cost of each value of a key over that of the settled plan, once for each of its turns.

    A value of which the median is certain has no further turn, and nobody has one once the time is over, or where the
    settled plan, which was measured before, cannot be measured again.

    :param measure: gives the cost of a plan.
    :param rounds: turns of each value at most, of each of which the settled plan has one as well.
    :param over: whether the time is over.
    :param first: what the settled plan cost just now; None where it is to be measured.
    """
    ratios: dict[Any, list[float]] = {value: [] for value in values}
    for _ in range(rounds):
        left = [value for value, known in ratios.items() if not _decided(known, rounds)]
        if not left or over():
            break
        settled, first = measure(plan) if first is None else first, None
        if not 0 < settled < inf:
            break
        for value in left:
            if over():
                break
            ratio = measure({**plan, key: value}) / settled
            ratios[value].append(inf if isnan(ratio) else ratio)
    return ratios


def _decided(ratios: list[float], rounds: int) -> bool:
    """Return whether further turns could not change on which side of a gain the median lies, or hardly so."""
    gains = sum(ratio < 1 - LEAST_GAIN for ratio in ratios)
    return max(gains, len(ratios) - gains) > rounds // 2 or any(ratio >= _HOPELESS for ratio in ratios)


def share_of(seconds: float, others: list[int], rounds: int) -> float:
    """Return the seconds of one measurement: a value that is new has two, of which one warms up, at its first turn.

    :param others: how many values each key has beside the settled one.
    :param rounds: at most; the last of several is seldom needed.
    """
    turns = max(1, rounds - 1)
    return seconds / (2 + sum(turns * (n + 1) + n for n in others if n))
