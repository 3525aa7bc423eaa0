"""What the manifest holds a stage to."""

from __future__ import annotations

import numpy as np
import pytest

from art_weakrobust.cli.app import build
from art_weakrobust.datasets.digits import digits


@pytest.fixture
def work(capsys):
    """Return a function that runs a command line and returns its status and standard error."""

    def run(*words):
        with pytest.raises(SystemExit) as left:
            build()([str(word) for word in words])
        return left.value.code or 0, capsys.readouterr().err

    return run


def test_before_and_after_are_of_the_same_test_images(own_cache, work, tmp_path):
    train, test = (digits(split=split) for split in ("train", "test"))
    few, every = train.take(np.arange(120)), test.take(np.arange(len(test)))
    order = np.random.default_rng(0).permutation(len(test))
    data, out = tmp_path / "digits.npz", tmp_path / "run"
    arrays = {"x_train": few.x, "y_train": few.y}
    np.savez(data, **arrays, x_test=every.x, y_test=every.y)
    assert work("score", "--dataset", f"npz:{data}", "--radius", "0.3", "--neighbors", "4", "--out", out)[0] == 0
    assert work("select", "--out", out)[0] == 0
    small = ("--test-limit", "50", "--attacks", "fgm", "--corruptions", "", "--eps", "0.1")
    assert work("validate", *small, "--out", out)[0] == 0

    np.savez(data, **arrays, x_test=every.x[order], y_test=every.y[order])
    status, error = work("validate", "--out", out)

    assert status == 1
    assert "test_fingerprint" in error
