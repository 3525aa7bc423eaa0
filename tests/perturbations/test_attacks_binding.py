"""An attack attacks the model it is judged on: factories are called with it, ready-made objects are rebound to it."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import torch
from art.attacks import EvasionAttack, evasion
from art.attacks.evasion import (
    BasicIterativeMethod,
    FastGradientMethod,
    GeoDA,
    ProjectedGradientDescent,
    ProjectedGradientDescentNumpy,
    ProjectedGradientDescentPyTorch,
)
from art.estimators.classification import BlackBoxClassifier, PyTorchClassifier

from art_weakrobust.errors import AttackError
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.perturbations.attacks.binding import bind, rebind
from art_weakrobust.perturbations.attacks.catalogue import name_of
from art_weakrobust.perturbations.attacks.randomness import seeded
from art_weakrobust.perturbations.attacks.settings import budget_of, used
from art_weakrobust.testing.networks import small_cnn

X = np.random.default_rng(0).random((6, 1, 8, 8), np.float32)
Y = np.eye(10, dtype=np.float32)[np.arange(6)]


def classifier(seed: int, kind: type = FastPyTorchClassifier, **options) -> PyTorchClassifier:
    return kind(
        model=small_cnn(seed=seed),
        loss=torch.nn.CrossEntropyLoss(),
        input_shape=(1, 8, 8),
        nb_classes=10,
        clip_values=(0, 1),
        **options,
    )


READY_MADE = {
    "fgm": lambda e: FastGradientMethod(e, eps=0.05),
    "fgm-l2-random-start": lambda e: FastGradientMethod(e, norm=2, eps=0.7, num_random_init=1),
    "fgm-minimal": lambda e: FastGradientMethod(e, eps=0.2, eps_step=0.02, minimal=True),
    "bim": lambda e: BasicIterativeMethod(e, eps=0.05, eps_step=0.02, max_iter=4, batch_size=4),
    "pgd": lambda e: ProjectedGradientDescent(e, eps=0.05, eps_step=0.02, max_iter=4, num_random_init=1),
    "pgd-l2-momentum": lambda e: ProjectedGradientDescent(e, norm=2, eps=0.8, eps_step=0.2, max_iter=4, decay=0.9),
    "pgd-restarts": lambda e: ProjectedGradientDescent(e, eps=0.1, eps_step=0.05, max_iter=2, num_random_init=3),
    "pgd-pytorch": lambda e: ProjectedGradientDescentPyTorch(e, eps=0.05, eps_step=0.02, max_iter=3),
    "pgd-numpy": lambda e: ProjectedGradientDescentNumpy(e, eps=0.05, eps_step=0.02, max_iter=3, num_random_init=1),
}


@pytest.mark.parametrize("kind", [FastPyTorchClassifier, PyTorchClassifier])
@pytest.mark.parametrize("make", READY_MADE.values(), ids=READY_MADE.keys())
def test_a_rebound_attack_gives_what_a_freshly_built_one_gives(make, kind):
    base, other = classifier(0, kind), classifier(1, kind)
    with seeded(3):
        rebound = bind(make(base), other).generate(X, Y)
    with seeded(3):
        fresh = make(other).generate(X, Y)
    with seeded(3):
        transferred = make(base).generate(X, Y)
    np.testing.assert_array_equal(rebound, fresh)
    assert not np.array_equal(rebound, transferred)


@pytest.mark.parametrize("make", READY_MADE.values(), ids=READY_MADE.keys())
def test_a_rebound_attack_asks_the_new_estimator_alone(make):
    base, other = classifier(0), classifier(1)
    bind(make(base), other).generate(X, Y)
    assert (base.forwards, base.gradients) == (0, 0)
    assert other.gradients > 0


@pytest.mark.parametrize("make", READY_MADE.values(), ids=READY_MADE.keys())
def test_the_users_object_stays_as_it_was(make):
    base = classifier(0)
    attack = make(base)
    described, inner = repr(attack), used(attack)
    rebound = bind(attack, classifier(1))
    rebound.generate(X, Y)
    assert repr(attack) == described
    assert used(attack) is inner
    assert attack.estimator is inner.estimator is base
    assert rebound is not attack
    assert used(rebound) is not inner


def test_an_attack_on_the_estimator_at_hand_is_copied_as_well():
    base = classifier(0)
    attack = FastGradientMethod(base, eps=0.1)
    assert bind(attack, base) is not attack


def test_what_set_params_changed_is_carried_over():
    attack = BasicIterativeMethod(classifier(0), eps=0.05, eps_step=0.02, max_iter=4)
    attack.set_params(norm=2, eps=0.9, num_random_init=1, decay=0.5)
    inner = used(rebind(attack, classifier(1)))
    assert (inner.norm, inner.eps, inner.num_random_init, inner.decay) == (2, 0.9, 1, 0.5)


def test_an_assigned_eps_which_art_ignores_is_ignored_here_too():
    attack = ProjectedGradientDescent(classifier(0), eps=0.2, eps_step=0.05)
    attack.eps = 0.01
    assert budget_of(attack) == (np.inf, 0.2)
    assert used(rebind(attack, classifier(1))).eps == 0.2
    attack.set_params(eps=0.01)
    assert budget_of(rebind(attack, classifier(1))) == (np.inf, 0.01)


def test_pgd_takes_the_path_that_fits_the_new_estimator():
    # The inner object of PGD is chosen by the estimator: preprocessing in numpy rules out the tensor path.
    attack = ProjectedGradientDescent(classifier(0, PyTorchClassifier), eps=0.05, eps_step=0.02, max_iter=3)
    other = classifier(1, PyTorchClassifier)
    other.set_params(preprocessing=(0.5, 0.25))
    assert isinstance(used(attack), ProjectedGradientDescentPyTorch)
    assert isinstance(used(rebind(attack, other)), ProjectedGradientDescentNumpy)


def test_a_ready_made_attack_without_a_row_is_refused_with_the_way_out():
    attack = GeoDA(classifier(0))
    with pytest.raises(AttackError, match=r"ready-made GeoDA .*NumPy 2.* functools\.partial\(GeoDA"):
        bind(attack, classifier(1))


def test_a_subclass_of_a_known_attack_may_do_other_things_and_is_refused():
    class FastGradientMethod(evasion.FastGradientMethod):
        pass

    with pytest.raises(AttackError, match="hand in a factory"):
        bind(FastGradientMethod(classifier(0)), classifier(1))


def test_a_ready_made_attack_with_a_random_budget_is_refused():
    attack = ProjectedGradientDescent(classifier(0), eps=0.1, eps_step=0.05, random_eps=True)
    with pytest.raises(AttackError, match="random_eps"):
        bind(attack, classifier(1))


def test_a_factory_gets_the_estimator_alone():
    seen = []

    def factory(*args, **kwargs):
        seen.append((args, kwargs))
        return FastGradientMethod(args[0], eps=0.1)

    other = classifier(1)
    assert bind(factory, other).estimator is other
    assert seen == [((other,), {})]


def test_a_factory_that_closes_over_another_estimator_is_refused():
    base = classifier(0)
    with pytest.raises(AttackError, match="another estimator"):
        bind(lambda estimator: FastGradientMethod(base), classifier(1))


class Ensemble(EvasionAttack):
    """Attacks by the attacks that it is handed, as AutoAttack does."""

    _estimator_requirements = ()

    def __init__(self, estimator, attacks):
        super().__init__(estimator=estimator)
        self.attacks = attacks

    def generate(self, x, y=None, **kwargs):
        return self.attacks[0].generate(x, y)


def test_a_factory_whose_parts_attack_another_estimator_is_refused():
    base, other = classifier(0), classifier(1)
    with pytest.raises(AttackError, match="another estimator"):
        bind(partial(Ensemble, attacks=[FastGradientMethod(base)]), other)
    with pytest.raises(AttackError, match="another estimator"):
        bind(lambda e: Ensemble(e, [Ensemble(e, {"inner": FastGradientMethod(base)})]), other)
    assert bind(lambda e: Ensemble(e, [FastGradientMethod(e)]), other).estimator is other


def test_an_attack_on_a_clone_around_the_same_module_is_the_same_attack():
    stock = classifier(0, PyTorchClassifier)
    shared = FastPyTorchClassifier.sharing(stock)
    assert bind(lambda estimator: FastGradientMethod(stock), shared).estimator is stock


def test_a_factory_that_gives_something_else_is_refused():
    with pytest.raises(AttackError, match=r"returned a dict, expected an art EvasionAttack"):
        bind(lambda estimator: {}, classifier(0))


def test_a_factory_that_fails_says_why():
    with pytest.raises(AttackError, match="cannot be built on the estimator: TypeError"):
        bind(partial(FastGradientMethod, epsilon=0.1), classifier(0))


def test_a_targeted_attack_is_refused():
    with pytest.raises(AttackError, match="targeted=False"):
        bind(partial(FastGradientMethod, targeted=True), classifier(0))


def test_a_gradient_attack_on_a_black_box_is_refused_in_one_sentence():
    black_box = BlackBoxClassifier(lambda x: np.eye(10)[np.zeros(len(x), int)], (1, 8, 8), 10, clip_values=(0, 1))
    with pytest.raises(AttackError, match=r"FastGradientMethod cannot attack a BlackBoxClassifier.*loss gradients"):
        bind(FastGradientMethod, black_box)


def test_an_eps_that_is_an_array_is_no_budget():
    eps = np.full((1, 8, 8), 0.1)
    attack = FastGradientMethod(classifier(0), eps=eps, eps_step=eps)
    with pytest.raises(AttackError, match="array"):
        budget_of(attack)


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        (FastGradientMethod, "fgm"),
        (BasicIterativeMethod, "bim"),
        (ProjectedGradientDescent, "pgd"),
        (GeoDA, "geo_da"),
        (type("Darken", (), {}), "darken"),
    ],
)
def test_a_class_without_a_row_is_named_after_itself(kind, name):
    assert name_of(kind) == name
