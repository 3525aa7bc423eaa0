"""Corruption errors: keyed by name, normalised by a named baseline, refused where they would compare two tasks."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from art_weakrobust.errors import UsageError
from art_weakrobust.results import VALIDATION, PerturbationType, Validation, conform
from art_weakrobust.validation.baselines import BASELINES, Baseline, baseline
from art_weakrobust.validation.corruption_error import (
    corruption_error_table,
    corruption_errors,
    mce,
    mean_error,
    relative_mce,
)
from art_weakrobust.validation.metrics import headline, type_table

ALEXNET = BASELINES["alexnet"]
TWO = Baseline("two", {"fog": 0.5, "snow": 0.8}, clean=0.1, classes=10)


def rows(verdicts, n=10):
    """A validation of the test set: (type, severity) -> number of errors among the images, from the first id on."""
    parts = []
    for (kind, severity), (errors, first) in verdicts.items():
        parts.append(
            pa.table(
                {
                    "index": np.arange(first, first + n),
                    "set": ["test"] * n,
                    "phase": ["before"] * n,
                    "type": [kind] * n,
                    "severity": pa.array([severity] * n, pa.int8()),
                    "label": np.zeros(n, int),
                    "prediction": [1] * errors + [0] * (n - errors),
                    "correct": [False] * errors + [True] * (n - errors),
                    "status": ["ok"] * n,
                }
            )
        )
    names = dict.fromkeys(kind for kind, _ in verdicts)
    family = {"clean": "clean"}
    types = tuple(
        PerturbationType(name, family.get(name, "corruptions"), origin="stored" if "/" in name else "generated")
        for name in names
    )
    return Validation(conform(pa.concat_tables(parts), VALIDATION), types)


def every_severity(kind, errors, first=0):
    return {(kind, severity): (count, first) for severity, count in enumerate(errors, 1)}


def test_the_baseline_s_own_mce_is_100():
    for row in BASELINES.values():
        assert mce(row.errors, row) == pytest.approx(100)
        assert relative_mce(row.errors, row.clean, row) == pytest.approx(100)


def test_the_published_row_has_the_published_mean():
    assert len(ALEXNET.errors) == 15
    assert mean_error(ALEXNET.errors) == pytest.approx(0.78899, abs=1e-5)


def test_errors_are_divided_by_name_whatever_their_order():
    half = {kind: error / 2 for kind, error in reversed(ALEXNET.errors.items())}
    assert mce(half, ALEXNET) == pytest.approx(50)
    assert corruption_errors(half, ALEXNET) == pytest.approx(dict.fromkeys(ALEXNET.errors, 50))


def test_mce_is_a_mean_of_quotients_and_no_quotient_of_means():
    assert mce({"fog": 0.25, "snow": 0.8}, TWO) == pytest.approx((50 + 100) / 2)


def test_relative_mce_is_what_is_lost_from_clean():
    errors = {"fog": 0.4, "snow": 0.55}
    assert relative_mce(errors, 0.2, TWO) == pytest.approx(100 * (0.2 / 0.4 + 0.35 / 0.7) / 2)


def test_a_missing_corruption_is_named_and_never_averaged_away():
    with pytest.raises(UsageError, match=r"needs the error of 'snow' \(1 of 2 corruptions missing\)"):
        mce({"fog": 0.5}, TWO)


def test_relative_mce_without_the_baseline_s_clean_error_is_refused():
    with pytest.raises(UsageError, match="has no clean error"):
        relative_mce({"fog": 0.5}, 0.1, Baseline("mine", {"fog": 0.5}))


@pytest.mark.parametrize("classes", [10, 100, 200, None])
def test_alexnet_s_row_is_refused_for_other_than_1000_classes(classes):
    with pytest.raises(UsageError, match="row of 1,000 classes, the data have"):
        corruption_error_table(rows(every_severity("fog", [1] * 5)), ALEXNET, classes)
    ALEXNET.check_classes(1000)


def test_an_unknown_baseline_shows_the_nearest():
    with pytest.raises(UsageError, match="'alexnt' is not known, did you mean 'alexnet'"):
        baseline("alexnt")


def test_a_baseline_of_your_own_is_a_json_file(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(TWO.to_json()))
    assert baseline(str(path)) == TWO


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "cannot be read as JSON"),
        ("[1]", "holds no JSON object"),
        ('{"name": "x"}', "'errors' is None"),
        ('{"errors": {"fog": 82.6}}', "the error of 'fog' is 82.6, expected a share above 0 and at most 1"),
        ('{"errors": {"fog": 0}}', "the error of 'fog' is 0"),
        ('{"errors": {"fog": 0.5}, "classes": "many"}', "'classes' is 'many'"),
    ],
)
def test_a_file_that_holds_no_baseline_says_what_is_wrong(tmp_path, content, message):
    path = tmp_path / "mine.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=message):
        baseline(str(path))


def test_the_table_holds_error_and_mce_of_the_test_set():
    cells = {("clean", None): (2, 0)} | every_severity("fog", [1, 2, 3, 4, 5]) | every_severity("snow", [4] * 5)
    (row,) = corruption_error_table(rows(cells), TWO, 10)
    assert (row["baseline"], row["stored"], row["n"], row["missing"]) == ("two", None, 10, [])
    assert row["ce"] == {"fog": pytest.approx(60), "snow": pytest.approx(50)}
    assert row["mce"] == pytest.approx(55)
    assert row["mean_error"] == pytest.approx(0.35)
    assert row["relative_mce"] == pytest.approx(100 * (0.1 / 0.4 + 0.2 / 0.7) / 2)


def test_a_set_on_disk_has_a_row_of_its_own():
    cells = every_severity("fog", [5] * 5) | every_severity("imagenet-c/fog", [1] * 5)
    generated, stored = corruption_error_table(rows(cells), Baseline("one", {"fog": 0.5}), None)
    assert (generated["stored"], generated["mce"]) == (None, pytest.approx(100))
    assert (stored["stored"], stored["mce"]) == ("imagenet-c", pytest.approx(20))


def test_without_all_five_severities_there_is_no_mce():
    cells = every_severity("fog", [1, 2, 3]) | every_severity("snow", [4] * 5)
    (row,) = corruption_error_table(rows(cells), TWO, 10)
    assert (row["missing"], row["mce"], row["ce"]) == (["fog"], None, {"snow": pytest.approx(50)})
    assert row["mean_error"] == pytest.approx(0.3)


def test_images_that_are_not_the_test_images_have_no_relative_mce():
    cells = {("clean", None): (2, 0)} | every_severity("set/fog", [4] * 5, first=-50)
    (row,) = corruption_error_table(rows(cells), Baseline("one", {"fog": 0.5}, clean=0.1), None)
    assert (row["mce"], row["relative_mce"]) == (pytest.approx(80), None)


def test_images_of_an_unpaired_set_are_unknown_to_nobody():
    cells = {("clean", None): (2, 0)} | every_severity("fog", [1] * 5) | every_severity("set/fog", [4] * 5, first=-50)
    validation = rows(cells)
    assert [row["n_unknown"] for row in headline(validation, None, 0.1)] == [0, 0, 0]
    assert [(row["n"], row["n_unknown"]) for row in type_table(validation)] == [(10, 0)] * 3
