"""Neighbors lie in the ball, fill it evenly, and are a function of (seed, id, index)."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from art_weakrobust.errors import UsageError
from art_weakrobust.kernels.keyed import uniform
from art_weakrobust.kernels.neighborhood import gaussian_neighbors, neighbors
from art_weakrobust.kernels.norms import lp_norm

IDS = torch.arange(400) * 3
GREY = torch.full((400, 3, 6, 6), 0.5)
WIDE = (-9.0, 9.0)


@pytest.mark.parametrize("norm", [math.inf, 2.0])
@pytest.mark.parametrize("radius", [8 / 255, 0.3])
def test_neighbors_lie_in_the_ball_and_in_the_range_of_pixels(norm, radius):
    x = uniform(IDS, 0, (3, 6, 6), 5)
    moved = neighbors(x, IDS, 1, radius, norm, 0)
    assert moved.dtype == torch.float32
    assert moved.min() >= 0
    assert moved.max() <= 1
    assert lp_norm(moved - x, norm).max() <= radius * (1 + 1e-6)
    assert not torch.equal(moved, x)


def test_linf_neighbors_are_uniform_in_the_box():
    offset = (neighbors(GREY, IDS, 0, 0.1, math.inf, 0) - GREY).numpy().ravel()
    assert stats.kstest(offset, "uniform", args=(-0.1, 0.2)).pvalue > 1e-4


def test_l2_neighbors_are_uniform_in_the_ball():
    """The mass within r of the centre grows as r^d, and no direction is preferred."""
    x = torch.zeros(4000, 3)
    delta = neighbors(x, torch.arange(4000), 0, 1.0, 2.0, 0, clip=WIDE)
    assert stats.kstest((lp_norm(delta, 2.0).numpy().astype(np.float64)) ** 3, "uniform").pvalue > 1e-4
    for lane in range(3):  # Archimedes: a coordinate of a point on the sphere is uniform
        direction = delta[:, lane] / lp_norm(delta, 2.0)
        assert stats.kstest(direction.numpy(), "uniform", args=(-1, 2)).pvalue > 1e-4


def test_gaussian_neighbors_are_normal_with_the_given_deviation():
    offset = (gaussian_neighbors(GREY, IDS, 0, 0.05, 0) - GREY).numpy().ravel()
    assert stats.kstest(offset / 0.05, "norm").pvalue > 1e-4
    wide = gaussian_neighbors(GREY, IDS, 0, torch.linspace(0.01, 0.08, 400), 0, clip=WIDE)
    assert torch.allclose((wide - GREY)[5], (gaussian_neighbors(GREY, IDS, 0, 0.01, 0) - GREY)[5] * 1.0877, atol=1e-5)


def test_gaussian_neighbors_are_bitwise_the_same_in_any_batch_and_stay_in_range():
    x = uniform(IDS, 0, (3, 6, 6), 5)
    whole = gaussian_neighbors(x, IDS, 7, 0.3, 3)
    parts = [gaussian_neighbors(x[i : i + 7], IDS[i : i + 7], 7, 0.3, 3) for i in range(0, 400, 7)]
    assert torch.equal(whole, torch.cat(parts))
    assert 0 == whole.min() < whole.max() == 1


def test_linf_neighbors_are_bitwise_the_same_in_any_batch():
    x = uniform(IDS, 0, (3, 6, 6), 5)
    whole = neighbors(x, IDS, 7, 0.1, math.inf, 3)
    assert torch.equal(
        whole, torch.cat([neighbors(x[i : i + 7], IDS[i : i + 7], 7, 0.1, math.inf, 3) for i in range(0, 400, 7)])
    )


def test_l2_neighbors_agree_within_the_stated_tolerance_in_any_batch():
    x = uniform(IDS, 0, (3, 6, 6), 5)
    whole = neighbors(x, IDS, 7, 0.1, 2.0, 3)
    parts = torch.cat([neighbors(x[i : i + 1], IDS[i : i + 1], 7, 0.1, 2.0, 3) for i in range(400)])
    assert (whole - parts).abs().max() <= 1e-6 * 0.1 + 6e-8


def test_many_neighbors_of_a_sample_in_one_call_are_those_of_single_calls():
    x = GREY[:1].expand(5, -1, -1, -1)
    together = neighbors(x, IDS[3].expand(5), torch.arange(5), 0.1, math.inf, 0)
    assert torch.equal(together, torch.cat([neighbors(GREY[:1], IDS[3:4], i, 0.1, math.inf, 0) for i in range(5)]))


def test_each_sample_may_have_its_own_radius():
    radius = torch.linspace(0.01, 0.2, 400)
    moved = neighbors(GREY, IDS, 0, radius, math.inf, 0)
    assert torch.allclose(moved[5:6], neighbors(GREY[5:6], IDS[5:6], 0, float(radius[5]), math.inf, 0), atol=1e-7)


def test_quantised_neighbors_are_8_bit_levels_within_half_a_level():
    x = uniform(IDS, 0, (3, 6, 6), 5)
    plain, rounded = (neighbors(x, IDS, 1, 0.1, math.inf, 0, quantise=q) for q in (False, True))
    assert torch.equal(rounded, (rounded * 255).round() / 255)
    assert (rounded - plain).abs().max() <= 0.5 / 255 + 1e-6


def test_the_input_is_left_as_it_was():
    x = GREY.clone()
    neighbors(x, IDS, 0, 0.1, 2.0, 0)
    assert torch.equal(x, GREY)


def test_another_norm_is_refused():
    with pytest.raises(UsageError, match="radius_norm 1"):
        neighbors(GREY, IDS, 0, 0.1, 1.0, 0)
