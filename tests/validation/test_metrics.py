"""Every type, severity and set with its share and interval; and what holds of every table."""

from __future__ import annotations

import json
import weakref

import numpy as np
import pyarrow.compute as pc
import pytest

from art_weakrobust.errors import DataError
from art_weakrobust.results import Finetuning, Validation, merge
from art_weakrobust.statistics import bootstrap_mean, newcombe, wilson
from art_weakrobust.validation import metrics
from art_weakrobust.validation.verdicts import Verdicts

EPS = 2 / 255


def test_verdicts_are_made_once_a_validation_and_go_with_it(validation, right):
    rows = validation({("test", "clean", None): right(9, 9)})
    same = Validation(rows.table, rows.types)
    first = Verdicts.of(rows, "test")
    gone = weakref.ref(first)
    assert Verdicts.of(rows, "test") is first
    assert Verdicts.of(same, "test") is not first
    with pytest.raises(ValueError, match="read-only"):
        first.right[:] = 0
    del rows, first
    assert gone() is None


class TestTypeTable:
    def test_one_verdict_an_image_has_wilsons_interval(self, validation, right, pick):
        row = pick(metrics.type_table(validation({("test", "clean", None): right(90, 100)})), type="clean")
        assert (row["n"], row["n_unknown"], row["accuracy"], row["severities"]) == (100, 0, 0.9, 1)
        assert (row["lower"], row["upper"]) == wilson(90, 100)
        assert row["interval"] == "wilson"

    def test_pooled_severities_are_bootstrapped_over_images(self, validation, right, pick):
        cells = {("test", "fog", 1): right(80, 100), ("test", "fog", 2): right(40, 100)}
        row = pick(metrics.type_table(validation(cells), seed=5), type="fog")
        assert (row["n"], row["severities"], row["accuracy"]) == (100, 2, pytest.approx(0.6))
        assert (row["lower"], row["upper"]) == bootstrap_mean(np.repeat([1.0, 0.5, 0.0], [40, 40, 20]), 5)
        assert row["interval"] == "bootstrap"

    def test_a_pooled_type_that_is_always_right_has_an_interval_with_width(self, validation, right, pick):
        cells = {("test", "fog", 1): right(9, 9), ("test", "fog", 2): right(9, 9)}
        row = pick(metrics.type_table(validation(cells)), type="fog")
        assert (row["lower"], row["upper"]) == wilson(9, 9)
        assert row["interval"] == "wilson"

    def test_unknown_verdicts_are_left_out_and_counted(self, validation, pick):
        row = pick(metrics.type_table(validation({("test", "fgm-linf", None): [1, 0, None, None, 1]})), type="fgm-linf")
        assert (row["n"], row["n_unknown"], row["accuracy"]) == (3, 2, pytest.approx(2 / 3))

    def test_an_image_that_is_unknown_at_one_severity_is_unknown(self, validation, pick):
        cells = {("test", "fog", 1): [1, 1, 1], ("test", "fog", 2): [1, 0, None]}
        row = pick(metrics.type_table(validation(cells)), type="fog")
        assert (row["n"], row["n_unknown"], row["accuracy"]) == (2, 1, 0.75)

    def test_a_type_with_nothing_known_has_no_accuracy(self, validation, pick):
        row = pick(metrics.type_table(validation({("test", "pgd-linf", None): [None] * 4})), type="pgd-linf")
        assert (row["n"], row["n_unknown"]) == (0, 4)
        assert row["accuracy"] is row["lower"] is row["upper"] is None

    def test_a_crashed_attack_is_unknown_although_misclassified_images_were_settled_without_it(self, validation, pick):
        status = {"pgd-linf": ["misclassified", "error: crash", "error: crash"]}
        crashed = validation({("test", "pgd-linf", None): [0, None, None]}, status=status)
        row = pick(metrics.type_table(crashed), type="pgd-linf")
        assert (row["n"], row["n_unknown"], row["accuracy"]) == (0, 3, None)

    def test_misclassified_images_count_as_broken_where_the_attack_ran(self, validation, pick):
        status = {"pgd-linf": ["misclassified", "ok", "ok"]}
        row = pick(metrics.type_table(validation({("test", "pgd-linf", None): [0, 1, 1]}, status=status)))
        assert (row["n"], row["accuracy"]) == (3, pytest.approx(2 / 3))

    def test_trained_comes_from_the_finetuning_record(self, validation, pick):
        rows = validation({("test", kind, None): [1, 0] for kind in ("clean", "pgd-linf", "pgd-l2")})
        record = Finetuning(drawn={"pgd-linf": 3}, norms=("inf",))
        trained = {row["type"]: row["trained"] for row in metrics.type_table(rows, record)}
        assert trained == {"clean": False, "pgd-linf": True, "pgd-l2": False}
        assert pick(metrics.type_table(rows), type="clean")["trained"] is None

    def test_the_verdict_stands_on_the_held_out_half_alone(self, validation, right, family_of_three):
        cells = family_of_three([55, 20, 15]) | family_of_three([20, 20, 20], name="test")
        cells |= {("held_out", "clean", None): right(60, 60)}
        rows = metrics.type_table(validation(cells))
        held_out = {row["type"]: row["verdict"] for row in rows if row["set"] == "held_out"}
        assert held_out == {"clean": "none", "fgm-linf": "weakness", "pgd-linf": "strength", "pgd-l2": "strength"}
        assert {row["verdict"] for row in rows if row["set"] == "test"} == {None}

    def test_both_phases_of_one_table_are_told_apart(self, validation, right):
        before = validation({("test", "clean", None): right(9, 10)})
        after = validation({("test", "clean", None): right(8, 10)}, phase="after")
        both = Validation(merge([before.table, after.table]), before.types)
        assert [(row["phase"], row["accuracy"]) for row in metrics.type_table(both)] == [
            ("before", 0.9),
            ("after", 0.8),
        ]

    def test_rows_come_in_the_order_of_sets_and_types(self, validation):
        names = ("mine", "test", "control", "held_out")
        rows = validation({(name, kind, None): [1, 0] for name in names for kind in ("pgd-linf", "clean")})
        order = [(row["set"], row["type"]) for row in metrics.type_table(rows)]
        assert order == [
            (name, kind) for name in ("held_out", "control", "test", "mine") for kind in ("clean", "pgd-linf")
        ]

    def test_a_sample_judged_twice_is_refused(self, validation):
        once = validation({("test", "clean", None): [1, 0]})
        with pytest.raises(DataError, match="set 'test' twice"):
            metrics.type_table(Validation(merge([once.table, once.table]), once.types))

    def test_a_type_that_is_not_described_is_refused(self, validation):
        with pytest.raises(DataError, match="type 'clean'"):
            metrics.type_table(validation({("test", "clean", None): [1]}, types=()))


class TestSeverityTable:
    def test_each_severity_has_its_row_and_types_without_have_none(self, validation, right):
        cells = {
            ("test", "fog", 1): right(8, 10),
            ("test", "fog", 3): right(4, 10),
            ("test", "clean", None): right(9, 10),
        }
        rows = metrics.severity_table(validation(cells))
        assert [(row["type"], row["severity"], row["accuracy"]) for row in rows] == [("fog", 1, 0.8), ("fog", 3, 0.4)]
        assert (rows[1]["lower"], rows[1]["upper"]) == wilson(4, 10)


class TestExcess:
    def test_one_verdict_an_image_has_newcombes_interval(self, validation, right, pick):
        cells = {("held_out", "fgm-linf", None): right(10, 50), ("control", "fgm-linf", None): right(30, 40)}
        row = pick(metrics.excess_table(validation(cells)), type="fgm-linf")
        assert (row["n_weak"], row["n_control"], row["excess"]) == (50, 40, pytest.approx(0.8 - 0.25))
        assert (row["lower"], row["upper"]) == newcombe(40, 50, 10, 40)

    def test_pooled_severities_are_a_bootstrap_of_two_samples(self, validation, right, pick):
        cells = {(name, "fog", s): right(k, 100) for name, k in (("held_out", 30), ("control", 70)) for s in (1, 2, 3)}
        row = pick(metrics.excess_table(validation(cells)), type="fog")
        assert row["interval"] == "bootstrap"
        error = np.sqrt(2 * 0.3 * 0.7 / 100)
        assert (row["lower"], row["upper"]) == pytest.approx((0.4 - 1.96 * error, 0.4 + 1.96 * error), abs=0.02)

    def test_clean_has_none_since_selection_fixed_it(self, validation, right):
        cells = {(name, "clean", None): right(5, 5) for name in ("held_out", "control")}
        assert metrics.excess_table(validation(cells)) == []


@pytest.fixture
def random_pair(validation):
    """A before and an after of coin throws, on every set and kind of type."""
    draws = np.random.default_rng(0)
    cells = [(kind, None) for kind in ("clean", "uniform_noise", "fgm-linf", "pgd-linf", "pgd-l2")]
    cells += [(kind, severity) for kind in ("fog", "blur", "snow") for severity in (1, 2)]
    keys = [(name, *cell) for name in ("held_out", "control", "test", "tune") for cell in cells]
    return [
        validation({key: draws.integers(0, 2, 30).tolist() for key in keys}, phase=phase)
        for phase in ("before", "after")
    ]


@pytest.fixture
def all_tables(scores, weak_set):
    """A function from a before and an after to every table, by name."""
    record = Finetuning(drawn={"fog": 1}, norms=("inf",))
    nothing = (scores([], np.empty(0, int)), weak_set([]))
    return lambda before, after: {
        "types": metrics.type_table(before, record),
        "verdicts": metrics.verdict_table(before),
        "means": metrics.family_means(before),
        "excess": metrics.excess_table(before),
        "severity": metrics.severity_table(before, record),
        "paired": metrics.paired_table(before, after, record),
        "severity_paired": metrics.severity_paired(before, after),
        "headline": metrics.headline(before, after, EPS),
        "unseen": metrics.unseen_table(before, after, record),
        "classes": metrics.class_table(*nothing, before, after, eps=EPS),
        "histogram": [metrics.score_histogram(*nothing)],
    }


class TestEveryTable:
    def test_the_tune_half_is_shown_nowhere(self, random_pair, all_tables):
        def without_tune(one):
            return Validation(one.table.filter(pc.not_equal(one.table["set"].cast("string"), "tune")), one.types)

        tables = all_tables(*random_pair)
        assert "tune" not in {row.get("set") for rows in tables.values() for row in rows}
        assert tables == all_tables(*map(without_tune, random_pair))

    def test_values_are_plain_json(self, random_pair, all_tables):
        for name, rows in all_tables(*random_pair).items():
            assert rows, name
            assert json.loads(json.dumps(rows, allow_nan=False)) == rows

    def test_the_order_of_the_rows_does_not_matter(self, random_pair, all_tables):
        def turned(one):
            return Validation(one.table.take(np.random.default_rng(1).permutation(len(one))), one.types)

        assert all_tables(*map(turned, random_pair)) == all_tables(*random_pair)

    def test_an_empty_validation_gives_empty_tables(self, validation, all_tables):
        empty = validation({})
        tables = all_tables(empty, empty)
        assert {name for name, rows in tables.items() if rows} == {"headline", "histogram"}
        assert {row["verdict"] for row in tables["headline"]} == {"not run"}
        assert metrics.weak_types(empty) == metrics.weaknesses(empty) == []
