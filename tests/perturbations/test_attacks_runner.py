"""The runner: early stopping where asked for, who broke a sample, and the worst case of several attacks."""

from __future__ import annotations

from functools import partial
from math import inf

import numpy as np
import pytest
import torch
from art.attacks import EvasionAttack
from art.attacks.evasion import AutoProjectedGradientDescent, ProjectedGradientDescent
from art.estimators.estimator import BaseEstimator

from art_weakrobust.errors import UsageError
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.perturbations.attacks.runner import attack_samples, worst_case
from art_weakrobust.perturbations.types import AttackType
from art_weakrobust.results import PerturbationType, Samples
from art_weakrobust.testing.networks import small_cnn
from art_weakrobust.threat import ThreatModel

X = np.random.default_rng(1).uniform(0, 1, (24, 1, 8, 8)).astype(np.float32)


def classifier() -> FastPyTorchClassifier:
    options = {"input_shape": (1, 8, 8), "nb_classes": 10, "clip_values": (0, 1)}
    return FastPyTorchClassifier(small_cnn(), loss=torch.nn.CrossEntropyLoss(), **options)


LABELS = classifier().predict(X).argmax(1)
LABELS[5] = (LABELS[5] + 1) % 10  # one is wrong when clean
SAMPLES = Samples(np.arange(24), X, LABELS)


def typed(factory, name: str = "some-attack", eps: float = 0.24) -> AttackType:
    return AttackType(PerturbationType(name, "attacks"), factory, ThreatModel(inf, eps))


PGD = typed(partial(ProjectedGradientDescent, eps=0.24, eps_step=0.03, max_iter=8, num_random_init=1, verbose=False))


class Scripted(EvasionAttack):
    """Returns what ``script`` makes of pixels and labels; may say which part of it broke what."""

    _estimator_requirements = (BaseEstimator,)

    def __init__(self, estimator, script, broken_by=None) -> None:
        super().__init__(estimator=estimator)
        self.script, self.broken_by = script, broken_by

    def generate(self, x, y=None, **kwargs):
        return self.script(x)


def test_early_stopping_gives_the_same_verdicts_by_smaller_steps_and_fewer_queries():
    plain = attack_samples(PGD, classifier(), SAMPLES)
    stopped = attack_samples(PGD, classifier(), SAMPLES, early_stop=True)
    assert (stopped.correct == plain.correct).all()
    assert 0 < (plain.correct == False).sum() < 24  # noqa: E712 - three-valued
    fooled = (stopped.correct == False) & (stopped.status == "ok")  # noqa: E712
    assert stopped.queries.sum() < plain.queries.sum()
    assert (stopped.norm[fooled] <= plain.norm[fooled] + 1e-6).all()
    moved, less = (np.abs(result.x_adv - X)[fooled].sum() for result in (plain, stopped))
    assert less < moved


def test_early_stopping_changes_nothing_for_an_attack_with_a_memory():
    attack = typed(partial(AutoProjectedGradientDescent, eps=0.24, eps_step=0.1, max_iter=4, verbose=False))
    plain, stopped = (attack_samples(attack, classifier(), SAMPLES, early_stop=stop) for stop in (False, True))
    np.testing.assert_array_equal(plain.x_adv, stopped.x_adv)


def test_whoever_is_fooled_was_broken_by_the_attack_and_nobody_else_by_anybody():
    result = attack_samples(PGD, classifier(), SAMPLES)
    fooled = (result.correct == False) & (result.status != "misclassified")  # noqa: E712
    assert set(result.broken_by[fooled]) == {"some-attack"}
    assert set(result.broken_by[~fooled]) == {None}
    assert result.columns()["broken_by"].null_count == (~fooled).sum()


def test_an_ensemble_says_which_of_its_parts_broke_a_sample():
    names = np.array(["first", "", "second"] + [""] * 20, object)  # one of the 24 is not attacked
    noise = np.random.default_rng(0).choice([-0.24, 0.24], X.shape[1:]).astype(np.float32)
    attack = typed(partial(Scripted, script=lambda x: np.clip(x + 4 * noise, 0, 1), broken_by=names), eps=1.0)
    result = attack_samples(attack, classifier(), SAMPLES)
    attacked = np.delete(np.arange(24), 5)
    for at, name in zip(attacked, names, strict=True):
        expected = (name or "some-attack") if result.correct[at] is False else None
        assert result.broken_by[at] == expected


def test_a_sample_is_broken_in_the_worst_case_by_the_first_that_breaks_it():
    weak = attack_samples(typed(partial(PGD.factory, eps=0.15), "weak"), classifier(), SAMPLES)
    strong = attack_samples(typed(PGD.factory, "strong"), classifier(), SAMPLES)
    worst = worst_case({"weak": weak, "strong": strong})
    by_weak = (weak.correct == False) & (weak.status == "ok")  # noqa: E712
    by_strong = (strong.correct == False) & (strong.status == "ok") & ~by_weak  # noqa: E712
    assert by_weak.any()
    assert by_strong.any()
    assert set(worst.broken_by[by_weak]) == {"weak"}
    assert set(worst.broken_by[by_strong]) == {"strong"}
    np.testing.assert_array_equal(worst.x_adv[by_weak], weak.x_adv[by_weak])
    np.testing.assert_array_equal(worst.norm[by_strong], strong.norm[by_strong])
    standing = ~(by_weak | by_strong)
    standing[5] = False
    assert set(worst.correct[standing]) == {True}
    assert worst.status[5] == "misclassified"
    np.testing.assert_array_equal(worst.queries, weak.queries + strong.queries)


def test_what_one_attack_broke_stays_broken_and_the_rest_is_unknown_where_another_crashed():
    def crash(x):
        raise RuntimeError("out of luck")

    crashed = attack_samples(typed(partial(Scripted, script=crash), "crashed"), classifier(), SAMPLES)
    broke = attack_samples(PGD, classifier(), SAMPLES)
    worst = worst_case({"crashed": crashed, "broke": broke})
    fooled = broke.correct == False  # noqa: E712 - three-valued
    assert set(worst.correct[fooled]) == {False}
    assert set(worst.correct[~fooled]) == {None}
    assert set(worst.status[~fooled]) == {"error: RuntimeError: out of luck"}


def test_the_worst_case_of_nothing_is_refused():
    with pytest.raises(UsageError, match="results are empty"):
        worst_case({})
