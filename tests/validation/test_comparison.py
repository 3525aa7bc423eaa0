"""Before against after, on the same images, and what the headline makes of it."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest

from art_weakrobust.results import Finetuning, Validation
from art_weakrobust.statistics import (
    holm,
    mcnemar,
    paired_bootstrap,
    sign_test,
    wilson,
)
from art_weakrobust.validation import metrics

EPS = 2 / 255


class TestPairedTable:
    def test_one_verdict_an_image_is_mcnemars(self, validation, right, pick):
        before = validation({("test", "pgd-linf", None): right(20, 100)})
        after = validation({("test", "pgd-linf", None): [0] * 5 + [1] * 45 + [0] * 50}, phase="after")
        row = pick(metrics.paired_table(before, after), type="pgd-linf")
        assert (row["before"], row["after"], row["change"]) == (0.2, 0.45, pytest.approx(0.25))
        assert (row["gained"], row["lost"], row["test"]) == (30, 5, "mcnemar")
        assert row["p"] == row["p_holm"] == mcnemar(30, 5)
        assert row["verdict"] == "better"
        differences = np.repeat([1, -1, 0], [30, 5, 65])
        assert (row["lower"], row["upper"]) == paired_bootstrap(differences, 0)

    def test_pooled_severities_are_a_sign_test_on_the_number_of_right_ones(self, validation, pick):
        before = validation({("test", "fog", s): [1, 1, 0, 0, 0] for s in (1, 2)})
        after = validation({("test", "fog", 1): [0, 1, 1, 1, 0], ("test", "fog", 2): [1, 1, 1, 0, 0]}, phase="after")
        row = pick(metrics.paired_table(before, after), type="fog")
        assert (row["gained"], row["lost"], row["test"], row["severities"]) == (2, 1, "sign", 2)
        assert row["p"] == sign_test([-1, 0, 2, 1, 0])
        assert row["verdict"] == "no_evidence"

    def test_only_images_known_in_both_phases_are_compared(self, validation, pick):
        before = validation({("test", "pgd-linf", None): [1, 0, None, 1]})
        after = validation({("test", "pgd-linf", None): [1, 1, 1, None]}, phase="after")
        row = pick(metrics.paired_table(before, after), type="pgd-linf")
        assert (row["n"], row["n_unknown"], row["before"], row["after"]) == (2, 2, 0.5, 1.0)

    def test_a_type_with_nothing_in_common_did_not_run(self, validation, pick):
        before = validation({("test", "pgd-linf", None): [1, 0]})
        after = validation({("test", "pgd-linf", None): [None, None]}, phase="after")
        row = pick(metrics.paired_table(before, after), type="pgd-linf")
        assert (row["n"], row["p"], row["p_holm"], row["verdict"]) == (0, None, None, "not run")
        assert row["before"] is row["after"] is row["change"] is None

    def test_holm_is_within_set_and_family(self, validation, right):
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

    def test_clean_is_tested_by_the_headline_alone(self, validation, right):
        sets = ("held_out", "control", "test")
        before = validation({(name, "clean", None): right(60, 60) for name in sets})
        after = validation({(name, "clean", None): right(40, 60) for name in sets}, phase="after")
        rows = metrics.paired_table(before, after)
        assert [row["verdict"] for row in rows] == ["not tested", "not tested", "see headline"]
        assert [row["p"] for row in rows] == [row["p_holm"] for row in rows] == [None] * 3
        assert [row["change"] for row in rows] == pytest.approx([-1 / 3] * 3)

    def test_nothing_changed_leaves_the_interval_open(self, validation, right, pick):
        same = {("test", "pgd-linf", None): right(3, 9)}
        row = pick(metrics.paired_table(validation(same), validation(same, phase="after")))
        assert (row["change"], row["gained"], row["lost"], row["p"]) == (0.0, 0, 0, 1.0)
        assert row["lower"] is row["upper"] is None
        assert row["verdict"] == "no_evidence"

    def test_rising_images_and_a_falling_mean_are_no_evidence(self, validation, right, pick):
        before = validation({("test", "fog", s): right(20, 100) for s in (1, 2, 3, 4, 5)})
        after = {("test", "fog", s): [0] * 100 for s in (2, 3, 4, 5)}
        after[("test", "fog", 1)] = [0] * 20 + [1] * 60 + [0] * 20
        row = pick(metrics.paired_table(before, validation(after, phase="after")))
        assert row["p_holm"] < 0.05
        assert row["change"] < 0 < row["gained"] - row["lost"]
        assert row["verdict"] == "no_evidence"

    def test_images_that_one_phase_lacks_are_left_out(self, validation, pick):
        before = validation({("test", "pgd-linf", None): [1, 1, 0, 0, 1]})
        after = validation({("test", "pgd-linf", None): [0, 1, 1, 0, 1]}, phase="after")
        last = Validation(after.table.filter(pc.greater(after.table["index"], 1)), after.types)
        row = pick(metrics.paired_table(before, last))
        assert (row["n"], row["before"], row["after"], row["gained"]) == (
            3,
            pytest.approx(1 / 3),
            pytest.approx(2 / 3),
            1,
        )

    def test_rows_are_matched_by_sample_not_by_place(self, validation, pick):
        before = validation({("test", "pgd-linf", None): [1, 0, 0, 1]})
        after = validation({("test", "pgd-linf", None): [1, 0, 0, 1]}, phase="after")
        turned = Validation(after.table.take([3, 1, 0, 2]), before.types)
        row = pick(metrics.paired_table(before, turned))
        assert (row["gained"], row["lost"]) == (0, 0)


class TestSeverityPaired:
    def test_severities_are_compared_one_by_one_with_holm_over_all(self, validation, right):
        before = validation({("test", "fog", s): right(10, 60) for s in (1, 2)})
        after = validation({("test", "fog", s): right(10 + 8 * s, 60) for s in (1, 2)}, phase="after")
        rows = metrics.severity_paired(before, after)
        assert [row["p_holm"] for row in rows] == pytest.approx(holm([mcnemar(8, 0), mcnemar(16, 0)]).tolist())

    def test_a_single_severity_has_one_p_value_and_it_is_in_the_other_table(self, validation, right, pick):
        before, after = (validation({("test", "fog", 3): right(5, 9)}, phase=phase) for phase in ("before", "after"))
        assert metrics.severity_paired(before, after) == []
        assert pick(metrics.paired_table(before, after), type="fog")["test"] == "mcnemar"


class TestHeadline:
    def test_robust_is_the_worst_case_over_the_linf_attacks_of_the_budget(self, validation, pick):
        cells = {
            ("test", "fgm-linf", None): [1, 1, 0, 1],
            ("test", "pgd-linf", None): [1, 0, 1, 1],
            ("test", "pgd-wide", None): [0, 0, 0, 0],
            ("test", "pgd-l2", None): [0, 0, 0, 0],
        }
        row = pick(metrics.headline(validation(cells), None, EPS), metric="robust")
        assert (row["types"], row["n"], row["before"]) == (["fgm-linf", "pgd-linf"], 4, 0.5)
        assert (row["before_lower"], row["before_upper"]) == wilson(2, 4)

    def test_corruption_is_the_mean_over_generated_types_and_severities(self, validation, right, pick):
        cells = {("test", "fog", 1): right(4, 4), ("test", "fog", 2): right(2, 4), ("test", "blur", 1): right(0, 4)}
        cells |= {("test", "blur", 2): right(0, 4), ("test", "cifar10-c/fog", 1): right(0, 4)}
        cells |= {("test", "uniform_noise", None): right(0, 4)}
        row = pick(metrics.headline(validation(cells), None, EPS), metric="corruption")
        assert (row["types"], row["severities"], row["before"]) == (["fog", "blur"], 2, pytest.approx(6 / 16))

    def test_an_attack_without_a_verdict_is_left_out_by_name(self, validation, pick):
        cells = {("test", "fgm-linf", None): [1, 1, 0], ("test", "pgd-linf", None): [None, None, 0]}
        status = {"pgd-linf": ["error: crash", "error: crash", "misclassified"]}
        row = pick(metrics.headline(validation(cells, status=status), None, EPS), metric="robust")
        assert (row["types"], row["left_out"], row["before"]) == (["fgm-linf"], ["pgd-linf"], pytest.approx(2 / 3))

    def test_an_attack_that_crashed_after_is_left_out_before_as_well(self, validation, pick):
        before = validation({("test", "fgm-linf", None): [1, 1, 0], ("test", "pgd-linf", None): [0, 0, 0]})
        after = validation(
            {("test", "fgm-linf", None): [1, 1, 1], ("test", "pgd-linf", None): [None] * 3}, phase="after"
        )
        row = pick(metrics.headline(before, after, EPS), metric="robust")
        assert (row["types"], row["left_out"], row["n"]) == (["fgm-linf"], ["pgd-linf"], 3)
        assert (row["before"], row["after"]) == (pytest.approx(2 / 3), 1.0)

    def test_an_image_counts_only_where_every_attack_has_a_verdict(self, validation, pick):
        cells = {("test", "fgm-linf", None): [0, 0, 1, 1], ("test", "pgd-linf", None): [None, 1, 1, None]}
        row = pick(metrics.headline(validation(cells), None, EPS), metric="robust")
        assert (row["n"], row["n_unknown"], row["before"]) == (2, 2, 0.5)

    def test_without_an_after_it_is_a_diagnosis(self, validation, right, pick):
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

    def test_what_did_not_run_says_so_and_is_never_zero(self, validation, right, pick):
        cells = {("test", "clean", None): right(9, 10)}
        for after in (None, validation(cells, phase="after")):
            rows = metrics.headline(validation(cells), after, EPS)
            robust = pick(rows, metric="robust")
            assert (robust["n"], robust["verdict"], robust["before"], robust["p_holm"]) == (0, "not run", None, None)
            assert [row["metric"] for row in rows] == ["clean", "robust", "corruption"]
            assert len({tuple(row) for row in rows}) == 1

    def test_the_three_tests_are_corrected_together(self, validation, right, pick):
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
    def test_types_that_training_drew_are_averaged_apart(self, validation, right):
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

    def test_without_fine_tuning_there_is_none(self, validation):
        assert metrics.unseen_table(validation({("test", "fog", 1): [1]}), None, None) == []
