"""Registers every attack of the catalogue, and the suites that stand for several."""

from __future__ import annotations

from ...plugins import Spec, hookimpl
from .catalogue import ROWS

_HERE = "art_weakrobust.perturbations.attacks"


@hookimpl
def weakrobust_register_attacks() -> list[Spec]:
    """Offer ART's attacks, and ours."""
    single = [
        Spec(
            row.name,
            row.summary,
            row.target or f"{_HERE}.build:BUILDERS.{row.attribute}",
            needs=row.needs,
            facts=row.facts,
        )
        for row in ROWS
    ]
    return [
        *single,
        Spec(
            "reva",
            "REVa's own six: BIM, FGSM, PGD, R+FGSM, UAP, MI-FGSM, as its reference code runs them",
            f"{_HERE}.reva:suite",
            needs=("gradients",),
            facts={"group": "suite", "cost": "medium", "source": "https://arxiv.org/abs/2509.19197"},
            many=True,
        ),
    ]
