"""The scorer ``neighborhood`` against closed forms, recomputation, and what it must not depend on."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_weakrobust.analysis.neighborhood import neighborhood
from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.errors import DataError, ModelError, UsageError
from art_weakrobust.kernels.neighborhood import neighbors
from art_weakrobust.results import SCORES
from art_weakrobust.testing.networks import linear, small_cnn

RADIUS = 0.1
LABELS_ONLY = {"one_hot": lambda z: nn.functional.one_hot(z.argmax(1), z.shape[1]).float()}


def test_the_flip_rate_of_a_linear_classifier_is_the_share_of_the_ball_beyond_its_boundary(build):
    """The pixel moves uniformly in +-radius: it is below 0.5 with probability (radius - distance) / (2 radius)."""
    pixels = np.repeat([0.5 + d for d in (0.001, 0.02, 0.05, 0.09, 0.12)], 40).astype(np.float32)
    scorer = neighborhood(RADIUS, neighbors=50, seed=3)
    scores = build.score_with(scorer, build.classifier(build.one_pixel(), 2), build.pixel_data(pixels))
    flips = scores["flips"].reshape(5, 40).sum(1) / (40 * 50)
    expected = np.clip((RADIUS - np.array([0.001, 0.02, 0.05, 0.09, 0.12])) / (2 * RADIUS), 0, None)
    assert np.all(np.abs(flips - expected) < 4.5 * np.sqrt(0.25 / 2000))
    assert flips[4] == 0


def test_margin_and_first_order_distance_of_a_linear_classifier_are_exact(build):
    pixels = np.array([0.5, 0.55, 0.7, 0.9], np.float32)
    estimator = build.classifier(build.one_pixel(slope=4.0), 2)
    for norm in (math.inf, 2.0):
        scores = build.score_with(neighborhood(RADIUS, norm, neighbors=2), estimator, build.pixel_data(pixels))
        assert np.allclose(scores["margin"][1:], 4 * (pixels[1:] - 0.5), atol=1e-6)
        assert np.allclose(scores["first_order_distance"][1:], pixels[1:] - 0.5, atol=1e-6)


def test_without_first_order_distances_nothing_is_differentiated_and_nothing_else_differs(build, trained, digit_data):
    with_them = build.score_with(neighborhood(RADIUS, neighbors=4), trained, digit_data).to_pandas()
    before = trained.gradients
    without = build.score_with(neighborhood(RADIUS, neighbors=4, first_order=False), trained, digit_data).to_pandas()
    assert trained.gradients == before
    assert without["first_order_distance"].isna().all()
    columns = ["status", "score", "flips", "neighbor_margin", "worst_neighbor"]
    assert without[columns].equals(with_them[columns])
    assert np.allclose(without["margin"], with_them["margin"], atol=1e-5)


@pytest.mark.parametrize("norm", [math.inf, 2.0])
def test_first_order_distance_is_the_distance_to_the_nearest_boundary(build, noise_data, norm):
    """Of several classes the one with the best other logit decides, as the margin does."""
    model = linear(build.shape, seed=2)
    x = torch.from_numpy(noise_data.take(np.arange(40)).x)
    label = model(x).argmax(1)
    data = ArrayDataset(x.numpy(), label.numpy(), class_names=tuple("0123456789"))
    scores = build.score_with(neighborhood(RADIUS, norm, neighbors=2), build.classifier(model), data)
    logits = model(x).detach()
    other = logits.scatter(1, label[:, None], -np.inf).argmax(1)
    slope = (model.linear.weight[label] - model.linear.weight[other]).detach()
    dual = torch.linalg.vector_norm(slope, 1 if norm == math.inf else 2, dim=1)
    gap = logits.gather(1, label[:, None])[:, 0] - logits.gather(1, other[:, None])[:, 0]
    assert np.allclose(scores["first_order_distance"], (gap / dual).numpy(), rtol=1e-4)


@pytest.mark.parametrize("norm", [math.inf, 2.0])
@pytest.mark.parametrize("quantise", [False, True])
def test_every_column_is_what_one_neighbor_at_a_time_gives(build, trained, digit_data, norm, quantise):
    radius = 0.3 if norm == math.inf else 1.5
    scorer = neighborhood(radius, norm, neighbors=9, quantise=quantise, seed=4)
    scores = build.score_with(scorer, trained, digit_data)
    samples = digit_data.take(np.arange(len(digit_data)))
    x, y, ids = torch.from_numpy(samples.x), torch.from_numpy(samples.y), torch.from_numpy(samples.ids)
    with torch.no_grad():
        clean = trained.model(x)
        around = torch.stack(
            [trained.model(neighbors(x, ids, i, radius, norm, 4, quantise=quantise)) for i in range(9)], 1
        )
    correct = (clean.argmax(1) == y).numpy()
    wrong = (around.argmax(2) != y[:, None]).numpy()
    confidence = np.where(wrong, around.softmax(2).amax(2).numpy(), 0)
    label = around.gather(2, y[:, None, None].expand(-1, 9, 1))[..., 0]
    gap = (label - around.scatter(2, y[:, None, None].expand(-1, 9, 1), -np.inf).amax(2)).numpy()
    assert 0.02 < wrong[correct].mean() < 0.9
    assert not correct.all()
    assert np.array_equal(scores["correct"].astype(bool), correct)
    assert np.allclose(scores["score"][correct], confidence.mean(1)[correct], atol=1e-5)
    assert np.array_equal(scores["flips"][correct], wrong.sum(1)[correct])
    assert np.allclose(scores["neighbor_margin"][correct], gap.min(1)[correct], atol=1e-4)
    assert np.array_equal(scores["found"][correct].astype(bool), wrong.any(1)[correct])
    worst = np.where(wrong.any(1), confidence.argmax(1), gap.argmin(1))
    assert (scores["worst_neighbor"][correct] == worst[correct]).mean() > 0.97  # ties within float32
    assert np.array_equal(scores["score"][correct], scores["misprediction_score"][correct])


def test_misclassified_samples_have_no_score_and_no_neighbors(build, trained, digit_data):
    before = trained.forwards
    scores = build.score_with(neighborhood(0.2, neighbors=7), trained, digit_data)
    wrong = ~scores["correct"].astype(bool)
    assert wrong.any()
    for name in ("score", "flips", "neighbors", "neighbor_margin", "worst_neighbor", "first_order_distance"):
        assert np.isnan(scores[name][wrong].astype(float)).all(), name
        assert np.isfinite(scores[name][~wrong].astype(float)).all(), name
    assert set(scores["status"][wrong]) == {"misclassified"}
    assert set(scores["status"][~wrong]) == {"ok"}
    assert (scores["margin"][wrong] < 0).all()
    asked = len(digit_data) + 7 * int((~wrong).sum())  # clean once, with the gradient of the margin, and neighbors
    assert trained.forwards - before == asked


def test_include_misclassified_scores_them_as_the_code_of_the_paper_does(build, trained, digit_data):
    left_out = build.score_with(neighborhood(0.2, neighbors=7), trained, digit_data)
    scores = build.score_with(neighborhood(0.2, neighbors=7, include_misclassified=True), trained, digit_data)
    wrong = ~scores["correct"].astype(bool)
    assert set(scores["status"]) == {"ok"}
    assert np.isfinite(scores["score"]).all()
    assert scores["score"][wrong].mean() > scores["score"][~wrong].mean()
    assert np.allclose(scores["score"][~wrong], left_out["score"][~wrong], atol=1e-6)


@pytest.mark.parametrize(("batch_size", "chunk_size"), [(1, 512), (7, 512), (13, 10), (256, 64)])
def test_neither_batches_nor_chunks_change_a_score(build, digit_data, batch_size, chunk_size):
    estimator = build.classifier(small_cnn(build.shape, seed=3))
    base = build.score_with(neighborhood(0.2, neighbors=5, batch_size=64), estimator, digit_data)
    other = build.score_with(neighborhood(0.2, neighbors=5, batch_size=batch_size), estimator, digit_data, chunk_size)
    assert base.table.num_rows == other.table.num_rows == len(digit_data)
    scored = np.isfinite(base["score"])
    assert scored.any()
    assert np.allclose(base["score"], other["score"], atol=1e-5, equal_nan=True)
    assert np.allclose(base["margin"], other["margin"], atol=1e-4)
    clear = np.abs(base["neighbor_margin"]) > 1e-4
    assert np.array_equal(base["found"][scored & clear], other["found"][scored & clear])


def test_two_runs_of_one_seed_are_the_same_and_another_seed_is_not(build, trained, digit_data):
    first, second, other = (
        build.score_with(neighborhood(0.2, neighbors=5, seed=seed), trained, digit_data) for seed in (1, 1, 2)
    )
    assert first.to_pandas().equals(second.to_pandas())
    assert not first.to_pandas().equals(other.to_pandas())


def test_a_sample_is_scored_alike_whatever_surrounds_it(build, trained, digit_data):
    whole = build.score_with(neighborhood(0.2, neighbors=5), trained, digit_data)
    ids = np.array([50, 3, 77])
    scorer = neighborhood(0.2, neighbors=5)
    table = scorer.build(trained)(trained, digit_data.take(ids))
    assert np.allclose(table.column("score").to_numpy(), whole["score"][ids], atol=1e-5, equal_nan=True)


def test_a_stock_classifier_gives_what_ours_gives(build, trained, digit_data):
    stock = build.classifier(trained.model, kind=PyTorchClassifier)
    ours, theirs = (build.score_with(neighborhood(0.2, neighbors=5), e, digit_data) for e in (trained, stock))
    assert np.allclose(ours["score"], theirs["score"], atol=1e-5, equal_nan=True)
    assert np.allclose(ours["first_order_distance"], theirs["first_order_distance"], rtol=1e-4, equal_nan=True)


@pytest.mark.parametrize("answer", [lambda z: z, lambda z: z.softmax(1)], ids=["logits", "probabilities"])
def test_a_black_box_gives_the_same_scores_and_no_first_order_distance(build, trained, digit_data, answer):
    box = build.black_box(trained, answer)
    ours, theirs = (build.score_with(neighborhood(0.2, neighbors=5), e, digit_data) for e in (trained, box))
    assert np.allclose(ours["score"], theirs["score"], atol=1e-4, equal_nan=True)
    assert np.allclose(ours["margin"], theirs["margin"], atol=1e-2)  # log-probabilities differ by a constant a row
    assert np.array_equal(ours["flips"], theirs["flips"], equal_nan=True)
    assert np.isnan(theirs["first_order_distance"]).all()


def test_a_black_box_that_gives_labels_alone_is_scored_by_its_flip_rate_and_has_no_margin(build, trained, digit_data):
    box = build.black_box(trained, LABELS_ONLY["one_hot"])
    ours, theirs = (build.score_with(neighborhood(0.3, neighbors=5), e, digit_data) for e in (trained, box))
    assert np.nanmax(theirs["score"]) > 0
    assert np.allclose(theirs["score"], ours["flips"] / 5, equal_nan=True)
    assert np.isnan(theirs["margin"]).all()
    assert np.isnan(theirs["neighbor_margin"]).all()


class Sometimes(nn.Module):
    """NaN for images whose first pixel is above 0.8."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, x):
        broken = x[:, 0, 0, 0] > 0.8
        return torch.where(broken[:, None], torch.nan, self.model(x))


def test_an_output_that_is_not_finite_is_an_error_and_no_score(build):
    pixels = np.array([0.6, 0.79, 0.9], np.float32)
    estimator = build.classifier(Sometimes(build.one_pixel()), 2)
    scores = build.score_with(neighborhood(0.05, neighbors=20), estimator, build.pixel_data(pixels))
    assert scores["status"][0] == "ok"
    assert all(status.startswith("error: ") for status in scores["status"][1:])
    assert np.isnan(scores["score"]).tolist() == [False, True, True]
    assert scores["found"].tolist() == [False, None, None]


def test_a_gradient_of_zero_gives_no_distance(build):
    estimator = build.classifier(linear(build.shape, weight=torch.zeros(2, 64), bias=torch.tensor([0.0, 2.0])), 2)
    scores = build.score_with(neighborhood(0.1, neighbors=3), estimator, build.pixel_data(np.array([0.6], np.float32)))
    assert scores["margin"][0] == 2
    assert np.isnan(scores["first_order_distance"][0])


def test_the_model_is_left_in_the_mode_and_with_the_gradients_that_it_had(build, digit_data):
    model = small_cnn(build.shape, seed=3)
    estimator = build.classifier(model)
    model.train()
    statistics = model[1].running_mean.clone()
    build.score_with(neighborhood(0.2, neighbors=3), estimator, digit_data)
    assert model.training
    assert torch.equal(model[1].running_mean, statistics)
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


def test_rows_conform_to_the_schema_and_name_the_scorer(build, trained, digit_data):
    scores = build.score_with(neighborhood(0.2, neighbors=3), trained, digit_data)
    assert scores.table.schema.equals(SCORES)
    assert set(scores["scorer"]) == {"neighborhood"}
    assert scores["index"].tolist() == list(range(len(digit_data)))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"radius": 0}, "radius 0.0 has to be above 0"),
        ({"radius": "wide"}, "radius 'wide' is not a number"),
        ({"radius_norm": 1}, "radius_norm 1 has no neighborhood"),
        ({"neighbors": 0}, "neighbors 0 has to be a whole number from 1"),
        ({"neighbors": 2.5}, "neighbors 2.5"),
        ({"batch_size": 0}, "batch_size 0"),
    ],
)
def test_values_out_of_range_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        neighborhood(**options)


def test_eight_255ths_are_understood(build, trained, digit_data):
    written, number = (
        build.score_with(neighborhood(radius, neighbors=3), trained, digit_data) for radius in ("64/255", 64 / 255)
    )
    assert written.to_pandas().equals(number.to_pandas())


def test_a_label_that_is_no_class_of_the_model_is_named(build):
    data = ArrayDataset(np.full((3, *build.shape), 0.5, np.float32), np.array([0, 1, 4]))
    with pytest.raises(DataError, match="label 4 of sample 2 is none of the model's 2 classes"):
        build.score_with(neighborhood(0.1), build.classifier(build.one_pixel(), 2), data)


def test_a_model_with_a_single_output_is_refused(build):
    estimator = build.classifier(linear(build.shape, num_classes=1), 2)
    with pytest.raises(ModelError, match="1 column"):
        build.score_with(neighborhood(0.1), estimator, build.pixel_data(np.array([0.6], np.float32)))
