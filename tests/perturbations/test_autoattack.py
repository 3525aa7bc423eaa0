"""AutoAttack, APGD-CE and APGD-T answer as their authors' code does, and where that crashes as theory says."""

from __future__ import annotations

import logging
import random
import subprocess
import sys
from math import inf

import numpy as np
import pyautoattack
import pytest
import torch
from art.defences.preprocessor import SpatialSmoothing
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_weakrobust.datasets.base import digest
from art_weakrobust.errors import AttackError, UsageError
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.perturbations.attacks.autoattack.attack import AutoAttack, AutoPGDCrossEntropy, AutoPGDTargeted
from art_weakrobust.perturbations.attacks.autoattack.cascade import piece_seed
from art_weakrobust.perturbations.attacks.autoattack.recipe import PARTS, STANDARD
from art_weakrobust.perturbations.attacks.binding import rebind
from art_weakrobust.perturbations.attacks.randomness import seeded
from art_weakrobust.perturbations.attacks.runner import attack_samples
from art_weakrobust.perturbations.types import AttackType
from art_weakrobust.plugins.manager import Manager
from art_weakrobust.results import PerturbationType, Samples
from art_weakrobust.testing.networks import linear, small_cnn
from art_weakrobust.threat import ThreatModel

N, STEPS, QUERIES = 12, 20, 60
X = np.random.default_rng(0).uniform(0.2, 0.8, (N, 1, 8, 8)).astype(np.float32)
EPS = {inf: 0.005, 2.0: 0.05, 1.0: 0.25}
NAMES = {inf: "Linf", 2.0: "L2", 1.0: "L1"}


def classifier(model: nn.Module, classes: int, kind: type = FastPyTorchClassifier, clip_values=(0, 1), **options):
    shape = options.pop("input_shape", (1, 8, 8))
    named = {"input_shape": shape, "nb_classes": classes, "clip_values": clip_values, "device_type": "cpu"}
    return kind(model.eval(), loss=nn.CrossEntropyLoss(), **named, **options)


def perceptron(classes: int = 10) -> nn.Module:
    """A network that the search asks as it is, so that not even rounding differs; all classes are as likely."""
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(3)
        model = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.ReLU(), nn.Linear(24, classes))
        model[-1].bias -= model(torch.from_numpy(X)).mean(dim=0)
        return model


def predicted(estimator, x: np.ndarray = X) -> np.ndarray:
    return estimator.predict(x).argmax(1)


def original(model, part: str, x: np.ndarray, y: np.ndarray, norm: float, classes: int, eps: float) -> np.ndarray:
    """What pyautoattack itself makes of a chunk, by one attack as its standard version sets it."""
    seed = piece_seed(0, part, digest(x, y))
    attack = pyautoattack.AutoAttack(model, attacks=[part], version="custom", eps=eps, norm=NAMES[norm], seed=seed)
    attack.apgd.n_restarts = attack.fab.n_restarts = 5 if norm == 1 else 1
    attack.apgd.use_largereps = attack.apgd_targeted.use_largereps = norm == 1
    attack.apgd_targeted.n_target_classes = min(5 if norm == 1 else 9, classes - 1)
    attack.fab.n_target_classes = min(9, classes - 1)
    attack.square.n_queries = QUERIES
    for steps in (attack.apgd, attack.apgd_targeted, attack.fab):  # as their constructors derive them
        steps.n_iter = steps.n_iter_orig = STEPS
        steps.n_iter_2, steps.n_iter_min, steps.size_decr = (max(int(share * STEPS), 1) for share in (0.22, 0.06, 0.03))
    trace = sys.gettrace()
    with seeded(0):
        found, _ = attack.run_standard_evaluation(torch.from_numpy(x), torch.from_numpy(y), batch_size=len(x))
    sys.settrace(trace)  # which the original does not
    return found.numpy()


@pytest.mark.parametrize("norm", EPS)
@pytest.mark.parametrize("classes", [4, 10])
def test_the_cascade_is_the_originals_bit_by_bit(norm, classes):
    model = perceptron(classes)
    estimator = classifier(model, classes)
    y = predicted(estimator)
    attack = AutoAttack(estimator, norm, EPS[norm], max_iter=STEPS, max_queries=QUERIES, early_stop=False)
    x_adv = attack.generate(X, y)
    expected, broken_by, left = X.copy(), np.full(N, "", object), np.arange(N)
    for part in STANDARD:
        found = original(model, part, X[left], y[left], norm, classes, EPS[norm])
        wrong = predicted(estimator, found) != y[left]
        expected[left[wrong]], broken_by[left[wrong]] = found[wrong], part
        left = left[~wrong]
    assert 0 < len(left) < N
    np.testing.assert_array_equal(attack.broken_by, broken_by)
    np.testing.assert_array_equal(x_adv, expected)


@pytest.mark.parametrize("part", PARTS)
def test_each_part_on_the_folded_search_copy_breaks_whom_the_original_breaks(part):
    model = small_cnn(seed=1)
    with torch.no_grad():
        model[1].running_mean.fill_(0.1)  # something to fold
    estimator = classifier(model, 10)
    y = predicted(estimator)
    attack = AutoAttack(estimator, 2, 0.2, "custom", [part], max_iter=STEPS, max_queries=QUERIES)
    attack.generate(X, y)
    found = original(model, part, X, y, 2.0, 10, 0.2)
    wrong = predicted(estimator, found) != y
    assert 0 < wrong.sum() < N
    assert ((attack.broken_by == part) == wrong).mean() >= 0.95


def closed_form(classes: int, norm: float) -> tuple[FastPyTorchClassifier, np.ndarray, np.ndarray]:
    """A linear classifier, its predictions, and how far each sample is from its boundary: no pixel meets its range."""
    estimator = classifier(linear(num_classes=classes, seed=5), classes)
    weight = estimator.model.linear.weight.detach().double().numpy()
    logits = estimator.predict(X).astype(np.float64)
    y = logits.argmax(1)
    dual = {inf: 1, 2.0: 2}[norm]
    distance = np.full(N, np.inf)
    for row in range(N):
        for other in set(range(classes)) - {y[row]}:
            gap = logits[row, y[row]] - logits[row, other]
            distance[row] = min(distance[row], gap / np.linalg.norm(weight[y[row]] - weight[other], ord=dual))
    return estimator, y, distance


@pytest.mark.parametrize("norm", [inf, 2.0])
@pytest.mark.parametrize("classes", [2, 3, 4, 10])
@pytest.mark.parametrize("kind", [AutoPGDTargeted, AutoAttack])
def test_a_linear_classifier_is_broken_exactly_where_its_boundary_is_within_the_budget(norm, classes, kind):
    estimator, y, distance = closed_form(classes, norm)
    eps = float(np.median(distance))
    clear = np.abs(distance / eps - 1) > 0.02
    options = {"max_queries": 20, "max_iter": 40} if kind is AutoAttack else {}
    x_adv = kind(estimator, norm, eps, **options).generate(X, y)
    np.testing.assert_array_equal((predicted(estimator, x_adv) != y)[clear], (distance < eps)[clear])
    norms = np.linalg.norm((x_adv - X).reshape(N, -1), ord=norm, axis=1)
    assert norms.max() <= eps * (1 + 1e-5) + 1e-6


@pytest.mark.parametrize("norm", [inf, 2.0])
def test_two_classes_are_what_apgd_ce_breaks_exactly(norm):
    estimator, y, distance = closed_form(2, norm)
    eps = float(np.median(distance))
    clear = np.abs(distance / eps - 1) > 0.01
    x_adv = AutoPGDCrossEntropy(estimator, norm, eps).generate(X, y)
    np.testing.assert_array_equal((predicted(estimator, x_adv) != y)[clear], (distance < eps)[clear])


@pytest.mark.parametrize("classes", range(2, 10))
@pytest.mark.parametrize("version", ["standard", "plus", "rand"])
def test_two_to_nine_classes_crash_no_version(classes, version):
    estimator = classifier(perceptron(classes), classes)
    attack = AutoAttack(estimator, inf, 0.004, version, max_iter=3, max_queries=5)
    x_adv = attack.generate(X[:6], predicted(estimator, X[:6]))
    assert np.abs(x_adv - X[:6]).max() <= 0.004 + 1e-6
    assert set(attack.broken_by) <= {"", *PARTS}


@pytest.mark.parametrize("kind", [AutoPGDCrossEntropy, AutoPGDTargeted])
def test_leaving_the_fooled_alone_costs_less_and_changes_no_verdict(kind):
    estimator = classifier(small_cnn(seed=1), 10)
    y = predicted(estimator)
    gradients, verdicts = [], []
    for early_stop in (False, True):
        before = estimator.gradients
        x_adv = kind(estimator, inf, 0.2, max_iter=STEPS, early_stop=early_stop).generate(X, y)
        gradients.append(estimator.gradients - before)
        verdicts.append(predicted(estimator, x_adv) != y)
    assert verdicts[0].sum() > 0
    np.testing.assert_array_equal(*verdicts)
    assert gradients[1] < gradients[0] / 2


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.int64])
def test_labels_of_any_integer_type_and_one_hot_are_the_same_labels(dtype):
    for classes in (2, 10):
        estimator = classifier(perceptron(classes), classes)
        y = predicted(estimator)
        attack = AutoPGDCrossEntropy(estimator, inf, 0.1, max_iter=5)
        expected = attack.generate(X, np.eye(classes, dtype=np.float32)[y])
        assert (expected != X).any()
        np.testing.assert_array_equal(attack.generate(X, y.astype(dtype)), expected)
        np.testing.assert_array_equal(attack.generate(X), expected)


def test_global_generators_and_the_trace_function_are_left_as_they_were():
    def trace(*_):
        return None

    estimator = classifier(perceptron(), 10)
    before, trace_before = (random.getstate(), np.random.get_state(), torch.get_rng_state()), sys.gettrace()
    try:
        sys.settrace(trace)
        AutoAttack(estimator, inf, 0.02, max_iter=2, max_queries=3).generate(X, predicted(estimator))
        assert sys.gettrace() is trace
    finally:
        sys.settrace(trace_before)
    assert random.getstate() == before[0]
    np.testing.assert_array_equal(np.random.get_state()[1], before[1][1])
    assert torch.equal(torch.get_rng_state(), before[2])


def test_the_seed_decides_and_nothing_else():
    estimator = classifier(perceptron(), 10)
    y = predicted(estimator)

    def made(seed: int) -> np.ndarray:
        torch.rand(7)
        return AutoAttack(estimator, inf, 0.02, seed=seed, max_iter=5, max_queries=9).generate(X, y)

    np.testing.assert_array_equal(made(0), made(0))
    assert (made(0) != made(1)).any()


def test_a_chunk_is_attacked_as_if_it_were_alone():
    estimator = classifier(perceptron(), 10)
    y = predicted(estimator)
    attack = AutoAttack(estimator, inf, 0.005, batch_size=5, max_iter=5, max_queries=9)
    whole, broken_by = attack.generate(X, y), attack.broken_by
    for start in range(0, N, 5):
        rows = slice(start, start + 5)
        np.testing.assert_array_equal(attack.generate(X[rows], y[rows]), whole[rows])
        np.testing.assert_array_equal(attack.broken_by, broken_by[rows])


def test_a_sample_that_is_wrong_already_is_not_attacked():
    estimator = classifier(perceptron(), 10)
    y = predicted(estimator)
    y[::2] = (y[::2] + 1) % 10
    attack = AutoAttack(estimator, inf, 0.1, max_iter=5, max_queries=9)
    x_adv = attack.generate(X, y)
    np.testing.assert_array_equal(x_adv[::2], X[::2])
    assert set(attack.broken_by[::2]) == {""}
    assert "" not in attack.broken_by[1::2]


def test_pixels_of_another_range_are_attacked_alike():
    model = perceptron()
    wide = nn.Sequential(nn.Flatten(), nn.Linear(64, 64, bias=False), *model[1:])
    with torch.no_grad():
        wide[1].weight.copy_(torch.eye(64) / 256)
    unit = AutoAttack(classifier(model, 10), inf, 4 / 256, max_iter=10, max_queries=9)
    broad = AutoAttack(classifier(wide, 10, clip_values=(0, 256)), inf, 4, max_iter=10, max_queries=9)
    y = predicted(unit.estimator)
    unit.generate(X, y)
    x_adv = broad.generate(X * 256, y)
    assert 0.5 < np.abs(x_adv - X * 256).max() <= 4 + 1e-4
    assert ((broad.broken_by != "") == (unit.broken_by != "")).mean() >= 0.9


@pytest.mark.parametrize("shape", [(1, 12, 12), (3, 9, 6), (1, 4, 4), (1, 24, 10)])
@pytest.mark.parametrize("norm", [2, 1])
def test_square_takes_images_that_its_tiling_does_not_fit(shape, norm):
    x = np.random.default_rng(0).uniform(0.3, 0.7, (6, *shape)).astype(np.float32)
    estimator = classifier(linear(shape, 3), 3, input_shape=shape)
    eps = 2.0 if norm == 2 else 8.0
    attack = AutoAttack(estimator, norm, eps, "custom", "square", max_queries=100)
    x_adv = attack.generate(x, predicted(estimator, x))
    assert (attack.broken_by == "square").any()
    assert np.linalg.norm((x_adv - x).reshape(6, -1), ord=norm, axis=1).max() <= eps * (1 + 1e-5) + 1e-6
    assert -1e-6 <= x_adv.min() <= x_adv.max() <= 1 + 1e-6


def test_the_runner_writes_who_broke_whom_and_its_judge_confirms_it():
    estimator = classifier(small_cnn(seed=1), 10)
    samples = Samples(np.arange(N), X, predicted(estimator))
    info = PerturbationType("autoattack-linf", "attacks", norm="inf", eps=0.03)
    kind = AttackType(
        info, lambda e: AutoAttack(e, inf, 0.03, max_iter=STEPS, max_queries=QUERIES), ThreatModel(inf, 0.03)
    )
    result = attack_samples(kind, estimator, samples)
    assert set(result.status) == {"ok"}
    assert set(result.broken_by[result.correct == False]) <= set(STANDARD)  # noqa: E712
    assert (result.correct == False).any()  # noqa: E712


@pytest.mark.parametrize("name", ["autoattack", "apgd-ce", "apgd-t"])
@pytest.mark.parametrize("norm", EPS)
def test_it_is_registered_and_takes_the_budget_of_the_run(name, norm):
    estimator = classifier(perceptron(), 10)
    offered = {"norm": norm, "eps": 0.25, "seed": 4, "batch_size": 7}
    attack = Manager(third_party=False).make("attack", name, estimator, written={"max_iter": 3}, offered=offered)
    assert (attack.norm, attack.eps, attack.seed, attack.batch_size, attack.max_iter) == (norm, 0.25, 4, 7, 3)


@pytest.mark.parametrize("kind", [AutoAttack, AutoPGDCrossEntropy, AutoPGDTargeted])
def test_a_rebound_attack_does_what_a_fresh_one_does(kind):
    first, second = classifier(perceptron(), 10), classifier(linear(seed=2), 10)
    y = predicted(second)
    options = {"norm": 2, "eps": 0.3, "max_iter": 4, "seed": 5}
    options |= {"max_queries": 9} if kind is AutoAttack else {}
    rebound = rebind(kind(first, **options), second)
    assert rebound.estimator is second
    np.testing.assert_array_equal(rebound.generate(X, y), kind(second, **options).generate(X, y))


def test_a_stock_classifier_is_attacked_as_a_fast_one():
    model = perceptron()
    stock = classifier(model, 10, PyTorchClassifier)
    y = predicted(stock)
    ours = AutoPGDCrossEntropy(classifier(model, 10), inf, 0.02, max_iter=5).generate(X, y)
    np.testing.assert_array_equal(AutoPGDCrossEntropy(stock, inf, 0.02, max_iter=5).generate(X, y), ours)


def test_what_cannot_be_attacked_is_refused_in_a_sentence():
    class Smoothed(FastPyTorchClassifier):
        def predict(self, *args, **kwargs):
            return super().predict(*args, **kwargs)

    more = classifier(perceptron(), 10, Smoothed)
    unbounded = classifier(perceptron(), 10, clip_values=None)
    defended = classifier(perceptron(), 10, preprocessing_defences=[SpatialSmoothing()])
    for estimator, message in [(more, "pgd or square"), (unbounded, "range of pixels"), (defended, "in NumPy")]:
        with pytest.raises(AttackError, match=message):
            AutoPGDCrossEntropy(estimator, inf, 0.1).generate(X, np.zeros(N, int))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"version": "fast"}, "version 'fast' is not known"),
        ({"version": "custom"}, "has to name one or more"),
        ({"version": "custom", "attacks_to_run": "apgd-ce+pgd"}, "has to name one or more"),
        ({"attacks_to_run": ["square"]}, "version=custom alone"),
        ({"max_iter": 0}, "max_iter=0"),
        ({"max_queries": 2.5}, "max_queries=2.5"),
    ],
)
def test_values_that_are_not_known_are_refused(options, message):
    with pytest.raises(UsageError, match=message):
        AutoAttack(classifier(perceptron(), 10), **options)


def test_a_model_that_answers_at_random_or_with_probabilities_is_told_of(caplog):
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = perceptron()

        def forward(self, x):
            return (self.inner(x) + torch.randn(len(x), 10)).softmax(1)

    estimator = classifier(Noisy(), 10)
    with caplog.at_level(logging.WARNING):
        AutoPGDCrossEntropy(estimator, inf, 0.01, max_iter=1).generate(X, predicted(estimator))
    assert "randomized defense" in caplog.text
    assert "probability distribution" in caplog.text


def test_the_original_is_loaded_once_it_runs_and_not_before():
    module = AutoAttack.__module__
    code = f"import sys, {module}; print('pyautoattack' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "False"


@pytest.mark.parametrize("kind", [AutoAttack, AutoPGDCrossEntropy, AutoPGDTargeted])
def test_a_mask_is_refused_and_not_overlooked(kind):
    attack = kind(classifier(perceptron(), 10), eps=EPS[inf], max_iter=1)
    with pytest.raises(UsageError, match="mask is not possible"):
        attack.generate(X, np.zeros(N, int), mask=np.zeros_like(X))


@pytest.mark.parametrize("y", [np.full(N, 10), np.full(N, -1), np.zeros(N - 1, int)])
def test_labels_that_are_no_classes_are_refused_and_not_taken_for_mistakes(y):
    attack = AutoAttack(classifier(perceptron(), 10), eps=EPS[inf], max_iter=1)
    with pytest.raises(UsageError, match="expected one class from 0 to 9 for each image"):
        attack.generate(X, y)
