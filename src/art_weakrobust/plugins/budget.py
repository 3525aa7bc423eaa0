"""Which budget a run offers to an attack whose user wrote none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..threat import norm_key, parse_eps

BUDGETS = {"inf": "eps", "2": "eps_l2", "1": "eps_l1"}
"""Norm -> the name under which its budget is offered; no run has one for L1, a search for distances does."""


def offered_eps(norm: float, offered: Mapping[str, Any]) -> float | None:
    """Return the run's budget in a norm; None where it has none, as in L1.

    :param offered: see :data:`BUDGETS`.
    :raises UsageError: for a budget that is no number from 0.
    """
    name = BUDGETS[norm_key(norm)]
    return None if offered.get(name) is None else parse_eps(offered[name], name)
