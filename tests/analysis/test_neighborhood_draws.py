"""Neighbors ``[first, last)`` of any samples: put together, ranges are what one whole range is."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch

from art_weakrobust.analysis import neighborhood_draws
from art_weakrobust.analysis.neighborhood import neighborhood
from art_weakrobust.analysis.neighborhood_draws import COLUMNS, NeighborRows, joined
from art_weakrobust.analysis.neighborhood_source import Gaussian, Uniform
from art_weakrobust.analysis.outputs import Asked
from art_weakrobust.errors import UsageError
from art_weakrobust.testing.networks import small_cnn

SOURCE = Uniform(radius=0.3, seed=4)


def rows(estimator, samples, first, last, batch_size=64):
    return NeighborRows(source=SOURCE, first=first, last=last, batch_size=batch_size)(estimator, samples)


@pytest.fixture(scope="module")
def samples(digit_data):
    return digit_data.take(np.arange(60))


def same(a, b):
    """Compare rows: counts and numbers exactly, sums of answers within what a matrix product moves."""
    for name in COLUMNS.names:
        left, right = (table.column(name).to_numpy() for table in (a, b))
        within = 1e-5 if left.dtype.kind == "f" else 0
        assert np.allclose(left, right, rtol=0, atol=within), name


@pytest.mark.parametrize("cuts", [(0, 9), (0, 1, 9), (0, 1, 4, 8, 9)])
def test_ranges_join_to_the_whole(trained, samples, cuts):
    whole = rows(trained, samples, 0, 9)
    assert whole.column("flips").to_numpy().max() > 0
    parts = [rows(trained, samples, a, b) for a, b in pairwise(cuts)]
    same(joined(parts), whole)


def test_each_range_may_be_of_fewer_samples(trained, samples):
    fewer = np.arange(0, 60, 3)
    table = joined([rows(trained, samples, 0, 4), rows(trained, samples[fewer], 4, 9)])
    assert table.column("index").to_pylist() == samples.ids.tolist()
    assert table.column("neighbors").to_numpy()[fewer].tolist() == [9] * 20
    same(table.take(fewer), rows(trained, samples[fewer], 0, 9))


def test_rounds_make_the_scores_that_one_pass_makes(build, trained, digit_data):
    function = neighborhood(0.3, neighbors=9, seed=4).build(trained)
    samples = digit_data.take(np.arange(len(digit_data)))
    clean = function.clean(trained, samples)
    right = samples[np.flatnonzero(clean.column("status").to_numpy(zero_copy_only=False) == "ok")]
    parts = [function.around(a, b)(trained, right) for a, b in ((0, 1), (1, 4), (4, 9))]
    rounds, whole = function.scored(clean, joined(parts)).to_pandas(), function(trained, samples).to_pandas()
    for name in ("flips", "worst_neighbor", "status", "found", "neighbors"):
        assert rounds[name].equals(whole[name]), name
    for name in ("score", "neighbor_margin", "first_order_distance", "margin"):
        assert np.allclose(rounds[name], whole[name], atol=1e-5, equal_nan=True), name


def test_sums_of_scores_are_exact_so_that_no_order_shows():
    """Misprediction scores are 0 or between 1/K and 1: 50 float32 numbers of few exponents, exact in float64."""
    scores = np.random.default_rng(0).uniform(0.1, 1, (100, 50)).astype(np.float32).astype(np.float64)
    assert np.array_equal(scores.sum(1), scores[:, ::-1].cumsum(1)[:, -1])


def test_answers_in_memory_are_bounded_and_change_nothing(trained, samples, monkeypatch):
    whole = rows(trained, samples, 0, 9)
    monkeypatch.setattr(neighborhood_draws, "PAIRS", 40)  # four samples at a time
    same(rows(trained, samples, 0, 9), whole)
    monkeypatch.setattr(neighborhood_draws, "PAIRS", 1)
    same(rows(trained, samples[np.arange(5)], 0, 9), whole.slice(0, 5))


def test_a_convolutional_network_gets_neighbors_in_its_own_memory_format(build):
    """Nothing is copied before the first convolution of a network that takes its images channels last."""
    asked = Asked.of(build.classifier(small_cnn((3, 8, 8)), shape=(3, 8, 8)))
    x = asked.arranged(torch.rand(5, 3, 8, 8, generator=torch.Generator().manual_seed(0)))
    assert x.is_contiguous(memory_format=torch.channels_last)
    for source in (SOURCE, Uniform(radius=0.3, norm=2.0), Gaussian(radius=0.3)):
        assert source(x, torch.arange(5), 0).is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first": 3, "last": 3}, "neighbors 3 to 3 are none"),
        ({"first": -1, "last": 3}, "neighbors -1 to 3"),
        ({"last": 3, "batch_size": 0}, "batch_size 0"),
    ],
)
def test_ranges_that_are_none_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        NeighborRows(**{"source": SOURCE, "batch_size": 8, **options})
