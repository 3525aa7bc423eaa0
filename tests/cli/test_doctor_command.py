"""The doctor before a run: it stops on an error, writes nothing then, and its findings reach the report."""

from __future__ import annotations

import json

import numpy as np
import pytest
from torch import nn

from art_weakrobust import FastPyTorchClassifier, WeakRobustValidator
from art_weakrobust.datasets.digits import digits
from art_weakrobust.errors import UsageError
from art_weakrobust.models.digits_cnn import digits_cnn

SMALL = ["--limit", "120", "--test-limit", "60", "--neighbors", "4", "--radius", "0.3", "--attacks", "fgm"]
SMALL += ["--corruptions", "", "--nb-epochs", "1", "--no-plugins", "--quiet"]


@pytest.fixture
def shifted(tmp_path):
    """Digits in an npz file, with labels that are shifted by one."""
    arrays = {}
    for split in ("train", "test"):
        samples = digits(split=split).take(np.arange(200))
        arrays |= {f"x_{split}": samples.x, f"y_{split}": (samples.y + 1) % 10}
    path = tmp_path / "shifted.npz"
    np.savez(path, **arrays)
    return f"npz:{path}"


def test_a_run_stops_on_an_error_before_anything_is_written(cli, shifted, tmp_path):
    answer = cli("run", "--dataset", shifted, "--out", tmp_path / "out", *SMALL)
    assert answer.status == 2
    assert "labels-order" in answer.error
    assert "--ignore-doctor" in answer.error
    assert not (tmp_path / "out").exists()


def test_a_run_that_ignores_the_doctor_carries_the_error_in_its_report(cli, shifted, tmp_path):
    out = tmp_path / "out"
    answer = cli("run", "--dataset", shifted, "--out", out, *SMALL, "--ignore-doctor", "--fill")
    assert answer.status == 0
    record = json.loads((out / "findings.json").read_text())
    assert record["findings"][0]["code"] == "labels-order"
    assert "Not comparable" in (out / "report.html").read_text()


def test_a_healthy_run_records_what_passed(cli, tmp_path):
    out = tmp_path / "out"
    assert cli("score", "--out", out, "--limit", "100", "--neighbors", "3", "--quiet").status == 0
    record = json.loads((out / "findings.json").read_text())
    assert record["findings"] == []
    assert {"pixels", "input form", "gradients"} <= set(record["passed"])


def test_the_command_tells_and_writes_nothing(cli, shifted, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.iterdir())
    answer = cli("doctor", "--dataset", shifted, "--no-plugins")
    assert (answer.status, sorted(tmp_path.iterdir())) == (1, before)
    assert "▲ error labels-order" in answer.out
    assert "void the figures" in answer.error
    answer = cli("doctor", "--no-plugins", "--json")
    assert (answer.status, json.loads(answer.out)["findings"]) == (0, [])


def test_the_validator_stops_as_well_and_can_be_told_to_go_on():
    samples = digits(split="test").take(np.arange(150))
    net, _ = digits_cnn()
    classifier = FastPyTorchClassifier(
        net, nn.CrossEntropyLoss(), input_shape=(1, 8, 8), nb_classes=10, clip_values=(0, 1)
    )
    options = {"attacks": (), "corruptions": (), "neighbors": 3, "verbose": False}
    with pytest.raises(UsageError, match="ignore_doctor=True"):
        WeakRobustValidator(classifier, **options).evaluate(samples.x, (samples.y + 1) % 10)
    validator = WeakRobustValidator(classifier, ignore_doctor=True, fill=True, **options)
    evaluation = validator.evaluate(samples.x, (samples.y + 1) % 10)
    assert evaluation.records.findings[0]["code"] == "labels-order"
