"""Three of ART's example and notebook flows, one class name apart: get_started_pytorch, adversarial_training, and
art_evaluations/security_curve, on scikit-learn's digits."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescent
from art.defences.trainer import AdversarialTrainer
from art.estimators.classification import PyTorchClassifier
from art.evaluations.security_curve import SecurityCurve
from art.utils import to_categorical
from sklearn.datasets import load_digits
from torch import nn

from art_weakrobust import FastPyTorchClassifier

CLASSIFIERS = [PyTorchClassifier, FastPyTorchClassifier]


@pytest.fixture(scope="module")
def digits_subset():
    digits = load_digits()
    x = (digits.images[:, None] / 16).astype(np.float32)
    y = to_categorical(digits.target, 10)
    return (x[:600], y[:600]), (x[600:700], y[600:700])


@pytest.fixture
def image_dl_estimator():
    """ART's fixture of this name: a factory of a small classifier, here of the class at hand and from a fixed seed."""
    before = torch.random.get_rng_state(), np.random.get_state()
    torch.manual_seed(0)
    np.random.seed(0)

    def make(classifier_class):
        torch.manual_seed(0)
        np.random.seed(0)
        model = nn.Sequential(
            nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(), nn.Linear(128, 10)
        )
        return classifier_class(
            model=model,
            clip_values=(0, 1),
            loss=nn.CrossEntropyLoss(),
            optimizer=torch.optim.Adam(model.parameters(), lr=0.01),
            input_shape=(1, 8, 8),
            nb_classes=10,
            device_type="cpu",
        )

    yield make
    torch.random.set_rng_state(before[0])
    np.random.set_state(before[1])


def accuracy(predictions, y):
    return np.sum(np.argmax(predictions, axis=1) == np.argmax(y, axis=1)) / len(y)


def flow_fgm_evasion(classifier, x_train, y_train, x_test, y_test):
    # Step 1: Train the ART classifier
    classifier.fit(x_train, y_train, batch_size=64, nb_epochs=10)

    # Step 2: Evaluate the ART classifier on benign test examples
    benign = accuracy(classifier.predict(x_test), y_test)

    # Step 3: Generate adversarial test examples
    attack = FastGradientMethod(estimator=classifier, eps=0.2)
    x_test_adv = attack.generate(x=x_test)

    # Step 4: Evaluate the ART classifier on adversarial test examples
    return benign, accuracy(classifier.predict(x_test_adv), y_test), x_test_adv


def flow_adversarial_training(classifier, x_train, y_train, x_test, y_test):
    attack = ProjectedGradientDescent(classifier, eps=0.15, eps_step=0.04, max_iter=6, verbose=False)
    classifier.fit(x_train, y_train, batch_size=64, nb_epochs=5)
    before = accuracy(classifier.predict(attack.generate(x_test)), y_test)

    trainer = AdversarialTrainer(classifier, attacks=attack, ratio=1.0)
    trainer.fit(x_train, y_train, batch_size=64, nb_epochs=10)

    x_test_adv = attack.generate(x_test)
    return before, accuracy(trainer.get_classifier().predict(x_test_adv), y_test), x_test_adv


def flow_security_curve(classifier, x_train, y_train, x_test, y_test):
    classifier.fit(x_train, y_train, batch_size=64, nb_epochs=10)
    curve = SecurityCurve(eps=[0.02, 0.05, 0.1, 0.2])
    eps_list, accuracy_adv_list, accuracy_benign = curve.evaluate(
        classifier=classifier, x=x_test, y=y_test, max_iter=5, eps_step=0.02, verbose=False
    )
    return eps_list, accuracy_adv_list, accuracy_benign


@pytest.mark.parametrize("classifier_class", CLASSIFIERS)
def test_fgm_evasion(classifier_class, digits_subset, image_dl_estimator):
    (x_train, y_train), (x_test, y_test) = digits_subset

    benign, adversarial, x_test_adv = flow_fgm_evasion(
        image_dl_estimator(classifier_class), x_train, y_train, x_test, y_test
    )

    assert benign > 0.85
    assert adversarial < benign - 0.3
    assert np.abs(x_test_adv - x_test).max() == pytest.approx(0.2, abs=1e-6)


@pytest.mark.parametrize("classifier_class", CLASSIFIERS)
def test_pgd_adversarial_training(classifier_class, digits_subset, image_dl_estimator):
    (x_train, y_train), (x_test, y_test) = digits_subset

    before, after, _ = flow_adversarial_training(image_dl_estimator(classifier_class), x_train, y_train, x_test, y_test)

    assert after > before + 0.05


@pytest.mark.parametrize("classifier_class", CLASSIFIERS)
def test_security_curve(classifier_class, digits_subset, image_dl_estimator):
    (x_train, y_train), (x_test, y_test) = digits_subset

    eps_list, accuracy_adv_list, accuracy_benign = flow_security_curve(
        image_dl_estimator(classifier_class), x_train, y_train, x_test[:50], y_test[:50]
    )

    assert len(eps_list) == len(accuracy_adv_list) == 4
    assert accuracy_benign > 0.85
    assert accuracy_adv_list[-1] < accuracy_adv_list[0] <= accuracy_benign


@pytest.fixture
def two_threads():
    """Sums are rounded by how many threads share them, and fifteen epochs of training make much of it."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("flow", [flow_fgm_evasion, flow_adversarial_training, flow_security_curve])
def test_both_classes_give_the_same_answers(flow, digits_subset, image_dl_estimator, two_threads):
    (x_train, y_train), (x_test, y_test) = digits_subset

    stock, fast = (flow(image_dl_estimator(c), x_train, y_train, x_test[:50], y_test[:50]) for c in CLASSIFIERS)

    for of_stock, of_fast in zip(stock, fast, strict=True):
        assert np.allclose(of_stock, of_fast, atol=1e-3)
