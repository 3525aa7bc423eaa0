"""Early stopping: ART's loops unmodified, and samples that are already fooled cost nothing more."""

from __future__ import annotations

import logging
import subprocess
import sys
from math import inf

import numpy as np
import pytest
import torch
from art.attacks.evasion import (
    AutoProjectedGradientDescent,
    BasicIterativeMethod,
    FastGradientMethod,
    MomentumIterativeMethod,
    ProjectedGradientDescent,
    ProjectedGradientDescentNumpy,
)
from art.estimators.classification import PyTorchClassifier

from art_weakrobust import early_stopping
from art_weakrobust.errors import ModelError, UsageError
from art_weakrobust.estimators.judge import judge_logits
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.perturbations.attacks.randomness import seeded
from art_weakrobust.testing.networks import linear, small_cnn

SHAPE = (1, 4, 4)
RNG = np.random.default_rng(1)
WEIGHT = torch.from_numpy(RNG.normal(0, 0.5, (2, 16))).float()
DIFFERENCE = (WEIGHT[1] - WEIGHT[0]).double().numpy()
X = RNG.uniform(0.3, 0.7, (40, *SHAPE)).astype(np.float32)
SCORE = X.reshape(40, -1).astype(np.float64) @ DIFFERENCE
BIAS = torch.tensor([float(np.median(SCORE)), 0.0])
Y = (np.median(SCORE) < SCORE).astype(np.int64)
MARGIN = np.abs(SCORE - np.median(SCORE))
"""Two classes, one hyperplane, all correct when clean."""

IMAGES = RNG.uniform(0, 1, (24, 1, 8, 8)).astype(np.float32)


def on_a_line(kind: type = FastPyTorchClassifier) -> PyTorchClassifier:
    model = linear(SHAPE, weight=WEIGHT, bias=BIAS)
    return kind(model, loss=torch.nn.CrossEntropyLoss(), input_shape=SHAPE, nb_classes=2, clip_values=(0, 1))


def cnn(kind: type = FastPyTorchClassifier) -> PyTorchClassifier:
    options = {"input_shape": (1, 8, 8), "nb_classes": 10, "clip_values": (0, 1)}
    return kind(small_cnn(), loss=torch.nn.CrossEntropyLoss(), **options)


LABELS = cnn().predict(IMAGES).argmax(1)


def run(attack, x=IMAGES, y=LABELS, *, stop: bool, precision: str | None = None, **kwargs) -> np.ndarray:
    with seeded(5):
        if not stop:
            return attack.generate(x, y, **kwargs)
        with early_stopping(attack, precision=precision):
            return attack.generate(x, y, **kwargs)


def wrong(x: np.ndarray, y: np.ndarray = LABELS) -> np.ndarray:
    return judge_logits(cnn(), x).argmax(1) != y


@pytest.mark.parametrize(("norm", "dual", "eps"), [(inf, 1, 0.05), (2, 2, 0.15), (1, inf, 0.25)])
@pytest.mark.parametrize("kind", [ProjectedGradientDescent, ProjectedGradientDescentNumpy])
def test_a_sample_costs_as_many_gradients_as_it_needs_steps_and_stays_where_it_was_found(kind, norm, dual, eps):
    steps = 5
    step = eps / steps
    distance = MARGIN / np.linalg.norm(DIFFERENCE, ord=dual)
    estimator = on_a_line()
    attack = kind(estimator, norm=norm, eps=eps, eps_step=step, max_iter=steps, batch_size=16, verbose=False)
    moved = run(attack, X, Y, stop=True)
    needed = np.ceil(distance / step).astype(int)  # after so many steps it is on the other side
    assert 0 < (needed <= steps).sum() < len(needed)
    found = np.minimum(needed, steps)
    length = np.linalg.norm((moved - X).reshape(40, -1).astype(np.float64), ord=norm, axis=1)
    np.testing.assert_allclose(length, found * step, rtol=1e-4)
    assert estimator.gradients == np.minimum(needed + 1, steps).sum()


ATTACKS = {
    "fgm": lambda e: FastGradientMethod(e, eps=0.2, batch_size=7),
    "fgm-random-l2": lambda e: FastGradientMethod(e, norm=2, eps=1.6, num_random_init=1, batch_size=7),
    "bim": lambda e: BasicIterativeMethod(e, eps=0.24, eps_step=0.03, max_iter=8, batch_size=7, verbose=False),
    "pgd": lambda e: ProjectedGradientDescent(e, eps=0.24, eps_step=0.03, max_iter=8, batch_size=7, verbose=False),
    "pgd-random": lambda e: ProjectedGradientDescent(
        e, eps=0.24, eps_step=0.03, max_iter=8, num_random_init=1, batch_size=7, verbose=False
    ),
    "pgd-l2": lambda e: ProjectedGradientDescent(
        e, norm=2, eps=1.0, eps_step=0.2, max_iter=8, batch_size=7, verbose=False
    ),
    "pgd-numpy-l2": lambda e: ProjectedGradientDescentNumpy(
        e, norm=2, eps=1.0, eps_step=0.2, max_iter=8, batch_size=7, verbose=False
    ),
    "pgd-eps-a-sample": lambda e: ProjectedGradientDescent(
        e,
        eps=np.linspace(0.06, 0.3, 24, dtype=np.float32).reshape(-1, 1, 1, 1),
        eps_step=np.full((24, 1, 1, 1), 0.03, np.float32),
        max_iter=8,
        batch_size=7,
        verbose=False,
    ),
}


@pytest.mark.parametrize("kind", [FastPyTorchClassifier, PyTorchClassifier])
@pytest.mark.parametrize("make", ATTACKS.values(), ids=ATTACKS.keys())
def test_whoever_is_not_fooled_ends_where_the_plain_attack_ends_and_nobody_is_spared(make, kind):
    plain, stopped = run(make(cnn(kind)), stop=False), run(make(cnn(kind)), stop=True)
    standing = ~wrong(stopped)
    assert 0 < standing.sum() < len(standing)
    np.testing.assert_allclose(stopped[standing], plain[standing], atol=1e-6)
    assert not (wrong(plain) & standing).any()


@pytest.mark.parametrize("kind", [FastPyTorchClassifier, PyTorchClassifier])
def test_a_clean_sample_that_is_wrong_already_is_returned_untouched(kind):
    attack = ProjectedGradientDescent(cnn(kind), norm=2, eps=0.5, eps_step=0.1, max_iter=3, verbose=False)
    other = (LABELS + 1) % 10
    np.testing.assert_array_equal(run(attack, y=other, stop=True), IMAGES)


def test_at_another_random_start_only_those_still_standing_cost():
    once, twice = cnn(), cnn()
    options = {"eps": 0.24, "eps_step": 0.06, "max_iter": 6, "batch_size": 24, "verbose": False}
    first = run(ProjectedGradientDescent(once, num_random_init=1, **options), stop=True)
    both = run(ProjectedGradientDescent(twice, num_random_init=2, **options), stop=True)
    fooled = wrong(first)
    assert 0 < fooled.sum() < 24
    np.testing.assert_array_equal(both[fooled], first[fooled])
    assert wrong(both).sum() >= fooled.sum()
    assert twice.gradients - once.gradients <= 6 * (24 - fooled.sum())


@pytest.mark.parametrize("kind", [ProjectedGradientDescent, ProjectedGradientDescentNumpy])
def test_a_targeted_attack_stops_at_its_target(kind):
    target = (LABELS + 1) % 10
    attack = kind(cnn(), eps=0.3, eps_step=0.02, max_iter=15, targeted=True, batch_size=7, verbose=False)
    plain, stopped = run(attack, y=target, stop=False), run(attack, y=target, stop=True)
    reached = ~wrong(stopped, target)
    assert 0 < reached.sum() < 24
    np.testing.assert_allclose(stopped[~reached], plain[~reached], atol=1e-5)
    assert (np.abs(stopped - IMAGES).sum((1, 2, 3)) <= np.abs(plain - IMAGES).sum((1, 2, 3)) + 1e-4)[reached].all()


@pytest.mark.parametrize("shape", [(24, 1, 8, 8), (1, 8, 8)], ids=["a-sample", "for-all"])
@pytest.mark.parametrize("kind", [ProjectedGradientDescent, ProjectedGradientDescentNumpy, FastGradientMethod])
def test_masked_pixels_stay_as_they_are(kind, shape):
    mask = np.zeros(shape, np.float32)
    mask[..., :5] = 1
    options = {} if kind is FastGradientMethod else {"eps_step": 0.05, "max_iter": 4, "verbose": False}
    attack = kind(cnn(), eps=0.2, batch_size=7, **options)
    plain, stopped = run(attack, stop=False, mask=mask), run(attack, stop=True, mask=mask)
    np.testing.assert_array_equal(stopped[..., 5:], IMAGES[..., 5:])
    standing = ~wrong(stopped)
    np.testing.assert_allclose(stopped[standing], plain[standing], atol=1e-6)


def test_without_labels_the_models_own_predictions_are_left():
    attack = ProjectedGradientDescent(cnn(), eps=0.24, eps_step=0.03, max_iter=8, verbose=False)
    np.testing.assert_array_equal(run(attack, y=None, stop=True), run(attack, stop=True))


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda e: ProjectedGradientDescent(e, eps=0.05, eps_step=0.02, max_iter=3, decay=0.9), "decay=0.9"),
        (lambda e: MomentumIterativeMethod(e, eps=0.05, eps_step=0.02, max_iter=3), "memoryless"),
        (lambda e: AutoProjectedGradientDescent(e, eps=0.05, eps_step=0.02, max_iter=3), "memoryless"),
        (lambda e: FastGradientMethod(e, eps=0.05, eps_step=0.01, minimal=True), "minimal=True"),
    ],
    ids=["decay", "momentum", "apgd", "minimal"],
)
def test_an_attack_with_a_memory_runs_unchanged_and_the_log_says_why(make, why, caplog):
    attack = make(cnn())
    if "verbose" in attack.attack_params:
        attack.set_params(verbose=False)
    with caplog.at_level(logging.INFO, logger="art_weakrobust"):
        stopped = run(attack, stop=True)
    assert why in caplog.text
    np.testing.assert_array_equal(stopped, run(attack, stop=False))


def test_a_classifier_with_gradients_of_its_own_runs_unchanged():
    class Smoothed(PyTorchClassifier):
        def loss_gradient(self, x, y, training_mode=False, **kwargs):
            return super().loss_gradient(x, y, training_mode, **kwargs)

    attack = ProjectedGradientDescent(cnn(Smoothed), eps=0.05, eps_step=0.02, max_iter=3, verbose=False)
    np.testing.assert_array_equal(run(attack, stop=True), run(attack, stop=False))


@pytest.mark.parametrize("fails", [False, True])
def test_afterwards_the_attack_is_as_it_was(fails):
    attack = ProjectedGradientDescent(cnn(), eps=0.05, eps_step=0.02, max_iter=3, verbose=False)
    inner, estimator = attack._attack, attack._attack._estimator
    before = set(vars(inner))
    with pytest.raises(ZeroDivisionError) if fails else early_stopping(attack), early_stopping(attack):
        attack.generate(IMAGES, LABELS)
        if fails:
            raise ZeroDivisionError
    assert set(vars(inner)) == before
    assert inner._estimator is estimator
    assert inner.generate.__self__ is inner


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_whoever_the_judge_does_not_hold_for_fooled_is_attacked_further(precision, monkeypatch):
    """A search whose logits are all wrong, by less than its precision promises."""
    honest = FastPyTorchClassifier.logits_and_gradient
    gap = 1e-6 if precision == "float32" else 5.0

    def lying(self, x, y, loss=None):
        logits, gradient = honest(self, x, y, loss)
        other = torch.nn.functional.one_hot((y.argmax(1) + 1) % 10, 10)
        return logits.amax(1, keepdim=True) + gap * other, gradient

    attack = ProjectedGradientDescent(cnn(), eps=0.24, eps_step=0.03, max_iter=8, verbose=False)
    plain = run(attack, stop=False)
    monkeypatch.setattr(FastPyTorchClassifier, "logits_and_gradient", lying)
    stopped = run(attack, stop=True, precision=precision)
    standing = ~wrong(stopped)
    assert 0 < standing.sum() < 24
    assert not (wrong(plain) & standing).any()
    if precision == "float32":
        np.testing.assert_allclose(stopped[standing], plain[standing], atol=1e-6)


@pytest.mark.parametrize("targeted", [False, True])
@pytest.mark.parametrize("labels", [np.asarray, lambda y: np.eye(2)[y]], ids=["index", "one-hot"])
@pytest.mark.parametrize("kind", [ProjectedGradientDescent, ProjectedGradientDescentNumpy, FastGradientMethod])
def test_whom_bfloat16_alone_holds_for_fooled_is_attacked_in_float32_as_far_as_needed(kind, labels, targeted):
    """The logits are a pixel a and 1.003 b; in bfloat16 .5 and, for .4971 < b < .4990, .4980: the first is larger.

    In float32 the second is, from b = .4985 on, and a sign step of e makes it fall by 2.003 e against the first.
    """
    model = linear((1, 1, 2), weight=torch.tensor([[1.0, 0.0], [0.0, 1.003]]), bias=torch.zeros(2))
    named = {"input_shape": (1, 1, 2), "nb_classes": 2, "clip_values": (0, 1), "device_type": "cpu"}
    estimator = FastPyTorchClassifier(model, loss=torch.nn.CrossEntropyLoss(), **named)
    wrong, right, between = [0.4], [0.6], [0.49855, 0.4987, 0.4988, 0.4989]
    b = np.array([*right, *between[:2], *wrong, *between[2:]], np.float32)
    x = np.stack([np.full_like(b, 0.5), b], axis=1).reshape(-1, 1, 1, 2)
    with estimator.searching("bfloat16"):
        seen, _ = estimator.logits_and_gradient(torch.from_numpy(x), torch.ones(len(x), dtype=torch.long))
    np.testing.assert_array_equal(seen.argmax(1), [1, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(judge_logits(estimator, x).argmax(1), [1, 1, 1, 0, 1, 1])

    step, steps = 1e-4, 1 if kind is FastGradientMethod else 2
    options = {} if kind is FastGradientMethod else {"eps_step": step, "max_iter": steps, "verbose": False}
    attack = kind(estimator, eps=step * steps, targeted=targeted, batch_size=4, **options)
    y = labels(np.full(len(x), 0 if targeted else 1))
    moved = run(attack, x, y, stop=True, precision="bfloat16")
    needed = np.maximum(np.ceil((1.003 * b.astype(np.float64) - 0.5) / (2.003 * step)), 0)
    np.testing.assert_allclose(np.abs(moved - x).max((1, 2, 3)), np.minimum(needed, steps) * step, atol=1e-7)
    np.testing.assert_array_equal(judge_logits(estimator, moved).argmax(1) == 0, needed <= steps)
    assert set(np.minimum(needed, 3)) == {0, 1, 2, 3}  # wrong already, within reach, and beyond it


def test_a_search_in_bfloat16_finds_what_the_judge_confirms_and_leaves_the_plan_alone():
    estimator = cnn()
    attack = ProjectedGradientDescent(estimator, eps=0.24, eps_step=0.03, max_iter=10, verbose=False)
    plan = dict(estimator.plan)
    plain, stopped = run(attack, stop=False), run(attack, stop=True, precision="bfloat16")
    assert abs(int(wrong(stopped).sum()) - int(wrong(plain).sum())) <= 1
    assert np.abs(stopped - IMAGES).max() <= 0.24 + 1e-6
    assert estimator.plan == plan


@pytest.mark.parametrize("what", ["pgd", ProjectedGradientDescent])
def test_what_is_no_attack_that_is_ready_to_run_is_refused(what):
    with pytest.raises(UsageError, match=r"early_stopping: .* is no attack of ART"), early_stopping(what):
        pass


def test_an_unknown_precision_is_refused():
    with pytest.raises(ModelError, match="'half'"), early_stopping(FastGradientMethod(cnn()), precision="half"):
        pass


def test_the_success_rate_that_art_logs_is_right_for_whoever_reads_it(caplog):
    attack = ProjectedGradientDescent(cnn(), eps=0.24, eps_step=0.03, max_iter=8, batch_size=7, verbose=False)
    with caplog.at_level(logging.INFO, logger="art"):
        stopped = run(attack, stop=True)
    assert f"Success rate of attack: {100 * wrong(stopped).mean():.2f}%" in caplog.text


def test_nobody_predicts_for_a_log_line_that_nobody_reads():
    estimator = on_a_line()
    attack = ProjectedGradientDescent(estimator, eps=1e-4, eps_step=1e-4, max_iter=2, batch_size=16, verbose=False)
    run(attack, X, Y, stop=True)
    assert (estimator.forwards, estimator.gradients) == (80, 80)


def test_its_name_at_the_top_imports_no_torch():
    code = (
        "import sys, art_weakrobust; assert 'early_stopping' in dir(art_weakrobust); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("kind", [FastPyTorchClassifier, PyTorchClassifier])
@pytest.mark.parametrize("loop", [ProjectedGradientDescent, ProjectedGradientDescentNumpy])
def test_inside_of_the_block_the_attacks_estimator_predicts(loop, kind):
    attack = loop(cnn(kind), eps=0.05, eps_step=0.02, max_iter=4, verbose=False)
    expected = cnn(kind).predict(IMAGES)
    with early_stopping(attack):
        attack.generate(IMAGES, LABELS)
        np.testing.assert_allclose(attack.estimator.predict(IMAGES), expected, rtol=1e-4, atol=1e-5)
