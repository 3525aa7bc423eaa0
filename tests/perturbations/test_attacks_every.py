"""Every attack of the catalogue: rebound it is the fresh one, one seed gives one answer, and nothing else is moved."""

from __future__ import annotations

import pickle
import random

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier

from art_weakrobust.perturbations.attacks.binding import bind
from art_weakrobust.perturbations.attacks.build import BUILDERS
from art_weakrobust.perturbations.attacks.catalogue import ROWS
from art_weakrobust.perturbations.attacks.clones import Clone
from art_weakrobust.perturbations.attacks.randomness import seeded

BUILT = {row.name: row for row in ROWS if row.target is None and row.package != "numba"}
DRAWING = [name for name, row in BUILT.items() if row.draws]
SAME = [name for name, row in BUILT.items() if not row.draws]


@pytest.fixture(scope="module")
def run(network, small, predicted, images):
    """Return a function that runs an attack of the catalogue, or another one, on the second of two networks."""
    base, other = network(0), network(1)

    def attack(name, seed=0, *, ready_made=False, x=images):
        with seeded(seed):
            made = bind(small(name, base if ready_made else other), other)
            return made.generate(x.copy(), predicted(other, x))

    return attack


@pytest.mark.parametrize("name", BUILT)
def test_a_rebound_attack_gives_what_a_freshly_built_one_gives(name, run, images):
    fresh = run(name)
    assert not np.array_equal(fresh, images)
    np.testing.assert_array_equal(run(name, ready_made=True), fresh)


@pytest.mark.parametrize("name", BUILT)
def test_a_rebound_attack_asks_the_new_estimator_alone(name, network, small, predicted, images):
    base, other = network(0), network(1)
    attack = small(name, base)
    y = predicted(other, images)
    asked = base.forwards, base.gradients  # some constructors ask
    with seeded(0):
        bound = bind(attack, other)
        before = other.forwards
        bound.generate(images.copy(), y)
    assert (base.forwards, base.gradients) == asked
    assert other.forwards > before


@pytest.mark.parametrize("name", DRAWING)
def test_one_seed_gives_one_answer_and_another_seed_another(name, run):
    np.random.seed(1)
    first = run(name, seed=3)
    np.random.seed(2)
    np.testing.assert_array_equal(run(name, seed=3), first)
    assert not np.array_equal(run(name, seed=4), first)


@pytest.mark.parametrize("name", SAME)
def test_an_attack_that_draws_nothing_needs_no_seed(name, run):
    np.testing.assert_array_equal(run(name, seed=3), run(name, seed=4))


@pytest.mark.parametrize("name", [name for name in SAME if not BUILT[name].couples])
def test_where_nothing_is_drawn_or_coupled_a_samples_result_is_its_own(name, run, images):
    whole = run(name)
    parts = [run(name, x=images[rows]) for rows in (slice(0, 1), slice(1, 4))]
    np.testing.assert_allclose(np.concatenate(parts), whole, atol=1e-4)


@pytest.mark.parametrize("name", BUILT)
def test_the_global_generators_stay_where_they_are(name, run):
    def states():
        return repr(random.getstate()), repr(np.random.get_state(legacy=False)), torch.get_rng_state().tolist()

    before = states()
    run(name)
    assert states() == before


@pytest.mark.parametrize("name", BUILT)
def test_its_builder_can_be_pickled(name):
    builder = getattr(BUILDERS, BUILT[name].attribute)
    assert pickle.loads(pickle.dumps(builder)).row == builder.row


@pytest.mark.parametrize("name", ["hopskipjump", "boundary"])
def test_attacks_on_decisions_work_on_numpy_2(name, network, small, predicted, images):
    estimator = network(1)
    y = predicted(estimator, images)
    with seeded(0):
        x_adv = small(name, estimator).generate(images.copy(), y)
    assert np.isfinite(x_adv).all()
    assert (estimator.predict(x_adv).argmax(1) != y.argmax(1)).any()


class StandingStill:
    """An optimiser that takes no step: compiling Brendel and Bethge's takes a minute."""

    def solve(self, x0, *others):
        return np.zeros_like(x0)


def test_brendel_bethge_is_rebound_on_a_fast_clone_and_held_to_the_seed(network, predicted, images, monkeypatch):
    module = pytest.importorskip("art.attacks.evasion.brendel_bethge")
    monkeypatch.setattr(module, "L2Optimizer", StandingStill)
    base, other = network(0), network(1)
    y = predicted(other, images)

    def run(estimator, seed):
        with seeded(seed):
            attack = bind(BUILDERS.brendel_bethge(estimator, norm=2, steps=2, binary_search_steps=2), other)
            assert type(attack.estimator) is Clone
            assert attack.estimator.model is other.model
            return attack.generate(images.copy(), y)

    fresh, asked = run(other, 3), other.gradients
    assert asked > 0  # the clone counts for the estimator
    assert (other.predict(fresh).argmax(1) != y.argmax(1)).all()
    np.testing.assert_array_equal(run(base, 3), fresh)
    assert not np.array_equal(run(other, 4), fresh)


def test_a_stock_classifier_is_attacked_as_well(network, small, predicted, images):
    stock = network(1, PyTorchClassifier)
    y = predicted(stock, images)
    for name in ("pgd", "deepfool", "square", "art-apgd", "reva-rfgsm"):
        with seeded(0):
            assert not np.array_equal(bind(small(name, stock), stock).generate(images.copy(), y), images)
