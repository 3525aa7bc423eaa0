"""A run on data of one split: its halves train and judge, and the whole is never fine-tuned on."""

from __future__ import annotations

import numpy as np
import pytest

from art_weakrobust.datasets.base import ids_of, labels_of
from art_weakrobust.datasets.digits import digits
from art_weakrobust.datasets.npz import npz
from art_weakrobust.datasets.splits import half_seed
from art_weakrobust.datasets.subset import part
from art_weakrobust.errors import UsageError
from art_weakrobust.pipeline.context import Context
from art_weakrobust.pipeline.examination import diagnosed
from art_weakrobust.pipeline.options import Options
from art_weakrobust.pipeline.run import execute
from art_weakrobust.plugins.manager import Manager
from art_weakrobust.results import column
from art_weakrobust.store import Run


@pytest.fixture
def one_split(tmp_path) -> str:
    """300 digits that a network of this package has not seen, as one split."""
    every = digits(split="test").take(np.arange(300))
    np.savez(tmp_path / "digits.npz", x_test=every.x, y_test=every.y)
    return f"npz:{tmp_path}/digits.npz"


def context(dataset: str, **given) -> Context:
    return Context(Options().with_({"dataset": dataset, "eps": 0.1, "attacks": "fgm", **given}), Manager())


@pytest.mark.parametrize("split", ["all", "test", "validation"])
def test_what_holds_the_test_half_is_not_fine_tuned_on(own_cache, one_split, split):
    made = context(one_split, split=split)
    assert made.test_is_scored
    with pytest.raises(UsageError, match=f"--split {split} .* holds the test set"):
        made.check_built(("finetune",))


@pytest.mark.parametrize("split", ["all", "train", "test"])
def test_whatever_is_scored_the_doctor_says_that_the_test_set_is_a_half(own_cache, one_split, split):
    findings = diagnosed(context(one_split, split=split, limit=80, seed=3), ()).findings
    (note,) = [finding for finding in findings if finding.code == "one-split"]
    assert "drawn with seed 3, is the test set" in note.seen


def test_a_test_set_of_its_own_is_not_called_a_half_and_a_half_is(one_split):
    whole, half = npz(one_split.removeprefix("npz:"), split="all"), npz(one_split.removeprefix("npz:"), split="test")
    assert half_seed(whole) is half_seed(None) is half_seed(digits(split="test")) is None
    assert half_seed(half) == half_seed(part(half, limit=9)) == 0


def test_the_other_half_is_fine_tuned_on(own_cache, one_split):
    made = context(one_split)
    assert not made.test_is_scored
    made.check_built(("finetune",))


def test_sets_have_the_ids_of_the_whole_and_every_class_in_its_share(own_cache, one_split):
    made = context(one_split, limit=100, test_limit=90, seed=4)
    test, guard = made.test_parts
    parts = [made.train_ids, test, guard]
    assert [len(part) for part in parts] == [100, 90, 60]
    assert len(np.unique(np.concatenate(parts))) == 250
    for data in (made.train, made.test):
        assert np.array_equal(data.take(ids_of(data)).y, labels_of(data))


def test_a_whole_run_trains_on_the_one_half_and_judges_on_the_other(own_cache, one_split, small_options, tmp_path):
    stages = ("score", "select", "before", "finetune", "after", "report")
    given = {**small_options, "dataset": one_split, "limit": None, "nb_epochs": 1, "fill": True}
    execute(tmp_path / "run", stages, given, resume=False)
    made = context(one_split)
    with Run.open(tmp_path / "run", write=False) as run:
        records = run.records()
    (note,) = [finding for finding in records.findings if finding["code"] == "one-split"]
    assert "drawn with seed 0, is the test set" in note["seen"]
    assert note["seen"] in (tmp_path / "run/report.html").read_text(encoding="utf-8")
    assert np.array_equal(np.sort(column(records.scores.table, "index")), ids_of(made.whole))
    assert np.isin(records.finetuning.trained_ids, ids_of(made.whole)).all()
    assert np.isin(records.finetuning.guard_ids, ids_of(made.test)).all()
    judged = records.after.table.to_pandas().query("set == 'test'")["index"].unique()
    assert len(judged) == 60
    assert np.isin(judged, ids_of(made.test)).all()
