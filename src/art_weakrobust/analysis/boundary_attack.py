"""Any ART attack as the engine of adversarial distances: a minimum-norm one as it is, any other by bisection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import numpy as np

from ..errors import UsageError
from ..perturbations.attacks.binding import bind
from ..perturbations.attacks.catalogue import row_of
from ..perturbations.attacks.judge import OK, OVER_BUDGET, distance
from ..perturbations.attacks.runner import attack_samples
from ..perturbations.attacks.settings import budget_of
from ..perturbations.resolve import attack_type, check_craft
from ..perturbations.types import AttackType
from ..plugins.budget import BUDGETS
from ..plugins.manager import AttackFactory
from ..protocols import Estimator
from ..results import Samples
from .boundary_engine import Found

_FIRST = 1 / 64
"""Share of ``eps_max`` that is asked about first; from there budgets are doubled or halved."""
_CLOSE = 0.01
"""Bisection ends where the last budget that failed is within this share of the least one that succeeded."""
_LEAST = 2.0**-20
"""Share of ``eps_max`` below which nobody looks for less."""


@dataclass(frozen=True, kw_only=True)
class AttackEngine:
    """An :class:`~.boundary_engine.Engine` that asks an attack of ART's.

    Budgets are dyadic fractions of ``eps_max``, so that samples that stand at the same one are attacked together.

    :param entry: a name, factory, class or ready-made attack, as :func:`~..perturbations.resolve.attack_type` takes it.
    :param offered: what the run offers: ``seed``, ``batch_size``, ``craft``.
    :param kind: the attack, built once, with a budget that does not matter.
    :param bounded: whether a budget bounds the attack; otherwise it seeks the smallest perturbation by itself.
    """

    entry: Any
    offered: Mapping[str, Any]
    kind: AttackType
    bounded: bool

    @classmethod
    def of(cls, entry: Any, offered: Mapping[str, Any], estimator: Estimator) -> AttackEngine:
        """Return the engine of an attack.

        :raises UsageError: for a bounded attack whose budget is its own, so that it cannot be bisected.
        :raises AttackError: for one that cannot be built on the estimator.
        """
        first, second = (_with_budget(entry, offered, estimator, eps) for eps in (0.25, 0.5))
        check_craft([first])
        built = bind(first.factory, estimator)
        row = row_of(type(built))
        bounded = row.bounded if row is not None else budget_of(built)[1] is not None
        if bounded and first.threat.eps == second.threat.eps:
            raise UsageError(
                f"attack {first.name!r} has a budget of its own, {first.threat.eps:g}, and the distance is looked for "
                "by changing it: leave eps out and hand in its name, its class or a functools.partial"
            )
        return cls(entry=entry, offered=offered, kind=first, bounded=bounded)

    @property
    def name(self) -> str:
        """That of the attack."""
        return self.kind.name

    @property
    def norm(self) -> float:
        """That of the attack."""
        return self.kind.threat.norm

    def __call__(self, estimator: Estimator, samples: Samples, eps_max: float) -> Found:
        """Return the closest adversarial of each sample that the attack came by."""
        found = Found(samples.x.copy(), np.full(len(samples), OK, object))
        if not self.bounded:
            self._attacked(found, estimator, samples, np.arange(len(samples)), eps_max)
            return found
        failed, fooled = np.zeros(len(samples)), np.full(len(samples), inf)
        budget = np.full(len(samples), eps_max * _FIRST)
        while len(open_ := np.flatnonzero(_worth(failed, fooled, found.status, eps_max))):
            for eps in np.unique(budget[open_]):
                rows = open_[budget[open_] == eps]
                hit = self._attacked(found, estimator, samples, rows, float(eps))
                fooled[rows[hit]], failed[rows[~hit]] = eps, eps
            budget = np.where(
                np.isinf(fooled), np.minimum(2 * failed, eps_max), np.where(failed, (failed + fooled) / 2, fooled / 2)
            )
        return found

    def _attacked(
        self, found: Found, estimator: Estimator, samples: Samples, rows: np.ndarray, eps: float
    ) -> np.ndarray:
        """Attack some samples with one budget, note what is nearer, and return whom it fooled, bool (n,)."""
        kind = _with_budget(self.entry, self.offered, estimator, eps)
        result = attack_samples(
            kind,
            estimator,
            some := samples[rows],
            seed=int(self.offered["seed"]),
            batch_size=int(self.offered["batch_size"]),
            early_stop=True,
        )
        known = np.isin(result.status.astype(str), (OK, OVER_BUDGET))
        found.status[rows[~known]] = result.status[~known]
        fooled = np.asarray(known & (result.correct == False), bool)  # noqa: E712 - three-valued
        length = distance(result.x_adv, some.x, self.norm)
        before = distance(found.points[rows], some.x, self.norm)
        nearer = fooled & ((length < before) | (before == 0))
        found.points[rows[nearer]] = result.x_adv[nearer]
        return fooled


def _worth(failed: np.ndarray, fooled: np.ndarray, status: np.ndarray, eps_max: float) -> np.ndarray:
    """Say of every sample whether another budget is worth asking about."""
    close = np.isfinite(fooled) & ((fooled - failed <= _CLOSE * fooled) | (fooled <= _LEAST * eps_max))
    return np.asarray((status == OK) & ~close & (failed < eps_max))


def _with_budget(entry: Any, offered: Mapping[str, Any], estimator: Estimator, eps: float) -> AttackType:
    """Return the attack with a budget, in whatever norm it works, unless its user wrote one."""
    budgets = dict.fromkeys(BUDGETS.values(), eps)
    if isinstance(entry, AttackFactory):
        entry = replace(entry, offered={**entry.offered, **budgets})
    return attack_type(entry, estimator, offered={**offered, **budgets})
