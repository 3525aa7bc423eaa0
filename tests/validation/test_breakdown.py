"""How scores are spread, and which classes carry the weak samples."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest

from art_weakrobust.results import Validation
from art_weakrobust.statistics import (
    wilson,
)
from art_weakrobust.validation import metrics

EPS = 2 / 255


class TestScoresAndClasses:
    def test_the_histogram_counts_zeros_apart(self, weak_set, scores):
        chosen = weak_set([(0, "tune", "score"), (1, "held_out", "score"), (4, "control", "control")])
        shown = metrics.score_histogram(scores([0.9, 0.5, 0.5, 0.02, 0.0, 0.0, np.nan], [0] * 7), chosen)
        assert (shown["n"], shown["n_unknown"], shown["zero"], shown["k"]) == (6, 1, 2, 2)
        assert (shown["cut"], shown["ties"]) == (0.5, 1)
        assert len(shown["edges"]) == len(shown["counts"]) + 1
        assert (shown["edges"][0], shown["edges"][-1]) == (0.0, 1.0)
        assert sum(shown["counts"]) + shown["zero"] == shown["n"]

    def test_samples_that_filled_up_do_not_move_the_cut(self, weak_set, scores):
        chosen = weak_set([(0, "tune", "score"), (1, "held_out", "margin")])
        assert metrics.score_histogram(scores([0.9, 0.0], [0, 0]), chosen)["cut"] == 0.9

    def test_scores_outside_the_unit_interval_have_edges_of_their_own(self, weak_set, scores):
        shown = metrics.score_histogram(scores([-2.0, -1.0, -0.5], [0] * 3), weak_set([(2, "tune", "score")]))
        assert (shown["edges"][0], shown["edges"][-1], sum(shown["counts"])) == (-2.0, -0.5, 3)

    def test_classes_carry_their_share_and_the_largest_comes_first(self, weak_set, scores):
        label = [0, 0, 0, 0, 1, 1, 2]
        given = scores([0.9, 0.0, 0.0, np.nan, 0.8, 0.7, 0.0], label)
        chosen = weak_set(
            [(0, "tune", "score"), (4, "held_out", "score"), (5, "tune", "score"), (1, "control", "control")]
        )
        rows = metrics.class_table(given, chosen, class_names=("cat", "dog"))
        assert [(row["label"], row["name"], row["n_scored"], row["n_weak"]) for row in rows] == [
            (1, "dog", 2, 2),
            (0, "cat", 3, 1),
            (2, "2", 1, 0),
        ]
        assert rows[1]["weak_share"] == pytest.approx(1 / 3)
        assert (rows[1]["weak_lower"], rows[1]["weak_upper"]) == wilson(1, 3)
        assert rows[0]["clean_before"] is rows[0]["robust_after"] is rows[0]["confused_with"] is None

    def test_classes_on_test_are_clean_and_robust_before_and_after(self, validation, pick, weak_set, scores):
        labels = [0, 0, 1, 1]
        before = validation(
            {("test", "clean", None): [1, 1, 1, 0], ("test", "pgd-linf", None): [0, 0, 1, 0]}, labels=labels
        )
        after = validation(
            {("test", "clean", None): [1, 0, 1, 1], ("test", "pgd-linf", None): [1, 0, 1, None]},
            phase="after",
            labels=labels,
        )
        rows = metrics.class_table(scores([], np.empty(0, int)), weak_set([]), before, after, eps=EPS)
        zero, one = (pick(rows, label=label) for label in (0, 1))
        assert (zero["n_test"], zero["clean_before"], zero["clean_after"]) == (2, 1.0, 0.5)
        assert (zero["clean_after_lower"], zero["clean_after_upper"]) == wilson(1, 2)
        assert (one["n_test"], one["n_robust"], one["robust_before"], one["robust_after"]) == (2, 1, 1.0, 1.0)
        assert (zero["confused_with"], zero["confused_n"]) == (1, 2)
        assert zero["weak_share"] is None

    def test_an_attack_that_crashed_after_makes_no_class_robust_or_weak(self, validation, scores, weak_set, pick):
        before = validation({("test", "fgm-linf", None): [1, 0], ("test", "pgd-linf", None): [0, 0]})
        after = validation({("test", "fgm-linf", None): [1, 1], ("test", "pgd-linf", None): [None] * 2}, phase="after")
        row = pick(metrics.class_table(scores([0.0], [0]), weak_set([]), before, after, eps=EPS))
        assert (row["n_robust"], row["robust_before"], row["robust_after"]) == (2, 0.5, 1.0)

    def test_classes_follow_the_samples_where_one_phase_lacks_some(self, validation, scores, weak_set, pick):
        labels = [0, 0, 1, 1]
        before = validation({("test", "clean", None): [1, 0, 1, 1]}, labels=labels)
        after = validation({("test", "clean", None): [1, 1, 1, 0]}, phase="after", labels=labels)
        last = Validation(after.table.filter(pc.greater(after.table["index"], 0)), after.types)
        rows = metrics.class_table(scores([], np.empty(0, int)), weak_set([]), before, last)
        shown = [(row["label"], row["n_test"], row["clean_before"], row["clean_after"]) for row in rows]
        assert shown == [(0, 1, 0.0, 1.0), (1, 2, 1.0, 0.5)]

    def test_misclassified_samples_are_no_part_of_the_share(self, scores, weak_set, pick):
        given = scores([0.9, 0.8, 0.0], [0, 0, 0], correct=[True, False, True])
        row = pick(metrics.class_table(given, weak_set([(0, "tune", "score")])))
        assert (row["n_scored"], row["n_weak"]) == (2, 1)

    def test_the_scorers_own_neighbors_say_what_weak_samples_are_taken_for(self, pick, weak_set, scores):
        told = {"neighbor_prediction": [2, 2, 1, 1, 1]}
        given = scores([0.9, 0.8, 0.7, 0.0, 0.0], [0] * 5, **told)
        chosen = weak_set([(0, "tune", "score"), (1, "held_out", "score"), (2, "tune", "score")])
        row = pick(metrics.class_table(given, chosen, class_names=("a", "b", "c")))
        assert (row["confused_with"], row["confused_name"], row["confused_n"]) == (2, "c", 2)
