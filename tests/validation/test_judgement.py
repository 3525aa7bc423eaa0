"""Strengths and weaknesses: a type against its family's mean, on the same images."""

from __future__ import annotations

import numpy as np
import pytest

from art_weakrobust.statistics import (
    holm,
    sign_flip_test,
)
from art_weakrobust.validation import metrics

EPS = 2 / 255


class TestStrengthsAndWeaknesses:
    def test_a_sign_flip_test_against_the_familys_mean_judges_a_type_with_holm(self, validation, family_of_three):
        cells = family_of_three([30, 22, 20])
        errors = 1 - np.asarray(list(cells.values())).T
        p = holm([sign_flip_test(column, 3) for column in (errors - errors.mean(axis=1, keepdims=True)).T])
        rows = metrics.verdict_table(validation(cells), seed=3)
        assert [row["p_holm"] for row in rows] == pytest.approx(p.tolist())
        assert [row["error"] for row in rows] == pytest.approx([30 / 60, 22 / 60, 20 / 60])
        assert [row["family_error"] for row in rows] == pytest.approx([24 / 60] * 3)

    def test_weaknesses_are_significantly_above_and_strengths_below(self, validation, family_of_three):
        rows = validation(family_of_three([50, 10, 10]))
        assert metrics.weaknesses(rows) == ["fgm-linf"]
        assert metrics.strengths(rows) == ["pgd-linf", "pgd-l2"]

    def test_a_difference_that_chance_explains_is_neither(self, validation, family_of_three):
        rows = metrics.verdict_table(validation(family_of_three([31, 30, 30])))
        assert {row["verdict"] for row in rows} == {"neither"}

    def test_two_types_are_no_family(self, validation, family_of_three):
        cells = {key: value for key, value in family_of_three([59, 1, 0]).items() if key[1] != "pgd-l2"}
        assert {row["verdict"] for row in metrics.verdict_table(validation(cells))} == {"none"}
        assert metrics.weaknesses(validation(cells)) == []

    def test_a_crashed_type_is_not_of_the_family(self, validation, family_of_three):
        cells = family_of_three([59, 1, 0]) | {("held_out", "pgd-l2", None): [None] * 60}
        assert {row["verdict"] for row in metrics.verdict_table(validation(cells))} == {"none"}

    def test_families_stand_apart(self, validation, family_of_three):
        cells = family_of_three([30, 30, 30])
        for kind, broken in (("fog", 40), ("blur", 10), ("snow", 10)):
            cells |= {("held_out", kind, s): [int(i >= broken) for i in range(60)] for s in (1, 2)}
        assert metrics.weaknesses(validation(cells)) == ["fog"]
        assert metrics.strengths(validation(cells)) == ["blur", "snow"]

    def test_images_that_one_type_does_not_judge_are_left_out_for_all(self, validation, family_of_three):
        cells = family_of_three([30, 20, 10])
        cells[("held_out", "fgm-linf", None)][:20] = [None] * 20
        rows = metrics.verdict_table(validation(cells))
        assert [(row["n"], row["error"]) for row in rows] == [(40, 0.25), (40, 0.0), (40, 0.0)]

    def test_weak_types_come_from_the_tune_half_weaknesses_from_the_held_out_one(self, validation, family_of_three):
        cells = family_of_three([10, 10, 50], name="tune") | family_of_three([50, 10, 10])
        assert metrics.weak_types(validation(cells)) == ["pgd-l2"]
        assert metrics.weaknesses(validation(cells)) == ["fgm-linf"]

    def test_family_means_are_over_common_images(self, validation, pick, family_of_three):
        cells = family_of_three([30, 20, 10])
        cells[("held_out", "fgm-linf", None)][:20] = [None] * 20
        row = pick(metrics.family_means(validation(cells)), family="attacks")
        assert (row["set"], row["types"], row["n"], row["accuracy"]) == ("held_out", 3, 40, pytest.approx(1 - 10 / 120))
