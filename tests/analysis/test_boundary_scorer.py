"""What the scorer ``boundary`` says of each sample, whom it believes, and what it leaves alone."""

from __future__ import annotations

import functools
import math
import pickle

import numpy as np
import pytest
import torch
from art.attacks.evasion import DeepFool, HopSkipJump, ProjectedGradientDescent
from torch import nn

from art_weakrobust.analysis.boundary import boundary, refined
from art_weakrobust.analysis.boundary_measure import CENSORED, DistanceRows
from art_weakrobust.analysis.complete import complete
from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.errors import ModelError, UsageError
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.execution.serial import SerialMap
from art_weakrobust.selection import select
from art_weakrobust.testing.networks import linear, small_cnn

FIRST = np.array([0.52, 0.6, 0.7, 0.95, 0.4], np.float32)
"""First pixels; one pixel decides, at 0.5, so that the distance is what it is beyond, in every norm."""
FAR = np.array([0.02, 0.1, 0.2, 0.45])


@pytest.fixture
def one_pixel(build):
    return build.classifier(build.one_pixel(), classes=2), build.pixel_data(FIRST)


@pytest.mark.parametrize("norm", ["inf", 2])
def test_the_score_is_minus_the_distance_and_a_misclassified_sample_has_neither(norm, one_pixel, build):
    scores = build.score_with(boundary(distance_norm=norm), *one_pixel)
    assert scores["adversarial_distance"][:4] == pytest.approx(FAR, rel=0.02)
    assert scores["score"][:4] == pytest.approx(-scores["adversarial_distance"][:4], rel=1e-6)
    assert scores["first_order_distance"][:4] == pytest.approx(FAR, rel=1e-4)
    assert scores["found"].tolist() == [True] * 4 + [None]
    assert scores["status"].tolist() == ["ok"] * 4 + ["misclassified"]
    assert np.isnan(scores["score"][4])
    assert np.isnan(scores["adversarial_distance"][4])
    assert np.isnan(scores["certified_radius"]).all()


def test_the_nearest_to_the_boundary_are_the_weak_ones(one_pixel, build):
    estimator, data = one_pixel
    scores = complete(build.score_with(boundary(), estimator, data), estimator, data, SerialMap())
    assert sorted(select(scores, fraction=0.5, seed=0).table.column("index").to_pylist()[:2]) == [0, 1]


def test_beyond_eps_max_a_sample_is_censored_and_has_no_distance(one_pixel, build):
    scores = build.score_with(boundary(eps_max="38/255"), *one_pixel)
    assert scores["found"].tolist() == [True, True, False, False, None]
    assert np.isnan(scores["adversarial_distance"][2:]).all()
    assert scores["score"][2:4] == pytest.approx(-38 / 255)
    assert scores["status"][2:4].tolist() == ["ok", "ok"]


def test_refined_rows_say_which_samples_are_censored_and_who_looked(build):
    blind = build.classifier(build.one_pixel(slope=0.0), classes=2)  # a tie everywhere, for the first class
    data = ArrayDataset(np.full((2, *build.shape), 0.5, np.float32), np.array([0, 1]), class_names=("a", "b"))
    rows = DistanceRows(refined(blind, 2, budget=20))(blind, data.take(np.arange(2)))
    assert rows.column("status").to_pylist() == [CENSORED, "misclassified"]
    assert rows.column("distance").null_count == 2
    assert rows.column("norm").to_pylist() == ["2", "2"]
    assert rows.column("engine").to_pylist() == ["descent", "descent"]


class Liar(nn.Module):
    """Answers gradients of a boundary that it does not have: where a graph is recorded it is a model of its own."""

    def __init__(self, honest: nn.Module) -> None:
        super().__init__()
        self.honest = honest

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        logits = self.honest(x)
        return logits - logits.detach() + torch.tensor([1.0, 0.0]) if torch.is_grad_enabled() else logits


def test_a_search_that_is_shown_another_model_is_not_believed(build):
    estimator = build.classifier(Liar(build.one_pixel()), classes=2)
    scores = build.score_with(boundary(eps_max=0.05), estimator, build.pixel_data(FIRST[1:3]))
    found = scores["found"].astype(bool)
    judged = estimator.predict(build.pixel_data(FIRST[1:3]).take(np.arange(2)).x).argmax(1)
    assert (judged == 1).all()
    assert not found.any()
    assert np.isnan(scores["adversarial_distance"]).all()


def test_every_distance_is_that_of_a_point_that_the_model_gets_wrong(trained, digit_data):
    from art_weakrobust.analysis.boundary_engine import verified

    samples = digit_data.take(np.arange(30))
    right = np.flatnonzero(trained.predict(samples.x).argmax(1) == samples.y)
    some = samples[right]
    found = refined(trained, "inf", budget=20).engine(trained, some, 1.0)
    points, length = verified(trained, some, found.points, math.inf, 128)
    assert (trained.predict(points).argmax(1) != some.y).all()
    assert np.abs(points - some.x).reshape(len(some), -1).max(1) == pytest.approx(length, abs=1e-7)
    assert ((points >= 0) & (points <= 1)).all()


def test_an_answer_that_is_not_finite_is_an_error(build):
    class Broken(nn.Module):
        def __init__(self, honest: nn.Module) -> None:
            super().__init__()
            self.honest = honest

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.where(x.flatten(1)[:, :1] > 0.65, torch.nan, self.honest(x))

    scores = build.score_with(
        boundary(), build.classifier(Broken(build.one_pixel()), classes=2), build.pixel_data(FIRST)
    )
    assert scores["status"].tolist()[2].startswith("error: ")
    assert np.isnan(scores["score"][2])
    assert scores["adversarial_distance"][:2] == pytest.approx(FAR[:2], rel=0.02)


def test_an_attack_that_crashes_leaves_its_samples_unknown(one_pixel, build):
    class Crashing(DeepFool):
        def generate(self, x, y=None, **kwargs):
            raise RuntimeError("out of luck")

    scores = build.score_with(boundary(attack=Crashing), *one_pixel)
    assert set(scores["status"][:4]) == {"error: RuntimeError: out of luck"}
    assert np.isnan(scores["score"]).all()


@pytest.mark.parametrize("norm", ["inf", 2])
def test_the_answer_is_the_same_however_the_work_is_cut(norm, build, digit_data):
    class Elementwise(nn.Module):  # sums sample by sample, so that no batch size shows
        def __init__(self) -> None:
            super().__init__()
            generator = torch.Generator().manual_seed(3)
            self.weight = nn.Parameter(torch.randn(10, 64, generator=generator))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return (torch.tanh(x.flatten(1).unsqueeze(1) * self.weight) * self.weight).sum(2)

    estimator = build.classifier(Elementwise())
    few = digit_data.take(np.arange(24))
    data = ArrayDataset(few.x, estimator.predict(few.x).argmax(1), class_names=digit_data.class_names)
    one, other = (
        build.score_with(boundary(distance_norm=norm, batch_size=batch), estimator, data, chunk_size=chunk)
        for batch, chunk in ((24, 24), (5, 7))
    )
    np.testing.assert_array_equal(one["adversarial_distance"], other["adversarial_distance"])


def test_global_random_state_and_the_samples_are_left_alone(trained, digit_data):
    torch.manual_seed(1)
    np.random.seed(1)
    before, images = (torch.get_rng_state(), np.random.get_state()[1].copy()), digit_data.take(np.arange(9)).x.copy()
    boundary()(trained, ArrayDataset(*_first(digit_data, 9)), SerialMap())
    assert torch.equal(torch.get_rng_state(), before[0])
    np.testing.assert_array_equal(np.random.get_state()[1], before[1])
    np.testing.assert_array_equal(digit_data.take(np.arange(9)).x, images)


def _first(data: ArrayDataset, n: int) -> tuple[np.ndarray, np.ndarray]:
    samples = data.take(np.arange(n))
    return samples.x, samples.y


@pytest.mark.parametrize("budget", [20, 60, 300, 1000])
def test_no_sample_costs_more_gradients_than_the_budget(budget, build):
    x = torch.rand(6, 1, 8, 8, generator=torch.Generator().manual_seed(0)).numpy()
    estimator = build.classifier(small_cnn((1, 8, 8), 10))
    data = ArrayDataset(x, estimator.predict(x).argmax(1), class_names=tuple("0123456789"))
    search = refined(estimator, "inf", budget=budget).engine
    before = estimator.gradients
    search(estimator, data.take(np.arange(6)), 1.0)
    assert 0 < estimator.gradients - before <= 6 * budget


def test_a_larger_budget_finds_nothing_farther_away_on_average(build, digit_data):
    estimator = build.classifier(small_cnn((1, 8, 8), 10))
    few = digit_data.take(np.arange(16))
    data = ArrayDataset(few.x, estimator.predict(few.x).argmax(1), class_names=digit_data.class_names)
    small, large = (build.score_with(boundary(budget=b), estimator, data)["adversarial_distance"] for b in (20, 600))
    assert np.nanmean(large) <= np.nanmean(small) * 1.001


class TestAttacksAsTheEngine:
    @pytest.mark.parametrize(
        "attack",
        [
            functools.partial(ProjectedGradientDescent, norm=np.inf, max_iter=20),
            functools.partial(ProjectedGradientDescent, norm=2, max_iter=20),
        ],
    )
    def test_a_bounded_one_is_bisected_sample_by_sample(self, attack, one_pixel, build):
        scores = build.score_with(boundary(attack=attack), *one_pixel)
        assert scores["adversarial_distance"][:4] == pytest.approx(FAR, rel=0.02)

    def test_a_minimum_norm_one_is_taken_as_it_is(self, one_pixel, build):
        scores = build.score_with(boundary(attack=functools.partial(DeepFool, epsilon=1e-3)), *one_pixel)
        assert scores["adversarial_distance"][:4] == pytest.approx(FAR, rel=0.02)

    def test_it_is_named_in_refined_rows(self, one_pixel, build):
        estimator, data = one_pixel
        rows = boundary(attack=DeepFool).build(estimator).measure
        table = DistanceRows(rows)(estimator, data.take(np.arange(5)))
        assert set(table.column("engine").to_pylist()) == {"deepfool-l2"}
        assert set(table.column("norm").to_pylist()) == {"2"}

    def test_a_budget_of_its_own_cannot_be_bisected(self, one_pixel):
        estimator, _ = one_pixel
        with pytest.raises(UsageError, match="leave eps out"):
            boundary(attack=functools.partial(ProjectedGradientDescent, eps=0.1)).build(estimator)

    def test_a_black_box_is_measured_by_an_attack_and_refused_without(self, one_pixel, build):
        estimator, _ = one_pixel
        box = build.black_box(estimator, lambda logits: logits.softmax(1))
        with pytest.raises(ModelError, match="boundary:attack="):
            boundary().build(box)
        attack = functools.partial(HopSkipJump, max_iter=1, max_eval=20, init_eval=5, init_size=20)
        scores = build.score_with(boundary(attack=attack), box, build.pixel_data(FIRST[:2]))
        assert scores["status"].tolist() == ["ok", "ok"]
        assert (scores["adversarial_distance"] >= 0).all()


class TestCertificates:
    @staticmethod
    def exact(estimator, samples, norm):
        return samples.x[:, 0, 0, 0] - 0.5

    def test_a_proven_radius_stands_beside_the_distance(self, one_pixel, build):
        scores = build.score_with(boundary(certify=self.exact), *one_pixel)
        assert scores["certified_radius"][:4] == pytest.approx(FAR, rel=1e-5)
        assert (scores["certified_radius"][:4] <= scores["adversarial_distance"][:4] * (1 + 1e-5)).all()
        assert np.isnan(scores["certified_radius"][4])

    def test_what_is_not_proven_is_null(self, one_pixel, build):
        scores = build.score_with(boundary(certify=lambda e, samples, norm: np.full(len(samples), np.nan)), *one_pixel)
        assert np.isnan(scores["certified_radius"]).all()

    def test_a_proof_that_an_adversarial_refutes_is_an_error(self, one_pixel, build):
        with pytest.raises(ModelError, match="an adversarial at"):
            build.score_with(boundary(certify=lambda e, samples, norm: np.ones(len(samples))), *one_pixel)

    def test_anything_but_a_number_a_sample_is_an_error(self, one_pixel, build):
        with pytest.raises(ModelError, match="one number a sample"):
            build.score_with(boundary(certify=lambda e, samples, norm: np.ones(1)), *one_pixel)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"distance_norm": 1}, "use 2 or inf"),
        ({"distance_norm": 3}, "use 1, 2 or inf"),
        ({"eps_max": 0}, "above 0"),
        ({"eps_max": "far"}, "is not a number"),
        ({"budget": 5}, "from 20"),
        ({"budget": True}, "whole number"),
    ],
)
def test_a_value_out_of_range_is_refused_by_name(options, said):
    with pytest.raises(UsageError, match=said):
        boundary(**options)


def test_the_chunk_function_travels():
    model = FastPyTorchClassifier(
        small_cnn((1, 8, 8), 3), nn.CrossEntropyLoss(), (1, 8, 8), 3, clip_values=(0, 1), device_type="cpu"
    )
    chunk = boundary().build(model)
    assert pickle.loads(pickle.dumps(chunk)) == chunk


@pytest.mark.parametrize("norm", ["inf", 2])
def test_a_sample_that_all_but_ties_is_the_weakest_and_not_censored(norm, build):
    """Rounding of the logits is then a large share of its distance."""
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(2, 9, generator=generator)
    x = (0.4 + 0.2 * torch.rand(8, 1, 3, 3, generator=generator)).numpy()
    apart = (weight[0] - weight[1]).numpy()
    flat = x[0].reshape(-1)
    gap = float(flat @ apart + (-weight.sum(1) / 2)[0] - (-weight.sum(1) / 2)[1])
    x[0] -= ((gap - 2e-6) * apart / (apart @ apart)).reshape(x[0].shape)
    estimator = build.classifier(linear((1, 3, 3), weight=weight, bias=-weight.sum(1) / 2), classes=2, shape=(1, 3, 3))
    data = ArrayDataset(x, estimator.predict(x).argmax(1), class_names=("a", "b"))
    scores = build.score_with(boundary(distance_norm=norm, budget=20), estimator, data)
    assert scores["found"].all()
    assert int(np.argmax(scores["score"])) == 0
