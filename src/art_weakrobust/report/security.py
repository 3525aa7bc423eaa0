"""A security curve, how accuracy falls with the budget: from distances, or one attack that ran with several budgets.

The term is Biggio and Roli's (arXiv 1712.03141): accuracy against the attacker's strength. Adversarial distances give
the finer curve, at every budget, and where a run measured them they are shown instead: those of the control group,
which is drawn at random from the training samples that the base model gets right.
"""

from __future__ import annotations

import re

import numpy as np

from ..analysis.robustness_distribution import security_curve
from ..results import PerturbationType, Records, Validation
from ..validation.rows import Row, estimate
from ..validation.verdicts import Verdicts, family

_LEAST = 2
"""Budgets that make a curve, beside no budget at all."""
_NO_NAME = re.compile(r"-(linf|l2|l1)\b|[\d./]+")
"""What a label says beside the attack's name: ``pgd-linf`` and ``pgd-8`` are one attack."""


def security_rows(records: Records) -> list[Row]:
    """Return one row a phase, norm and budget: phase, norm, eps, n, accuracy, lower, upper, interval, attacks.

    From adversarial distances, on the control group and without ``attacks``; otherwise on the test set, the worst case
    over the attacks that ran with the very same budgets, at least two. eps 0 is clean. Empty where there is neither.
    """
    if records.distances is not None and records.weak_set is not None:
        return security_curve(records.distances, records.weak_set.control)
    return [
        row
        for phase, validation in (("before", records.before), ("after", records.after))
        if validation is not None
        for row in _curve(validation, phase)
    ]


def _curve(validation: Validation, phase: str) -> list[Row]:
    verdicts = Verdicts.of(validation, "test")
    rows: list[Row] = []
    for norm, budgets in _budgets(verdicts.types).items():
        points = [(0.0, list(family(verdicts.types, "clean"))), *sorted(budgets.items())]
        for eps, kinds in points:
            values = verdicts.worst(kinds)
            if np.isfinite(values).any():
                row: Row = {"phase": phase, "norm": norm, "eps": eps, "attacks": kinds if eps else []}
                rows.append(row | estimate(values, pooled=False, seed=0))
    return rows


def _budgets(types: tuple[PerturbationType, ...]) -> dict[str, dict[float, list[str]]]:
    """Return norm -> budget -> attacks, of the attacks with the largest common choice of budgets in each norm."""
    ran: dict[tuple[str, str, str], dict[float, str]] = {}
    for kind in types:
        if kind.family == "attacks" and kind.norm is not None and kind.eps:
            name = _NO_NAME.sub("", kind.type).strip("-_")
            ran.setdefault((kind.norm, kind.source, name), {}).setdefault(kind.eps, kind.type)
    curves: dict[str, dict[float, list[str]]] = {}
    for norm in dict.fromkeys(norm for norm, *_ in ran):
        mine = [budgets for (own, *_), budgets in ran.items() if own == norm and len(budgets) >= _LEAST]
        if mine:
            widest = max(map(frozenset, mine), key=len)
            alike = [budgets for budgets in mine if frozenset(budgets) == widest]
            curves[norm] = {eps: [budgets[eps] for budgets in alike] for eps in widest}
    return curves
