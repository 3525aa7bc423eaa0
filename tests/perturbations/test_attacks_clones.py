"""Attacks that build a stock classifier around our model get a fast one with the same loss."""

from __future__ import annotations

import numpy as np
import pytest
from art.attacks.evasion import (
    AutoAttack,
    AutoConjugateGradient,
    AutoProjectedGradientDescent,
    RescalingAutoConjugateGradient,
)
from art.estimators.classification import PyTorchClassifier

from art_weakrobust.errors import AttackError
from art_weakrobust.perturbations.attacks.binding import bind
from art_weakrobust.perturbations.attacks.clones import Clone
from art_weakrobust.perturbations.attacks.randomness import seeded

KINDS = [AutoProjectedGradientDescent, AutoConjugateGradient, RescalingAutoConjugateGradient]
LOSSES = ["cross_entropy", "difference_logits_ratio"]
OPTIONS = {"eps": 0.3, "eps_step": 0.6, "max_iter": 8, "nb_random_init": 1, "verbose": False}


@pytest.mark.parametrize("loss_type", LOSSES)
@pytest.mark.parametrize("kind", KINDS)
def test_ours_gets_used_and_gives_what_the_stock_one_gives(kind, loss_type, network, predicted, images):
    estimator = network(1)
    y = predicted(estimator, images)
    alone = kind is not AutoProjectedGradientDescent  # ART's other two take smaller steps the larger a batch
    together = kind is not RescalingAutoConjugateGradient  # which measures over the whole batch
    stock = kind(estimator, loss_type=loss_type, batch_size=1 if alone else 32, **OPTIONS)
    bound = bind(lambda e: kind(e, loss_type=loss_type, batch_size=32 if together else 1, **OPTIONS), estimator)
    assert type(stock.estimator) is PyTorchClassifier
    assert type(bound.estimator) is Clone
    results = []
    for attack in (stock, bound):
        with seeded(0):
            results.append(attack.generate(images.copy(), y))
    np.testing.assert_allclose(results[1], results[0], atol=1e-5)


@pytest.mark.parametrize("loss_type", LOSSES)
def test_a_clone_counts_for_its_estimator_and_runs_by_its_plan(loss_type, network, predicted, images):
    estimator = network(1)
    attack = bind(lambda e: AutoProjectedGradientDescent(e, loss_type=loss_type, **OPTIONS), estimator)
    y = predicted(estimator, images)
    forwards = estimator.forwards
    attack.generate(images.copy(), y)
    assert estimator.forwards > forwards
    assert estimator.gradients >= len(images) * OPTIONS["max_iter"]
    assert attack.estimator.forwards == estimator.forwards
    assert attack.estimator.plan == estimator.plan
    assert attack.estimator.model is estimator.model


def test_the_parts_of_an_ensemble_are_rebound_each_by_its_own_rule(network):
    base, other = network(0), network(1)
    bound = bind(AutoAttack(base, eps=0.3), other)
    assert [type(part.estimator) for part in bound.attacks] == [Clone, Clone, type(other), type(other)]
    assert {part.estimator.model for part in bound.attacks} == {other.model}
    assert bound.estimator is bound.estimator_orig is other


def test_without_a_loss_type_the_estimator_itself_is_asked(network):
    estimator = network(1)
    assert bind(lambda e: AutoProjectedGradientDescent(e, **OPTIONS), estimator).estimator is estimator


@pytest.mark.parametrize("make", [lambda e: AutoProjectedGradientDescent(e, loss_type=LOSSES[1]), AutoAttack])
def test_the_difference_of_logits_ratio_asks_for_three_classes(make, network):
    with pytest.raises(AttackError, match=r"needs three classes and the model has 2; .*cross_entropy"):
        bind(make, network(0, nb_classes=2))


def test_a_stock_estimator_keeps_the_clone_that_art_made(network):
    stock = network(1, PyTorchClassifier)
    attack = bind(lambda e: AutoProjectedGradientDescent(e, loss_type=LOSSES[0], **OPTIONS), stock)
    assert type(attack.estimator) is PyTorchClassifier
