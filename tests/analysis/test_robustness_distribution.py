"""Distributions of adversarial distances, against laws that are known and what censoring may not do to them."""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from art_weakrobust.analysis.robustness_distribution import fit_lognormal, robustness_distribution, security_curve
from art_weakrobust.results import DISTANCES, conform
from art_weakrobust.statistics import wilson

MU, SIGMA = math.log(0.02), 0.5


def drawn(n: int = 400, seed: int = 0, eps_max: float = math.inf) -> np.ndarray:
    values = np.random.default_rng(seed).lognormal(MU, SIGMA, n)
    return np.where(values <= eps_max, values, np.nan)


def test_without_censoring_it_is_the_share_of_samples_within_each_distance():
    found = robustness_distribution([0.3, 0.1, 0.2, 0.2], 1.0)
    assert found.eps.tolist() == [0.1, 0.2, 0.3]
    assert found.within == pytest.approx([0.25, 0.75, 1.0])
    assert found.lower[0] == pytest.approx(wilson(1, 4)[0])
    assert found.upper[0] == pytest.approx(wilson(1, 4)[1])
    assert (found.n, found.censored) == (4, 0)


def test_a_censored_sample_counts_as_beyond_what_was_looked_at():
    found = robustness_distribution([0.1, np.nan, np.nan, 0.2], 0.5)
    assert found.within == pytest.approx([0.25, 0.5])
    assert (found.n, found.censored) == (4, 2)


def test_samples_that_were_censored_early_leave_those_at_risk():
    # by hand: 1 of 4 falls at 0.1, one is lost at 0.2, 1 of 2 falls at 0.3
    found = robustness_distribution([0.1, np.nan, 0.3, np.nan], [1.0, 0.2, 1.0, 1.0])
    assert found.eps.tolist() == [0.1, 0.3]
    assert found.within == pytest.approx([0.25, 1 - 0.75 * 0.5])


def test_what_is_not_known_at_all_is_left_out():
    assert robustness_distribution([0.1, np.nan], [1.0, np.nan]).n == 1


def test_intervals_hold_the_truth_about_as_often_as_they_say():
    truth, held = 0.5, []
    for seed in range(300):
        found = robustness_distribution(drawn(60, seed, eps_max=0.03), 0.03)
        at = np.searchsorted(found.eps, math.exp(MU), side="right") - 1
        held.append(found.lower[at] <= truth <= found.upper[at])
    assert 0.91 <= np.mean(held) <= 0.985


@pytest.mark.parametrize("eps_max", [math.inf, 0.025, 0.015])
def test_the_log_normal_law_is_found_whatever_is_censored(eps_max):
    law = fit_lognormal(drawn(3000, eps_max=eps_max), eps_max if eps_max < math.inf else 1.0, draws=0)
    assert law.mu == pytest.approx(MU, abs=0.06)
    assert law.sigma == pytest.approx(SIGMA, abs=0.06)
    assert law.median == pytest.approx(0.02, rel=0.07)
    assert law.ks < 0.03


def test_the_fit_is_good_where_the_law_holds_and_bad_where_it_does_not():
    holds = fit_lognormal(drawn(150), 1.0, draws=99)
    mixed = fit_lognormal(np.concatenate([drawn(75), 100 * drawn(75, 1)]), 10.0, draws=99)
    assert holds.p > 0.05
    assert mixed.p < 0.05
    assert mixed.ks > holds.ks


def test_one_distance_is_no_law():
    assert math.isnan(fit_lognormal([0.1, 0.1, np.nan], 1.0).mu)


def test_the_same_seed_gives_the_same_p_and_the_global_state_is_left_alone():
    before = np.random.get_state()[1].copy()
    assert fit_lognormal(drawn(50), 1.0, seed=3, draws=19) == fit_lognormal(drawn(50), 1.0, seed=3, draws=19)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def table(rows: list[tuple[int, str, str, float | None, str]]) -> pa.Table:
    names = ("index", "phase", "norm", "distance", "status")
    return conform(pa.Table.from_pylist([dict(zip(names, row, strict=True)) for row in rows]), DISTANCES)


def test_a_security_curve_counts_a_sample_as_right_below_its_distance():
    rows = [
        (0, "before", "inf", 0.1, "ok"),
        (1, "before", "inf", 0.2, "ok"),
        (2, "before", "inf", None, "censored"),
        (3, "before", "inf", None, "misclassified"),
        (4, "before", "inf", None, "error: it broke"),
        (9, "before", "inf", 0.01, "ok"),  # of another group
    ]
    curve = security_curve(table(rows), np.arange(5))
    assert [(row["eps"], row["accuracy"]) for row in curve] == [
        (0.0, 0.75),
        (pytest.approx(0.1), 0.5),
        (pytest.approx(0.2), 0.25),
    ]
    assert {row["n"] for row in curve} == {4}
    assert (curve[1]["lower"], curve[1]["upper"]) == wilson(2, 4)


def test_phases_and_norms_have_curves_of_their_own_and_what_was_never_found_none():
    rows = [(0, phase, norm, 0.1, "ok") for phase in ("before", "after") for norm in ("inf", "2")]
    keys = {(row["phase"], row["norm"]) for row in security_curve(table(rows), [0])}
    assert keys == {("before", "inf"), ("before", "2"), ("after", "inf"), ("after", "2")}
    assert security_curve(table([(0, "before", "inf", None, "censored")]), [0]) == []
