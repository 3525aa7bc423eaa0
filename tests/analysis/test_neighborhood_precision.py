"""Screening in bfloat16: the answers of float32, from fewer questions in float32."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from art_weakrobust.analysis.neighborhood import neighborhood
from art_weakrobust.analysis.neighborhood_precision import (
    BEYOND,
    DEVIATIONS,
    PILOT,
    Answers,
    answered,
    bound_of,
)
from art_weakrobust.analysis.neighborhood_scores import precision_facts
from art_weakrobust.errors import ModelError
from art_weakrobust.testing.networks import small_cnn

RADIUS = 0.25


class Known:
    """Neighbors whose margins are known in both precisions; a score is a half where the margin is below zero."""

    def __init__(self, exact: Tensor, quick: Tensor) -> None:
        self.margins = {"float32": exact.flatten(), "bfloat16": quick.flatten()}
        self.shape = (len(exact), exact.shape[1])
        self.asked = {"float32": 0, "bfloat16": 0}

    def answers(self, pairs: Tensor | None = None, precision: str = "float32") -> Answers:
        margin = self.margins[precision]
        margin = (margin if pairs is None else margin[pairs]).clone()
        self.asked[precision] += len(margin)
        return Answers(0.5 * (margin < 0), margin, torch.zeros_like(margin, dtype=torch.bool), margin < 0)


def margins(n: int, count: int, seed: int, noise: float) -> tuple[Tensor, Tensor]:
    """Samples far from and near the boundary, and margins that normal errors have moved."""
    draw = np.random.default_rng(seed)
    exact = 3 * draw.exponential(size=(n, 1)) + draw.normal(size=(n, count)) - 0.2
    quick = exact + noise * draw.normal(size=exact.shape)
    return torch.tensor(exact, dtype=torch.float32), torch.tensor(quick, dtype=torch.float32)


@settings(max_examples=25, deadline=None)
@given(
    n=st.integers(1, 80), count=st.integers(1, 60), seed=st.integers(0, 2**32), noise=st.sampled_from([0, 0.01, 0.1, 2])
)
def test_flips_scores_and_least_margins_are_those_of_float32(n, count, seed, noise):
    exact, quick = margins(n, count, seed, noise)
    said, _ = answered(Known(exact, quick), "bfloat16")
    assert torch.equal(said.wrong, exact < 0)
    assert torch.equal(said.score, 0.5 * (exact < 0))
    assert torch.equal(said.margin.amin(1), exact.amin(1))
    assert torch.equal(said.margin.argmin(1), exact.argmin(1))


def test_most_neighbors_are_asked_about_in_bfloat16_alone():
    known = Known(*margins(400, 50, 1, 0.02))
    said, screened = answered(known, "bfloat16")
    assert known.asked["bfloat16"] == 400 * 50 + PILOT
    assert known.asked["float32"] == int(screened.measured.sum()) < 0.3 * 400 * 50
    sure = ~screened.measured
    assert (said.margin[sure] > screened.bound).all()


def test_an_order_of_samples_alone_asks_less():
    exactly, roughly = (Known(*margins(400, 50, 1, 0.05)) for _ in range(2))
    answered(exactly, "bfloat16")
    said, screened = answered(roughly, "bfloat16", exact_margin=False)
    assert roughly.asked["float32"] < exactly.asked["float32"]
    exact = roughly.margins["float32"].view(400, 50)
    assert torch.equal(said.wrong, exact < 0)
    assert (said.margin.amin(1) - exact.amin(1)).abs().max() <= screened.bound


def test_what_is_reported_is_what_was_measured():
    exact, quick = margins(400, 50, 2, 0.02)
    _, screened = answered(Known(exact, quick), "bfloat16")
    errors = (exact - quick).abs()
    assert torch.equal(screened.error, torch.where(screened.measured, errors, 0))
    assert screened.error.max() <= screened.bound
    assert (screened.measured | ~screened.audited).all()
    assert (quick[screened.audited] > 0).all()
    assert 20 < int(screened.audited.sum()) < 100


def test_a_bound_that_is_seen_to_fail_grows_until_it_holds():
    """The pilot sees small errors; those of samples with small margins are larger, and turn some over."""
    exact, quick = margins(400, 50, 3, 0.005)
    near = (exact.abs() < 0.5) & (torch.rand(exact.shape, generator=torch.Generator().manual_seed(0)) < 0.3)
    quick = torch.where(near, quick + 0.4, quick)
    turned = (exact < 0) & (quick > 6 * 0.006)
    assert turned.sum() > 100
    said, screened = answered(Known(exact, quick), "bfloat16")
    assert screened.bound > 0.4
    assert torch.equal(said.wrong, exact < 0)


def test_answers_that_are_no_numbers_leave_nobody_sure():
    exact, quick = margins(100, 50, 4, 0.01)
    known = Known(exact, torch.full_like(quick, torch.nan))
    said, screened = answered(known, "bfloat16")
    assert torch.equal(said.margin, exact)
    assert not screened.measured.any()
    exact[7, 3] = quick[7, 3] = torch.nan
    said, _ = answered(Known(exact, quick), "bfloat16")
    assert said.margin[7, 3].isnan()


def test_where_most_are_wrong_all_are_asked_in_float32_at_once():
    exact, quick = margins(400, 50, 5, 0.01)
    known = Known(exact - 4, quick - 4)
    _, screened = answered(known, "bfloat16")
    assert known.asked["bfloat16"] == PILOT
    assert screened.bound == 0


@pytest.mark.parametrize("n", [1, 10])
def test_few_neighbors_are_asked_in_float32(n):
    known = Known(*margins(n, 40, 6, 0.01))
    answered(known, "bfloat16")
    assert known.asked == {"float32": 40 * n, "bfloat16": 0}


def test_the_bound_is_above_what_normal_errors_reach_and_above_the_largest():
    normal = torch.randn(256, generator=torch.Generator().manual_seed(1))
    assert bound_of(normal) == pytest.approx(DEVIATIONS, rel=0.15)
    normal[3] = 40
    assert bound_of(normal) == 40 * BEYOND
    assert bound_of(torch.tensor([0.0, torch.nan])) == torch.inf


@pytest.fixture(scope="module")
def fitted(build, digit_data):
    """A convolutional network that is sure of some digits and not of others."""
    model = small_cnn(build.shape, seed=3).train()
    x, y = torch.from_numpy(digit_data.take(np.arange(120)).x), torch.from_numpy(digit_data.take(np.arange(120)).y)
    optimizer = torch.optim.Adam(model.parameters(), 0.02)
    for _ in range(40):
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(x), y).backward()
        optimizer.step()
    return build.classifier(model.eval())


@pytest.mark.parametrize("chunk_size", [512, 50])
def test_a_network_in_bfloat16_has_the_scores_of_float32(build, fitted, digit_data, chunk_size):
    exact, screened = (
        build.score_with(neighborhood(RADIUS, neighbors=40, precision=precision), fitted, digit_data, chunk_size)
        for precision in ("float32", "bfloat16")
    )
    assert 0.01 < np.nanmean(exact["flips"]) / 40 < 0.3
    for name in ("flips", "found", "worst_neighbor"):
        assert np.array_equal(exact[name].astype(float), screened[name].astype(float), equal_nan=True), name
    for name in ("score", "neighbor_margin", "margin"):
        assert np.allclose(exact[name], screened[name], atol=1e-5, equal_nan=True), name
    facts = screened.facts["precision_screening"]
    assert 0 < facts["in_float32"] < 0.6 * facts["neighbors"] == 0.6 * 40 * np.isfinite(exact["score"]).sum()
    assert 0 < facts["largest_margin_error"] <= facts["margin_bound"]
    assert facts["audited"] > 0
    assert exact.facts == {} == precision_facts(exact.table)


def test_the_plan_of_the_estimator_decides_where_nobody_else_does(build, fitted, digit_data):
    fitted.set_plan(precision="bfloat16")
    try:
        followed = build.score_with(neighborhood(RADIUS, neighbors=40), fitted, digit_data)
        own = build.score_with(neighborhood(RADIUS, neighbors=40, precision="float32"), fitted, digit_data)
    finally:
        fitted.set_plan(precision="float32")
    assert "precision_screening" in followed.facts
    assert own.facts == {}


def test_a_black_box_has_one_precision(build, fitted, digit_data):
    box = build.black_box(fitted, lambda z: z)
    assert build.score_with(neighborhood(0.12, neighbors=8, precision="bfloat16"), box, digit_data).facts == {}


def test_an_unknown_precision_is_refused():
    with pytest.raises(ModelError, match="precision 'float16' is not known"):
        neighborhood(precision="float16")
