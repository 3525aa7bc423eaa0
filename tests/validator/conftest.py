"""One small story on digits, told once: evaluate, fine-tune in place, evaluate again, compare."""

from __future__ import annotations

import copy
import random
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from art.attacks.evasion import ProjectedGradientDescent
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_weakrobust import FastPyTorchClassifier, WeakRobustTrainer, WeakRobustValidator
from art_weakrobust.datasets.digits import digits
from art_weakrobust.models.digits_cnn import digits_cnn

PGD = partial(ProjectedGradientDescent, eps=0.1, eps_step=0.05, max_iter=3, verbose=False)
CORRUPTIONS = ["contrast", "pixelate"]
OPTIONS = {
    "radius": 0.35,
    "neighbors": 8,
    "eps": 0.1,
    "attacks": ["fgm", "pgd@2:max_iter=3", PGD],
    "corruptions": CORRUPTIONS,
    "severities": (1, 5),
    "verbose": False,
}
"""Options of a validator with which an evaluation of a few hundred digits takes about a second."""


def random_states() -> list[str]:
    """Return the global random states of Python, NumPy and PyTorch, as text that can be compared."""
    return [repr(random.getstate()), repr(np.random.get_state(legacy=False)), repr(torch.get_rng_state().tolist())]


@pytest.fixture(scope="session")
def arrays() -> SimpleNamespace:
    """Digits: 400 to train on, 60 to test on, 50 for training's own choices."""
    train, test = (digits(split=split).take(np.arange(400)) for split in ("train", "test"))
    return SimpleNamespace(
        x_train=train.x,
        y_train=train.y,
        x_test=test.x[:60],
        y_test=test.y[:60],
        x_val=test.x[60:110],
        y_val=test.y[60:110],
    )


@pytest.fixture(scope="session")
def test_arrays(arrays) -> dict[str, np.ndarray]:
    """The test set, as ``evaluate`` takes it."""
    return {"x_test": arrays.x_test, "y_test": arrays.y_test}


@pytest.fixture(scope="session")
def network(own_cache) -> nn.Module:
    """The digits network, which nobody alters."""
    return digits_cnn()[0]


@pytest.fixture(scope="session")
def classifier(network):
    """Return a function that makes a classifier around a network of its own."""

    def make(kind: type = FastPyTorchClassifier, rate: float | None = None, **options) -> PyTorchClassifier:
        net = copy.deepcopy(options.pop("model", network))
        optimizer = None if rate is None else torch.optim.SGD(net.parameters(), lr=rate, momentum=0.9)
        named = {"input_shape": (1, 8, 8), "nb_classes": 10, "clip_values": (0, 1), "device_type": "cpu", **options}
        return kind(model=net, loss=nn.CrossEntropyLoss(), optimizer=optimizer, **named)

    return make


@pytest.fixture(scope="session")
def validator(classifier):
    """Return a function that makes a validator with the small options, changed as asked."""

    def make(estimator=None, **options) -> WeakRobustValidator:
        return WeakRobustValidator(classifier() if estimator is None else estimator, **{**OPTIONS, **options})

    return make


@pytest.fixture(scope="session")
def story(arrays, test_arrays, classifier, validator) -> SimpleNamespace:
    """Everything that the way of ART's users gives, and the global random states before and after."""
    states = [random_states()]
    tuned = classifier(rate=0.01)
    own = validator(tuned)
    before = own.evaluate(arrays.x_train, arrays.y_train, **test_arrays)
    states.append(random_states())
    base = {name: values.clone() for name, values in tuned.model.state_dict().items()}
    trainer = WeakRobustTrainer(tuned, eps=0.1, corruptions=CORRUPTIONS)
    trainer.fit(
        arrays.x_train,
        arrays.y_train,
        nb_epochs=1,
        weak_set=before.weak_set,
        weak_types=before.weak_types,
        guard=(arrays.x_val, arrays.y_val),
    )
    states.append(random_states())
    after = own.evaluate(
        arrays.x_train, arrays.y_train, **test_arrays, classifier=trainer.get_classifier(), weak_set=before.weak_set
    )
    comparison = after.compare(before, trainer.finetuning)
    states.append(random_states())
    return SimpleNamespace(
        before=before, after=after, comparison=comparison, trainer=trainer, tuned=tuned, base=base, states=states
    )
