"""The radius at which a wanted share of samples has an error nearby; of one pixel's classifier it is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from art_weakrobust import suggest_radius
from art_weakrobust.errors import DataError, UsageError
from art_weakrobust.kernels import keyed
from art_weakrobust.statistics import wilson

NEIGHBORS, SEED = 10, 3


@pytest.fixture(scope="module")
def classifier(build):
    return build.classifier(build.one_pixel(), classes=2)


@pytest.fixture(scope="module")
def pixels():
    return np.linspace(0.51, 0.9, 120).astype(np.float32)


def first_errors(pixels, shape):
    """The radius from which each sample has an error: its pixel falls below a half at its lowest noise."""
    ids = torch.arange(len(pixels))
    lowest = torch.stack([keyed.symmetric(ids, number, shape, SEED)[:, 0, 0, 0] for number in range(NEIGHBORS)]).amin(0)
    return (pixels - 0.5) / -lowest.numpy()


def test_the_curve_is_that_of_the_known_classifier_and_the_radius_has_enough(build, classifier, pixels):
    found = suggest_radius(classifier, build.pixel_data(pixels), share=0.3, neighbors=NEIGHBORS, seed=SEED)
    known = first_errors(pixels, build.shape)
    for point in found.curve:
        k = int((known < point["radius"]).sum())
        assert point["share"] == pytest.approx(k / 120, abs=1e-9)
        assert (point["n"], point["lower"], point["upper"]) == (120, *wilson(k, 120))
    enough = [point["radius"] for point in found.curve if point["share"] >= 0.3]
    assert found.radius == min(enough)
    assert found.share == pytest.approx(0.3, abs=0.05)
    assert found.wanted == 0.3


def test_more_noise_of_the_same_draw_never_mends_a_sample_here(build, classifier, pixels):
    curve = suggest_radius(classifier, build.pixel_data(pixels), neighbors=NEIGHBORS).curve
    radii, shares = ([point[name] for point in curve] for name in ("radius", "share"))
    assert radii == sorted(set(radii))
    assert shares == sorted(shares)


@pytest.mark.parametrize("options", [{"radius_norm": 2}, {"neighbor_source": "gaussian"}, {"quantise": True}])
def test_every_source_with_a_radius_has_one_to_suggest(build, classifier, pixels, options):
    found = suggest_radius(classifier, build.pixel_data(pixels), neighbors=NEIGHBORS, share=0.5, **options)
    assert found.share >= 0.5
    assert found.radius in [point["radius"] for point in found.curve]


def test_arrays_are_taken_and_so_many_samples_are_drawn(build, classifier, pixels):
    data = build.pixel_data(pixels)
    whole = data.take(np.arange(120))
    found = suggest_radius(classifier, whole.x, whole.y, samples=30, neighbors=NEIGHBORS)
    assert found.n == 30
    assert found == suggest_radius(classifier, data, samples=30, neighbors=NEIGHBORS)
    assert found != suggest_radius(classifier, data, samples=30, neighbors=NEIGHBORS, seed=1)


def test_samples_that_are_wrong_when_clean_leave(build, classifier, pixels):
    pixels = np.concatenate([pixels, np.full(20, 0.2, np.float32)])
    assert suggest_radius(classifier, build.pixel_data(pixels), neighbors=NEIGHBORS).n == 120


def test_samples_that_never_err_have_no_radius(build):
    safe = build.classifier(build.one_pixel(slope=0.0), classes=2)
    with torch.no_grad():
        safe.model.linear.bias[1] = 1.0
    with pytest.raises(UsageError, match="0 of 10 samples have an error nearby at radius 1, fewer than the 20% wanted"):
        suggest_radius(safe, build.pixel_data(np.full(10, 0.7, np.float32)), neighbors=3)


def test_samples_that_always_err_have_no_radius(build, classifier):
    edge = build.pixel_data(np.full(10, np.nextafter(np.float32(0.5), np.float32(1)), np.float32))
    with pytest.raises(UsageError, match=r"10 of 10 samples .* at least the 20% wanted, and none smaller is tried"):
        suggest_radius(classifier, edge, neighbors=NEIGHBORS)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"neighbor_source": "fog"}, "'fog' has severities and no radius"),
        ({"share": 0}, "share=0 has to be above 0"),
        ({"share": 1.0}, "share=1.0 has to be above 0 and below 1"),
        ({"samples": 0}, "samples=0"),
        ({"radius_norm": 1}, "radius_norm 1 has no neighborhood"),
    ],
)
def test_what_has_no_answer_is_refused(build, classifier, pixels, options, message):
    with pytest.raises(UsageError, match=message):
        suggest_radius(classifier, build.pixel_data(pixels), neighbors=3, **options)


def test_without_a_sample_that_is_right_there_is_nothing_to_measure(build, classifier):
    with pytest.raises(DataError, match="none of the 5 samples is classified correctly"):
        suggest_radius(classifier, build.pixel_data(np.full(5, 0.2, np.float32)))
