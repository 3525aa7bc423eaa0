"""The audit of a screening: how many of the weakest may be among the samples that were left out.

Some of those left out are drawn at random, at one rate near the cut and far from it, and scored in full. Whoever then
ranks above the last member of the set is a hit, and no longer missed; how many more may be hidden is an exact bound,
:func:`~art_weakrobust.statistics.most_hidden`, for whatever way they are spread over the strata. It stays valid when
the candidate set is widened and audited again, as often as need be: every audit is drawn afresh from those then left
out, and each look spends nine tenths of the error that is left, 4.5 % first, .45 % then, so that all together err in
5 % of all runs at most.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ..kernels import keyed
from ..statistics import CONFIDENCE, most_hidden, smallest_audit

_SPENT = 0.9
"""Share of the error that is left which a look spends: the second is rare, and may cost more."""


@dataclass(frozen=True)
class Audit:
    """One audit of samples left out.

    :param strata: sample ids, int64, of each stratum.
    :param drawn: those of them that are to be scored in full.
    :param confidence: with which the bound holds.
    """

    strata: tuple[np.ndarray, ...]
    drawn: tuple[np.ndarray, ...]
    confidence: float

    @classmethod
    def of(cls, strata: Sequence[np.ndarray], limit: int, look: int, seed: int) -> Audit:
        """Draw as few as can show, by no hit, that ``limit`` members are hidden at most.

        :param look: number of the audit, from 0.
        :param seed: who is drawn is a function of (seed, look, sample id).
        """
        confidence = 1 - (1 - CONFIDENCE) * _SPENT * (1 - _SPENT) ** look
        strata = tuple(ids for ids in strata if len(ids))
        counts = smallest_audit([len(ids) for ids in strata], limit, confidence=confidence) if strata else []
        drawn = tuple(
            keyed.some(ids, n, look, keyed.derive(seed, "audit")) for ids, n in zip(strata, counts, strict=True)
        )
        return cls(strata, drawn, confidence)

    @property
    def ids(self) -> np.ndarray:
        """All that are to be scored in full, sorted, int64."""
        return np.sort(np.concatenate([np.empty(0, np.int64), *self.drawn]))

    def hidden(self, hits: np.ndarray) -> int:
        """Return how many members may be left out still, beside those that were hit.

        :param hits: ids of drawn samples that are members.
        """
        if not self.strata:
            return 0
        found = [int(np.isin(ids, hits).sum()) for ids in self.drawn]
        sizes, drawn = [len(ids) for ids in self.strata], [len(ids) for ids in self.drawn]
        return most_hidden(found, drawn, sizes, confidence=self.confidence) - sum(found)
