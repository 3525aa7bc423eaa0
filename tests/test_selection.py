"""Which samples enter the weak set, how it is halved, and who is its control group."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from art_weakrobust.errors import UsageError
from art_weakrobust.results import SCORES, TRIAGE, WEAK_SET, Scores, Triage, column, conform
from art_weakrobust.selection import select


def scores(score, *, index=None, **columns):
    """Scores of clean-correct samples, NaN for misclassified ones, an error found wherever the score is above 0."""
    score = np.asarray(score, float)
    n, correct = len(score), np.isfinite(score)
    defaults = {
        "index": np.arange(n) if index is None else index,
        "label": np.zeros(n, int),
        "correct": correct,
        "status": np.where(correct, "ok", "misclassified"),
        "score": score,
        "found": score > 0,
    }
    values = {name: value for name, value in {**defaults, **columns}.items() if value is not None}
    return Scores(conform(pa.table(values), SCORES))


def weak(selected):
    return np.sort(np.concatenate([selected.tune, selected.held_out])).tolist()


def random_scores(n, seed, classes=3):
    draws = np.random.default_rng(seed)
    score = np.round(np.maximum(draws.normal(0, 1, n), 0), 1)
    score[draws.random(n) < 0.15] = np.nan
    index = draws.permutation(10 * n)[:n]
    margin = np.round(draws.random(n), 1)
    return scores(score, index=index, label=draws.integers(0, classes, n), neighbor_margin=margin)


def shuffled(given_scores, seed=0):
    return Scores(given_scores.table.take(np.random.default_rng(seed).permutation(len(given_scores))))


def test_the_highest_scores_enter():
    assert weak(select(scores([0.1, 0.9, 0.4, 0.8, 0.2]), top_k=2)) == [1, 3]


def test_a_fraction_counts_the_clean_correct_samples():
    of_ten = scores([0.9] * 10 + [np.nan] * 10)
    assert len(select(of_ten, fraction=0.3)) == 3
    assert len(select(of_ten)) == 1


def test_a_fraction_is_rounded_to_the_nearest_number():
    assert len(select(scores([0.9] * 10), fraction=0.25)) == 3
    assert len(select(scores([0.9] * 10), fraction=0.24)) == 2


def test_a_threshold_takes_all_at_or_above_it():
    assert weak(select(scores([0.5, 0.4, 0.6]), threshold=0.5)) == [0, 2]


def test_ties_go_to_the_least_neighbor_margin_then_to_the_id():
    tied = scores([0.5] * 4, index=[7, 3, 5, 1], neighbor_margin=[-0.1, -0.2, -0.2, 0.4])
    assert weak(select(tied, top_k=1)) == [3]
    assert weak(select(tied, top_k=2)) == [3, 5]
    assert weak(select(tied, top_k=3)) == [3, 5, 7]


def test_a_sample_without_an_error_nearby_never_enters():
    assert weak(select(scores([0.0, 0.3, 0.0, 0.0]), fraction=1.0)) == [1]


def test_fill_takes_the_least_margins_next_and_says_so():
    few = scores([0.0, 0.3, 0.0, 0.0], neighbor_margin=[0.5, -0.1, 0.2, np.nan])
    selected = select(few, top_k=3, fill=True)
    rows = {row["index"]: row["reason"] for row in selected.table.to_pylist() if row["role"] != "control"}
    assert rows == {1: "score", 2: "margin", 0: "margin"}


def test_fill_never_comes_before_an_error_that_was_found():
    distances = scores([-0.9, -0.2, -0.1], found=[True, False, False], neighbor_margin=[0.9, 0.2, 0.1])
    rows = select(distances, top_k=2, fill=True).table.to_pylist()
    assert [(row["index"], row["reason"]) for row in rows[:2]] == [(0, "score"), (2, "margin")]


def test_without_a_found_column_every_finite_score_counts():
    distances = scores([-0.5, -0.1, -0.9, np.nan], found=None)
    assert weak(select(distances, fraction=1.0)) == [0, 1, 2]
    assert weak(select(distances, top_k=1)) == [1]


def test_failed_and_misclassified_samples_never_enter_whatever_their_score():
    given_scores = scores([0.9, 0.8, 0.7], correct=[True, False, True], status=["error: crash", "misclassified", "ok"])
    assert weak(select(given_scores, top_k=3, fill=True)) == [2]


def test_a_scorer_that_says_ok_of_a_misclassified_sample_is_taken_at_its_word():
    asked_for = scores([0.9, 0.8, 0.1], correct=[True, False, True], status=["ok", "ok", "ok"])
    selected = select(asked_for, top_k=2)
    assert weak(selected) == [0, 1]
    assert 1 not in selected.control


def test_bare_scores_are_enough():
    bare = Scores(pa.table({"index": [4, 2, 9], "score": [0.1, 0.5, 0.3]}))
    selected = select(bare, top_k=2)
    assert weak(selected) == [2, 9]
    assert selected.control.tolist() == [4]


def test_a_quota_of_a_class_passes_its_places_on():
    given_scores = scores([0.9, 0.8, 0.7, 0.6, 0.5], label=[0, 0, 0, 1, 1])
    assert weak(select(given_scores, top_k=3, per_class=2)) == [0, 1, 3]


def test_a_quota_may_be_a_share_of_the_class():
    given_scores = scores([0.9] * 8 + [0.5] * 4, label=[0] * 8 + [1] * 4)
    assert weak(select(given_scores, top_k=12, per_class=0.5)) == [0, 1, 2, 3, 8, 9]


def test_a_quota_needs_labels():
    with pytest.raises(UsageError, match="per_class=1 needs scores with a label"):
        select(Scores(pa.table({"index": [0], "score": [0.1]})), top_k=1, per_class=1)


def test_halves_are_stratified_by_label():
    label = np.repeat([0, 1, 2], [20, 11, 7])
    selected = select(scores(np.full(38, 0.5), label=label), fraction=1.0)
    tune, held_out = (np.bincount(label[ids], minlength=3) for ids in (selected.tune, selected.held_out))
    assert (np.abs(tune - held_out) <= 1).all()
    assert (len(selected.tune), len(selected.held_out)) == (19, 19)


def test_the_odd_sample_goes_to_the_tune_half():
    selected = select(scores([0.5] * 7), fraction=1.0)
    assert (len(selected.tune), len(selected.held_out)) == (4, 3)


def test_halves_and_control_are_drawn_by_the_seed():
    given_scores = scores(np.linspace(0.01, 1, 400))
    first, again, other = (select(given_scores, seed=seed) for seed in (1, 1, 2))
    assert first.table.equals(again.table)
    assert weak(first) == weak(other)
    assert first.held_out.tolist() != other.held_out.tolist()
    assert first.control.tolist() != other.control.tolist()


def test_halves_are_no_matter_of_rank():
    given_scores = scores(np.linspace(1, 0.01, 1000))
    held_out = np.concatenate([select(given_scores, seed=seed).held_out for seed in range(20)])
    assert abs(held_out.mean() - 49.5) < 3


def test_the_control_group_comes_from_the_whole_clean_correct_rest():
    given_scores = scores(np.r_[np.full(10, 0.5), np.zeros(40), np.full(10, np.nan)])
    selected = select(given_scores, fraction=0.2)
    assert len(selected.control) == 5
    drawn = np.concatenate([select(given_scores, fraction=0.2, seed=seed).control for seed in range(60)])
    assert set(drawn) == set(range(10, 50))


def test_a_clean_correct_sample_whose_scoring_failed_may_be_a_control():
    failed = scores([0.9, 0.8, np.nan], correct=[True] * 3, status=["ok", "ok", "error: crash"])
    assert select(failed, top_k=2).control.tolist() == [2]


def test_the_control_group_is_smaller_where_there_are_not_enough():
    assert select(scores([0.5] * 7), top_k=6).control.size == 1
    assert select(scores([0.5] * 6), top_k=6).control.size == 0


def test_nothing_weak_gives_an_empty_table_of_the_schema():
    for empty in (scores([0.0, np.nan, 0.0]), scores([])):
        selected = select(empty)
        assert selected.table.schema.names == WEAK_SET.names
        assert selected.table.num_rows == 0
        assert len(selected) == 0


def test_rows_follow_the_schema_the_weakest_first():
    selected = select(scores([0.1, 0.9, 0.4, 0.2, 0.05]), top_k=3)
    assert selected.table.schema.equals(WEAK_SET)
    assert column(selected.table, "index")[:3].tolist() == [1, 2, 3]
    assert column(selected.table, "weight").tolist() == [1.0] * 4
    assert column(selected.table, "reason").tolist() == ["score"] * 3 + ["control"]
    assert column(selected.table, "kind").tolist() == [None] * 4


@given(st.integers(0, 60), st.integers(0, 10_000), st.floats(0.01, 1), st.booleans())
@settings(max_examples=60, deadline=None)
def test_invariants(n, seed, fraction, fill):
    given_scores = random_scores(n, seed)
    selected = select(given_scores, fraction=fraction, fill=fill, seed=seed)
    ids = [selected.tune, selected.held_out, selected.control]
    correct = set(given_scores["index"][given_scores["correct"].astype(bool)])
    assert len(set(np.concatenate(ids))) == sum(map(len, ids)) == selected.table.num_rows
    assert set(np.concatenate(ids)) <= correct
    assert len(ids[0]) - len(ids[1]) in (0, 1)
    assert len(ids[2]) == min(len(ids[1]), len(correct) - len(selected))
    if fill:
        assert abs(len(selected) - fraction * len(correct)) <= 0.5 + 1e-6
    assert select(shuffled(given_scores, seed), fraction=fraction, fill=fill, seed=seed).table.equals(selected.table)


@given(st.integers(1, 60), st.integers(0, 10_000), st.floats(0.01, 1), st.floats(0.01, 1), st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_larger_fraction_keeps_the_weak_samples_of_a_smaller_one(n, seed, one, other, fill):
    given_scores = random_scores(n, seed)
    small, large = (set(weak(select(given_scores, fraction=f, fill=fill))) for f in sorted((one, other)))
    assert small <= large


@given(st.integers(1, 60), st.integers(0, 10_000), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_a_quota_is_kept(n, seed, per_class):
    given_scores = random_scores(n, seed)
    selected = select(given_scores, fraction=1.0, per_class=per_class)
    label = given_scores["label"][np.isin(given_scores["index"], weak(selected))]
    assert np.bincount(label, minlength=1).max() <= per_class


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fraction": 0}, r"fraction=0 has to be a share"),
        ({"fraction": 1.5}, r"fraction=1.5 has to be a share"),
        ({"fraction": float("nan")}, r"fraction=nan"),
        ({"fraction": True}, r"fraction=True"),
        ({"top_k": 0}, r"top_k=0 has to be a whole number from 1"),
        ({"top_k": 2.5}, r"top_k=2.5"),
        ({"threshold": float("inf")}, r"threshold=inf has to be a finite number"),
        ({"top_k": 3, "threshold": 0.5}, r"exclude one another, received top_k=3 and threshold=0.5"),
        ({"fraction": 0.2, "top_k": 3}, r"received fraction=0.2 and top_k=3"),
        ({"fraction": None}, r"received none of them"),
        ({"per_class": 0}, r"per_class=0 has to be"),
        ({"per_class": 1.5}, r"per_class=1.5 has to be"),
        ({"per_class": True}, r"per_class=True has to be"),
        ({"seed": -1}, r"seed=-1 has to be"),
    ],
)
def test_a_wrong_value_is_named(options, message):
    with pytest.raises(UsageError, match=message):
        select(scores([0.5, 0.2]), **options)


def test_an_id_scored_twice_is_refused():
    with pytest.raises(UsageError, match="a sample id twice"):
        select(scores([0.5, 0.2], index=[1, 1]))


def triage_of(given_scores, kinds, weights=None):
    index = given_scores["index"]
    weight = np.ones(len(index), np.float32) if weights is None else weights
    columns = {"index": index, "kind": pa.array(kinds, pa.string()), "weight": weight}
    return Triage(conform(pa.table(columns), TRIAGE))


def test_kind_and_weight_come_from_the_triage_whatever_its_order():
    given_scores = scores([0.9, 0.5, 0.0, 0.0])
    found = triage_of(given_scores, ["mislabelled", "fragile", "steady", None], np.float32([0.05, 1, 1, 1]))
    mixed = Triage(found.table.take([3, 1, 0, 2]))
    chosen = select(given_scores, top_k=2, triage=mixed)
    rows = {row["index"]: (row["kind"], round(row["weight"], 3)) for row in chosen.table.to_pylist()}
    assert (rows[0], rows[1]) == (("mislabelled", 0.05), ("fragile", 1.0))


def test_only_the_kinds_that_are_named_enter_and_the_next_in_rank_take_their_places():
    given_scores = scores([0.9, 0.8, 0.7, 0.6])
    found = triage_of(given_scores, ["mislabelled", "fragile", None, "ambiguous"])
    assert weak(select(given_scores, top_k=2, triage=found, kinds=["fragile", "ambiguous"])) == [1, 3]


def test_a_control_group_beside_chosen_kinds_holds_no_suspected_label():
    given_scores = scores([0.9] * 10 + [0.0] * 30)
    found = triage_of(given_scores, ["fragile"] * 10 + ["mislabelled", "steady"] * 15)
    chosen = select(given_scores, top_k=10, triage=found, kinds=["fragile"])
    assert len(chosen.control) == 5
    assert (chosen.control % 2 == 1).all()


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"kinds": ["fragile"], "triage": None}, "needs a triage"),
        ({"kinds": "fragile"}, "sequence"),
        ({"kinds": ["fragil"]}, "fragile"),
        ({"kinds": []}, "empty"),
    ],
)
def test_kinds_that_cannot_be_chosen_are_refused(options, word):
    given_scores = scores([0.9, 0.8])
    with pytest.raises(UsageError, match=word):
        select(given_scores, top_k=1, **{"triage": triage_of(given_scores, ["fragile", "steady"]), **options})


def test_a_triage_of_other_samples_is_refused():
    other = triage_of(scores([0.9, 0.8], index=[5, 6]), ["fragile", "steady"])
    with pytest.raises(UsageError, match="other samples"):
        select(scores([0.9, 0.8]), top_k=1, triage=other)
