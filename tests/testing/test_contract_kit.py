"""The contract kit: what of ours it passes, and what of others it catches, in a sentence."""

from __future__ import annotations

import os
import random
import sys

import numpy as np
import pytest
import torch
from art.attacks import EvasionAttack
from art.attacks.evasion import FastGradientMethod
from art.estimators.classification import PyTorchClassifier
from art.estimators.estimator import BaseEstimator

from art_weakrobust import Spec
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.plugins.manager import Manager
from art_weakrobust.testing import check_attack, check_estimator

GRADIENTS = ("gradients",)


class Step(EvasionAttack):
    """A step of random signs: an attack that keeps the contract, for others to break."""

    _estimator_requirements = (BaseEstimator,)
    share = 1.0

    def __init__(self, estimator, eps: float = 0.1, seed: int = 0) -> None:
        super().__init__(estimator=estimator)
        self.eps, self.seed = eps, seed

    def direction(self, x):
        return np.sign(np.random.default_rng(self.seed).normal(size=x.shape[1:]))

    def generate(self, x, y=None, **kwargs):
        moved = x + np.float32(self.share * self.eps) * self.direction(x).astype(np.float32)
        return np.clip(moved, 0, 1)


class OverBudget(Step):
    share = 1.1


class OutOfRange(Step):
    def generate(self, x, y=None, **kwargs):
        return x + np.float32(self.eps)


class NotFinite(Step):
    def generate(self, x, y=None, **kwargs):
        return np.full_like(x, np.nan)


class Short(Step):
    def generate(self, x, y=None, **kwargs):
        return super().generate(x)[:1]


class GivesTensor(Step):
    def generate(self, x, y=None, **kwargs):
        return torch.from_numpy(super().generate(x))


class GivesPair(Step):
    def generate(self, x, y=None, **kwargs):
        return super().generate(x), y


class InPlace(Step):
    def generate(self, x, y=None, **kwargs):
        x += 0.01
        return super().generate(x)


class Relabelling(Step):
    def generate(self, x, y=None, **kwargs):
        y[:] = 0
        return super().generate(x)


class Entropy(Step):
    def direction(self, x):
        return np.sign(np.random.default_rng(int.from_bytes(os.urandom(4))).normal(size=x.shape[1:]))


class IgnoresBudget(Step):
    """Has a parameter by another name, so that no budget ever reaches it."""

    def __init__(self, estimator, epsilon: float = 0.25) -> None:
        super().__init__(estimator, epsilon)


class LeastBudget(Step):
    def __init__(self, estimator, eps: float = 0.1) -> None:
        super().__init__(estimator, max(eps, 8 / 255))


class FirstBatch(Step):
    def __init__(self, estimator, eps: float = 0.1, batch_size: int = 32) -> None:
        super().__init__(estimator, eps)
        self.batch_size = batch_size

    def generate(self, x, y=None, **kwargs):
        moved = x.copy()
        moved[: self.batch_size] = super().generate(x[: self.batch_size])
        return moved


class Reseeding(Step):
    def direction(self, x):
        np.random.seed(0)
        return np.sign(np.random.normal(size=x.shape[1:]))


class SeedsWhenBuilt(Step):
    def __init__(self, estimator, eps: float = 0.1) -> None:
        super().__init__(estimator, eps)
        random.seed(0)


class Coupled(Step):
    def generate(self, x, y=None, **kwargs):
        return np.clip(x + np.float32(self.eps) * np.sign(x.mean(0) - 0.5), 0, 1)


class Damaging(Step):
    def generate(self, x, y=None, **kwargs):
        next(self.estimator.model.parameters()).data.add_(1.0)
        return super().generate(x)


class Training(Step):
    def generate(self, x, y=None, **kwargs):
        self.estimator.model.train()
        return super().generate(x)


class Freezing(Step):
    def generate(self, x, y=None, **kwargs):
        self.estimator.model.requires_grad_(False)
        return super().generate(x)


class ReadsScores(Step):
    def generate(self, x, y=None, **kwargs):
        if self.estimator.predict(x).max() in (0, 1):
            raise ValueError("no scores")
        return super().generate(x)


def test_an_attack_that_keeps_the_contract_passes():
    check_attack(Spec("step", "A step", Step))


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (OverBudget, "returns perturbations up to 0.33 where 0.3 is its budget: project them"),
        (OutOfRange, r"leaves the range of the pixels: .* expected \[0, 1\]"),
        (NotFinite, "pixels that are not finite"),
        (Short, r"returns \(1, 1, 8, 8\) for images of \(4, 1, 8, 8\)"),
        (GivesTensor, "returns a Tensor, expected an array"),
        (GivesPair, "returns a tuple, expected an array"),
        (InPlace, "writes into the images"),
        (Relabelling, "writes into the labels"),
        (Entropy, "another result with the same seed"),
        (IgnoresBudget, "returns perturbations up to 0.25 where 0.01875 is its budget"),
        (LeastBudget, "returns perturbations up to 0.0313"),
        (FirstBatch, "another result with batch_size=2 than with 4"),
        (Reseeding, "seeds numpy.random itself"),
        (SeedsWhenBuilt, "changes the global state of random"),
        (Coupled, r"another result in a smaller batch .* declare facts\['couples'\]=True"),
        (ReadsScores, r"fails on an estimator that gives decisions, which is what needs=\(\) declares"),
        (FastGradientMethod, r"declares needs=\(\), is not built: .* it needs loss gradients"),
        (lambda estimator: Step(estimator), "cannot be pickled .* make its target a function or class of a module"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_an_attack_that_breaks_the_contract_is_caught_with_a_sentence(target, sentence):
    with pytest.raises(AssertionError, match=f"^(building )?attack 'broken'.*{sentence}"):
        check_attack(Spec("broken", "Breaks the contract", target))


@pytest.mark.parametrize(
    ("target", "what"),
    [(Damaging, "0.weight"), (Training, "training of the model"), (Freezing, "requires_grad of 0.weight")],
    ids=["weights", "flags", "frozen"],
)
def test_an_attack_that_changes_the_model_is_caught(target, what):
    with pytest.raises(AssertionError, match=f"changes the model: {what}"):
        check_attack(Spec("broken", "Changes the model", target, needs=GRADIENTS))


def test_what_is_declared_is_not_held_against_an_attack():
    check_attack(Spec("fgm", "One step", FastGradientMethod, needs=GRADIENTS))
    check_attack(Spec("coupled", "Looks at its neighbours", Coupled, facts={"couples": True}))
    check_attack(Spec("far", "Goes far", OverBudget, facts={"budget": "smallest"}))


@pytest.mark.parametrize("name", ["fast", "stock"])
def test_our_estimators_keep_the_contract(name):
    check_estimator(Manager(third_party=False).find("estimator", name).spec)


def estimator_of(kind: type, **options):
    named = {"input_shape": (1, 8, 8), "nb_classes": 4, "clip_values": (0, 1), **options}
    return lambda model: kind(model, loss=torch.nn.CrossEntropyLoss(), device_type="cpu", **named)


class Shuffled(FastPyTorchClassifier):
    def predict(self, x, batch_size=128, **kwargs):
        return super().predict(x, batch_size=batch_size) - np.float32(x.mean())


class Writing(FastPyTorchClassifier):
    def predict(self, x, batch_size=128, **kwargs):
        x *= 0.5
        return super().predict(x, batch_size=batch_size)


class Drawing(FastPyTorchClassifier):
    def predict(self, x, batch_size=128, **kwargs):
        np.random.random()
        return super().predict(x, batch_size=batch_size)


class Double(FastPyTorchClassifier):
    def predict(self, x, batch_size=128, **kwargs):
        return super().predict(x, batch_size=batch_size).astype(np.float64)


class Unpicklable(FastPyTorchClassifier):
    def __getstate__(self):
        raise TypeError("no pickles here")


def shuffled(model, info):
    return estimator_of(Shuffled)(model)


def writing(model, info):
    return estimator_of(Writing)(model)


def drawing(model, info):
    return estimator_of(Drawing)(model)


def double(model, info):
    return estimator_of(Double)(model)


def unpicklable(model, info):
    return estimator_of(Unpicklable)(model)


def wrong_range(model, info):
    return estimator_of(PyTorchClassifier, clip_values=(0, 255))(model)


def wrong_classes(model, info):
    return estimator_of(FastPyTorchClassifier, nb_classes=7)(model)


def no_estimator(model, info):
    return model


@pytest.mark.parametrize(
    ("target", "sentence"),
    [
        (shuffled, "predict gives another answer in batches of another size"),
        (writing, "predict writes into the images"),
        (drawing, "changes the global state of numpy.random"),
        (double, "predict gives float64, expected float32"),
        (unpicklable, "cannot be pickled: no pickles here"),
        (wrong_range, "clip_values=.* expected \\(0, 1\\)"),
        (wrong_classes, "has nb_classes=7, and was told 4"),
        (no_estimator, "is a Sequential, expected a classifier of ART's"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_an_estimator_that_breaks_the_contract_is_caught_with_a_sentence(target, sentence):
    with pytest.raises(AssertionError, match=f"^estimator 'broken'.*{sentence}"):
        check_estimator(Spec("broken", "Breaks the contract", target))


class OfClasses(FastPyTorchClassifier):
    """Gives gradients of classes through what a subclass does to them."""

    def class_gradient(self, x, label=None, **kwargs):
        return self.changed(super().class_gradient(x, label, **kwargs), x, label)


class WritesForClasses(OfClasses):
    def changed(self, gradient, x, label):
        x += 1
        return gradient


class CouplesClasses(OfClasses):
    def changed(self, gradient, x, label):
        return gradient - gradient.mean(0)


class ConfusesClasses(OfClasses):
    def changed(self, gradient, x, label):
        return gradient if label is None else -gradient


class OfLoss(FastPyTorchClassifier):
    """Gives gradients of the loss through what a subclass does to them."""

    def loss_gradient(self, x, y, **kwargs):
        return self.changed(super().loss_gradient(x, y, **kwargs))


class Descending(OfLoss):
    def changed(self, gradient):
        return -gradient


class Flat(OfLoss):
    def changed(self, gradient):
        return 0 * gradient


class Trembling(OfLoss):
    calls = 1

    def changed(self, gradient):
        self.calls += 1
        return gradient * np.float32(self.calls)


class Forgetting(OfLoss):
    scale = np.float32(1)

    def changed(self, gradient):
        return gradient * self.scale

    def __setstate__(self, state):
        super().__setstate__(state)
        self.scale = np.float32(2)


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        (WritesForClasses, "class_gradient writes into the images"),
        (CouplesClasses, "class_gradient gives another answer in batches of another size"),
        (ConfusesClasses, "class_gradient with label=1 is not what it gives among all classes"),
        (Descending, "loss_gradient leads to a smaller loss"),
        (Flat, "loss_gradient is zero for every image"),
        (Trembling, "loss_gradient gives another answer to the same question"),
        (Forgetting, "gives other gradients after a pickle"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_gradients_that_break_the_contract_are_caught_with_a_sentence(kind, sentence, monkeypatch):
    def broken(model, info):
        return estimator_of(kind)(model)

    monkeypatch.setattr(sys.modules[__name__], "broken", broken, raising=False)
    broken.__qualname__ = "broken"  # so that the spec can be pickled
    with pytest.raises(AssertionError, match=f"^estimator 'broken'.*{sentence}"):
        check_estimator(Spec("broken", "Breaks the contract", broken))
