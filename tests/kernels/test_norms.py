"""Norms, projections and dual norms against numpy and their definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from art_weakrobust.kernels.norms import dual_norm, lp_norm, project

NORMS = [1.0, 2.0, math.inf]
vectors = arrays(np.float32, (3, 2, 4), elements=st.floats(-4, 4, width=32))


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=20, deadline=None)
@given(delta=vectors)
def test_the_norm_is_that_of_each_sample_as_one_vector(norm, delta):
    expected = np.linalg.norm(delta.reshape(3, -1).astype(np.float64), ord=norm, axis=1)
    assert np.allclose(lp_norm(torch.from_numpy(delta), norm), expected, rtol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=20, deadline=None)
@given(delta=vectors, eps=st.floats(0.01, 3))
def test_a_projection_is_in_the_ball_and_leaves_what_was_in_it(norm, delta, eps):
    delta = torch.from_numpy(delta)
    projected = project(delta, norm, eps)
    assert (lp_norm(projected, norm) <= eps * (1 + 1e-5)).all()
    inside = lp_norm(delta, norm) <= eps * (1 - 1e-6)
    assert torch.allclose(projected[inside], delta[inside], atol=1e-6)


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=20, deadline=None)
@given(delta=vectors, other=vectors)
def test_no_point_of_the_ball_is_nearer_than_the_projection(norm, delta, other):
    """The characterisation of a projection: (delta - p) . (q - p) <= 0 for every q in the ball."""
    delta, other = torch.from_numpy(delta), project(torch.from_numpy(other), norm, 1.0)
    nearest = project(delta, norm, 1.0)
    assert (((delta - nearest) * (other - nearest)).flatten(1).sum(1) <= 1e-4).all()


@pytest.mark.parametrize("norm", NORMS)
def test_each_sample_may_have_its_own_radius(norm):
    delta = torch.linspace(-2, 2, 24).reshape(3, 2, 4)
    eps = torch.tensor([0.0, 0.5, 9.0])
    together = project(delta, norm, eps)
    assert torch.allclose(together, torch.cat([project(delta[i : i + 1], norm, float(eps[i])) for i in range(3)]))
    assert together[0].abs().max() == 0
    assert torch.equal(together[2], delta[2]) or norm == 1.0


@pytest.mark.parametrize("norm", NORMS)
@settings(max_examples=20, deadline=None)
@given(grad=vectors, delta=vectors)
def test_the_dual_norm_bounds_what_a_gradient_gains(norm, grad, delta):
    grad, delta = torch.from_numpy(grad), project(torch.from_numpy(delta), norm, 1.0)
    assert ((grad * delta).flatten(1).sum(1) <= dual_norm(grad, norm) * (1 + 1e-4) + 1e-4).all()


@pytest.mark.parametrize(("norm", "best"), [(math.inf, [1, -1, 1]), (2.0, [2 / 3, -2 / 3, 1 / 3]), (1.0, [1, 0, 0])])
def test_the_dual_norm_is_reached(norm, best):
    grad = torch.tensor([[2.0, -2.0, 1.0]])
    assert torch.allclose((grad * torch.tensor(best)).sum(1), dual_norm(grad, norm))
