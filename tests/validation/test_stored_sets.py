"""Sets on disk in a validation: for the test images alone, without a verdict, apart from the headline."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.errors import UsageError
from art_weakrobust.execution.serial import SerialMap
from art_weakrobust.perturbations.corruptions.colour import contrast
from art_weakrobust.perturbations.corruptions.stored.writing import write_set
from art_weakrobust.perturbations.resolve import resolve_corruptions
from art_weakrobust.plugins.manager import Manager
from art_weakrobust.results import Finetuning, column
from art_weakrobust.testing.networks import linear
from art_weakrobust.validation.loop import validate
from art_weakrobust.validation.metrics import (
    excess_table,
    family_means,
    headline,
    paired_table,
    type_table,
    unseen_table,
    verdict_table,
)

SHAPE = (1, 8, 8)


@pytest.fixture(scope="module")
def estimator():
    import torch

    from art_weakrobust.estimators.pytorch import FastPyTorchClassifier

    weight = torch.from_numpy(np.random.default_rng(1).normal(0, 1, (3, 64))).float()
    model = linear(SHAPE, weight=weight, bias=-weight.sum(1) / 2)
    return FastPyTorchClassifier(model, loss=torch.nn.CrossEntropyLoss(), input_shape=SHAPE, nb_classes=3)


@pytest.fixture(scope="module")
def data(estimator):
    x = np.rint(np.random.default_rng(2).uniform(0, 1, (90, *SHAPE)) * 255).astype(np.float32) / 255
    return ArrayDataset(x, estimator.predict(x).argmax(1))


@pytest.fixture(scope="module")
def root(data, tmp_path_factory):
    root = tmp_path_factory.mktemp("stored") / "set"
    write_set(data, root, {"contrast": contrast}, severities=(1, 5))
    return root


@pytest.fixture
def validated(estimator, data, root):
    """Return a function that validates with contrast, computed and stored, on ``test`` and on a weak half."""

    def run(test=data, phase="before"):
        kinds = resolve_corruptions(f"contrast,cifar10-c:{root}", Manager())
        sets = {"held_out": (data, np.arange(20)), "control": (data, np.arange(20, 40)), "test": (test, np.arange(60))}
        over = SerialMap(stamp={"phase": phase})
        return validate(estimator, sets, over, corruptions=kinds, severities=(1, 5))

    return run


def test_only_the_test_set_is_judged_on_a_set_on_disk(validated):
    table = validated().table
    stored = column(table, "type") == "cifar10-c/contrast"
    assert set(column(table, "set")[stored]) == {"test"}
    assert sorted(set(column(table, "severity")[stored])) == [1, 5]


def test_a_paired_set_judges_the_ids_of_the_test_set_as_the_computed_corruption_does(validated):
    table = validated().table
    verdicts = {}
    for kind in ("contrast", "cifar10-c/contrast"):
        rows = (column(table, "type") == kind) & (column(table, "set") == "test")
        keys = zip(column(table, "index")[rows], column(table, "severity")[rows], strict=True)
        verdicts[kind] = dict(zip(keys, column(table, "prediction")[rows], strict=True))
    assert verdicts["contrast"] == verdicts["cifar10-c/contrast"]
    assert len(verdicts["contrast"]) == 120


def test_stored_types_have_no_verdict_and_are_in_no_mean_and_not_in_the_headline(validated):
    validation = validated()
    assert {row["type"] for row in verdict_table(validation)} == {"contrast"}
    assert {row["types"] for row in family_means(validation) if row["family"] == "corruptions"} == {1}
    assert {row["type"] for row in excess_table(validation)} == {"uniform_noise", "contrast"}
    assert headline(validation, None, 0.1)[2]["types"] == ["contrast"]
    (row,) = [row for row in type_table(validation) if row["origin"] == "stored"]
    assert (row["set"], row["verdict"], row["n"]) == ("test", None, 60)


def test_a_stored_type_is_trained_where_its_corruption_was_drawn(validated):
    before, after = validated(), validated(phase="after")
    for drawn, trained in (({"contrast": 9}, True), ({"fog": 9}, False)):
        tuned = Finetuning(drawn=drawn)
        rows = [row for row in paired_table(before, after, tuned) if row["type"] == "cifar10-c/contrast"]
        assert [row["trained"] for row in rows] == [trained]
        stored = [row for row in unseen_table(before, after, tuned) if row["origin"] == "stored"]
        assert [(row["stored"], row["trained"], row["n"]) for row in stored] == [("cifar10-c", trained, 60)]


def test_the_type_says_how_it_is_paired(validated):
    source = {kind.type: kind.source for kind in validated().types}["cifar10-c/contrast"]
    assert source.endswith("; paired by index with the test images")


def test_an_unpaired_set_is_judged_whole_under_ids_of_its_own_and_it_is_said(validated, data, caplog):
    order = np.arange(90)[::-1]
    turned = ArrayDataset(data.take(order).x, data.labels()[order])
    with caplog.at_level(logging.WARNING):
        validation = validated(turned)
    assert "cifar10-c/contrast: unpaired: its labels are in another order; these figures are of other" in caplog.text
    table = validation.table
    index = column(table, "index")[column(table, "type") == "cifar10-c/contrast"]
    assert (index.max() < 0, len(index)) == (True, 180)
    rows = {row["type"]: row for row in type_table(validation) if row["set"] == "test"}
    assert {name: (row["n"], row["n_unknown"]) for name, row in rows.items()} == {
        "clean": (60, 0),
        "uniform_noise": (60, 0),
        "contrast": (60, 0),
        "cifar10-c/contrast": (90, 0),
    }
    assert {row["n_unknown"] for row in headline(validation, None, 0.1)} == {0}
    paired = paired_table(validation, validation)
    assert {row["n_unknown"] for row in paired} == {0}


def test_a_severity_that_the_set_lacks_is_refused_before_anything_is_judged(estimator, data, root):
    def never(*_):
        raise AssertionError

    kinds = resolve_corruptions(f"cifar10-c:{root}", Manager())
    with pytest.raises(UsageError, match="'cifar10-c/contrast' has no severity 3, it has 1, 5"):
        validate(estimator, {"test": (data, np.arange(60))}, never, corruptions=kinds, severities=(1, 3))
