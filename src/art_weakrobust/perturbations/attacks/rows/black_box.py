"""Attacks that see scores or decisions alone."""

from __future__ import annotations

from functools import partial
from math import inf

from .row import Row

SCORE = (
    Row(
        name="square",
        kind="SquareAttack",
        summary="Square attack: random squares, 1000 queries",
        source="https://arxiv.org/abs/1912.00049",
        group="score",
        norms=(inf, 2.0),  # ART takes norm=1 as well, and returns the images as they are
        needs=("scores",),
        cost="medium",
        batch_size=128,
        targeted=None,
        draws=True,
        couples=True,  # one square and one sign for all that are still right
        defaults={"max_iter": 1000},
    ),
    Row(
        name="zoo",
        kind="ZooAttack",
        summary="Zeroth-order optimisation: Carlini and Wagner's L2 attack on estimated gradients",
        source="https://arxiv.org/abs/1708.03999",
        group="score",
        norms=(2.0,),
        bounded=False,
        needs=("scores",),
        cost="very expensive",
        estimator_argument="classifier",
        batch_size=1,
        draws=True,
        couples=True,  # one choice of coordinates a batch
        defaults={"max_iter": 200},  # ART's ten move nothing
    ),
    Row(
        name="threshold",
        kind="ThresholdAttack",
        summary="Threshold attack: differential evolution inside the budget in steps of 1/255",
        source="https://arxiv.org/abs/1906.06026",
        group="score",
        needs=("scores",),
        cost="very expensive",
        estimator_argument="classifier",
        batch_size=None,
        draws=True,
        eps_as=("th", 255),
        defaults={"es": 1},  # 0 needs the package cma
    ),
)

_decision = partial(
    Row,
    group="decision",
    bounded=False,
    needs=("decisions",),
    cost="very expensive",
    y="prediction",
    batch_size=64,
    draws=True,
)
"""A search for the smallest perturbation by decisions, which leaves the model's own prediction."""

DECISION = (
    _decision(
        name="hopskipjump",
        kind="HopSkipJump",
        summary="HopSkipJump: estimates the boundary's direction from decisions",
        source="https://arxiv.org/abs/1904.02144",
        norms=(2.0, inf),
        estimator_argument="classifier",
    ),
    _decision(
        name="boundary",
        kind="BoundaryAttack",
        summary="Boundary attack: a random walk along the boundary towards the sample",
        source="https://arxiv.org/abs/1712.04248",
        norms=(2.0,),
        targeted=True,
    ),
    _decision(
        name="signopt",
        kind="SignOPTAttack",
        summary="Sign-OPT: the distance to the boundary, lowered by the signs of its slopes",
        source="https://arxiv.org/abs/1909.10773",
        norms=(2.0,),
        targeted=True,
    ),
)
