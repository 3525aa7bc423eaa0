"""Registers the attacks that every run starts from."""

from __future__ import annotations

from ...plugins import Spec, hookimpl

_TARGET = "art_weakrobust.perturbations.attacks.catalogue"


@hookimpl
def weakrobust_register_attacks() -> list[Spec]:
    """Offer ART's FGM, BIM and PGD."""
    return [
        Spec(
            "fgm",
            "Fast Gradient Method: one step of the whole budget",
            f"{_TARGET}:fgm",
            needs=("gradients",),
            facts={"norm": "inf", "group": "gradient", "source": "https://arxiv.org/abs/1412.6572"},
        ),
        Spec(
            "bim",
            "Basic Iterative Method: 20 steps of eps/4 from the sample, Linf",
            f"{_TARGET}:bim",
            needs=("gradients",),
            facts={"norm": "inf", "group": "gradient", "source": "https://arxiv.org/abs/1607.02533"},
        ),
        Spec(
            "pgd",
            "Projected Gradient Descent: 20 steps of eps/4, random start",
            f"{_TARGET}:pgd",
            needs=("gradients",),
            facts={"norm": "inf", "group": "gradient", "source": "https://arxiv.org/abs/1706.06083"},
        ),
    ]
