"""Gradient steps on a linear function, whose maximum over a ball is known."""

from __future__ import annotations

import math

import pytest
import torch

from art_weakrobust.errors import UsageError
from art_weakrobust.kernels.gradients import random_start, step
from art_weakrobust.kernels.norms import dual_norm, lp_norm

X = torch.full((2, 1, 2, 2), 0.5)
GRAD = torch.tensor([[[[1.0, -2.0], [3.0, 0.0]]], [[[0.0, 0.0], [0.0, 0.0]]]])


@pytest.mark.parametrize("norm", [2.0, math.inf])
def test_steps_climb_a_linear_function_to_the_top_of_the_ball(norm):
    x_adv = random_start(X, torch.arange(2), norm, 0.1, 0)
    for _ in range(60):
        x_adv = step(x_adv, GRAD, X, norm, 0.1, 0.02)
    gain = ((x_adv - X) * GRAD).flatten(1).sum(1)
    assert torch.allclose(gain, 0.1 * dual_norm(GRAD, norm), atol=2e-3)
    assert (lp_norm(x_adv - X, norm) <= 0.1 * (1 + 1e-5)).all()


@pytest.mark.parametrize("norm", [2.0, math.inf])
def test_a_gradient_of_zeros_moves_nothing(norm):
    assert torch.equal(step(X, GRAD, X, norm, 0.1, 0.05)[1], X[1])


@pytest.mark.parametrize("norm", [2.0, math.inf])
def test_a_step_stays_in_the_range_of_pixels(norm):
    moved = step(X, GRAD, X, norm, 3.0, 3.0)
    assert moved.min() >= 0
    assert moved.max() <= 1


def test_a_start_is_a_function_of_seed_and_id_and_not_a_neighbor():
    ids = torch.tensor([4, 9])
    start = random_start(X, ids, math.inf, 0.1, 0)
    assert torch.equal(start.flip(0), random_start(X, ids.flip(0), math.inf, 0.1, 0))
    assert not torch.equal(start, random_start(X, ids, math.inf, 0.1, 1))


def test_each_sample_may_have_its_own_budget():
    eps = torch.tensor([0.1, 0.2])
    together = random_start(X, torch.arange(2), 2.0, eps, 0)
    assert torch.allclose(together[1:], random_start(X[1:], torch.tensor([1]), 2.0, 0.2, 0), atol=1e-7)


def test_another_norm_is_refused():
    with pytest.raises(UsageError, match="norm 1"):
        step(X, GRAD, X, 1.0, 0.1, 0.1)
