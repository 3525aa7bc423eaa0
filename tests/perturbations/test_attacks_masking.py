"""Signs of gradient masking: where following the gradient proves nothing."""

from __future__ import annotations

from math import inf

import pytest
import torch

from art_weakrobust.errors import UsageError
from art_weakrobust.kernels.norms import dual_norm
from art_weakrobust.perturbations.attacks.masking import SHORT, MaskingEvidence, masking_evidence

N, SHAPE = 16, (3, 4, 4)
DRAWS = torch.Generator().manual_seed(0)
X = torch.rand(N, *SHAPE, generator=DRAWS) * 0.4 + 0.3
SLOPE = torch.randn(SHAPE, generator=DRAWS)
IDS = torch.arange(100, 100 + N)
EPS = 0.05


def linear(x: torch.Tensor) -> torch.Tensor:
    return (x * SLOPE).flatten(1).sum(1)


def evidence(gradient: torch.Tensor, loss=linear, norm: float = inf, **options) -> MaskingEvidence:
    return masking_evidence(loss, gradient, X, IDS, norm=norm, eps=EPS, **options)


@pytest.mark.parametrize("norm", [2, inf])
def test_along_the_true_gradient_a_linear_loss_rises_by_the_dual_norm_and_nothing_beats_it(norm):
    found = evidence(SLOPE.expand_as(X), norm=norm, transfer=torch.randn(N, *SHAPE, generator=DRAWS))
    expected = EPS * dual_norm(SLOPE[None], norm)
    torch.testing.assert_close(found.rise, expected.expand(N), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(found.short_rise, SHORT * expected.expand(N), rtol=1e-2, atol=1e-5)
    assert not found.masked.any()


def test_a_gradient_of_zeros_or_nan_is_flat():
    gradient = SLOPE.expand_as(X).clone()
    gradient[0], gradient[1, 0, 0, 0] = 0.0, torch.nan
    found = evidence(gradient)
    assert found.flat.tolist() == [True, True] + [False] * (N - 2)
    assert torch.equal(found.masked, found.flat)


def test_the_gradient_of_a_loss_in_stairs_leads_nowhere():
    stairs = X.clone().requires_grad_(True)
    loss = (stairs.mul(8).round() / 8 * SLOPE).flatten(1).sum(1)
    (gradient,) = torch.autograd.grad(loss.sum(), stairs)
    found = evidence(gradient, loss=lambda x: linear(x.mul(8).round() / 8))
    assert found.masked.all()
    assert found.flat.all()


def test_a_gradient_that_points_down_raises_nothing_and_is_beaten_by_chance():
    found = evidence(-SLOPE.expand_as(X))
    assert found.no_rise.all()
    assert found.beaten_by_random.all()
    assert not found.flat.any()


def test_a_gradient_of_something_else_is_beaten_by_that_of_another_model():
    other = torch.randn(N, *SHAPE, generator=DRAWS)
    found = evidence(other, transfer=SLOPE.expand_as(X))
    assert found.beaten_by_transfer.all()
    assert not evidence(other).beaten_by_transfer.any()


def test_chance_is_a_function_of_seed_and_id_alone():
    gradient = SLOPE.expand_as(X)
    whole = evidence(gradient, seed=3).random_rise
    part = masking_evidence(linear, gradient[4:9], X[4:9], IDS[4:9], norm=inf, eps=EPS, seed=3).random_rise
    torch.testing.assert_close(part, whole[4:9])
    assert not torch.equal(whole, evidence(gradient, seed=4).random_rise)


@pytest.mark.parametrize(("norm", "eps"), [(1, 0.1), (inf, 0.0)])
def test_a_norm_without_a_step_and_a_budget_of_nothing_are_refused(norm, eps):
    with pytest.raises(UsageError):
        masking_evidence(linear, X, X, IDS, norm=norm, eps=eps)
