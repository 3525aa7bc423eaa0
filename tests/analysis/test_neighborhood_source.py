"""Neighbors from noise and from corruptions: keyed, in range, and found by name."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from art_weakrobust.analysis.gallery import weakest_samples
from art_weakrobust.analysis.neighborhood import neighborhood
from art_weakrobust.analysis.neighborhood_source import Corrupted, Gaussian, Uniform, source_named
from art_weakrobust.errors import PluginError, UsageError
from art_weakrobust.kernels import keyed
from art_weakrobust.plugins.manager import Manager
from art_weakrobust.selection import select

IDS = torch.arange(300) * 7
OPTIONS = {"radius": 0.1, "radius_norm": math.inf, "seed": 3, "quantise": False}


@pytest.fixture(scope="module")
def manager() -> Manager:
    return Manager(third_party=False)


@pytest.fixture(scope="module")
def x() -> torch.Tensor:
    return keyed.uniform(IDS, 0, (3, 8, 8), 5)


def darken(x, ids, severity, seed):
    """Takes away a hundredth a severity, and as much again at random."""
    return x - 0.01 * severity * (1 + keyed.uniform(ids, severity, (1, 1, 1), seed))


def grainy(x, ids, severity, seed):
    return x + 0.1 * severity * keyed.normal(ids, severity, x.shape[1:], seed)


def scored(build, estimator, data, **options):
    return build.score_with(neighborhood(**options), estimator, data)


def test_a_name_gives_its_source(manager):
    assert source_named("uniform", **OPTIONS) == Uniform(radius=0.1, norm=math.inf, seed=3)
    assert source_named("gaussian", **OPTIONS) == Gaussian(radius=0.1, seed=3)
    corrupted = source_named("fog", **OPTIONS, plugins=manager)
    assert isinstance(corrupted, Corrupted)
    assert corrupted.kind.name == "fog"
    assert source_named(darken, **OPTIONS, plugins=manager).kind.corruption is darken


@pytest.mark.parametrize("name", ["uniform", "gaussian", "gaussian_noise", darken])
def test_neighbors_are_the_same_in_any_batch_and_order_and_lie_in_range(name, manager, x):
    source = source_named(name, **OPTIONS, plugins=manager)
    index = torch.arange(300) % 50
    whole = source(x, IDS, index)
    assert 0 <= whole.min() < whole.max() <= 1
    cuts = [slice(0, 1), slice(1, 170), slice(170, 300)]
    assert torch.equal(whole, torch.cat([source(x[cut], IDS[cut], index[cut]) for cut in cuts]))
    assert torch.equal(whole.flip(0), source(x.flip(0), IDS.flip(0), index.flip(0)))


@pytest.mark.parametrize("name", ["uniform", "gaussian", "gaussian_noise", darken])
def test_images_laid_out_channels_last_have_the_same_neighbors(name, manager, x):
    source = source_named(name, **OPTIONS, plugins=manager)
    assert torch.equal(source(x, IDS, 4), source(x.contiguous(memory_format=torch.channels_last), IDS, 4))


@pytest.mark.parametrize("name", ["uniform", "gaussian", "gaussian_noise", darken])
def test_neither_two_neighbors_nor_two_seeds_share_their_noise(name, manager):
    grey = torch.full((300, 3, 8, 8), 0.5)
    source, other = (source_named(name, **{**OPTIONS, "seed": seed}, plugins=manager) for seed in (3, 4))
    first, second, third = source(grey, IDS, 0), source(grey, IDS, 1), other(grey, IDS, 0)
    for a, b in ((first, second), (first, third)):
        assert not torch.equal(a, b)
        noise = np.corrcoef((a - a.mean()).flatten(), (b - b.mean()).flatten())[0, 1]
        assert abs(noise) < 0.2  # a corruption's severity is common to the pixels of an image: 300 draws


def test_severities_are_drawn_alike_for_every_neighbor(manager):
    source = source_named("contrast", **OPTIONS, plugins=manager)
    severity = torch.stack([source.severity(IDS, index) for index in range(20)])
    counts = np.bincount(severity.flatten(), minlength=6)
    assert counts[0] == 0
    assert np.all(np.abs(counts[1:] / severity.numel() - 0.2) < 4.5 * math.sqrt(0.16 / severity.numel()))


def test_a_neighbor_is_the_corruption_at_the_drawn_severity(manager, x):
    source = source_named("brightness", **OPTIONS, plugins=manager)
    severity, made = source.severity(IDS, 2), source(x, IDS, 2)
    for level in range(1, 6):
        rows = severity == level
        assert torch.equal(made[rows], source.kind.corruption(x[rows], IDS[rows], level, 0).clamp(0, 1))


def test_quantised_neighbors_are_8_bit_levels(manager, x):
    for name in ("gaussian", darken):
        made = source_named(name, **{**OPTIONS, "quantise": True}, plugins=manager)(x, IDS, 0)
        assert torch.equal(made, (made * 255).round() / 255)


def test_samples_are_scored_against_a_corruption(build, trained, digit_data, manager):
    scores = scored(build, trained, digit_data, neighbor_source="gaussian_noise", neighbors=6, plugins=manager)
    finite = np.isfinite(scores["score"])
    assert 0 < (scores["flips"][finite] > 0).mean() < 1
    again = scored(
        build, trained, digit_data, neighbor_source="gaussian_noise", neighbors=6, plugins=manager, batch_size=17
    )
    assert np.array_equal(scores["flips"], again["flips"], equal_nan=True)


def test_a_worst_neighbor_of_a_corruption_is_shown_as_it_was_judged(build, trained, digit_data, manager):
    scorer = neighborhood(neighbor_source=grainy, quantise=True, neighbors=6, plugins=manager)
    scores = build.score_with(scorer, trained, digit_data)
    weak = select(scores, top_k=5)
    rows = weakest_samples(scores, weak, trained, None, digit_data, source=scorer.build(trained).source).to_pylist()
    labels = digit_data.take(np.array([row["index"] for row in rows])).y
    mistaken = [np.argmax(row["p_neighbor_before"]) != y for row, y in zip(rows, labels, strict=True)]
    assert len(mistaken) == 5
    assert all(mistaken)


def test_the_registry_hands_the_name_to_the_scorer(manager):
    offered = {"neighbor_source": "fog", "plugins": manager, "seed": 5}
    made = manager.make("scorer", "neighborhood", offered=offered).build(None).source
    assert (made.kind.name, made.seed) == ("fog", 5)
    written = manager.make("scorer", "neighborhood", written={"neighbor_source": "gaussian"}, offered=offered)
    assert isinstance(written.build(None).source, Gaussian)


@pytest.mark.parametrize("name", ["fgo", "", "uniformly", "cifar10-c:/nowhere"])
def test_an_unknown_name_is_refused_with_those_that_are_known(name, manager):
    with pytest.raises(UsageError, match=r"neighbor_source .* is not known; use one of uniform, gaussian, brightness"):
        source_named(name, **OPTIONS, plugins=manager)


def test_a_corruption_that_changes_the_shape_is_named(manager, x):
    source = source_named({"grey": lambda x, ids, severity, seed: x[:, :1]}, **OPTIONS, plugins=manager)
    with pytest.raises(PluginError, match=r"corruption 'grey' gave .* has to keep the shape"):
        source(x, IDS, 0)
