"""Which budget a run offers to an attack whose user wrote none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..threat import norm_key, parse_eps

_OPTIONS = {"inf": "eps", "2": "eps_l2"}


def offered_eps(norm: float, offered: Mapping[str, Any]) -> float | None:
    """Return the run's budget in a norm; None where it has none, as in L1.

    :param offered: ``eps`` for Linf, ``eps_l2`` for L2.
    :raises UsageError: for a budget that is no number from 0.
    """
    name = _OPTIONS.get(norm_key(norm), "")
    return None if offered.get(name) is None else parse_eps(offered[name], name)
