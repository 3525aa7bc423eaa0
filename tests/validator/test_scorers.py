"""Who says what is weak: the neighborhood, an attack of ART's, or a third party's few lines."""

from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa
import pytest
from art.attacks.evasion import ProjectedGradientDescent
from matplotlib.figure import Figure

from art_weakrobust import Spec, hookimpl
from art_weakrobust.analysis.attack import attack
from art_weakrobust.results import SCORES, Scores


@pytest.fixture(scope="module")
def attacked(validator, arrays, test_arrays):
    """An evaluation whose weak set is what PGD at a small budget finds."""
    own = validator(scorer="attack:attack=pgd:eps=0.08", attacks=["fgm"], corruptions=["contrast"])
    return own, own.evaluate(arrays.x_train, arrays.y_train, **test_arrays)


def test_what_an_attack_finds_has_the_same_table(attacked, arrays):
    frame = attacked[1].scores.to_pandas()
    assert list(frame.columns) == SCORES.names
    assert set(frame["scorer"]) == {"attack"}
    fooled = frame["fooled"].eq(True)
    assert 0.02 < fooled.mean() < 0.5
    assert (frame.loc[fooled, "score"] > 0.1).all()
    assert (frame.loc[~fooled & frame["correct"], "score"] == 0).all()
    assert (frame.loc[fooled, "adversarial_distance"] <= 0.08 * (1 + 1e-5)).all()


def test_what_an_attack_finds_is_selected_halved_and_validated_alike(attacked):
    evaluation = attacked[1]
    weak = evaluation.weak_set
    fooled = set(np.flatnonzero(evaluation.scores["fooled"] == True))  # noqa: E712 - three-valued
    assert {*weak.tune, *weak.held_out} <= fooled
    assert len(weak.control) == len(weak.held_out) > 3
    assert set(evaluation.tables["validation"]["set"]) == {"held_out", "control", "test"}


def test_what_an_attack_finds_is_reported_with_its_adversarials(attacked, tmp_path):
    evaluation = attacked[1]
    samples = evaluation.records.samples.to_pandas()
    assert samples["adversarial"].notna().mean() > 0.8  # made again; a random start may miss what another found
    assert "Weakest samples" in evaluation.to_html(tmp_path / "report.html").read_text(encoding="utf-8")
    assert isinstance(evaluation.plot_samples(), Figure)


def test_after_judges_the_adversarials_that_are_shown(attacked, classifier, arrays, test_arrays):
    own, before = attacked
    other = classifier()
    for parameter in other.model.parameters():
        parameter.data *= 0.9
    after = own.evaluate(
        arrays.x_train, arrays.y_train, **test_arrays, classifier=other, weak_set=before.weak_set
    ).compare(before)
    rows = after.records.samples.to_pandas().set_index("index").loc[before.weak_set.held_out]
    row = rows[rows["adversarial"].notna()].iloc[0]
    image = np.frombuffer(row["adversarial"], np.uint8).reshape(1, 1, 8, 8).astype(np.float32) / 255
    logits = other.predict(image)[0].astype(np.float64)
    expected = np.exp(logits - logits.max())
    np.testing.assert_allclose(row["p_neighbor_after"], expected / expected.sum(), atol=1e-5)


@pytest.mark.parametrize("form", ["object", "factory"])
def test_an_attack_scores_by_name_factory_and_ready_made_object(attacked, validator, classifier, arrays, form):
    build = partial(ProjectedGradientDescent, eps=0.08, eps_step=0.02, max_iter=20, num_random_init=1, verbose=False)
    chosen = build(classifier()) if form == "object" else build
    scores = (
        validator(scorer=attack(chosen), attacks=[], corruptions=[]).evaluate(arrays.x_train, arrays.y_train).scores
    )
    np.testing.assert_array_equal(scores["score"], attacked[1].scores["score"])


def least_confident(estimator, data, over):
    """A scorer of one's own in three lines."""

    def chunk(estimator, samples):
        outputs = np.sort(estimator.predict(samples.x), axis=1)
        return pa.table({"index": samples.ids, "score": np.float64(outputs[:, -2] - outputs[:, -1])})

    return Scores(over("least_confident", chunk, estimator, data))


def test_a_third_party_s_callable_is_enough(validator, arrays, tmp_path):
    evaluation = validator(scorer=least_confident, attacks=["fgm"], corruptions=[]).evaluate(
        arrays.x_train, arrays.y_train
    )
    frame = evaluation.scores.to_pandas()
    assert set(frame["scorer"]) == {"least_confident"}
    assert len(evaluation.weak_set) == round(0.1 * frame["correct"].sum())
    weakest = frame[frame["correct"]].nlargest(len(evaluation.weak_set), "score")["index"]
    assert set(weakest) == {*evaluation.weak_set.tune, *evaluation.weak_set.held_out}
    assert "least_confident" in evaluation.to_html(tmp_path / "report.html").read_text(encoding="utf-8")


def test_a_plugin_s_scorer_is_chosen_by_name_and_gets_its_options(validator, arrays):
    asked = []

    def make(seed, strength=1):
        asked.append((seed, strength))
        return least_confident

    class Plugin:
        @hookimpl
        def weakrobust_register_scorers(self):
            return [Spec("mine", "least confident first", make)]

    own = validator(scorer="mine:strength=3", plugins=[Plugin()], attacks=[], corruptions=[], seed=5)
    assert set(own.evaluate(arrays.x_train[:80], arrays.y_train[:80]).scores["scorer"]) == {"mine"}
    assert asked == [(5, 3)]
