"""``art-weakrobust sample``: the command that the report gives for every weak sample."""

from __future__ import annotations

import json

import pytest

from art_weakrobust.store import Run


@pytest.fixture(scope="module")
def weakest(finished):
    with Run.open(finished) as run:
        return int(run.records().weak_set.tune[0])


def test_a_sample_comes_out_as_the_run_has_it(cli, finished, weakest):
    answer = cli("sample", "--out", finished, "--index", weakest, "--json")
    assert answer.status == 0, answer.err
    told = json.loads(answer.out)
    assert told["same"]
    assert told["stored"]["worst_neighbor"] == told["now"]["worst_neighbor"]
    assert told["stored"]["index"] == told["now"]["index"] == weakest


def test_it_writes_nothing(cli, copied, tree, weakest):
    before = tree(copied)
    assert cli("sample", "--out", copied, "--index", weakest).status == 0
    assert tree(copied) == before


def test_a_sample_that_was_not_scored_is_refused(cli, finished):
    answer = cli("sample", "--out", finished, "--index", "99999")
    assert answer.status
    assert "--index 99999 is not among the 400 samples" in answer.error


def test_a_score_that_does_not_come_out_again_is_an_error(cli, finished, weakest, monkeypatch):
    from art_weakrobust.pipeline import again

    real = again.score

    def other(*given, **named):
        scores = real(*given, **named)
        at = scores.table.column_names.index("score")
        return type(scores)(scores.table.set_column(at, "score", [[0.123]]))

    monkeypatch.setattr(again, "score", other)
    answer = cli("sample", "--out", finished, "--index", weakest)
    assert answer.status == 1
    assert "does not come out" in answer.error
