"""Attacks that follow gradients: steps inside a ball, and searches for the smallest perturbation."""

from __future__ import annotations

from functools import partial
from math import inf

from .row import Row

_STEPS = {"max_iter": 20}
"""BIM, MIM and PGD run 20 steps of eps / 4 unless told otherwise (Madry et al. use the same ratio on CIFAR-10)."""

_adaptive = partial(Row, group="gradient", norms=(inf, 2.0, 1.0), cost="medium", draws=True, clones=True, step=2.0)
"""Auto-PGD and the two that ART derives from it: 100 steps of a size that adapts, 5 starts, perhaps another loss."""

_smallest = partial(
    Row, group="gradient", bounded=False, cost="expensive", estimator_argument="classifier", batch_size=1
)
"""A search for the smallest perturbation, which ART runs on one image at a time unless told otherwise."""

BOUNDED = (
    Row(
        name="fgm",
        kind="FastGradientMethod",
        summary="Fast Gradient Method: one step of the whole budget",
        source="https://arxiv.org/abs/1412.6572",
        group="gradient",
        norms=(inf, 2.0, 1.0),
        memoryless=True,
        few_step=True,
        step=0.25,  # of `minimal=True` alone
    ),
    Row(
        name="bim",
        kind="BasicIterativeMethod",
        summary="Basic Iterative Method: 20 steps of eps/4 from the sample, Linf",
        source="https://arxiv.org/abs/1607.02533",
        group="gradient",
        memoryless=True,
        few_step=True,
        step=0.25,
        defaults=_STEPS,
        settings=("norm", "num_random_init", "decay"),  # a PGD whose constructor knows none of them
    ),
    Row(
        name="mim",
        kind="MomentumIterativeMethod",
        summary="Momentum Iterative Method: 20 steps of eps/4 along averaged gradients",
        source="https://arxiv.org/abs/1710.06081",
        group="gradient",
        norms=(inf, 2.0, 1.0),
        step=0.25,
        defaults=_STEPS,
        settings=("num_random_init",),
    ),
    Row(
        name="pgd",
        kind="ProjectedGradientDescent",
        also=("ProjectedGradientDescentPyTorch", "ProjectedGradientDescentNumpy"),
        summary="Projected Gradient Descent: 20 steps of eps/4, random start",
        source="https://arxiv.org/abs/1706.06083",
        group="gradient",
        norms=(inf, 2.0, 1.0),
        draws=True,
        memoryless=True,
        few_step=True,
        step=0.25,
        defaults={**_STEPS, "num_random_init": 1},
    ),
    _adaptive(
        name="art-apgd",
        kind="AutoProjectedGradientDescent",
        summary="ART's Auto-PGD: 100 steps of a size that adapts, 5 starts; apgd-ce is the original's",
        source="https://arxiv.org/abs/2003.01690",
    ),
    _adaptive(
        name="acg",
        kind="AutoConjugateGradient",
        also=("art_weakrobust.perturbations.attacks.repaired:SummedConjugateGradient",),
        summary="Auto Conjugate Gradient: 100 steps along conjugate directions, 5 starts",
        source="https://arxiv.org/abs/2206.09628",
    ),
    _adaptive(
        name="reacg",
        kind="RescalingAutoConjugateGradient",
        also=("art_weakrobust.perturbations.attacks.repaired:SummedRescalingConjugateGradient",),
        couples=True,  # it takes norms over the whole batch
        summary="Rescaling Auto Conjugate Gradient: ACG with rescaled directions",
        source="https://arxiv.org/abs/2405.13445",
    ),
)

SMALLEST = (
    _smallest(
        name="deepfool",
        kind="DeepFool",
        summary="DeepFool: the nearest boundary of the linearised model, again and again",
        source="https://arxiv.org/abs/1511.04599",
        norms=(2.0,),
        cost="medium",
        y="prediction",
        targeted=None,
    ),
    _smallest(
        name="newtonfool",
        kind="NewtonFool",
        summary="NewtonFool: Newton steps that lower the probability of the predicted class",
        source="https://doi.org/10.1145/3134600.3134635",
        norms=(2.0,),
        cost="medium",
        y="prediction",
        targeted=None,
    ),
    _smallest(
        name="cw-l2",
        kind="CarliniL2Method",
        summary="Carlini and Wagner's L2 attack: distance and confidence weighed by binary search",
        source="https://arxiv.org/abs/1608.04644",
        norms=(2.0,),
    ),
    _smallest(
        name="cw-linf",
        kind="CarliniLInfMethod",
        summary="Carlini and Wagner's Linf attack",
        source="https://arxiv.org/abs/1608.04644",
    ),
    _smallest(
        name="cw-l0",
        kind="CarliniL0Method",
        summary="Carlini and Wagner's L0 attack, few pixels; judged in L2 unless another norm is written",
        source="https://arxiv.org/abs/1608.04644",
        norms=(2.0, 1.0, inf),
        couples=True,  # it goes on until nobody in the batch gets better
    ),
    _smallest(
        name="ead",
        kind="ElasticNet",
        summary="Elastic-net attack: the smallest mixture of L1 and L2",
        source="https://arxiv.org/abs/1709.04114",
        norms=(1.0, 2.0),
        by_norm={1.0: {"decision_rule": "L1"}, 2.0: {"decision_rule": "L2"}},
    ),
    _smallest(
        name="jsma",
        kind="SaliencyMapMethod",
        also=("art_weakrobust.perturbations.attacks.repaired:RunnerUpSaliencyMap",),
        summary="Jacobian saliency map, towards the runner-up class; judged in L2 unless another norm is written",
        source="https://arxiv.org/abs/1511.07528",
        norms=(2.0, 1.0, inf),
        y="targets",
        targeted=None,
    ),
    _smallest(
        name="brendel-bethge",
        kind="BrendelBethgeAttack",
        summary="Brendel and Bethge's attack: along the boundary towards the sample",
        source="https://arxiv.org/abs/1907.01003",
        norms=(inf, 2.0, 1.0),
        package="numba",
        estimator_argument="estimator",
        batch_size=32,
        draws=True,
        clones=True,
    ),
)
