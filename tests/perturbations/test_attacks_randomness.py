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
