"""What the pipeline adds to a scorer's table."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from art_weakrobust.analysis.complete import complete
from art_weakrobust.analysis.neighborhood import neighborhood
from art_weakrobust.errors import PluginError
from art_weakrobust.execution.serial import SerialMap
from art_weakrobust.results import SCORES, Scores
from art_weakrobust.selection import select

PIXELS = np.array([0.9, 0.4, 0.6], np.float32)  # class 1 is right above 0.5: the second sample is misclassified


@pytest.fixture
def completed(build):
    def run(**columns):
        estimator = build.classifier(build.one_pixel(), 2)
        return complete(Scores(pa.table(columns)), estimator, build.pixel_data(PIXELS), SerialMap(), scorer="mine")

    return run


def test_a_table_of_index_and_score_becomes_a_table_of_every_column(completed):
    scores = completed(index=[0, 1, 2], score=[0.1, 0.2, 0.3])
    assert scores.table.schema.equals(SCORES)
    assert scores["label"].tolist() == [1, 1, 1]
    assert scores["prediction"].tolist() == [1, 0, 1]
    assert scores["correct"].tolist() == [True, False, True]
    assert scores["status"].tolist() == ["ok", "misclassified", "ok"]
    assert set(scores["scorer"]) == {"mine"}


def test_a_misclassified_sample_has_no_score_where_the_scorer_says_nothing_of_it(completed):
    scores = completed(index=[0, 1, 2], score=[0.1, 0.2, 0.3])
    assert np.allclose(scores["score"], [0.1, np.nan, 0.3], equal_nan=True)
    assert scores["found"].tolist() == [True, False, True]


def test_rows_keep_their_order_and_meet_their_own_sample(completed):
    scores = completed(index=[1, 2, 0], score=[0.2, 0.3, 0.1])
    assert scores["index"].tolist() == [1, 2, 0]
    assert scores["correct"].tolist() == [False, True, True]


def test_what_the_scorer_said_is_left_as_it_was(completed):
    scores = completed(
        index=[0, 1, 2],
        score=[0.1, 0.2, 0.3],
        found=[False, True, False],
        status=["ok", "ok", "error: lost"],
        extra=[7, 8, 9],
    )
    assert scores["status"].tolist() == ["ok", "ok", "error: lost"]
    assert scores["score"].tolist() == [0.1, 0.2, 0.3]
    assert scores["found"].tolist() == [False, True, False]
    assert scores["extra"].tolist() == [7, 8, 9]


def test_what_the_scorer_knows_of_its_work_stays_with_the_rows(build):
    scores = Scores(pa.table({"index": [0, 1, 2], "score": [0.1, 0.2, 0.3]}), {"forwards_spared": 7})
    estimator = build.classifier(build.one_pixel(), 2)
    assert complete(scores, estimator, build.pixel_data(PIXELS), SerialMap()).facts == {"forwards_spared": 7}


def test_a_complete_table_asks_nothing_again(build):
    estimator, data, over = build.classifier(build.one_pixel(), 2), build.pixel_data(PIXELS), SerialMap()
    scores = neighborhood(0.1, neighbors=3)(estimator, data, over)
    before = estimator.forwards
    again = complete(scores, estimator, data, over, scorer="neighborhood")
    assert estimator.forwards == before
    assert again.to_pandas().equals(scores.to_pandas())


def test_a_third_party_s_two_columns_are_enough_for_a_weak_set(completed):
    weak = select(completed(index=[0, 1, 2], score=[0.1, 0.9, 0.3]), top_k=2)
    assert sorted(np.concatenate([weak.tune, weak.held_out]).tolist()) == [0, 2]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"index": [0, 1, 2]}, "scorer 'mine' returned no column 'score'"),
        ({"score": [0.1]}, "no column 'index'"),
        ({"index": [0, 0, 1], "score": [0.1, 0.2, 0.3]}, "a sample id twice"),
        ({"index": [0, 1, 2], "score": [0.1, np.inf, 0.3]}, "an infinite score"),
    ],
)
def test_a_table_that_cannot_be_used_says_why(completed, columns, message):
    with pytest.raises(PluginError, match=message):
        completed(**columns)
