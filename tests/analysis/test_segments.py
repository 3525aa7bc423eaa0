"""Where weakness concentrates: planted in dark images it is found, and in noise nothing is."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from art_weakrobust import weak_segments
from art_weakrobust.analysis.segments import _Condition, _words
from art_weakrobust.errors import UsageError
from art_weakrobust.results import SCORES, TRIAGE, WEAK_SET, Scores, Triage, WeakSet, conform
from art_weakrobust.statistics import fisher, wilson

NAMES = ("cat", "dog", "frog", "ship")


def story(n, seed, weak_at):
    """Random properties and classes; ``weak_at`` gives from them how likely each sample is weak."""
    draws = np.random.default_rng(seed)
    seen = {name: draws.random(n).astype(np.float32) for name in ("brightness", "contrast", "sharpness")}
    label = draws.integers(0, len(NAMES), n)
    weak = draws.random(n) < weak_at({**seen, "label": label})
    index = np.arange(n)
    columns = {"index": index, "label": label, "prediction": label, "correct": [True] * n, "score": weak * 1.0}
    scores = Scores(conform(pa.table(columns), SCORES))
    found = Triage(conform(pa.table({"index": index, **seen, "colourfulness": np.zeros(n, np.float32)}), TRIAGE))
    roles = ["tune"] * int(weak.sum())
    weak_set = WeakSet(conform(pa.table({"index": index[weak], "role": pa.array(roles, pa.string())}), WEAK_SET))
    return scores, weak_set, found


def in_the_dark(seen):
    return np.where(seen["brightness"] < 0.2, 0.5, 0.05)


def test_weakness_planted_in_dark_images_is_found_and_named():
    rows = weak_segments(*story(3000, 0, in_the_dark), class_names=NAMES)
    assert rows
    first = rows[0]
    assert first["where"].startswith("brightness below 0.")
    assert 0.15 < float(first["where"].split("below ")[1].split(",")[0]) < 0.25
    assert first["lower"] <= first["share"] <= first["upper"]
    assert first["share"] == first["weak"] / first["n"]
    assert first["lower"] < 0.5 < first["upper"]


def test_a_class_is_called_by_its_name():
    rows = weak_segments(*story(3000, 1, lambda seen: np.where(seen["label"] == 2, 0.4, 0.05)), class_names=NAMES)
    assert rows[0]["where"].startswith("class frog")


def test_both_a_class_and_a_property_may_say_where():
    rows = weak_segments(
        *story(6000, 2, lambda seen: np.where((seen["label"] == 0) & (seen["contrast"] < 0.3), 0.6, 0.03)),
        class_names=NAMES,
    )
    assert rows[0]["where"].startswith("class cat, contrast below 0.")


def test_in_noise_nothing_is_found_but_by_the_chance_that_is_allowed():
    found = [bool(weak_segments(*story(600, seed, lambda seen: np.full(600, 0.15)))) for seed in range(60)]
    assert sum(found) <= 8  # 1 in 20 is allowed at most: 8 or more of 60 have a probability of 1 %


def test_shares_are_counted_on_samples_that_grew_no_tree():
    rows = weak_segments(*story(3000, 0, in_the_dark))
    assert all(row["n"] < 0.6 * 3000 * 0.5 for row in rows)
    for row in rows:
        assert (row["lower"], row["upper"]) == pytest.approx(wilson(row["weak"], row["n"]))


def test_the_order_of_the_rows_changes_nothing():
    scores, weak_set, found = story(1500, 3, in_the_dark)
    order = pa.array(np.random.default_rng(0).permutation(1500))
    mixed = weak_segments(Scores(scores.table.take(order)), weak_set, Triage(found.table.take(order)))
    assert mixed == weak_segments(scores, weak_set, found)


def test_samples_that_are_wrong_when_clean_do_not_count():
    scores, weak_set, found = story(1500, 3, in_the_dark)
    table = scores.table
    more = conform(
        pa.table(
            {"index": np.arange(1500, 1900), "label": [0] * 400, "prediction": [1] * 400, "correct": [False] * 400}
        ),
        SCORES,
    )
    dark = conform(
        pa.table(
            {
                "index": np.arange(1500, 1900),
                "brightness": [0.1] * 400,
                "contrast": [0.5] * 400,
                "sharpness": [0.5] * 400,
                "colourfulness": [0.0] * 400,
            }
        ),
        TRIAGE,
    )
    wide = (
        Scores(pa.concat_tables([table, more]).unify_dictionaries()),
        weak_set,
        Triage(pa.concat_tables([found.table, dark]).unify_dictionaries()),
    )
    assert weak_segments(*wide) == weak_segments(scores, weak_set, found)


def test_samples_that_a_screening_left_out_count_as_not_weak():
    scores, weak_set, found = story(4000, 0, in_the_dark)
    weak = np.isin(scores["index"], weak_set.tune)
    left_out = ~weak & (scores["index"] % 3 > 0)
    table = scores.table.set_column(
        scores.table.column_names.index("status"), "status", pa.array(np.where(left_out, "screened", "ok"))
    )
    table = table.set_column(
        table.column_names.index("score"), "score", pa.array(np.where(left_out, np.nan, scores["score"]))
    )
    screened = Scores(conform(table, SCORES))
    assert weak_segments(screened, weak_set, found) == weak_segments(scores, weak_set, found) != []


def test_too_few_samples_and_a_weak_set_of_nobody_have_no_segments():
    assert weak_segments(*story(80, 0, in_the_dark)) == []
    assert weak_segments(*story(600, 0, lambda seen: np.zeros(600))) == []


def test_a_triage_of_other_samples_is_refused():
    scores, weak_set, found = story(300, 0, in_the_dark)
    with pytest.raises(UsageError, match="other samples"):
        weak_segments(scores, weak_set, Triage(found.table.slice(1)))


def test_fisher_s_exact_test_of_the_lady_who_tasted_tea():
    assert fisher(4, 4, 0, 4) == pytest.approx(2 / 70)
    assert fisher(1, 2, 2, 4) == pytest.approx(1)
    assert np.isnan(fisher(0, 0, 1, 2))


def test_of_one_class_it_is_not_said_which_others_it_is_not():
    names = ("class cat", "class frog", "predicted class cat", "contrast")
    path = (_Condition(0, 0.5, False), _Condition(1, 0.5, True), _Condition(2, 0.5, False), _Condition(3, 0.2, True))
    assert _words(path, names) == "class frog, predicted class not cat, contrast above 0.2"
    assert _words(path[:1], names) == "class not cat"
