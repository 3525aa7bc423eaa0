"""Never believe an attack: whatever it returns is measured, predicted again, and judged against the label."""

from __future__ import annotations

import re
from collections.abc import Callable
from math import inf

import numpy as np
import pytest
import torch
from art.attacks import EvasionAttack
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
from art.estimators.classification import BlackBoxClassifier, PyTorchClassifier
from art.estimators.estimator import BaseEstimator

from art_weakrobust.errors import AttackError, ModelError
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.perturbations.attacks.judge import AttackResult
from art_weakrobust.perturbations.attacks.runner import attack_samples
from art_weakrobust.perturbations.types import AttackType
from art_weakrobust.results import PerturbationType, Samples
from art_weakrobust.testing.networks import linear
from art_weakrobust.threat import ThreatModel

SHAPE = (1, 4, 4)
RNG = np.random.default_rng(1)
WEIGHT = torch.from_numpy(RNG.normal(0, 0.5, (2, 16))).float()
X = RNG.uniform(0.3, 0.7, (40, *SHAPE)).astype(np.float32)
DIFFERENCE = (WEIGHT[1] - WEIGHT[0]).double().numpy()
SCORE = X.reshape(40, -1).astype(np.float64) @ DIFFERENCE
BIAS = torch.tensor([float(np.median(SCORE)), 0.0])
MARGIN = np.abs(SCORE - np.median(SCORE))
SAMPLES = Samples(np.arange(100, 140), X, (np.median(SCORE) < SCORE).astype(np.int64))
"""Two classes, one hyperplane, all correct when clean: the distance to it is the margin over the dual norm."""


def classifier(kind: type = FastPyTorchClassifier) -> PyTorchClassifier:
    model = linear(SHAPE, weight=WEIGHT, bias=BIAS)
    return kind(model, loss=torch.nn.CrossEntropyLoss(), input_shape=SHAPE, nb_classes=2, clip_values=(0, 1))


class Scripted(EvasionAttack):
    """Returns whatever ``script`` makes of pixels and labels."""

    _estimator_requirements = (BaseEstimator,)

    def __init__(self, estimator, script: Callable) -> None:
        super().__init__(estimator=estimator)
        self.script = script

    def generate(self, x, y=None, **kwargs):
        return self.script(x, y)


def scripted(script: Callable, eps: float = 0.1, norm: float = inf) -> AttackType:
    return typed(lambda estimator: Scripted(estimator, script), eps, norm)


def typed(factory: Callable, eps: float, norm: float = inf) -> AttackType:
    return AttackType(PerturbationType("some-attack", "attacks"), factory, ThreatModel(norm, eps))


def judged(attack: AttackType, samples: Samples = SAMPLES, **options) -> AttackResult:
    return attack_samples(attack, classifier(), samples, **options)


def towards_the_other_class(x: np.ndarray, y: np.ndarray, step: float) -> np.ndarray:
    sign = np.sign(DIFFERENCE).reshape(SHAPE)
    return (x - step * sign * np.where(y.argmax(1) == 1, 1, -1)[:, None, None, None]).astype(np.float32)


@pytest.mark.parametrize("eps", [0.005, 0.02, 0.05])
@pytest.mark.parametrize(("norm", "dual"), [(inf, 1), (2, 2)])
def test_fgm_on_a_linear_classifier_breaks_what_lies_nearer_than_the_budget(norm, dual, eps):
    eps = eps if norm == inf else 3 * eps
    distance = MARGIN / np.linalg.norm(DIFFERENCE, ord=dual)
    result = judged(typed(lambda e: FastGradientMethod(e, norm=norm, eps=eps), eps, norm))
    assert 0 < (distance > eps).sum() < len(distance)
    np.testing.assert_array_equal(result.correct, distance > eps)
    np.testing.assert_allclose(result.norm, eps, rtol=1e-4)
    assert set(result.status) == {"ok"}


def test_nan_is_no_verdict():
    def script(x, y):
        x[3] = np.nan
        x[4, 0, 0, 0] = np.inf
        return x

    result = judged(scripted(script))
    assert result.correct[3] is None
    assert result.correct[4] is None
    assert result.prediction[3] == -1
    assert np.isnan(result.norm[3])
    assert result.status[3] == "error: the attack returned pixels that are not finite"
    assert result.correct[5] is True
    assert np.isfinite(result.x_adv).all()


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (lambda x, y: x[:-1], r"\(39, 1, 4, 4\), expected an array of \(40, 1, 4, 4\)"),
        (lambda x, y: x[:, 0], r"\(40, 4, 4\)"),
        (lambda x, y: None, "NoneType"),
        (lambda x, y: x.tolist(), "list"),
        (lambda x, y: x.astype(object), "object"),
        (lambda x, y: x > 0, "bool"),
    ],
    ids=["too-few", "no-channel", "none", "list", "object", "bool"],
)
def test_something_of_the_wrong_shape_or_type_is_an_error(script, said):
    result = judged(scripted(script))
    assert set(result.correct) == {None}
    assert len(set(result.status)) == 1
    assert result.status[0].startswith("error: the attack returned ")
    assert re.search(said, result.status[0])


def test_a_crash_is_an_error_of_every_sample_and_never_robust():
    def script(x, y):
        raise RuntimeError("out of\nluck")

    result = judged(scripted(script))
    assert set(result.correct) == {None}
    assert set(result.prediction) == {-1}
    assert set(result.status) == {"error: RuntimeError: out of luck"}


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(), ModelError("the model is gone")])
def test_an_interruption_and_an_error_for_the_user_come_through(error):
    def script(x, y):
        raise error

    with pytest.raises(type(error)):
        judged(scripted(script))


@pytest.mark.parametrize("norm", [1, 2, inf])
def test_a_point_beyond_the_budget_is_projected_and_then_judged(norm):
    eps = {1: 0.2, 2: 0.05, inf: 0.02}[norm]
    result = judged(scripted(lambda x, y: towards_the_other_class(x, y, 0.3), eps, norm))
    assert set(result.status) == {"over_budget"}
    assert (result.norm > eps).all()  # the norm is that of what came back
    delta = (result.x_adv.astype(np.float64) - X).reshape(40, -1)
    assert (np.linalg.norm(delta, ord=norm, axis=1) <= eps * (1 + 1e-5) + 1e-6).all()
    assert result.correct.any()  # 0.3 fools everything, the projected point does not
    if norm == inf:
        np.testing.assert_array_equal(result.correct, MARGIN / np.abs(DIFFERENCE).sum() > eps)


def test_an_image_of_the_other_class_fools_nobody():
    def script(x, y):
        other = [X[SAMPLES.y == 1 - label][0] for label in y.argmax(1)]
        return np.stack(other)

    result = judged(scripted(script, eps=0.001))
    assert set(result.status) == {"over_budget"}
    assert (result.correct == (MARGIN > 0.01)).mean() > 0.9


def test_the_clean_image_comes_back_as_correct():
    result = judged(scripted(lambda x, y: x))
    assert set(result.correct) == {True}
    assert set(result.norm) == {0.0}
    assert set(result.status) == {"ok"}


def test_an_attack_that_writes_into_its_input_changes_nothing():
    def script(x, y):
        x[:] = 0.5
        y[:] = 0
        return x

    before = X.copy()
    result = judged(scripted(script, eps=0.01))
    np.testing.assert_array_equal(X, before)
    assert set(result.status) == {"over_budget"}


def test_pixels_outside_their_range_are_clipped():
    samples = Samples(SAMPLES.ids, np.clip(X, 0, 0.3) * 0 + 0.95, SAMPLES.y)
    prediction = classifier().predict(samples.x).argmax(1)
    samples = Samples(samples.ids, samples.x.astype(np.float32), prediction.astype(np.int64))
    result = judged(scripted(lambda x, y: x + np.float32(0.1), eps=0.1), samples)
    assert result.x_adv.max() == 1.0
    assert set(result.status) == {"over_budget"}


def test_rounding_of_float32_is_no_breach():
    step = np.float32(8 / 255)
    result = judged(scripted(lambda x, y: x + step, eps=8 / 255))
    assert set(result.status) == {"ok"}


def test_the_label_judges_and_not_the_clean_prediction():
    wrong = SAMPLES.y.copy()
    wrong[:10] = 1 - wrong[:10]
    asked = []

    def script(x, y):
        asked.append((len(x), y.dtype, y.shape))
        return x

    result = judged(scripted(script), Samples(SAMPLES.ids, X, wrong))
    assert asked == [(30, np.float32, (30, 2))]  # what is wrong when clean is not attacked
    assert list(result.status[:10]) == ["misclassified"] * 10
    assert set(result.correct[:10]) == {False}
    assert set(result.norm[:10]) == {0.0}
    assert set(result.queries[:10]) == {0.0}


def test_where_nothing_is_correct_nothing_is_built():
    def factory(estimator):
        raise AssertionError("built")

    result = judged(typed(factory, 0.1), Samples(SAMPLES.ids, X, 1 - SAMPLES.y))
    assert set(result.status) == {"misclassified"}


def test_an_attack_that_cannot_be_built_stops_the_run():
    with pytest.raises(AttackError, match="cannot be built"):
        judged(typed(lambda estimator: 1 / 0, 0.1))


def test_a_model_that_answers_nan_gives_no_verdict():
    broken = linear(SHAPE, weight=WEIGHT * np.nan, bias=BIAS)
    estimator = FastPyTorchClassifier(broken, loss=torch.nn.CrossEntropyLoss(), input_shape=SHAPE, nb_classes=2)
    result = attack_samples(scripted(lambda x, y: x), estimator, SAMPLES)
    assert set(result.correct) == {None}
    assert set(result.status) == {"error: the model's output is not finite"}


def test_one_seed_gives_the_same_attack_whatever_the_global_state():
    attack = typed(lambda e: ProjectedGradientDescent(e, eps=0.1, max_iter=1, num_random_init=1), 0.1)
    np.random.seed(0)
    state = str(np.random.get_state())
    first = judged(attack, seed=3)
    assert str(np.random.get_state()) == state
    np.random.seed(1)
    np.testing.assert_array_equal(judged(attack, seed=3).x_adv, first.x_adv)
    assert not np.array_equal(judged(attack, seed=4).x_adv, first.x_adv)
    other_chunk = Samples(SAMPLES.ids + 1, SAMPLES.x, SAMPLES.y)
    assert not np.array_equal(judged(attack, other_chunk, seed=3).x_adv, first.x_adv)


def test_a_progress_bar_is_silenced_and_the_users_setting_restored(capfd):
    estimator = classifier()
    attack = ProjectedGradientDescent(estimator, eps=0.1, max_iter=2, verbose=True)
    attack_samples(typed(lambda e: attack, 0.1), estimator, SAMPLES)
    assert capfd.readouterr() == ("", "")
    assert attack.verbose


def test_queries_are_forward_passes_for_each_attacked_sample():
    result = judged(typed(lambda e: FastGradientMethod(e, eps=0.1), 0.1))
    assert set(result.queries) == {1.0}


def test_queries_are_unknown_where_the_estimator_does_not_count():
    result = attack_samples(scripted(lambda x, y: x), classifier(PyTorchClassifier), SAMPLES)
    assert np.isnan(result.queries).all()
    assert result.columns()["queries"].null_count == len(SAMPLES)


def test_a_black_box_is_judged_by_its_answers():
    def predict(x):
        return np.eye(2, dtype=np.float32)[(x.reshape(len(x), -1) @ DIFFERENCE > np.median(SCORE)).astype(int)]

    estimator = BlackBoxClassifier(predict, SHAPE, 2, clip_values=(0, 1))
    result = attack_samples(scripted(lambda x, y: towards_the_other_class(x, y, 0.1)), estimator, SAMPLES)
    np.testing.assert_array_equal(result.correct, MARGIN / np.abs(DIFFERENCE).sum() > 0.1)


def test_columns_are_null_where_nothing_is_known():
    def script(x, y):
        x[0] = np.nan
        return x

    columns = judged(scripted(script)).columns()
    assert [columns[name][0].as_py() for name in ("prediction", "correct", "perturbation_norm")] == [None] * 3
    assert columns["correct"][1].as_py() is True
