from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from art_weakrobust.results import WEAK_SET, WeakSet, conform
from art_weakrobust.training.sampling import batches, draw_epoch, draw_types, odds_of, sample_weights, weak_by_error

IDS = np.arange(100, 300)


def weak_set(**roles: dict[int, float]) -> WeakSet:
    rows = [(i, role, w) for role, members in roles.items() for i, w in members.items()]
    index, role, weight = zip(*rows, strict=True)
    return WeakSet(conform(pa.table({"index": index, "role": role, "weight": weight}), WEAK_SET))


@given(seed=st.integers(0, 2**40), epoch=st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_equal_weights_give_a_permutation_whatever_their_value(seed, epoch):
    for value in (1.0, 0.3, 7.0):
        assert sorted(draw_epoch(IDS, np.full(len(IDS), value), seed, epoch)) == IDS.tolist()


def test_a_weak_weight_of_one_draws_exactly_what_no_weak_set_draws():
    weak = weak_set(tune={100: 1.0, 150: 1.0}, held_out={400: 1.0})

    control = draw_epoch(IDS, sample_weights(IDS, weak, 1.0), 0, 0)

    np.testing.assert_array_equal(control, draw_epoch(IDS, sample_weights(IDS, None, 5.0), 0, 0))


@given(seed=st.integers(0, 1000), weights=st.lists(st.floats(0.1, 20.0), min_size=2, max_size=60))
@settings(max_examples=30, deadline=None)
def test_every_sample_comes_as_often_as_its_weight_says_rounded_up_or_down(seed, weights):
    ids, share = np.arange(len(weights)), np.array(weights) / np.mean(weights)

    drawn = draw_epoch(ids, np.array(weights), seed, 0)

    counts = np.bincount(drawn, minlength=len(ids))
    assert counts.sum() == len(ids)
    assert (np.abs(counts - share) < 1 + 1e-9).all()


def test_every_epoch_and_seed_has_an_order_of_its_own_and_keeps_it():
    weights = np.ones(len(IDS))

    first = draw_epoch(IDS, weights, 0, 0)

    np.testing.assert_array_equal(first, draw_epoch(IDS, weights, 0, 0))
    assert (first != draw_epoch(IDS, weights, 0, 1)).any()
    assert (first != draw_epoch(IDS, weights, 1, 0)).any()


def test_only_the_tune_half_is_weighted_by_its_rows_weight():
    weak = weak_set(tune={101: 1.0, 102: 3.0}, held_out={103: 1.0}, control={104: 1.0})

    weights = dict(zip(IDS.tolist(), sample_weights(IDS, weak, 2.0), strict=True))

    assert (weights[101], weights[102]) == (2.0, 6.0)
    assert {weights[i] for i in IDS.tolist() if i not in (101, 102)} == {1.0}


@given(n=st.integers(1, 500), size=st.integers(1, 130))
def test_batches_are_of_nearly_one_size_and_hold_everything_in_order(n, size):
    cut = batches(np.arange(n), size)

    assert np.concatenate(cut).tolist() == list(range(n))
    assert max(map(len, cut)) <= size
    assert max(map(len, cut)) - min(map(len, cut)) <= 1


def test_a_weak_type_is_drawn_three_times_as_often():
    drawn = Counter(draw_types(odds_of(["a", "b", "c"], ["b"], 3.0), 10_000, np.random.default_rng(0)))

    assert drawn["b"] / 10_000 == pytest.approx(0.6, abs=0.02)
    assert drawn["a"] / 10_000 == pytest.approx(0.2, abs=0.02)


def test_weak_is_the_type_whose_error_is_above_its_familys_mean():
    wrong = np.arange(200) % 10 < np.array([[1], [1], [6]])  # 10 %, 10 % and 60 % wrong

    assert weak_by_error(dict(zip("abc", wrong, strict=True)), seed=0) == ["c"]


def test_types_that_differ_by_chance_alone_are_not_weak():
    wrong = np.random.default_rng(0).random((4, 200)) < 0.3

    assert weak_by_error(dict(zip("abcd", wrong, strict=True)), seed=0) == []


def test_a_family_of_two_has_no_weak_type():
    assert weak_by_error({"a": np.zeros(50, bool), "b": np.ones(50, bool)}, seed=0) == []
