"""Attacks that make one perturbation for all samples, and ensembles of attacks."""

from __future__ import annotations

from math import inf

from .row import Row

UNIVERSAL = (
    Row(
        name="uap",
        kind="UniversalPerturbation",
        also=("art_weakrobust.perturbations.attacks.repaired:QuietUniversal",),
        summary="Universal adversarial perturbation, crafted by DeepFool on training samples of their own",
        source="https://arxiv.org/abs/1610.08401",
        group="universal",
        norms=(inf, 2.0),
        cost="expensive",
        estimator_argument="classifier",
        targeted=None,
        draws=True,
        couples=True,
        crafts=True,
    ),
    Row(
        name="tuap",
        kind="TargetedUniversalPerturbation",
        also=("art_weakrobust.perturbations.attacks.repaired:RunnerUpUniversal",),
        summary="Universal perturbation towards the class that is most often the runner-up",
        source="https://arxiv.org/abs/1911.06502",
        group="universal",
        norms=(inf, 2.0),
        cost="expensive",
        y="targets",
        estimator_argument="classifier",
        batch_size=None,
        targeted=None,
        draws=True,
        couples=True,
        crafts=True,
    ),
)

ENSEMBLE = (
    Row(
        name="art-autoattack",
        kind="AutoAttack",
        summary="ART's AutoAttack: Auto-PGD on two losses, DeepFool, Square; autoattack is the original",
        source="https://arxiv.org/abs/2003.01690",
        group="ensemble",
        norms=(inf, 2.0),
        package="multiprocess",
        cost="very expensive",
        draws=True,
        couples=True,  # Square does
        clones=True,
        step=2.0,
    ),
)
