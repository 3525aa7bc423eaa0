"""Validation rows in, the tables of the report out: every figure against a hand-made case whose answer is known."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from art_weakrobust.errors import DataError
from art_weakrobust.results import (
    SCORES,
    VALIDATION,
    WEAK_SET,
    Finetuning,
    PerturbationType,
    Scores,
    Validation,
    WeakSet,
    conform,
    merge,
)
from art_weakrobust.statistics import (
    bootstrap_mean,
    holm,
    mcnemar,
    newcombe,
    paired_bootstrap,
    sign_flip_test,
    sign_test,
    wilson,
)
from art_weakrobust.validation import metrics

EPS = 2 / 255
CLEAN = PerturbationType("clean", "clean")
NOISE = PerturbationType("uniform_noise", "noise")
FGM = PerturbationType("fgm-linf", "attacks", "gradient", norm="inf", eps=EPS)
PGD = PerturbationType("pgd-linf", "attacks", "gradient", norm="inf", eps=EPS)
WIDE = PerturbationType("pgd-wide", "attacks", "gradient", norm="inf", eps=8 / 255)
L2 = PerturbationType("pgd-l2", "attacks", "gradient", norm="2", eps=0.5)
FOG, BLUR, SNOW = (PerturbationType(name, "corruptions") for name in ("fog", "blur", "snow"))
STORED = PerturbationType("cifar10-c/fog", "corruptions", origin="stored")
TYPES = (CLEAN, NOISE, FGM, PGD, WIDE, L2, FOG, BLUR, SNOW, STORED)

Cell = tuple[str, str, int | None]


def validation(cells, *, phase="before", status=None, types=TYPES, labels=None):
    """Rows from (set, type, severity) -> verdicts of the images 0, 1, …, each 1, 0, or None for unknown."""
    parts = []
    for (name, kind, severity), verdicts in cells.items():
        n = len(verdicts)
        label = np.zeros(n, int) if labels is None else np.asarray(labels)
        correct = [None if verdict is None else bool(verdict) for verdict in verdicts]
        parts.append(
            pa.table(
                {
                    "index": np.arange(n),
                    "set": [name] * n,
                    "phase": [phase] * n,
                    "type": [kind] * n,
                    "severity": pa.array([severity] * n, pa.int8()),
                    "label": label,
                    "prediction": [own if right else (own + 1) % 3 for own, right in zip(label, correct, strict=True)],
                    "correct": pa.array(correct, pa.bool_()),
                    "status": (status or {}).get(kind, ["ok"] * n),
                }
            )
        )
    rows = merge(parts) if parts else VALIDATION.empty_table()
    return Validation(conform(rows, VALIDATION), types)


def right(k, n):
    return [1] * k + [0] * (n - k)


def pick(rows, **wanted):
    found = [row for row in rows if all(row[name] == value for name, value in wanted.items())]
    assert len(found) == 1, found
    return found[0]


def family_of_three(errors, n=60, name="held_out"):
    """Three attacks that break the first images of the set, so many each."""
    return {
        (name, kind, None): [int(i >= broken) for i in range(n)]
        for kind, broken in zip(("fgm-linf", "pgd-linf", "pgd-l2"), errors, strict=True)
    }


class TestTypeTable:
    def test_one_verdict_an_image_has_wilsons_interval(self):
        row = pick(metrics.type_table(validation({("test", "clean", None): right(90, 100)})), type="clean")
        assert (row["n"], row["n_unknown"], row["accuracy"], row["severities"]) == (100, 0, 0.9, 1)
        assert (row["lower"], row["upper"]) == wilson(90, 100)
        assert row["interval"] == "wilson"

    def test_pooled_severities_are_bootstrapped_over_images(self):
        cells = {("test", "fog", 1): right(80, 100), ("test", "fog", 2): right(40, 100)}
        row = pick(metrics.type_table(validation(cells), seed=5), type="fog")
        assert (row["n"], row["severities"], row["accuracy"]) == (100, 2, pytest.approx(0.6))
        assert (row["lower"], row["upper"]) == bootstrap_mean(np.repeat([1.0, 0.5, 0.0], [40, 40, 20]), 5)
        assert row["interval"] == "bootstrap"

    def test_a_pooled_type_that_is_always_right_has_an_interval_with_width(self):
        cells = {("test", "fog", 1): right(9, 9), ("test", "fog", 2): right(9, 9)}
        row = pick(metrics.type_table(validation(cells)), type="fog")
        assert (row["lower"], row["upper"]) == wilson(9, 9)
        assert row["interval"] == "wilson"

    def test_unknown_verdicts_are_left_out_and_counted(self):
        row = pick(metrics.type_table(validation({("test", "fgm-linf", None): [1, 0, None, None, 1]})), type="fgm-linf")
        assert (row["n"], row["n_unknown"], row["accuracy"]) == (3, 2, pytest.approx(2 / 3))

    def test_an_image_that_is_unknown_at_one_severity_is_unknown(self):
        cells = {("test", "fog", 1): [1, 1, 1], ("test", "fog", 2): [1, 0, None]}
        row = pick(metrics.type_table(validation(cells)), type="fog")
        assert (row["n"], row["n_unknown"], row["accuracy"]) == (2, 1, 0.75)

    def test_a_type_with_nothing_known_has_no_accuracy(self):
        row = pick(metrics.type_table(validation({("test", "pgd-linf", None): [None] * 4})), type="pgd-linf")
        assert (row["n"], row["n_unknown"]) == (0, 4)
        assert row["accuracy"] is row["lower"] is row["upper"] is None

    def test_a_crashed_attack_is_unknown_although_misclassified_images_were_settled_without_it(self):
        status = {"pgd-linf": ["misclassified", "error: crash", "error: crash"]}
        crashed = validation({("test", "pgd-linf", None): [0, None, None]}, status=status)
        row = pick(metrics.type_table(crashed), type="pgd-linf")
        assert (row["n"], row["n_unknown"], row["accuracy"]) == (0, 3, None)

    def test_misclassified_images_count_as_broken_where_the_attack_ran(self):
        status = {"pgd-linf": ["misclassified", "ok", "ok"]}
        row = pick(metrics.type_table(validation({("test", "pgd-linf", None): [0, 1, 1]}, status=status)))
        assert (row["n"], row["accuracy"]) == (3, pytest.approx(2 / 3))

    def test_trained_comes_from_the_finetuning_record(self):
        rows = validation({("test", kind, None): [1, 0] for kind in ("clean", "pgd-linf", "pgd-l2")})
        record = Finetuning(drawn={"pgd-linf": 3}, norms=("inf",))
        trained = {row["type"]: row["trained"] for row in metrics.type_table(rows, record)}
        assert trained == {"clean": False, "pgd-linf": True, "pgd-l2": False}
        assert pick(metrics.type_table(rows), type="clean")["trained"] is None

    def test_the_verdict_stands_on_the_held_out_half_alone(self):
        cells = family_of_three([55, 20, 15]) | family_of_three([20, 20, 20], name="test")
        cells |= {("held_out", "clean", None): right(60, 60)}
        rows = metrics.type_table(validation(cells))
        held_out = {row["type"]: row["verdict"] for row in rows if row["set"] == "held_out"}
        assert held_out == {"clean": "none", "fgm-linf": "weakness", "pgd-linf": "strength", "pgd-l2": "strength"}
        assert {row["verdict"] for row in rows if row["set"] == "test"} == {None}

    def test_both_phases_of_one_table_are_told_apart(self):
        before = validation({("test", "clean", None): right(9, 10)})
        after = validation({("test", "clean", None): right(8, 10)}, phase="after")
        both = Validation(merge([before.table, after.table]), TYPES)
        assert [(row["phase"], row["accuracy"]) for row in metrics.type_table(both)] == [
            ("before", 0.9),
            ("after", 0.8),
        ]

    def test_rows_come_in_the_order_of_sets_and_types(self):
        names = ("mine", "test", "control", "held_out")
        rows = validation({(name, kind, None): [1, 0] for name in names for kind in ("pgd-linf", "clean")})
        order = [(row["set"], row["type"]) for row in metrics.type_table(rows)]
        assert order == [
            (name, kind) for name in ("held_out", "control", "test", "mine") for kind in ("clean", "pgd-linf")
        ]

    def test_a_sample_judged_twice_is_refused(self):
        once = validation({("test", "clean", None): [1, 0]})
        with pytest.raises(DataError, match="set 'test' twice"):
            metrics.type_table(Validation(merge([once.table, once.table]), TYPES))

    def test_a_type_that_is_not_described_is_refused(self):
        with pytest.raises(DataError, match="type 'clean'"):
            metrics.type_table(validation({("test", "clean", None): [1]}, types=(FGM,)))


class TestStrengthsAndWeaknesses:
    def test_a_type_is_judged_by_the_sign_flip_test_against_its_familys_mean_with_holm(self):
        cells = family_of_three([30, 22, 20])
        errors = 1 - np.asarray(list(cells.values())).T
        p = holm([sign_flip_test(column, 3) for column in (errors - errors.mean(axis=1, keepdims=True)).T])
        rows = metrics.verdict_table(validation(cells), seed=3)
        assert [row["p_holm"] for row in rows] == pytest.approx(p.tolist())
        assert [row["error"] for row in rows] == pytest.approx([30 / 60, 22 / 60, 20 / 60])
        assert [row["family_error"] for row in rows] == pytest.approx([24 / 60] * 3)

    def test_weaknesses_are_significantly_above_and_strengths_below(self):
        rows = validation(family_of_three([50, 10, 10]))
        assert metrics.weaknesses(rows) == ["fgm-linf"]
        assert metrics.strengths(rows) == ["pgd-linf", "pgd-l2"]

    def test_a_difference_that_chance_explains_is_neither(self):
        rows = metrics.verdict_table(validation(family_of_three([31, 30, 30])))
        assert {row["verdict"] for row in rows} == {"neither"}

    def test_two_types_are_no_family(self):
        cells = {key: value for key, value in family_of_three([59, 1, 0]).items() if key[1] != "pgd-l2"}
        assert {row["verdict"] for row in metrics.verdict_table(validation(cells))} == {"none"}
        assert metrics.weaknesses(validation(cells)) == []

    def test_a_crashed_type_is_not_of_the_family(self):
        cells = family_of_three([59, 1, 0]) | {("held_out", "pgd-l2", None): [None] * 60}
        assert {row["verdict"] for row in metrics.verdict_table(validation(cells))} == {"none"}

    def test_families_stand_apart(self):
        cells = family_of_three([30, 30, 30])
        for kind, broken in (("fog", 40), ("blur", 10), ("snow", 10)):
            cells |= {("held_out", kind, s): [int(i >= broken) for i in range(60)] for s in (1, 2)}
        assert metrics.weaknesses(validation(cells)) == ["fog"]
        assert metrics.strengths(validation(cells)) == ["blur", "snow"]

    def test_images_that_one_type_does_not_judge_are_left_out_for_all(self):
        cells = family_of_three([30, 20, 10])
        cells[("held_out", "fgm-linf", None)][:20] = [None] * 20
        rows = metrics.verdict_table(validation(cells))
        assert [(row["n"], row["error"]) for row in rows] == [(40, 0.25), (40, 0.0), (40, 0.0)]

    def test_weak_types_come_from_the_tune_half_and_weaknesses_from_the_held_out_half(self):
        cells = family_of_three([10, 10, 50], name="tune") | family_of_three([50, 10, 10])
        assert metrics.weak_types(validation(cells)) == ["pgd-l2"]
        assert metrics.weaknesses(validation(cells)) == ["fgm-linf"]

    def test_family_means_are_over_common_images(self):
        cells = family_of_three([30, 20, 10])
        cells[("held_out", "fgm-linf", None)][:20] = [None] * 20
        row = pick(metrics.family_means(validation(cells)), family="attacks")
        assert (row["set"], row["types"], row["n"], row["accuracy"]) == ("held_out", 3, 40, pytest.approx(1 - 10 / 120))


class TestExcess:
    def test_one_verdict_an_image_has_newcombes_interval(self):
        cells = {("held_out", "fgm-linf", None): right(10, 50), ("control", "fgm-linf", None): right(30, 40)}
        row = pick(metrics.excess_table(validation(cells)), type="fgm-linf")
        assert (row["n_weak"], row["n_control"], row["excess"]) == (50, 40, pytest.approx(0.8 - 0.25))
        assert (row["lower"], row["upper"]) == newcombe(40, 50, 10, 40)

    def test_pooled_severities_are_a_bootstrap_of_two_samples(self):
        cells = {(name, "fog", s): right(k, 100) for name, k in (("held_out", 30), ("control", 70)) for s in (1, 2, 3)}
        row = pick(metrics.excess_table(validation(cells)), type="fog")
        assert row["interval"] == "bootstrap"
        error = np.sqrt(2 * 0.3 * 0.7 / 100)
        assert (row["lower"], row["upper"]) == pytest.approx((0.4 - 1.96 * error, 0.4 + 1.96 * error), abs=0.02)

    def test_clean_has_none_since_selection_fixed_it(self):
        cells = {(name, "clean", None): right(5, 5) for name in ("held_out", "control")}
        assert metrics.excess_table(validation(cells)) == []


class TestPairedTable:
    def test_one_verdict_an_image_is_mcnemars(self):
        before = validation({("test", "pgd-linf", None): right(20, 100)})
        after = validation({("test", "pgd-linf", None): [0] * 5 + [1] * 45 + [0] * 50}, phase="after")
        row = pick(metrics.paired_table(before, after), type="pgd-linf")
        assert (row["before"], row["after"], row["change"]) == (0.2, 0.45, pytest.approx(0.25))
        assert (row["gained"], row["lost"], row["test"]) == (30, 5, "mcnemar")
        assert row["p"] == row["p_holm"] == mcnemar(30, 5)
        assert row["verdict"] == "better"
        differences = np.repeat([1, -1, 0], [30, 5, 65])
        assert (row["lower"], row["upper"]) == paired_bootstrap(differences, 0)

    def test_pooled_severities_are_a_sign_test_on_the_number_of_right_ones(self):
        before = validation({("test", "fog", s): [1, 1, 0, 0, 0] for s in (1, 2)})
        after = validation({("test", "fog", 1): [0, 1, 1, 1, 0], ("test", "fog", 2): [1, 1, 1, 0, 0]}, phase="after")
        row = pick(metrics.paired_table(before, after), type="fog")
        assert (row["gained"], row["lost"], row["test"], row["severities"]) == (2, 1, "sign", 2)
        assert row["p"] == sign_test([-1, 0, 2, 1, 0])
        assert row["verdict"] == "no_evidence"

    def test_only_images_known_in_both_phases_are_compared(self):
        before = validation({("test", "pgd-linf", None): [1, 0, None, 1]})
        after = validation({("test", "pgd-linf", None): [1, 1, 1, None]}, phase="after")
        row = pick(metrics.paired_table(before, after), type="pgd-linf")
        assert (row["n"], row["n_unknown"], row["before"], row["after"]) == (2, 2, 0.5, 1.0)

    def test_a_type_with_nothing_in_common_did_not_run(self):
        before = validation({("test", "pgd-linf", None): [1, 0]})
        after = validation({("test", "pgd-linf", None): [None, None]}, phase="after")
        row = pick(metrics.paired_table(before, after), type="pgd-linf")
        assert (row["n"], row["p"], row["p_holm"], row["verdict"]) == (0, None, None, "not run")
        assert row["before"] is row["after"] is row["change"] is None

    def test_holm_is_within_set_and_family(self):
        after_of = {"pgd-linf": 22, "fgm-linf": 24, "fog": 25, "uniform_noise": 26}
        sets = ("control", "test")
        before = validation({(name, kind, None): right(16, 60) for name in sets for kind in after_of})
        after = validation(
            {(name, kind, None): right(k, 60) for name in sets for kind, k in after_of.items()}, phase="after"
        )
        for name in sets:
            rows = {row["type"]: row for row in metrics.paired_table(before, after) if row["set"] == name}
            attacks = [rows[kind]["p_holm"] for kind in ("fgm-linf", "pgd-linf")]
            assert attacks == pytest.approx(holm([mcnemar(8, 0), mcnemar(6, 0)]).tolist())
            assert rows["fog"]["p_holm"] == rows["fog"]["p"] == mcnemar(9, 0)
            assert rows["uniform_noise"]["p_holm"] == mcnemar(10, 0)

    def test_clean_is_tested_by_the_headline_alone(self):
        sets = ("held_out", "control", "test")
        before = validation({(name, "clean", None): right(60, 60) for name in sets})
        after = validation({(name, "clean", None): right(40, 60) for name in sets}, phase="after")
        rows = metrics.paired_table(before, after)
        assert [row["verdict"] for row in rows] == ["not tested", "not tested", "see headline"]
        assert [row["p"] for row in rows] == [row["p_holm"] for row in rows] == [None] * 3
        assert [row["change"] for row in rows] == pytest.approx([-1 / 3] * 3)

    def test_nothing_changed_leaves_the_interval_open(self):
        same = {("test", "pgd-linf", None): right(3, 9)}
        row = pick(metrics.paired_table(validation(same), validation(same, phase="after")))
        assert (row["change"], row["gained"], row["lost"], row["p"]) == (0.0, 0, 0, 1.0)
        assert row["lower"] is row["upper"] is None
        assert row["verdict"] == "no_evidence"

    def test_rising_images_and_a_falling_mean_are_no_evidence(self):
        before = validation({("test", "fog", s): right(20, 100) for s in (1, 2, 3, 4, 5)})
        after = {("test", "fog", s): [0] * 100 for s in (2, 3, 4, 5)}
        after[("test", "fog", 1)] = [0] * 20 + [1] * 60 + [0] * 20
        row = pick(metrics.paired_table(before, validation(after, phase="after")))
        assert row["p_holm"] < 0.05
        assert row["change"] < 0 < row["gained"] - row["lost"]
        assert row["verdict"] == "no_evidence"

    def test_rows_are_matched_by_sample_not_by_place(self):
        before = validation({("test", "pgd-linf", None): [1, 0, 0, 1]})
        after = validation({("test", "pgd-linf", None): [1, 0, 0, 1]}, phase="after")
        turned = Validation(after.table.take([3, 1, 0, 2]), TYPES)
        row = pick(metrics.paired_table(before, turned))
        assert (row["gained"], row["lost"]) == (0, 0)


class TestHeadline:
    def test_robust_is_the_worst_case_over_the_linf_attacks_of_the_budget(self):
        cells = {
            ("test", "fgm-linf", None): [1, 1, 0, 1],
            ("test", "pgd-linf", None): [1, 0, 1, 1],
            ("test", "pgd-wide", None): [0, 0, 0, 0],
            ("test", "pgd-l2", None): [0, 0, 0, 0],
        }
        row = pick(metrics.headline(validation(cells), None, EPS), metric="robust")
        assert (row["types"], row["n"], row["before"]) == (["fgm-linf", "pgd-linf"], 4, 0.5)
        assert (row["before_lower"], row["before_upper"]) == wilson(2, 4)

    def test_corruption_is_the_mean_over_generated_types_and_severities(self):
        cells = {("test", "fog", 1): right(4, 4), ("test", "fog", 2): right(2, 4), ("test", "blur", 1): right(0, 4)}
        cells |= {("test", "blur", 2): right(0, 4), ("test", "cifar10-c/fog", 1): right(0, 4)}
        cells |= {("test", "uniform_noise", None): right(0, 4)}
        row = pick(metrics.headline(validation(cells), None, EPS), metric="corruption")
        assert (row["types"], row["severities"], row["before"]) == (["fog", "blur"], 2, pytest.approx(6 / 16))

    def test_an_attack_without_a_verdict_is_left_out_by_name(self):
        cells = {("test", "fgm-linf", None): [1, 1, 0], ("test", "pgd-linf", None): [None, None, 0]}
        status = {"pgd-linf": ["error: crash", "error: crash", "misclassified"]}
        row = pick(metrics.headline(validation(cells, status=status), None, EPS), metric="robust")
        assert (row["types"], row["left_out"], row["before"]) == (["fgm-linf"], ["pgd-linf"], pytest.approx(2 / 3))

    def test_an_image_counts_only_where_every_attack_has_a_verdict(self):
        cells = {("test", "fgm-linf", None): [0, 0, 1, 1], ("test", "pgd-linf", None): [None, 1, 1, None]}
        row = pick(metrics.headline(validation(cells), None, EPS), metric="robust")
        assert (row["n"], row["n_unknown"], row["before"]) == (2, 2, 0.5)

    def test_without_an_after_it_is_a_diagnosis(self):
        row = pick(metrics.headline(validation({("test", "clean", None): right(9, 10)}), None, EPS), metric="clean")
        assert row["verdict"] == "diagnosis"
        assert row["before"] == 0.9
        absent = (
            "after",
            "after_lower",
            "after_upper",
            "change",
            "change_lower",
            "change_upper",
            "p",
            "p_holm",
            "gained",
        )
        assert {row[name] for name in absent} == {None}

    def test_what_did_not_run_says_so_and_is_never_zero(self):
        cells = {("test", "clean", None): right(9, 10)}
        for after in (None, validation(cells, phase="after")):
            rows = metrics.headline(validation(cells), after, EPS)
            robust = pick(rows, metric="robust")
            assert (robust["n"], robust["verdict"], robust["before"], robust["p_holm"]) == (0, "not run", None, None)
            assert [row["metric"] for row in rows] == ["clean", "robust", "corruption"]
            assert len({tuple(row) for row in rows}) == 1

    def test_the_three_tests_are_corrected_together(self):
        before = validation(
            {
                ("test", "clean", None): right(90, 100),
                ("test", "pgd-linf", None): right(0, 100),
                ("test", "fog", 1): right(50, 100),
                ("test", "fog", 2): right(40, 100),
            }
        )
        after = validation(
            {
                ("test", "clean", None): right(83, 100),
                ("test", "pgd-linf", None): right(40, 100),
                ("test", "fog", 1): right(52, 100),
                ("test", "fog", 2): right(40, 100),
            },
            phase="after",
        )
        rows = metrics.headline(before, after, EPS)
        expected = holm([mcnemar(0, 7), mcnemar(40, 0), mcnemar(2, 0)])
        assert [row["p_holm"] for row in rows] == pytest.approx(expected.tolist())
        assert [row["verdict"] for row in rows] == ["worse", "better", "no_evidence"]
        assert [row["test"] for row in rows] == ["mcnemar", "mcnemar", "sign"]
        assert pick(rows, metric="corruption")["gained"] == 2

    @pytest.mark.parametrize(
        ("verdicts", "expected"),
        [
            (("better", "better", "no_evidence"), "Improved"),
            (("worse", "better", "better"), "Improved, at a cost"),
            (("no_evidence", "no_evidence", "not run"), "No evidence of a change"),
            (("worse", "no_evidence", "no_evidence"), "Worse"),
            (("diagnosis", "diagnosis", "not run"), "Diagnosis"),
            (("not run", "not run", "not run"), "Not comparable"),
        ],
    )
    def test_the_stance_follows_from_the_verdicts(self, verdicts, expected):
        assert metrics.stance([{"verdict": verdict} for verdict in verdicts]) == expected


class TestUnseen:
    def test_types_that_training_drew_are_averaged_apart(self):
        kinds = ("fog", "blur", "snow", "cifar10-c/fog")
        before = validation({("test", kind, s): right(5, 10) for kind in kinds for s in (1, 2)})
        after = validation(
            {("test", kind, s): right(9 if kind == "fog" else 6, 10) for kind in kinds for s in (1, 2)}, phase="after"
        )
        rows = metrics.unseen_table(before, after, Finetuning(drawn={"fog": 9}))
        assert [(row["origin"], row["trained"], row["types"]) for row in rows] == [
            ("generated", True, ["fog"]),
            ("generated", False, ["blur", "snow"]),
            ("stored", True, ["cifar10-c/fog"]),
        ]
        assert [row["change"] for row in rows] == pytest.approx([0.4, 0.1, 0.1])

    def test_without_fine_tuning_there_is_none(self):
        assert metrics.unseen_table(validation({("test", "fog", 1): [1]}), None, None) == []


class TestSeverities:
    def test_each_severity_has_its_row_and_types_without_have_none(self):
        cells = {
            ("test", "fog", 1): right(8, 10),
            ("test", "fog", 3): right(4, 10),
            ("test", "clean", None): right(9, 10),
        }
        rows = metrics.severity_table(validation(cells))
        assert [(row["type"], row["severity"], row["accuracy"]) for row in rows] == [("fog", 1, 0.8), ("fog", 3, 0.4)]
        assert (rows[1]["lower"], rows[1]["upper"]) == wilson(4, 10)

    def test_severities_are_compared_one_by_one_with_holm_over_all(self):
        before = validation({("test", "fog", s): right(10, 60) for s in (1, 2)})
        after = validation({("test", "fog", s): right(10 + 8 * s, 60) for s in (1, 2)}, phase="after")
        rows = metrics.severity_paired(before, after)
        assert [row["p_holm"] for row in rows] == pytest.approx(holm([mcnemar(8, 0), mcnemar(16, 0)]).tolist())

    def test_a_single_severity_has_one_p_value_and_it_is_in_the_other_table(self):
        before, after = (validation({("test", "fog", 3): right(5, 9)}, phase=phase) for phase in ("before", "after"))
        assert metrics.severity_paired(before, after) == []
        assert pick(metrics.paired_table(before, after), type="fog")["test"] == "mcnemar"


def weak_set(rows):
    table = pa.table(
        {
            "index": [index for index, _, _ in rows],
            "role": [role for _, role, _ in rows],
            "reason": [reason for _, _, reason in rows],
        }
    )
    return WeakSet(conform(table, WEAK_SET))


def scores(score, label, **columns):
    table = pa.table({"index": np.arange(len(score)), "score": np.asarray(score, float), "label": label, **columns})
    return Scores(conform(table, SCORES))


class TestScoresAndClasses:
    def test_the_histogram_counts_zeros_apart(self):
        chosen = weak_set([(0, "tune", "score"), (1, "held_out", "score"), (4, "control", "control")])
        shown = metrics.score_histogram(scores([0.9, 0.5, 0.5, 0.02, 0.0, 0.0, np.nan], [0] * 7), chosen)
        assert (shown["n"], shown["n_unknown"], shown["zero"], shown["k"]) == (6, 1, 2, 2)
        assert (shown["cut"], shown["ties"]) == (0.5, 1)
        assert len(shown["edges"]) == len(shown["counts"]) + 1
        assert (shown["edges"][0], shown["edges"][-1]) == (0.0, 1.0)
        assert sum(shown["counts"]) + shown["zero"] == shown["n"]

    def test_samples_that_filled_up_do_not_move_the_cut(self):
        chosen = weak_set([(0, "tune", "score"), (1, "held_out", "margin")])
        assert metrics.score_histogram(scores([0.9, 0.0], [0, 0]), chosen)["cut"] == 0.9

    def test_scores_outside_the_unit_interval_have_edges_of_their_own(self):
        shown = metrics.score_histogram(scores([-2.0, -1.0, -0.5], [0] * 3), weak_set([(2, "tune", "score")]))
        assert (shown["edges"][0], shown["edges"][-1], sum(shown["counts"])) == (-2.0, -0.5, 3)

    def test_classes_carry_their_share_and_the_largest_comes_first(self):
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

    def test_classes_on_test_are_clean_and_robust_before_and_after(self):
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

    def test_the_scorers_own_neighbors_say_what_weak_samples_are_taken_for(self):
        told = {"neighbor_prediction": [2, 2, 1, 1, 1]}
        given = scores([0.9, 0.8, 0.7, 0.0, 0.0], [0] * 5, **told)
        chosen = weak_set([(0, "tune", "score"), (1, "held_out", "score"), (2, "tune", "score")])
        row = pick(metrics.class_table(given, chosen, class_names=("a", "b", "c")))
        assert (row["confused_with"], row["confused_name"], row["confused_n"]) == (2, "c", 2)


def random_pair(seed=0, n=30):
    draws = np.random.default_rng(seed)
    cells = [(kind.type, None) for kind in (CLEAN, NOISE, FGM, PGD, L2)]
    cells += [(kind.type, s) for kind in (FOG, BLUR, SNOW) for s in (1, 2)]
    sets = ("held_out", "control", "test")

    def drawn(names, phase):
        return validation(
            {(name, *cell): draws.integers(0, 2, n).tolist() for name in names for cell in cells}, phase=phase
        )

    return drawn((*sets, "tune"), "before"), drawn((*sets, "tune"), "after")


def all_tables(before, after):
    record = Finetuning(drawn={"fog": 1}, norms=("inf",))
    nothing = (scores([], np.empty(0, int)), weak_set([]))
    return {
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
    def test_the_tune_half_is_shown_nowhere(self):
        before, after = random_pair()
        without = [
            Validation(v.table.filter(pa.compute.not_equal(v.table["set"].cast("string"), "tune")), TYPES)
            for v in (before, after)
        ]
        tables = all_tables(before, after)
        assert "tune" not in {row.get("set") for rows in tables.values() for row in rows}
        assert tables == all_tables(*without)

    def test_values_are_plain_json(self):
        for name, rows in all_tables(*random_pair()).items():
            assert rows, name
            assert json.loads(json.dumps(rows, allow_nan=False)) == rows

    def test_the_order_of_the_rows_does_not_matter(self):
        before, after = random_pair()
        turned = [
            Validation(v.table.take(np.random.default_rng(1).permutation(len(v))), TYPES) for v in (before, after)
        ]
        assert all_tables(*turned) == all_tables(before, after)

    def test_an_empty_validation_gives_empty_tables(self):
        empty = validation({})
        tables = all_tables(empty, empty)
        assert {name for name, rows in tables.items() if rows} == {"headline", "histogram"}
        assert {row["verdict"] for row in tables["headline"]} == {"not run"}
        assert metrics.weak_types(empty) == metrics.weaknesses(empty) == []
