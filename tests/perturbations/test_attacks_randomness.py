"""Attacks draw from the global generators: inside ``seeded`` these are held to a seed, outside they never moved."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch

from art_weakrobust.perturbations.attacks.randomness import seeded


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.rand()), float(torch.rand(()))


def states() -> tuple:
    return random.getstate(), str(np.random.get_state()), torch.get_rng_state().tolist()


def test_one_seed_gives_the_same_draws():
    with seeded(5):
        first = draws()
    with seeded(5):
        assert draws() == first
    with seeded(6):
        assert draws() != first


def test_the_global_state_is_what_it_was():
    before = states()
    with seeded(5):
        draws()
    assert states() == before


def test_the_global_state_is_restored_after_an_error():
    before = states()
    with pytest.raises(ZeroDivisionError), seeded(5):
        random.random() / (np.random.rand() * 0)
    assert states() == before


@pytest.mark.parametrize("seed", [0, -1, 2**63 - 1])
def test_any_integer_is_a_seed(seed):
    with seeded(seed):
        assert len(set(draws())) == 3


def test_a_generator_that_nobody_seeds_gets_its_seed_from_ours():
    def draw(seed):
        with seeded(seed):
            return np.random.RandomState().rand(), np.random.RandomState().rand()

    assert draw(5) == draw(5)
    assert draw(5) != draw(6)
    assert draw(5)[0] != draw(5)[1]


def test_a_generator_with_a_seed_of_its_own_draws_what_it_always_draws():
    expected = np.random.RandomState(7).rand()
    with seeded(5):
        assert np.random.RandomState(7).rand() == expected
        assert isinstance(np.random.mtrand._rand, np.random.RandomState)


def test_numpy_has_its_class_back_afterwards():
    before = np.random.RandomState
    with seeded(5), seeded(6):
        assert np.random.RandomState is not before
    assert np.random.RandomState is before
    with pytest.raises(ZeroDivisionError), seeded(5):
        1 / 0  # noqa: B018
    assert np.random.RandomState is before


def test_so_does_a_generator_of_numpys_newer_kind():
    def draw(seed):
        with seeded(seed):
            return np.random.default_rng().random(), np.random.default_rng(7).random()

    expected, before = np.random.default_rng(7).random(), np.random.default_rng
    assert draw(5) == draw(5)
    assert draw(5)[0] != draw(6)[0]
    assert draw(5)[1] == draw(6)[1] == expected
    assert np.random.default_rng is before
