"""The scorer ``attack``: closed forms on a linear classifier, and what it makes of attacks that cheat or fail."""

from __future__ import annotations

from functools import partial
from math import inf

import numpy as np
import pytest
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent

from art_weakrobust.analysis.attack import attack
from art_weakrobust.errors import UsageError
from art_weakrobust.plugins.manager import AttackFactory, Manager
from art_weakrobust.plugins.reference import Reference
from art_weakrobust.results import SCORES

EPS = 0.1
PIXELS = np.array([0.4, 0.5001, 0.55, 0.599, 0.601, 0.8], np.float32)
INSIDE = np.array([False, True, True, True, False, False])  # right when clean, and less than eps from the boundary


class Careless(FastGradientMethod):
    """Returns points far outside its budget."""

    def generate(self, x, y=None, **kwargs):
        return np.zeros_like(x)


class Crashing(FastGradientMethod):
    def generate(self, x, y=None, **kwargs):
        raise RuntimeError("out of luck")


def fgm(estimator):
    return FastGradientMethod(estimator, norm=inf, eps=EPS)


@pytest.fixture
def linear_scores(build):
    def score(entry, **options):
        estimator = build.classifier(build.one_pixel(slope=4.0), 2)
        return build.score_with(attack(entry, **options), estimator, build.pixel_data(PIXELS))

    return score


def test_a_linear_classifier_is_fooled_exactly_inside_the_budget(linear_scores):
    scores = linear_scores(fgm)
    assert np.array_equal(scores["fooled"] == True, INSIDE)  # noqa: E712 - null for the misclassified
    assert np.array_equal(scores["found"] == True, INSIDE)  # noqa: E712
    assert scores["fooled"][0] is None
    assert scores["status"].tolist() == ["misclassified", *["ok"] * 5]


def test_the_score_is_the_confidence_in_the_wrong_class(linear_scores):
    """FGM moves the pixel by eps: the margin becomes slope * (pixel - eps - 0.5)."""
    scores = linear_scores(fgm)
    after = 4 * (PIXELS - EPS - 0.5)
    expected = np.where(INSIDE, 1 / (1 + np.exp(after)), 0)
    assert np.isnan(scores["score"][0])
    assert np.allclose(scores["score"][1:], expected[1:], atol=1e-5)
    assert np.allclose(scores["neighbor_margin"][1:], after[1:], atol=1e-5)
    assert np.allclose(scores["margin"], 4 * (PIXELS - 0.5), atol=1e-5)
    assert np.array_equal(scores["score"], scores["misprediction_score"], equal_nan=True)


def test_the_norm_of_the_verified_adversarial_is_its_distance(linear_scores):
    scores = linear_scores(fgm)
    assert np.allclose(scores["perturbation_norm"][1:], EPS, atol=1e-6)
    assert np.allclose(scores["adversarial_distance"][INSIDE], EPS, atol=1e-6)
    assert np.isnan(scores["adversarial_distance"][~INSIDE]).all()


def test_a_point_outside_the_budget_is_projected_and_that_point_is_judged(linear_scores):
    scores = linear_scores(partial(Careless, norm=inf, eps=EPS))
    assert np.array_equal(scores["fooled"] == True, INSIDE)  # noqa: E712
    assert (scores["perturbation_norm"][1:] > EPS).all()
    assert np.allclose(scores["adversarial_distance"][INSIDE], EPS, atol=1e-6)
    assert set(scores["status"][1:]) == {"ok"}


def test_an_attack_that_crashes_leaves_no_verdict(linear_scores):
    scores = linear_scores(partial(Crashing, norm=inf, eps=EPS))
    assert np.isnan(scores["score"]).all()
    assert all(status.startswith("error: RuntimeError") for status in scores["status"][1:])
    assert scores["fooled"].tolist() == [None] * 6
    assert scores["correct"].tolist() == [False, *[True] * 5]


@pytest.mark.parametrize("options", [{"eps": EPS}, {"eps": "0.1"}])
def test_an_attack_class_gets_the_budget_of_the_run(linear_scores, options):
    assert np.array_equal(linear_scores(FastGradientMethod, **options)["fooled"] == True, INSIDE)  # noqa: E712


def test_an_attack_class_takes_a_norm_and_its_budget(linear_scores):
    scores = linear_scores(FastGradientMethod, norm=2, eps=9.0, eps_l2=EPS)
    assert np.array_equal(scores["fooled"] == True, INSIDE)  # noqa: E712


def test_a_norm_beside_anything_else_is_refused():
    with pytest.raises(UsageError, match="norm 2 cannot be given"):
        attack(fgm, norm=2)


def test_a_ready_made_attack_is_rebound_to_the_estimator_at_hand(build, trained):
    estimator = build.classifier(build.one_pixel(slope=4.0), 2)
    made = FastGradientMethod(trained, norm=inf, eps=EPS)
    scores = build.score_with(attack(made), estimator, build.pixel_data(PIXELS))
    assert np.array_equal(scores["fooled"] == True, INSIDE)  # noqa: E712
    assert made.estimator is trained


def test_a_registered_name_arrives_as_a_factory_with_the_budget_of_the_run(build):
    manager = Manager(third_party=False)
    scorer = manager.make("scorer", "attack", written={"attack": "fgm"}, offered={"eps": EPS, "eps_l2": 0.5, "seed": 0})
    scores = build.score_with(scorer, build.classifier(build.one_pixel(), 2), build.pixel_data(PIXELS))
    assert np.array_equal(scores["fooled"] == True, INSIDE)  # noqa: E712


def test_a_budget_that_was_written_comes_before_that_of_the_run(build):
    factory = AttackFactory(Manager(third_party=False), Reference.parse("fgm:eps=0.1"), {"eps": 0.0001})
    scores = build.score_with(attack(factory), build.classifier(build.one_pixel(), 2), build.pixel_data(PIXELS))
    assert np.array_equal(scores["fooled"] == True, INSIDE)  # noqa: E712


def test_pgd_on_digits_finds_what_fgm_finds_and_more(build, trained, digit_data):
    pgd = partial(ProjectedGradientDescent, norm=inf, eps=0.1, eps_step=0.02, max_iter=10)
    weak, strong = (
        build.score_with(attack(entry, eps=0.1), trained, digit_data) for entry in (FastGradientMethod, pgd)
    )
    scored = np.isfinite(weak["score"])
    assert 0 < (weak["fooled"][scored] == True).sum() <= (strong["fooled"][scored] == True).sum()  # noqa: E712
    assert strong.table.schema.equals(SCORES)
    assert set(strong["scorer"]) == {"attack"}
    assert (strong["adversarial_distance"][strong["fooled"] == True] <= 0.1 + 2e-6).all()  # noqa: E712


def test_a_batch_size_below_one_is_refused():
    with pytest.raises(UsageError, match="batch_size 0"):
        attack(fgm, batch_size=0)


def test_stopping_early_finds_the_same_samples_just_across_the_boundary(build):
    estimator, data = build.classifier(build.one_pixel(slope=4.0), 2), build.pixel_data(PIXELS)
    pgd = partial(ProjectedGradientDescent, norm=inf, eps=EPS, eps_step=EPS / 8, max_iter=8, verbose=False)
    whole, stopped = (build.score_with(attack(pgd, early_stop=stop), estimator, data) for stop in (False, True))
    fooled = whole["fooled"] == True  # noqa: E712
    assert np.array_equal(stopped["fooled"] == True, fooled)  # noqa: E712
    assert (stopped["adversarial_distance"][fooled] < whole["adversarial_distance"][fooled]).any()
