"""Intervals and tests against published examples, closed forms and scipy; coverage by simulation."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from art_weakrobust.statistics import (
    bootstrap_difference,
    bootstrap_mean,
    holm,
    mcnemar,
    most_hidden,
    newcombe,
    paired_bootstrap,
    share_of,
    sign_flip_test,
    sign_test,
    smallest_audit,
    wilson,
)

# Newcombe (1998), table II: examples (a) to (h), method 10.
NEWCOMBE = [
    ((56, 70, 48, 80), (0.0524, 0.3339)),
    ((9, 10, 3, 10), (0.1705, 0.8090)),
    ((6, 7, 2, 7), (0.0582, 0.8062)),
    ((5, 56, 0, 29), (-0.0381, 0.1926)),
    ((0, 10, 0, 20), (-0.1611, 0.2775)),
    ((0, 10, 0, 10), (-0.2775, 0.2775)),
    ((10, 10, 0, 20), (0.6791, 1.0000)),
    ((10, 10, 0, 10), (0.6075, 1.0000)),
]


@pytest.mark.parametrize(("k", "n"), [(0, 7), (1, 7), (15, 148), (500, 1000), (10_000, 10_000)])
@pytest.mark.parametrize("confidence", [0.9, 0.95])
def test_wilson_is_scipys(k, n, confidence):
    expected = stats.binomtest(k, n).proportion_ci(confidence, method="wilson")
    assert wilson(k, n, confidence=confidence) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_wilson_of_nothing_is_unknown():
    assert np.isnan(wilson(0, 0)).all()
    assert np.isnan(wilson(math.nan, 10)).all()


@given(st.integers(1, 500), st.floats(0, 1))
@settings(max_examples=50, deadline=None)
def test_wilson_holds_its_share_and_stays_in_the_unit_interval(n, share):
    k = share * n
    lower, upper = wilson(k, n)
    assert 0 <= lower <= k / n <= upper <= 1
    assert lower < upper


@pytest.mark.parametrize(("k", "n"), [(-1, 5), (6, 5)])
def test_wilson_refuses_an_impossible_count(k, n):
    with pytest.raises(ValueError, match=f"k={k} has to lie between 0 and n={n}"):
        wilson(k, n)


@pytest.mark.parametrize("confidence", [0, 1, 95])
def test_a_confidence_that_is_no_share_is_refused(confidence):
    with pytest.raises(ValueError, match="confidence"):
        wilson(1, 2, confidence=confidence)
    with pytest.raises(ValueError, match="confidence"):
        bootstrap_mean([0.0, 1.0], 0, confidence=confidence)


@pytest.mark.parametrize(("counts", "expected"), NEWCOMBE)
def test_newcombe_gives_the_published_intervals(counts, expected):
    assert newcombe(*counts) == pytest.approx(expected, abs=5e-5)


def test_newcombe_of_an_empty_group_is_unknown():
    assert np.isnan(newcombe(1, 2, 0, 0)).all()


def test_newcombe_turns_its_sign_when_the_groups_are_swapped():
    lower, upper = newcombe(30, 50, 11, 40)
    assert newcombe(11, 40, 30, 50) == pytest.approx((-upper, -lower))


@pytest.mark.parametrize(
    ("gained", "lost", "p"), [(0, 0, 1.0), (5, 0, 2 / 32), (0, 5, 2 / 32), (3, 1, 10 / 16), (4, 4, 1)]
)
def test_mcnemar_is_twice_the_binomial_tail(gained, lost, p):
    assert mcnemar(gained, lost) == pytest.approx(p)


def test_sign_test_looks_at_signs_alone_and_drops_ties_and_unknown():
    assert sign_test([0.2, 0.9, 0.1, 0, 0, math.nan, 7, 3]) == pytest.approx(2 / 2**5)
    assert sign_test([0, 0]) == 1.0
    assert math.isnan(sign_test([]))
    assert math.isnan(sign_test([math.nan]))


def exact_sign_flip(values):
    sums = [abs(np.dot(signs, values)) for signs in product((-1, 1), repeat=len(values))]
    return np.mean(np.asarray(sums) >= abs(sum(values)) - 1e-9)


@pytest.mark.parametrize("values", [[1, 1, 1, 1, 1, -1], [0.3, 0.1, -0.05, 0.2, 0.7, 0.0, 0.4], [0.2] * 10])
def test_sign_flip_test_approaches_all_flips(values):
    assert sign_flip_test(values, 0) == pytest.approx(exact_sign_flip(values), abs=0.015)


def test_sign_flip_test_never_gives_zero():
    assert sign_flip_test(np.ones(200), 3, flips=99) == 1 / 100


def test_sign_flip_test_of_no_difference_is_one_and_of_nothing_unknown():
    assert sign_flip_test(np.zeros(5), 0) == 1.0
    assert math.isnan(sign_flip_test([math.nan], 0))


def test_sign_flip_test_keeps_its_level():
    draws = np.random.default_rng(1)
    p = np.asarray([sign_flip_test(draws.integers(-5, 6, 60) / 5, i, flips=199) for i in range(400)])
    assert 0.02 <= (p <= 0.05).mean() <= 0.085


def test_sign_flip_test_counts_sums_that_differ_in_their_last_bits_as_equal():
    values = np.asarray([0.1] * 3 + [0.3])
    assert sign_flip_test(values, 0) == pytest.approx(2 / 16, abs=0.02)


@pytest.mark.parametrize("n", [10, 3_000])
def test_memory_blocks_do_not_change_the_sign_flip_test(n, monkeypatch):
    values = np.random.default_rng(0).normal(0.02, 1, n)
    whole = sign_flip_test(values, 0, flips=500)
    monkeypatch.setattr("art_weakrobust.statistics.inference._CELLS", 7 * n)
    assert sign_flip_test(values, 0, flips=500) == whole


def test_bootstrap_mean_of_zeros_and_ones_has_the_binomials_quantiles():
    values = np.repeat([0.0, 1.0], [70, 30])
    expected = stats.binom(100, 0.3).ppf([0.025, 0.975]) / 100
    assert bootstrap_mean(values, 0) == pytest.approx(tuple(expected), abs=0.011)


def test_bootstrap_mean_covers_the_mean():
    draws = np.random.default_rng(2)
    samples = draws.binomial(5, draws.beta(2, 1, size=(600, 200))) / 5
    intervals = [bootstrap_mean(sample, i, resamples=499) for i, sample in enumerate(samples)]
    assert 0.92 <= np.mean([lower <= 2 / 3 <= upper for lower, upper in intervals]) <= 0.98


def test_pooled_severities_are_wider_than_if_they_were_images_of_their_own():
    hard = np.random.default_rng(3).random(300) < 0.5
    lower, upper = bootstrap_mean(hard.astype(float), 0)
    naive = wilson(5 * hard.sum(), 5 * hard.size)
    assert upper - lower > 1.8 * (naive[1] - naive[0])


def test_a_higher_confidence_gives_a_wider_interval():
    values = np.random.default_rng(4).random(100)
    narrow, wide = (bootstrap_mean(values, 0, confidence=c) for c in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_bootstrap_difference_is_of_independent_groups():
    a, b = np.repeat([0.0, 1.0], [20, 80]), np.repeat([0.0, 1.0], [75, 75])
    error = math.sqrt(0.8 * 0.2 / 100 + 0.25 / 150)
    assert bootstrap_difference(a, b, 0) == pytest.approx((0.3 - 1.96 * error, 0.3 + 1.96 * error), abs=0.012)


def test_a_paired_bootstrap_is_narrower_than_that_of_two_groups_that_go_together():
    before = np.random.default_rng(5).random(200)
    after = before + 0.1
    after[:20] += 0.05
    paired = paired_bootstrap(after - before, 0)
    groups = bootstrap_difference(after, before, 0)
    assert paired[0] == pytest.approx(0.105, abs=0.003)
    assert groups[1] - groups[0] > 10 * (paired[1] - paired[0])


def test_bootstraps_of_nothing_are_unknown():
    assert np.isnan(bootstrap_mean([], 0)).all()
    assert np.isnan(bootstrap_mean([math.nan], 0)).all()
    assert np.isnan(bootstrap_difference([1.0], [], 0)).all()


@pytest.mark.parametrize(
    "function",
    [
        lambda values, seed: bootstrap_mean(values, seed),
        lambda values, seed: paired_bootstrap(values, seed),
        lambda values, seed: bootstrap_difference(values, values[:50], seed),
        lambda values, seed: sign_flip_test(values - 0.45, seed),
    ],
)
def test_a_seed_decides_and_the_global_state_is_left_alone(function):
    values = np.random.default_rng(6).random(100)
    np.random.seed(1)
    state = np.random.get_state()[1].copy()
    first = function(values, 11)
    np.random.seed(2)
    np.testing.assert_equal(function(values, 11), first)
    np.random.seed(1)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    assert function(values, 12) != first


@pytest.mark.parametrize("function", [bootstrap_mean, lambda v, seed: (sign_flip_test(v, seed),)])
def test_the_order_of_the_images_and_unknown_ones_do_not_matter(function):
    values = np.random.default_rng(7).integers(-2, 6, 80) / 5
    shuffled = np.append(np.random.default_rng(8).permutation(values), math.nan)
    assert function(shuffled, 0) == function(values, 0)


def test_holm_gives_the_textbook_example():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.005]), [0.03, 0.06, 0.06, 0.02])


def test_holm_leaves_out_tests_that_were_not_made():
    np.testing.assert_allclose(holm([0.02, math.nan, 0.03]), [0.04, math.nan, 0.04])
    assert holm([]).size == 0


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_holm_keeps_the_order_and_lies_between_raw_and_bonferroni(raw):
    raw = np.asarray(raw)
    adjusted = holm(raw)
    assert (adjusted >= raw).all()
    assert (adjusted <= np.minimum(1, raw * raw.size)).all()
    assert (np.diff(adjusted[np.argsort(raw)]) >= 0).all()


@pytest.mark.parametrize(("hits", "drawn", "size"), [(0, 100, 700), (3, 100, 700), (0, 0, 9), (5, 9, 9), (0, 9, 9)])
def test_what_one_stratum_hides_is_the_hypergeometric_test_inverted(hits, drawn, size):
    possible = [k for k in range(hits, size - drawn + hits + 1) if stats.hypergeom.cdf(hits, size, k, drawn) > 0.05]
    assert most_hidden([hits], [drawn], [size]) == max(possible)


@given(
    sizes=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    shares=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    there=st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
@settings(max_examples=40, deadline=None)
def test_the_bound_of_two_strata_holds_as_often_as_it_says_whoever_hides_where(sizes, shares, there):
    drawn, members = ([round(u * n) for u, n in zip(part, sizes, strict=True)] for part in (shares, there))
    chance = 0.0
    for hits in product(*(range(n + 1) for n in drawn)):
        one, two = (stats.hypergeom.pmf(hits[i], sizes[i], members[i], drawn[i]) for i in range(2))
        if one * two > 0 and most_hidden(hits, drawn, sizes) >= sum(members):
            chance += one * two
    assert chance >= 0.95 - 1e-9


@given(sizes=st.lists(st.integers(0, 300), min_size=1, max_size=2), limit=st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_the_smallest_audit_meets_its_limit_by_no_hit_at_one_rate(sizes, limit):
    drawn = smallest_audit(sizes, limit)
    assert all(n <= size for n, size in zip(drawn, sizes, strict=True))
    assert most_hidden([0] * len(sizes), drawn, sizes) <= limit
    if sum(drawn) > len(sizes):
        fewer = [max(0, n - 1) for n in drawn]
        assert most_hidden([0] * len(sizes), fewer, sizes) >= min(limit, sum(sizes))


def test_an_audit_costs_what_arithmetic_says():
    """About n such that (1 - n / 7000) ** 19 is 5 %."""
    (drawn,) = smallest_audit([7000], 18)
    assert drawn == pytest.approx(7000 * (1 - 0.05 ** (1 / 19)), rel=0.02)


def test_a_sample_of_strata_that_cannot_be_is_refused():
    for hits, drawn in (([3], [2]), ([0], [9])):
        with pytest.raises(ValueError, match="no sample of strata"):
            most_hidden(hits, drawn, [8])
    for function in (lambda: most_hidden([0], [1], [2], confidence=95), lambda: smallest_audit([2], 0, confidence=0)):
        with pytest.raises(ValueError, match="confidence"):
            function()


@pytest.mark.parametrize(("share", "n", "count"), [(0.35, 10, 4), (0.1, 4, 0), (0.1, 5, 1), (1.0, 7, 7)])
def test_a_share_is_the_nearest_count_and_a_half_counts_up(share, n, count):
    assert share_of(share, n) == count
