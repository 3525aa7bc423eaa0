"""Candidate screening: the weakest samples scored in full, the others no further than it takes to leave them out.

The neighbors of a sample, read as margins, tell early how weak it is: the margin at a single one places nearly all of
the weakest tenth within the weaker half. So neighbors are drawn in rounds, to 1, 2, 4, 8, … of each sample; a round
keeps the samples whose place is open, ordered by what their neighbors say so far, and those that stay to the end are
scored in full. Neighbors are a function of their number: nothing is drawn twice, and a score is what the exhaustive
scorer makes it.

What is sought are the first ``fraction`` (or ``top_k``) of the ranking by (score, least margin over the neighbors),
whatever a selection then makes of samples without an error. Whether the rounds left some of them out is not assumed but
audited, see :mod:`.screening_audit`; where more than ``max_missed`` might be missing, the set of candidates is widened,
nearest first, and audited again. Samples whose score cannot reach the last member's any more, whatever their other
neighbors say, are out for certain and need no audit.

A sample left out has status ``screened`` and no score, so that no selection ever ranks it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa

from ..errors import UsageError
from ..protocols import Dataset, Estimator, Map
from ..results import Scores, Table, column
from ..statistics import share_of
from .neighborhood_draws import COLUMNS, joined
from .neighborhood_scores import NAME, Neighborhood, precision_facts
from .scorer import OK, ChunkScorer
from .screening_audit import Audit
from .screening_rounds import above, cuts, kept, may_reach, weakest_first


@dataclass(frozen=True, kw_only=True)
class Aim:
    """Which samples are sought, and how many of them may be missed.

    :param fraction: share of the clean-correct samples, in (0, 1].
    :param top_k: how many, at least 1, in place of ``fraction``.
    :param max_missed: share of them that may be missed, in [0, 1), by the 95 % bound of the audit.
    :raises UsageError: for a value outside its range.
    """

    fraction: float = 0.1
    top_k: int | None = None
    max_missed: float = 0.02

    def __post_init__(self) -> None:
        if not 0 < self.fraction <= 1:
            raise UsageError(f"fraction={self.fraction!r} has to be a share above 0 and at most 1, such as 0.1")
        if self.top_k is not None and self.top_k < 1:
            raise UsageError(f"top_k={self.top_k!r} has to be a whole number from 1")
        if not 0 <= self.max_missed < 1:
            raise UsageError(f"max_missed={self.max_missed!r} has to be a share from 0 to below 1, such as 0.02")

    def sought(self, correct: int) -> int:
        """Return how many samples are sought, of so many that are right when clean."""
        return max(1, share_of(self.fraction, correct) if self.top_k is None else self.top_k)


@dataclass(frozen=True, kw_only=True)
class ScreeningScorer(ChunkScorer):
    """The scorer: as exhaustive as it has to be; a :class:`~art_weakrobust.protocols.Scorer`.

    :param function: of the exhaustive scorer.
    :param aim: what is sought.
    :param seed: of the audits.
    """

    function: Neighborhood
    aim: Aim
    seed: int

    @classmethod
    def of(cls, function: Neighborhood, aim: Aim, seed: int) -> ScreeningScorer:
        """Return the scorer of a neighborhood; how each of its samples is scored is the neighborhood's to say."""
        return cls(NAME, lambda _estimator: function, precision_facts, function=function, aim=aim, seed=seed)

    def __call__(self, estimator: Estimator, data: Dataset, over: Map) -> Scores:
        """Return one row a sample."""
        clean = over(f"{self.name} clean", self.function.clean, estimator, data)
        sought = self.aim.sought(int((column(clean, "correct") == True).sum()))  # noqa: E712 - null where unknown
        ids = column(clean, "index")[column(clean, "status") == OK]
        found = _Screening(self.function, self.aim, self.seed, sought, estimator, data, over).of(ids)
        table = self.function.scored(clean, found.rows)
        return Scores(table, {**self.told(table), **found.facts})


@dataclass(frozen=True)
class _Found:
    """What came of a screening: rows of whatever is known of each sample, and what is told of the whole."""

    rows: Table
    facts: Mapping[str, Any]


@dataclass(frozen=True)
class _Screening:
    """One screening under way: what it asks with, and how many samples it seeks."""

    function: Neighborhood
    aim: Aim
    seed: int
    sought: int
    estimator: Estimator
    data: Dataset
    over: Map

    def of(self, ids: np.ndarray) -> _Found:
        """Screen the samples of these ids, int64, sorted."""
        full, left = self._rounds(ids)
        limit, looks = math.floor(self.aim.max_missed * self.sought + 1e-9), 0
        while True:
            last = self._last(full)
            open_, beaten = _parted(left, _may_enter(left, last, self.function.neighbors))
            audit = Audit.of(_strata(open_), limit, looks, self.seed)
            audited, left = self._in_full(f"audit {looks}", left, audit.ids)
            hits = column(audited, "index")[above(audited, last)]
            full, hidden, looks = joined([full, audited]), audit.hidden(hits), looks + 1
            if hidden <= limit:
                break
            wider = column(open_, "index")[_nearest_first(open_)]
            wider = wider[~np.isin(wider, audit.ids)][: max(1, self.sought // 2) * 2 ** (looks - 1)]
            more, left = self._in_full(f"wider {looks}", left, np.sort(wider))
            full = joined([full, more])
        rows = joined([full, left])
        bound = {"n": len(audit.ids), "missed": len(hits), "upper": hidden / self.sought}
        return _Found(rows, {"screening": self._told(rows, full, beaten, looks), "missed_bound": bound})

    def _rounds(self, ids: np.ndarray) -> tuple[Table, Table]:
        """Return the rows of the candidates, all their neighbors drawn, and of those left out, some of theirs drawn."""
        rounds = cuts(self.function.neighbors)
        if not rounds:
            return self._ask("", ids, 0, self.function.neighbors), COLUMNS.empty_table()
        drawn, left, everyone = COLUMNS.empty_table(), [COLUMNS.empty_table()], len(ids)
        for first, last in pairwise((0, *rounds)):
            drawn = joined([drawn, self._ask("", ids, first, last)])
            order = weakest_first(drawn)
            stay = np.zeros(len(order), bool)
            stay[order[: kept(self.sought, everyone, last)]] = True
            stay &= _may_enter(drawn, self._last(drawn), self.function.neighbors)
            left.append(drawn.filter(pa.array(~stay)))
            drawn = drawn.filter(pa.array(stay))
            ids = column(drawn, "index")
        full, _ = self._in_full("", drawn, ids)
        return full, joined(left)

    def _last(self, table: Table) -> Table:
        """Return the row of the last member of the set, as these samples make it; none where fewer have a score."""
        scored = table.filter(pa.array(np.isfinite(column(table, "score_sum"))))
        return scored.take(pa.array(weakest_first(scored)[self.sought - 1 : self.sought]))

    def _in_full(self, purpose: str, table: Table, ids: np.ndarray) -> tuple[Table, Table]:
        """Draw the other neighbors of some samples of ``table``; return their rows, and those of the others."""
        chosen, others = _parted(table, np.isin(column(table, "index"), ids))
        done = [COLUMNS.empty_table()]
        for drawn in np.unique(column(chosen, "neighbors")).tolist():
            early, _ = _parted(chosen, column(chosen, "neighbors") == drawn)
            late = self._ask(purpose, column(early, "index"), drawn, self.function.neighbors)
            done.append(joined([self._exact(purpose, early, late, drawn), late]))
        return joined(done), others

    def _exact(self, purpose: str, early: Table, late: Table, drawn: int) -> Table:
        """Return ``early`` with the least margins of float32, where bfloat16 left open whether they are the least.

        Rounds know them within the bound alone. Where a neighbor is wrong, the least margin is a float32 one already.
        """
        lowest = column(early, "least_margin") - column(early, "margin_bound")
        right = (column(early, "flips") == 0) & (column(late, "flips") == 0)
        unsure = right & (column(early, "margin_bound") > 0) & (lowest <= column(late, "least_margin"))
        if not unsure.any():
            return early
        again = self._ask(f"{purpose} margins", column(early, "index")[unsure], 0, drawn, "float32")
        columns = {name: column(early, name).copy() for name in COLUMNS.names}
        for name in ("least_margin", "least_number"):
            columns[name][unsure] = column(again, name)
        columns["measured"][unsure] = drawn
        return pa.table(columns, schema=COLUMNS)

    def _ask(self, purpose: str, ids: np.ndarray, first: int, last: int, precision: str | None = None) -> Table:
        if not len(ids):
            return COLUMNS.empty_table()
        whole = last == self.function.neighbors
        rows = self.function.around(first, last, exact_margin=whole)
        rows = replace(rows, precision=precision or rows.precision)
        stage = " ".join(["neighborhood", *purpose.split(), f"{first}-{last}"])
        table = self.over(stage, rows, self.estimator, self.data, ids)
        return table.select(COLUMNS.names).cast(COLUMNS)

    def _told(self, rows: Table, full: Table, beaten: Table, looks: int) -> dict[str, Any]:
        """Return what is told of the whole: what was spent, who was decided how, ties at the cut."""
        everyone, spent = rows.num_rows * self.function.neighbors, int(column(rows, "neighbors").sum())
        members = full.take(pa.array(weakest_first(full)[: self.sought]))
        last = self._last(full)
        tied = _tied(full, last) - _tied(members, last)
        flipped = int((column(rows, "flips") > 0).sum())
        return {
            "sought": self.sought,
            "neighbors_drawn": spent,
            "neighbors_in_all": everyone,
            "share_drawn": spent / everyone if everyone else 0.0,
            "in_full": full.num_rows,
            "decided_early": beaten.num_rows,
            "looks": looks,
            "tied_at_the_cut": tied,
            "flipped": flipped,
            "members_that_flip": int((column(members, "flips") > 0).sum()),
        }


def _may_enter(table: Table, last: Table, neighbors: int) -> np.ndarray:
    """Say of every sample whether it may rank above the last member, as far as scores bound it, (n,) bool."""
    least = column(last, "score_sum")[0] if last.num_rows else -np.inf
    return may_reach(table, least, neighbors)


def _parted(table: Table, chosen: np.ndarray) -> tuple[Table, Table]:
    return table.filter(pa.array(chosen)), table.filter(pa.array(~chosen))


def _nearest_first(table: Table) -> np.ndarray:
    """Return the positions of samples left out: the later a round, the nearer the cut; in a round by what it knew."""
    order = weakest_first(table)
    return order[np.argsort(-column(table, "neighbors")[order], kind="stable")]


def _strata(table: Table) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids of samples left out: of those that stayed for a second round, and of those that did not."""
    drawn, ids = column(table, "neighbors"), column(table, "index")
    first = drawn == drawn.min(initial=np.iinfo(np.int64).max)
    return ids[~first], ids[first]


def _tied(table: Table, last: Table) -> int:
    """Return how many samples score and lie as the last member does, so that ids alone part them from it."""
    if not last.num_rows:
        return 0
    same = [column(table, name) == column(last, name)[0] for name in ("score_sum", "least_margin")]
    return int((same[0] & same[1]).sum())
