"""A universal perturbation is crafted on samples of its own, once for each state of a model."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from art.attacks.evasion import AutoAttack, UniversalPerturbation

from art_weakrobust.datasets.arrays import as_dataset
from art_weakrobust.errors import AttackError
from art_weakrobust.perturbations.attacks.crafting import CRAFT_SIZE, Crafting, crafter
from art_weakrobust.perturbations.attacks.settings import settings_of
from art_weakrobust.perturbations.resolve import check_craft, resolve_attacks
from art_weakrobust.plugins.manager import Manager

RNG = np.random.default_rng(5)
PIXELS, LABELS = RNG.random((40, 1, 8, 8), np.float32), RNG.integers(0, 10, 40)
MANAGER = Manager(third_party=False)
NAMES = ["reva-uap:max_iter=2", "uap:max_iter=1:delta=0.9", "tuap:max_iter=1"]


class Counted:
    """A data set that knows which samples were taken."""

    def __init__(self, data):
        self.data, self.taken = data, []

    def __len__(self):
        return len(self.data)

    def take(self, ids):
        self.taken.append(np.asarray(ids))
        return self.data.take(ids)


@pytest.fixture
def craft():
    return Counted(as_dataset(PIXELS, LABELS))


def resolved(name, estimator, craft, seed=0):
    (kind,) = resolve_attacks([name], MANAGER, estimator=estimator, eps=0.2, eps_l2=1.5, seed=seed, craft=craft)
    return kind


@pytest.mark.parametrize("name", NAMES)
def test_what_is_judged_has_no_say_in_the_perturbation(name, network, images, craft):
    estimator = network(1)
    kind = resolved(name, estimator, craft)
    attack = kind.factory(estimator)
    assert attack.noise.shape == (1, 1, 8, 8)
    assert attack.noise.any()
    assert np.abs(attack.noise).max() <= kind.threat.eps * (1 + 1e-6)
    for x in (images, images[:1], images[::-1]):
        np.testing.assert_array_equal(attack.generate(x, None), np.clip(x + attack.noise, 0, 1))


@pytest.mark.parametrize("name", NAMES)
def test_one_seed_gives_one_perturbation_and_another_seed_another(name, network, craft):
    made = [resolved(name, network(1), craft, seed).factory(network(1)).noise for seed in (3, 3, 4)]
    np.testing.assert_array_equal(made[0], made[1])
    assert not np.array_equal(made[0], made[2])


def test_it_is_crafted_once_for_each_state_of_the_model(network, craft):
    estimator = network(1)
    factory = resolved("reva-uap:max_iter=1", estimator, craft).factory
    first = factory(estimator).noise
    assert len(craft.taken) == 1
    np.testing.assert_array_equal(factory(estimator).noise, first)
    assert len(craft.taken) == 1
    with torch.no_grad():
        next(iter(estimator.model.parameters())).mul_(-1)
    assert not np.array_equal(factory(estimator).noise, first)
    assert len(craft.taken) == 2


def test_crafting_is_not_charged_to_the_samples_that_come_first(network, craft):
    estimator = network(1)
    resolved("reva-uap:max_iter=1", estimator, craft).factory(estimator)
    assert (estimator.forwards, estimator.gradients) == (0, 0)


def test_no_more_samples_are_taken_than_are_needed(network):
    size = CRAFT_SIZE + 50
    many = Counted(as_dataset(np.zeros((size, 1, 8, 8), np.float32), np.arange(size) % 10))
    estimator = network(1)
    resolved("reva-uap:max_iter=1", estimator, many).factory(estimator)
    (ids,) = many.taken
    assert len(ids) == len(set(ids)) == CRAFT_SIZE


def test_without_samples_to_craft_on_it_is_refused_by_name(network):
    estimator = network(1)
    kind = resolved("uap", estimator, None)
    with pytest.raises(AttackError, match=r"'uap-linf' .* craft="):
        check_craft([kind])
    with pytest.raises(AttackError, match="craft="):
        kind.factory(estimator)


@pytest.mark.parametrize(
    "entry",
    [
        partial(UniversalPerturbation, max_iter=1, verbose=False),
        lambda e: UniversalPerturbation(e, max_iter=1, eps=0.2, verbose=False),
    ],
)
def test_a_class_and_a_factory_of_arts_are_crafted_alike(entry, network, craft):
    estimator = network(1)
    kind = resolved(entry, estimator, craft)
    assert isinstance(kind.factory, Crafting)
    assert kind.name == "uap-linf"
    assert np.abs(kind.factory(estimator).noise).max() <= 0.2 * (1 + 1e-6)


def test_a_ready_made_one_is_rebound_and_crafted(network, craft):
    estimator = network(1)
    kind = resolved(UniversalPerturbation(network(0), max_iter=1, eps=0.2, verbose=False), estimator, craft)
    attack = kind.factory(estimator)
    assert attack.estimator is estimator
    assert len(craft.taken) == 1


def test_its_settings_are_those_of_the_attack_that_crafts(network, craft):
    estimator = network(1)
    factory = resolved("reva-uap:max_iter=2", estimator, craft).factory
    told = settings_of(crafter(factory)(estimator))
    assert (told["class"], told["max_iter"], told["eps"]) == ("AdamUniversal", 2, 0.1)
    assert craft.taken == []


class OurUniversal(UniversalPerturbation):
    """Somebody's subclass."""


def test_a_subclass_of_a_universal_attack_is_crafted_on_samples_of_its_own_as_well(network, craft):
    kind = resolved(partial(OurUniversal, attacker="fgsm", max_iter=1, delta=0.9, eps=0.2), network(), craft)
    assert isinstance(kind.factory, Crafting)
    kind.factory(network())
    assert craft.taken


def test_an_ensemble_with_a_universal_attack_is_refused(network, craft):
    def ensemble(estimator):
        inside = UniversalPerturbation(estimator, attacker="fgsm", max_iter=1, eps=0.2)
        return AutoAttack(estimator, attacks=[inside], eps=0.2)

    with pytest.raises(AttackError, match="holds UniversalPerturbation, which makes one perturbation for all"):
        resolved(ensemble, network(), craft)
