"""Minimum-norm searches, on linear margins whose distances are known."""

from __future__ import annotations

import math

import pytest
import torch

from art_weakrobust.errors import UsageError
from art_weakrobust.kernels import keyed
from art_weakrobust.kernels.apgd import apgd, checkpoints
from art_weakrobust.kernels.closest import Answer, Closest
from art_weakrobust.kernels.minimum_norm import ddn, descend, fmn
from art_weakrobust.kernels.norms import dual_norm

IDS, SHAPE = torch.arange(5), (2, 4, 4)
X = keyed.uniform(IDS, 0, SHAPE, 1) * 0.2 + 0.4
W = keyed.normal(IDS, 1, SHAPE, 1)
GAP = torch.tensor([0.1, 0.2, 0.4, 0.8, 1.2])


def plane(points: torch.Tensor, rows: torch.Tensor) -> Answer:
    """The margin of each sample falls along its own direction and vanishes where it has fallen by its own gap."""
    value = GAP[rows] + ((points - X[rows]) * W[rows]).flatten(1).sum(1)
    return Answer(value, W[rows], value < 0)


def exact(norm: float) -> torch.Tensor:
    return GAP / dual_norm(W, norm)


def test_fmn_and_ddn_settle_on_the_boundary_in_l2():
    assert torch.allclose(fmn(plane, Closest.unknown(X, 2.0), 200, shrink=(0.05, 1e-4)).distance, exact(2.0), rtol=0.02)
    assert torch.allclose(ddn(plane, Closest.unknown(X, 2.0), 200).distance, exact(2.0), rtol=0.02)


@pytest.mark.parametrize("norm", [2.0, math.inf])
def test_a_descent_settles_on_the_boundary_from_the_sample_itself(norm):
    found = descend(plane, Closest.unknown(X, norm), 60, X)
    assert torch.allclose(found.distance, exact(norm), rtol=0.01)
    assert (found.distance >= exact(norm) * (1 - 1e-5)).all()


@pytest.mark.parametrize("norm", [2.0, math.inf])
@pytest.mark.parametrize("search", [fmn, lambda ask, known, steps: descend(ask, known, steps, known.x)])
def test_a_search_never_loses_what_is_known(search, norm):
    known = Closest(X, norm, X - 0.001, torch.full((5,), 1e-6))
    assert torch.equal(search(plane, known, 5).distance, known.distance)


@pytest.mark.parametrize("norm", [2.0, math.inf])
def test_apgd_finds_an_adversarial_just_where_the_ball_holds_one(norm):
    share = torch.tensor([1.05, 0.95, 1.05, 0.95, 1.05])
    found = apgd(plane, Closest.unknown(X, norm), exact(norm) * share, 40, X)
    assert (found.found == (share > 1)).all()
    assert (found.distance[found.found] <= (exact(norm) * share * (1 + 1e-5))[found.found]).all()


def test_apgd_asks_no_more_about_samples_that_are_adversarial():
    asked: list[int] = []

    def counting(points: torch.Tensor, rows: torch.Tensor) -> Answer:
        asked.append(len(points))
        return plane(points, rows)

    apgd(counting, Closest.unknown(X, math.inf), exact(math.inf) * 2, 30, X)
    assert asked == [5, 5]


def test_apgd_asks_itself_where_the_paper_does():
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99, 100]


@pytest.mark.parametrize("norm", [2.0, math.inf])
def test_a_model_whose_gradient_is_zero_leaves_everything_unknown(norm):
    def flat(points: torch.Tensor, rows: torch.Tensor) -> Answer:
        return Answer(torch.ones(len(points)), torch.zeros_like(points), torch.zeros(len(points), dtype=torch.bool))

    search: list[Closest] = [
        fmn(flat, Closest.unknown(X, norm), 5),
        descend(flat, Closest.unknown(X, norm), 5, X),
        apgd(flat, Closest.unknown(X, norm), torch.full((5,), 0.1), 5, X),
    ]
    for found in search:
        assert not found.found.any()
        assert torch.equal(found.points, X)


def test_ddn_works_in_l2_alone():
    with pytest.raises(UsageError, match="use fmn"):
        ddn(plane, Closest.unknown(X, math.inf), 5)


def test_what_two_searches_found_is_joined_sample_by_sample():
    first = Closest(X, math.inf, X + 0.1, torch.tensor([0.1, 0.1, math.inf, 0.1, math.inf]))
    second = Closest(X[1:4], math.inf, X[1:4] + 0.2, torch.tensor([0.2, 0.2, 0.05]))
    joined = first.joined(torch.tensor([1, 2, 3]), second)
    assert torch.equal(joined.distance, torch.tensor([0.1, 0.1, 0.2, 0.05, math.inf]))
    assert torch.equal(joined.points[2], X[2] + 0.2)
