"""Large batches are cut on a CPU, but only where nobody can see the difference."""

from __future__ import annotations

from collections import UserList

import numpy as np
import pytest
import torch
from art.defences.preprocessor.preprocessor import PreprocessorPyTorch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_weakrobust.estimators.pytorch import FastPyTorchClassifier

SHAPE, CLASSES, N, AT_ONCE = (3, 8, 8), 5, 40, 16
X = np.random.default_rng(0).random((N, *SHAPE), dtype=np.float32)
LABELS = np.random.default_rng(1).integers(CLASSES, size=N)


class Noting(nn.Module):
    """A network that notes how many images it was asked at a time."""

    def __init__(self, **norm):
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, **norm), nn.Linear(4 * 36, CLASSES)
        self.asked = UserList()  # an object of its own: a list that grows would count as written to

    def forward(self, x):
        self.asked.append(len(x))
        return self.head(self.norm(self.conv(x)).relu().flatten(1))


class Centred(Noting):
    """A network that takes the mean of the batch from each image."""

    def forward(self, x):
        return super().forward(x - x.mean(0, keepdim=True))


def classifier(kind, model):
    made = kind(
        model=model,
        loss=nn.CrossEntropyLoss(),
        input_shape=SHAPE,
        nb_classes=CLASSES,
        clip_values=(0, 1),
        device_type="cpu",
    )
    if kind is FastPyTorchClassifier:
        made.set_plan(batch_size=AT_ONCE)
    return made


def pair(make=Noting, **norm):
    torch.manual_seed(0)
    stock, fast = make(**norm), make(**norm)
    fast.load_state_dict(stock.state_dict())
    return classifier(PyTorchClassifier, stock), classifier(FastPyTorchClassifier, fast)


def asked_by(estimator, work):
    estimator.model.asked.clear()
    answer = work()
    return answer, list(estimator.model.asked)


@pytest.mark.parametrize("batch_size", [None, AT_ONCE, 8, 64, 1000])
def test_a_prediction_takes_no_more_images_at_once_than_the_plan(batch_size):
    stock, fast = pair()
    fast.predict(X, batch_size=batch_size)  # makes the copy, which asks the network as well
    answer, asked = asked_by(fast, lambda: fast.predict(X, batch_size=batch_size))
    size = min(batch_size or AT_ONCE, AT_ONCE)
    assert asked == [min(size, N - start) for start in range(0, N, size)]
    np.testing.assert_allclose(answer, stock.predict(X), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("make", "most"), [(Noting, AT_ONCE), (Centred, N)], ids=["copy", "no copy"])
def test_tensors_are_answered_in_parts_of_the_plan_as_well(make, most):
    stock, fast = pair(make)
    fast.predict_tensor(torch.from_numpy(X))  # makes the copy
    asked = fast._network()._model.asked
    for n in (1, AT_ONCE, N):
        asked.clear()
        answer = fast.predict_tensor(torch.from_numpy(X[:n]))
        assert asked == [min(most, n - start) for start in range(0, n, most)]
        np.testing.assert_allclose(answer, stock.predict(X[:n]), rtol=1e-5, atol=1e-5)
    assert fast.predict_tensor(torch.from_numpy(X[:0])).shape == (0, CLASSES)


class Centring(PreprocessorPyTorch):
    """A defence that takes the mean of the batch from each image."""

    def __init__(self):
        super().__init__(device_type="cpu", apply_fit=False, apply_predict=True)

    def forward(self, x, y=None):
        return x - x.mean(0), y


def test_tensors_that_a_defence_sees_stay_whole():
    _, fast = pair()
    fast.set_params(preprocessing_defences=[Centring()])
    np.testing.assert_allclose(fast.predict_tensor(torch.from_numpy(X)), fast.predict(X), rtol=1e-5, atol=1e-5)


def test_parts_of_the_plan_are_asked_in_streams_as_well(monkeypatch):
    stock, fast = pair()
    fast.set_plan(streams=2)
    sizes = []
    answers = fast._answers
    monkeypatch.setattr(
        fast, "_answers", lambda network, x, precision: sizes.append(len(x)) or answers(network, x, precision)
    )
    np.testing.assert_allclose(fast.predict(X, batch_size=N), stock.predict(X), rtol=1e-5, atol=1e-5)
    assert sum(sizes) == N
    assert max(sizes) == AT_ONCE // 2


def test_in_training_mode_a_batch_stays_whole():
    stock, fast = pair()
    fast.predict(X, batch_size=N)
    answer, asked = asked_by(fast, lambda: fast.predict(X, batch_size=N, training_mode=True))
    assert asked == [N]
    np.testing.assert_allclose(answer, stock.predict(X, batch_size=N, training_mode=True), rtol=1e-5, atol=1e-6)


def test_a_hook_sees_the_batch_as_it_was_asked_for():
    _, fast = pair()
    seen = []
    fast.model.conv.register_forward_hook(lambda module, inputs, output: seen.append(len(output)))
    fast.predict(X, batch_size=N)
    fast.loss_gradient(X, LABELS)
    assert seen == [N, N]


@pytest.mark.parametrize(("make", "norm"), [(Noting, {"track_running_stats": False}), (Centred, {})])
def test_where_images_hang_together_answers_and_gradients_are_those_of_the_whole_batch(make, norm):
    stock, fast = pair(make, **norm)
    hot = np.eye(CLASSES, dtype=np.float32)[LABELS]
    for ask in (
        lambda c: c.predict(X, batch_size=N),
        lambda c: c.loss_gradient(X, hot),
        lambda c: c.class_gradient(X),
        lambda c: c.class_gradient(X, 2),
    ):
        expected = ask(stock)
        np.testing.assert_allclose(ask(fast), expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())
    assert fast.search_failure is None
    _, asked = asked_by(fast, lambda: fast.predict(X, batch_size=N))
    assert asked == [N]
