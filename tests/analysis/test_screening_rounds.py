"""Who stays in the rounds of a screening, and what scores bound."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from art_weakrobust.analysis.neighborhood_draws import COLUMNS
from art_weakrobust.analysis.screening_rounds import above, cuts, kept, may_reach, weakest_first


def table(score_sum, least_margin, neighbors=4, decision=False):
    n = len(score_sum)
    values = {name: np.zeros(n) for name in COLUMNS.names}
    values |= {"index": np.arange(n), "neighbors": np.full(n, neighbors), "decision": np.full(n, decision)}
    values |= {"score_sum": np.asarray(score_sum, float), "least_margin": np.asarray(least_margin, np.float32)}
    return pa.table({name: pa.array(values[name]).cast(COLUMNS.field(name).type) for name in COLUMNS.names})


@pytest.mark.parametrize(
    ("neighbors", "rounds"), [(1, []), (2, [1]), (3, [1, 2]), (50, [1, 2, 4, 8, 16, 32]), (64, [1, 2, 4, 8, 16, 32])]
)
def test_rounds_double_below_all_neighbors(neighbors, rounds):
    assert cuts(neighbors) == rounds


@given(of=st.integers(1, 10_000), share=st.floats(0, 1), drawn=st.integers(1, 200))
@settings(max_examples=50, deadline=None)
def test_a_round_keeps_those_that_are_sought_and_ever_fewer_to_spare(of, share, drawn):
    sought = max(1, round(share * of))
    assert sought <= kept(sought, of, 4 * drawn) <= kept(sought, of, drawn) <= of


def test_samples_rank_by_score_then_least_margin_then_id_and_broken_ones_last():
    rows = table([1, 2, np.nan, 1, 1], [0.5, 0.1, 0.0, -0.5, 0.5])
    assert weakest_first(rows).tolist() == [1, 3, 0, 4, 2]


def test_margins_of_bare_labels_rank_nobody():
    assert weakest_first(table([0, 0, 1], [3, -2, 5], decision=True)).tolist() == [2, 0, 1]


def test_above_is_what_ranking_says():
    rows = table([1, 2, np.nan, 1, 1, 0], [0.5, 0.1, 0.0, -0.5, 0.5, -9])
    assert above(rows, rows.slice(4, 1)).tolist() == [True, True, False, True, False, False]
    assert above(rows, rows.slice(0, 0)).tolist() == [True, True, False, True, True, True]


@given(seed=st.integers(0, 999), drawn=st.integers(0, 8))
@settings(max_examples=30, deadline=None)
def test_whoever_cannot_reach_a_score_does_not(seed, drawn):
    scores = np.random.default_rng(seed).choice([0, 0.4, 1.0], size=(30, 8))
    rows = table(scores[:, :drawn].sum(1), np.zeros(30), drawn)
    reached = scores.sum(1) >= 3.0
    assert not (reached & ~may_reach(rows, 3.0, 8)).any()


def test_after_all_neighbors_the_bound_is_the_score():
    rows = table([2.5, 3.0, np.nan], [0, 0, 0], 8)
    assert may_reach(rows, 3.0, 8).tolist() == [False, True, False]
