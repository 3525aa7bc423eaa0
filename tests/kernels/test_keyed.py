"""Keyed random numbers: distribution, independence, avalanche, and what they must not depend on."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from art_weakrobust.kernels import keyed

SHAPE = (3, 8, 8)


def draw(ids=range(2000), index=0, shape=SHAPE, seed=0, function=keyed.uniform) -> np.ndarray:
    return function(torch.as_tensor(list(ids)), index, shape, seed).numpy()


def correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Pearson's, in standard errors of independent values."""
    return float(np.corrcoef(a.ravel(), b.ravel())[0, 1] * np.sqrt(a.size))


@pytest.mark.parametrize("seed", [0, 1, -7, 2**80])
def test_uniform_numbers_fill_the_unit_interval_evenly(seed):
    u = draw(seed=seed)
    assert u.dtype == np.float32
    assert u.min() >= 0
    assert u.max() < 1
    counts = np.bincount((u.ravel() * 256).astype(int), minlength=256)
    assert stats.chisquare(counts).pvalue > 1e-4
    assert stats.kstest(u.ravel()[:50_000].astype(np.float64), "uniform").pvalue > 1e-4


def test_uniform_numbers_have_24_bits_and_the_lowest_are_as_even_as_the_highest():
    k = (draw().astype(np.float64) * 2**24).ravel()
    assert np.array_equal(k, np.round(k))
    for bit in range(24):
        ones = int(((k.astype(np.int64) >> bit) & 1).sum())
        assert stats.binomtest(ones, k.size).pvalue > 1e-5, bit


def test_each_lane_is_uniform_over_samples_and_each_sample_over_lanes():
    u = draw(range(4000), shape=(64,))
    lanes = [stats.kstest(u[:, lane], "uniform").pvalue for lane in range(64)]
    samples = [stats.kstest(row, "uniform").pvalue for row in u[:200]]
    assert min(lanes) > 1e-5
    assert min(samples) > 1e-5
    assert stats.kstest(lanes, "uniform").pvalue > 1e-4


def test_pairs_of_lanes_fill_the_square_evenly():
    u = draw(shape=(256,))
    cells = (u[:, ::2] * 16).astype(int) * 16 + (u[:, 1::2] * 16).astype(int)
    assert stats.chisquare(np.bincount(cells.ravel(), minlength=256)).pvalue > 1e-4


@pytest.mark.parametrize("apart", [1, 2, 8, 64, 100])
def test_lanes_are_uncorrelated(apart):
    u = draw()
    flat = u.reshape(len(u), -1)
    assert abs(correlation(flat[:, apart:], flat[:, :-apart])) < 4.5


@pytest.mark.parametrize("apart", [1, 2, 256, 65_536, 2**31, 2**32, 2**40])
def test_ids_are_uncorrelated_however_far_apart(apart):
    ids = np.arange(1000)
    assert abs(correlation(draw(ids), draw(ids + apart))) < 4.5


@pytest.mark.parametrize(
    ("a", "b"), [((0, 0), (0, 1)), ((0, 0), (1, 0)), ((0, 1), (1, 0)), ((0, 7), (0, 8)), ((5, 0), (-5, 0))]
)
def test_neighbor_indices_and_seeds_are_uncorrelated(a, b):
    one, other = (draw(seed=seed, index=index) for seed, index in (a, b))
    assert abs(correlation(one, other)) < 4.5


def test_id_and_index_do_not_change_places():
    assert not np.array_equal(draw([3], index=5), draw([5], index=3))


def test_one_bit_of_the_key_flips_half_of_the_bits():
    ids = torch.arange(500)
    base = keyed.bits(ids, 0, (64,), 0).numpy()
    for bit in (0, 1, 5, 15, 31, 32, 47):
        for other in (keyed.bits(ids ^ (1 << bit), 0, (64,), 0), keyed.bits(ids, 1 << bit, (64,), 0)):
            flipped = np.unpackbits((base ^ other.numpy()).view(np.uint8).reshape(-1, 4), axis=1)
            assert abs(flipped.mean() - 0.5) < 0.003
            assert np.abs(flipped.mean(axis=0) - 0.5).max() < 0.02


def test_no_two_draws_share_their_numbers():
    k = np.concatenate([draw(range(300), index=i, shape=(4,)) for i in range(30)])
    assert len(np.unique(k, axis=0)) == len(k)


@settings(max_examples=25, deadline=None)
@given(
    ids=st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=40),
    index=st.integers(0, 2**40),
    seed=st.integers(-(2**70), 2**70),
    cut=st.integers(0, 40),
    function=st.sampled_from([keyed.uniform, keyed.symmetric, keyed.normal, keyed.bits]),
)
def test_numbers_are_bitwise_the_same_however_a_batch_is_cut(ids, index, seed, cut, function):
    ids = torch.tensor(ids)
    whole = function(ids, index, (3, 5), seed)
    parts = [function(part, index, (3, 5), seed) for part in (ids[:cut], ids[cut:])]
    assert torch.equal(whole, torch.cat(parts))
    assert torch.equal(whole.flip(0), function(ids.flip(0), torch.full((len(ids),), index), (3, 5), seed))


@pytest.mark.parametrize("function", [keyed.uniform, keyed.normal])
def test_a_batch_beyond_the_cache_block_equals_its_single_samples(function):
    ids = torch.arange(70) * 11
    whole = function(ids, 4, (3, 40, 40), 9)
    assert torch.equal(whole, torch.cat([function(i[None], 4, (3, 40, 40), 9) for i in ids]))


@pytest.mark.parametrize("function", [keyed.symmetric, keyed.normal])
def test_memory_laid_out_channels_last_holds_the_same_numbers(function):
    ids = torch.arange(70)
    last = function(ids, 4, (3, 40, 30), 9, channels_last=True)
    assert last.is_contiguous(memory_format=torch.channels_last)
    assert torch.equal(last, function(ids, 4, (3, 40, 30), 9))


def test_a_stream_does_not_depend_on_the_shape_but_on_the_lane():
    assert np.array_equal(draw([1, 2], shape=(12,)), draw([1, 2], shape=(3, 2, 2)).reshape(2, 12))
    assert np.array_equal(draw([1, 2], shape=(12,)), draw([1, 2], shape=(20,))[:, :12])


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("function", [keyed.uniform, keyed.symmetric, keyed.normal, keyed.bits])
def test_numbers_are_bitwise_the_same_on_a_gpu(function):
    ids = torch.arange(100)
    assert torch.equal(function(ids, 3, SHAPE, 1), function(ids.cuda(), 3, SHAPE, 1).cpu())


def test_known_values_stay_as_they_were():
    """A run that is resumed with another version of the package would mix two streams: these never change."""
    assert keyed.bits(torch.tensor([0, 1, -1]), 2, (2,), 3).tolist() == [
        [1241370322, 321906487],
        [741416212, 349238663],
        [-1530864481, -1805471734],
    ]
    assert keyed.derive(0, "a", 1) == 7965780462979794708


def test_normal_numbers_are_standard_normal():
    z = draw(function=keyed.normal)
    assert stats.kstest(z.ravel()[:100_000].astype(np.float64), "norm").pvalue > 1e-4
    assert abs(z.mean()) < 4.5 / np.sqrt(z.size)
    assert abs(z.std() - 1) < 4.5 / np.sqrt(2 * z.size)
    assert abs((z**4).mean() - 3) < 4.5 * np.sqrt(96 / z.size)


def test_normal_numbers_are_the_inverse_distribution_of_their_bits():
    bits = draw(function=keyed.bits, ids=range(500)).astype(np.int64)
    k = (bits >> 8) & 0x7FFFFF
    exact = -stats.norm.ppf((2 * k + 1) * 2.0**-25) * np.where(bits < 0, -1, 1)
    assert np.abs(draw(function=keyed.normal, ids=range(500)) - exact).max() < 3e-6


def test_symmetric_numbers_are_uniform_ones_stretched():
    assert np.array_equal(draw(function=keyed.symmetric), 2 * draw() - 1)


def test_the_global_random_state_is_neither_read_nor_changed():
    before = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    first = draw(function=keyed.normal)
    assert torch.equal(torch.get_rng_state(), before[0])
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert random.getstate() == before[2]
    with torch.random.fork_rng():
        torch.manual_seed(99)
        assert np.array_equal(draw(function=keyed.normal), first)


def test_an_empty_batch_gives_an_empty_draw():
    assert draw([]).shape == (0, *SHAPE)


@given(st.integers(), st.lists(st.one_of(st.integers(-(2**70), 2**70), st.text(max_size=5)), max_size=3))
@settings(max_examples=30, deadline=None)
def test_derived_seeds_are_stable_and_tell_purposes_apart(seed, words):
    one = keyed.derive(seed, *words)
    assert 0 <= one < 2**63
    assert one == keyed.derive(seed, *words)
    assert (
        len({one, keyed.derive(seed + 1, *words), keyed.derive(seed, *words, 1), keyed.derive(seed, *words, "1")}) == 4
    )
