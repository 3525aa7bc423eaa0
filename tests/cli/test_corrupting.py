"""``corrupt`` writes a set, ``validate`` takes it: by name alone, beside what was validated already."""

from __future__ import annotations

import json

import numpy as np
import pytest

from art_weakrobust.store import Run


@pytest.fixture
def corrupt(cli, tmp_path):
    """Return a function that corrupts the digits' test images."""

    def run(*words):
        return cli("corrupt", "--dataset", "digits", "--out", tmp_path / "set", "--no-plugins", *words)

    return run


def types(out):
    with Run.open(out, write=False) as run:
        records = run.records()
        return {
            phase: [kind.type for kind in validation.types if kind.family == "corruptions"]
            for phase, validation in (("before", records.before), ("after", records.after))
        }


def test_validate_adds_the_types_of_a_set_to_those_that_a_run_has(corrupt, cli, copied, tmp_path):
    assert corrupt("--corruptions", "contrast,pixelate", "--quiet").status == 0
    answer = cli(
        "validate", "--corruptions", f"cifar10-c:{tmp_path / 'set'}", "--out", copied, "--no-plugins", "--quiet"
    )
    assert answer.status == 0, answer
    wanted = ["contrast", "cifar10-c/contrast", "cifar10-c/pixelate"]
    assert types(copied) == {"before": wanted, "after": wanted}
    assert cli("report", "--out", copied, "--quiet").status == 0
    summary = json.loads((copied / "summary.json").read_text())
    rows = [row for row in summary["tables"]["validation"] if row["origin"] == "stored"]
    assert {(row["set"], row["verdict"], row["severities"]) for row in rows} == {("test", None, 2)}
    (corruption,) = [row for row in summary["tables"]["headline"] if row["metric"] == "corruption"]
    assert corruption["types"] == ["contrast"]


def test_a_baseline_of_a_thousand_classes_is_refused_for_ten_digits(cli, copied):
    answer = cli("validate", "--baseline", "alexnet", "--out", copied, "--no-plugins", "--quiet")
    assert answer.status == 2
    assert "row of 1,000 classes, the data have 10" in answer.error


def test_a_baseline_of_your_own_brings_mce_into_the_summary(cli, copied, tmp_path):
    row = {"name": "mine", "errors": {"contrast": 0.5}, "clean": 0.01, "classes": 10}
    (tmp_path / "mine.json").write_text(json.dumps(row))
    words = ("--baseline", tmp_path / "mine.json", "--out", copied, "--no-plugins", "--quiet")
    assert cli("validate", *words).status == 0
    (tmp_path / "mine.json").unlink()  # the run keeps what it was normalised by
    assert cli("report", "--out", copied, "--quiet").status == 0
    rows = json.loads((copied / "summary.json").read_text())["tables"]["corruption_errors"]
    assert [(r["phase"], r["baseline"], r["missing"], r["mce"]) for r in rows] == [
        ("before", "mine", ["contrast"], None),  # the run judged two severities of five
        ("after", "mine", ["contrast"], None),
    ]
    assert all(0 < r["mean_error"] < 1 for r in rows)


def test_corrupt_says_what_it_wrote(corrupt, tmp_path):
    answer = corrupt("--corruptions", "contrast", "--severities", "2-3")
    assert answer.status == 0
    assert "1 corruptions (arrays) of 445 images at severity 2, 3" in answer.out
    assert np.load(tmp_path / "set" / "contrast.npy").shape == (3 * 445, 8, 8, 1)


def test_json_is_the_manifest(corrupt):
    made = json.loads(corrupt("--corruptions", "contrast", "--severities", "1", "--json", "--quiet").out)
    assert (made["dataset"], made["split"], made["samples"], made["seed"]) == ("digits", "test", 445, 0)
    assert set(made["corruptions"]["contrast"]["versions"]) >= {"torch", "numpy", "art-weakrobust"}


def test_a_training_split_can_be_corrupted(corrupt, tmp_path):
    assert corrupt("--corruptions", "contrast", "--severities", "1", "--split", "train").status == 0
    assert len(np.load(tmp_path / "set" / "contrast.npy")) == 1352


REFUSED = {
    "--corruptions contrst": (2, "unknown corruption 'contrst', did you mean 'contrast'"),
    "--corruptions cifar10-c": (2, "'cifar10-c' is a set on disk already"),
    "--corruptions ''": (2, "--corruptions names none"),
    "--severities 0-3": (2, "--severities '0-3' has to list numbers from 1 to 5, as in 1,3,5 or 1-5"),
    "--severities six": (2, "--severities 'six'"),
    "--layout zip --corruptions contrast": (2, "layout 'zip'"),
    "--split dev": (1, "has no split 'dev'"),
    "--corruptions fog": (1, "fog needs images of at least 28 x 28 pixels, got 8 x 8"),
}


@pytest.mark.parametrize("words", REFUSED)
def test_bad_input_is_told_in_one_line_and_nothing_is_written(corrupt, tmp_path, words):
    status, message = REFUSED[words]
    answer = corrupt(*(word.replace("''", "") for word in words.split()))
    assert answer.status == status, answer
    assert message in answer.error
    assert not (tmp_path / "set").exists()
