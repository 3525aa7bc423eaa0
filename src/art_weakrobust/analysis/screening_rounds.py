"""Who stays in the rounds of a screening, and what is certain before all neighbors were drawn.

All functions work on rows of :data:`~.neighborhood_draws.COLUMNS` and return positions in them.
"""

from __future__ import annotations

import math

import numpy as np

from ..results import Table, column

SPARE = 1.8
"""How many standard deviations of a sample's membership a round keeps to spare.

Measured on margins of ResNet-20 on CIFAR-10, resampled to 10,000 and 50,000 samples: about one member in a thousand is
left out, so that about one run in ten looks a second time. More to spare costs every run more than that."""


def cuts(neighbors: int) -> list[int]:
    """Return how many neighbors have been drawn after each round: 1, 2, 4, 8, … below all of them."""
    return [2**number for number in range(max(0, neighbors - 1).bit_length())]


def kept(sought: int, of: int, drawn: int) -> int:
    """Return how many samples stay after a round.

    What ``drawn`` neighbors say of a sample is off by about as much as a share of so many draws is: so the round keeps
    the share that is sought and, to spare, :data:`SPARE` times ``sqrt(share (1 - share) / drawn)``.

    :param sought: how many samples the weak set is to have.
    :param of: how many there are in all.
    """
    share = min(1.0, sought / max(of, 1))
    return math.ceil(of * min(1.0, share + SPARE * math.sqrt(share * (1 - share) / drawn)))


def weakest_first(table: Table) -> np.ndarray:
    """Return the positions of samples with equally many neighbors drawn: by score, least margin, id, as ranking does.

    The margins of bare labels say nothing, and samples with an answer that is not finite come last.
    """
    score = column(table, "score_sum").astype(np.float64)
    return np.lexsort((column(table, "index"), _margin(table), -score))


def above(table: Table, last: Table) -> np.ndarray:
    """Say of every sample whether it ranks above another one, (n,) bool; all of them with all neighbors drawn.

    :param last: the row of the last member of a set; without one, every sample that has a score has a place.
    """
    if not last.num_rows:
        return np.asarray(np.isfinite(column(table, "score_sum")))
    own = zip(-column(table, "score_sum"), _margin(table), column(table, "index"), strict=True)
    key = (-column(last, "score_sum")[0], _margin(last)[0], column(last, "index")[0])
    return np.fromiter((row < key for row in own), bool, table.num_rows)


def may_reach(table: Table, score_sum: float, neighbors: int) -> np.ndarray:
    """Say of every sample whether its score can still reach another one, (n,) bool.

    Of all its neighbors, each adds between 0 and 1 to the sum of misprediction scores, so that after ``k`` of ``m`` it
    lies in ``[s, s + m - k]``: no chance enters. NaN, of an answer that was not finite, reaches nothing.

    :param score_sum: the sum to be reached.
    :param neighbors: of each sample in the end.
    """
    most = column(table, "score_sum") + (neighbors - column(table, "neighbors"))
    return np.asarray(most >= score_sum)


def _margin(table: Table) -> np.ndarray:
    margin = column(table, "least_margin").astype(np.float64)
    unknown = column(table, "decision").astype(bool) | np.isnan(margin)
    return np.asarray(np.where(unknown, np.inf, margin))
