"""Candidate screening: the exhaustive scorer's weakest samples, from a part of its neighbors, and an honest bound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from art_weakrobust.analysis.neighborhood import neighborhood
from art_weakrobust.analysis.neighborhood_draws import COLUMNS
from art_weakrobust.analysis.screening import Aim, ScreeningScorer
from art_weakrobust.errors import UsageError
from art_weakrobust.execution.serial import SerialMap
from art_weakrobust.results import SCORES, SCREENED, column
from art_weakrobust.selection import select
from art_weakrobust.store import Parts
from art_weakrobust.testing.networks import small_cnn

RADIUS = 0.25


@dataclass(frozen=True)
class KnownRows:
    """A chunk function that looks neighbors up: a score is 1 where the margin is below zero."""

    margins: np.ndarray
    first: int
    last: int
    precision: str | None = None

    def __call__(self, estimator, samples):
        margins = self.margins[samples][:, self.first : self.last]
        values = {name: np.zeros(len(samples)) for name in COLUMNS.names}
        values |= {"index": samples, "neighbors": np.full(len(samples), self.last - self.first)}
        values |= {"score_sum": 1.0 * (margins < 0).sum(1), "flips": (margins < 0).sum(1)}
        values |= {"least_margin": margins.min(1), "decision": np.zeros(len(samples), bool)}
        return pa.table({name: pa.array(values[name]).cast(COLUMNS.field(name).type) for name in COLUMNS.names})


class Known:
    """A neighborhood whose every margin is known, with the work that was asked of it."""

    def __init__(self, margins):
        self.margins, self.neighbors, self.asked = margins.astype(np.float32), margins.shape[1], []

    @property
    def clean(self):
        n = len(self.margins)
        columns = {"index": np.arange(n), "status": ["ok"] * n, "correct": np.ones(n, bool)}
        return lambda estimator, samples: pa.table(columns)

    def around(self, first, last, *, exact_margin=True):
        return KnownRows(self.margins, first, last)

    def scored(self, clean, around):
        return around

    def over(self, stage, function, estimator, data, ids=None):
        if ids is not None:
            self.asked.append((stage, np.asarray(ids), function.first, function.last))
        return function(estimator, ids)

    def screened(self, seed=0, **aim):
        scorer = ScreeningScorer("neighborhood", None, lambda _table: {}, function=self, aim=Aim(**aim), seed=seed)
        return scorer(None, None, self.over)

    def weakest(self, count):
        score = (self.margins < 0).sum(1)
        order = np.lexsort((np.arange(len(score)), self.margins.min(1), -score))
        return set(order[:count].tolist())


def members(scores, known):
    """The set that a selection with ``fill`` would take."""
    rows = scores.table.to_pandas()
    full = rows[rows["neighbors"] == known.neighbors]
    ranked = full.sort_values(["score_sum", "least_margin", "index"], ascending=[False, True, True])
    return set(ranked["index"][: scores.facts["screening"]["sought"]].tolist())


def honest(n=600, m=20, seed=0, spread=2.0):
    """Margins around a level that every sample has, the more samples the higher."""
    draw = np.random.default_rng(seed)
    return spread * draw.exponential(size=(n, 1)) + draw.normal(size=(n, m)) + 0.5


def deceiving(n=600, m=20, seed=0):
    """A tenth of the samples look strong at their first neighbors, and are the weakest of all."""
    margins = honest(n, m, seed)
    liars = np.random.default_rng(seed).permutation(n)[: n // 10]
    margins[liars] = -1.0
    margins[liars, : m // 2] = 50.0
    return margins


@given(seed=st.integers(0, 99), fraction=st.sampled_from([0.01, 0.1, 0.5, 1.0]), m=st.sampled_from([1, 2, 7, 20]))
@settings(max_examples=15, deadline=None)
def test_where_none_may_be_missed_the_set_is_the_exhaustive_one(seed, fraction, m):
    known = Known(honest(200, m, seed))
    scores = known.screened(fraction=fraction, max_missed=0.0)
    assert scores.facts["missed_bound"]["upper"] == 0
    assert members(scores, known) == known.weakest(scores.facts["screening"]["sought"])


def test_a_part_of_the_neighbors_finds_the_weakest():
    known = Known(honest(4000, 32, spread=8))
    scores = known.screened(max_missed=0.05)
    told = scores.facts["screening"]
    assert told["share_drawn"] < 0.5
    assert told["looks"] == 1
    assert len(known.weakest(400) & members(scores, known)) >= 398


def test_no_neighbor_is_drawn_twice_and_all_that_were_are_counted():
    known = Known(deceiving())
    told = known.screened().facts["screening"]
    drawn = [(i, number) for _, ids, a, b in known.asked for i in ids.tolist() for number in range(a, b)]
    assert len(drawn) == len(set(drawn)) == told["neighbors_drawn"]
    assert told["neighbors_in_all"] == 600 * 20


def test_pieces_of_work_have_names_of_their_own():
    known = Known(deceiving())
    known.screened()
    names = [stage for stage, *_ in known.asked]
    assert len(names) == len(set(names))
    assert names[:3] == ["neighborhood 0-1", "neighborhood 1-2", "neighborhood 2-4"]


def test_an_audit_that_finds_members_widens_the_candidates_until_the_bound_holds():
    known = Known(deceiving())
    scores = known.screened()
    told, bound = scores.facts["screening"], scores.facts["missed_bound"]
    assert told["looks"] > 1
    assert bound["upper"] <= 0.02
    assert len(known.weakest(60) - members(scores, known)) <= 0.02 * 60


def test_the_bound_holds_for_every_seed_of_the_audit():
    known = Known(honest(600, 8, seed=5))
    wrong = 0
    for seed in range(20):
        scores = known.screened(seed=seed, max_missed=0.1)
        missed = len(known.weakest(60) - members(scores, known)) / 60
        wrong += missed > scores.facts["missed_bound"]["upper"]
    assert wrong <= 3  # 5 % of 20 is 1; four or more would happen in 1.6 % of all runs


def test_the_audit_is_a_function_of_its_seed():
    asked = []
    for seed in (1, 1, 2):
        known = Known(honest())
        known.screened(seed=seed)
        asked.append([(stage, ids.tolist()) for stage, ids, *_ in known.asked])
    assert asked[0] == asked[1] != asked[2]


def test_whose_score_cannot_reach_the_set_any_more_is_decided_without_an_audit():
    """A tenth is wrong everywhere, the others nowhere: one right neighbor decides."""
    margins = np.full((300, 10), 4.0) + np.arange(300)[:, None] / 1000
    margins[:30] = -4.0
    known = Known(margins)
    scores = known.screened()
    told = scores.facts["screening"]
    assert told["decided_early"] == 300 - told["in_full"] == scores.facts["missed_bound"]["n"] + told["decided_early"]
    assert members(scores, known) == set(range(30))


def test_where_hardly_any_sample_flips_margins_alone_rank_the_others_and_that_is_told():
    margins = honest(2000, 16, spread=20) + 6
    margins[:40, 3] = -1.0
    known = Known(margins)
    scores = known.screened(max_missed=0.05)
    told = scores.facts["screening"]
    assert told["sought"] == 200
    flipping = int((margins < 0).any(1).sum())
    assert told["members_that_flip"] <= told["flipped"] <= flipping < 200


def test_ties_at_the_cut_are_counted():
    margins = np.full((50, 4), 1.0)
    margins[:3] = -1.0
    told = Known(margins).screened(top_k=10, max_missed=0.0).facts["screening"]
    assert told["tied_at_the_cut"] == 40


@pytest.mark.parametrize(
    ("aim", "message"),
    [
        ({"fraction": 0.0}, "fraction=0.0 has to be a share"),
        ({"top_k": 0}, "top_k=0 has to be a whole number from 1"),
        ({"max_missed": 1.0}, "max_missed=1.0 has to be a share"),
        ({"max_missed": -0.1}, "max_missed=-0.1 has to be a share"),
    ],
)
def test_an_aim_out_of_range_is_refused(aim, message):
    with pytest.raises(UsageError, match=message):
        neighborhood(screen=True, **aim)


@pytest.fixture(scope="module")
def pair(trained, digit_data, build):
    """Exhaustive and screened scores of the same samples."""
    return [
        build.score_with(neighborhood(RADIUS, neighbors=12, screen=screen, max_missed=0.3), trained, digit_data)
        for screen in (False, True)
    ]


def test_rows_in_full_are_those_of_the_exhaustive_scorer(pair):
    whole, screened = (scores.to_pandas() for scores in pair)
    full = screened["status"] == "ok"
    assert 10 < full.sum() < (whole["status"] == "ok").sum()
    for name in ("flips", "worst_neighbor", "neighbors", "found", "correct", "prediction"):
        assert screened[name][full].tolist() == whole[name][full].tolist(), name
    for name in ("score", "neighbor_margin", "margin", "first_order_distance"):
        assert np.allclose(screened[name][full], whole[name][full], atol=1e-5), name


def test_a_sample_left_out_has_no_score_and_says_what_is_known(pair):
    _, screened = pair
    rows = screened.to_pandas()
    left = rows[rows["status"] == SCREENED]
    assert len(left) > 10
    assert left["score"].isna().all()
    assert left["misprediction_score"].isna().all()
    assert (left["neighbors"] < 12).all()
    assert left["correct"].all()
    assert (left["found"].isna() == (left["flips"] == 0)).all()


def test_no_selection_ranks_a_sample_left_out_and_the_control_group_may_hold_it(pair):
    whole, screened = pair
    same, own = select(whole, fill=True), select(screened, fill=True)
    assert np.array_equal(np.union1d(own.tune, own.held_out), np.union1d(same.tune, same.held_out))
    assert np.array_equal(own.control, same.control)
    status = dict(zip(screened["index"].tolist(), screened["status"].tolist(), strict=True))
    assert SCREENED in {status[i] for i in own.control.tolist()}


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"fraction": 0.5}, "more than the 1[0-2] that screening sought"),
        ({"top_k": 60}, "60 samples are more than"),
        ({"fraction": None, "threshold": 0.2}, "threshold=0.2 cannot be selected"),
        ({"per_class": 2}, "per_class=2 cannot be selected"),
    ],
)
def test_more_than_was_sought_cannot_be_selected(pair, asked, message):
    with pytest.raises(UsageError, match=message):
        select(pair[1], **asked)


def test_fewer_than_were_sought_can_be_selected(pair):
    assert len(select(pair[1], fraction=None, top_k=5, fill=True)) == 5


def test_both_screens_give_the_float32_rows(build):
    """Early rounds know margins in bfloat16 alone: whoever has no error is asked again where that matters."""
    estimator = build.classifier(small_cnn((3, 8, 8), seed=2), shape=(3, 8, 8))
    x = np.random.default_rng(0).random((300, 3, 8, 8), dtype=np.float32)
    data = type(build.pixel_data(np.ones(2)))(x, estimator.predict(x).argmax(1))
    rows = [
        build.score_with(
            neighborhood(0.02, neighbors=24, screen=True, max_missed=0.3, precision=precision), estimator, data
        ).to_pandas()
        for precision in ("float32", "bfloat16")
    ]
    exact, quick = (row[row["status"] == "ok"] for row in rows)
    common = np.intersect1d(exact["index"], quick["index"])
    assert len(common) > 30
    exact, quick = (part.set_index("index").loc[common] for part in (exact, quick))
    assert exact["flips"].tolist() == quick["flips"].tolist()
    assert np.allclose(exact["neighbor_margin"], quick["neighbor_margin"], atol=1e-5)
    assert "measured" in quick.columns


def test_a_screening_resumed_from_any_of_its_parts_ends_with_the_same_rows(trained, digit_data, tmp_path):
    scorer = neighborhood(RADIUS, neighbors=12, screen=True, max_missed=0.3)
    parts = Parts(tmp_path / "scores", "score", SCORES)
    whole = scorer(trained, digit_data, SerialMap(parts, chunk_size=50))
    files = sorted(parts.files(), key=lambda file: file.stat().st_mtime_ns)
    assert len(files) > 6
    for gone in range(0, len(files), 3):
        for file in files[gone:]:
            file.unlink(missing_ok=True)
        again = scorer(trained, digit_data, SerialMap(parts, chunk_size=50))
        assert again.to_pandas().equals(whole.to_pandas())
        assert again.facts == whole.facts


def test_neighbors_of_a_screened_sample_are_those_of_its_numbers(pair):
    """The sums of a partial row are those of its first neighbors, as ranges are everywhere."""
    _, screened = pair
    drawn = np.unique(column(screened.table, "neighbors")[column(screened.table, "status") == SCREENED])
    assert set(drawn.tolist()) <= {1, 2, 4, 8}


def test_a_black_box_of_labels_is_screened_by_its_flips(build, trained, digit_data):
    bare = build.black_box(trained, lambda logits: torch.nn.functional.one_hot(logits.argmax(1), 10).float())
    scores = build.score_with(neighborhood(RADIUS, neighbors=4, screen=True, max_missed=0.0), bare, digit_data)
    assert scores.facts["missed_bound"]["upper"] == 0
    weak = select(scores)
    exact = select(build.score_with(neighborhood(RADIUS, neighbors=4), bare, digit_data))
    assert np.array_equal(weak.tune, exact.tune)
