"""Stock and fast side by side: every public method of ART's ``PyTorchClassifier`` gives the same numbers."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from art.defences.postprocessor import Rounded
from art.defences.preprocessor.preprocessor import Preprocessor, PreprocessorPyTorch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.testing.networks import linear, small_cnn

SHAPE, CLASSES, N = (3, 8, 8), 5, 9
MEAN, STD = np.array([0.4, 0.5, 0.6], dtype=np.float32), np.array([0.2, 0.3, 0.25], dtype=np.float32)


class Dimmed(Preprocessor):
    """A defence written in NumPy, with the gradient that it says."""

    def __call__(self, x: np.ndarray, y: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray | None]:
        return np.minimum(x, np.float32(0.8)), y

    def estimate_gradient(self, x: np.ndarray, grad: np.ndarray) -> np.ndarray:
        return grad * (x < 0.8 if grad.ndim == x.ndim else (x < 0.8)[:, None])


class Squared(PreprocessorPyTorch):
    """A defence written in PyTorch that has a gradient."""

    def forward(self, x: torch.Tensor, y: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor | None]:
        return x**2, y


MODELS: dict[str, Callable[[], nn.Module]] = {
    "sequential": lambda: small_cnn(SHAPE, CLASSES),
    "plain": lambda: linear(SHAPE, CLASSES),
    "frozen": lambda: small_cnn(SHAPE, CLASSES).requires_grad_(False),
}
PREPROCESSING: dict[str, dict[str, Any]] = {
    "none": {"preprocessing": None},
    "identity": {"preprocessing": (0.0, 1.0)},
    "mean and std": {"preprocessing": (MEAN, STD)},
    "numpy defence": {"preprocessing_defences": Dimmed(), "preprocessing": None},
    "numpy defence, mean and std": {
        "preprocessing_defences": Dimmed(),
        "preprocessing": (MEAN.reshape(3, 1, 1), STD.reshape(3, 1, 1)),
    },
    "torch defence": {
        "preprocessing_defences": Squared(device_type="cpu"),
        "preprocessing": (0.5, 0.25),
    },
    "postprocessing": {"postprocessing_defences": Rounded(decimals=2), "preprocessing": None},
}
LOSSES: dict[str, Callable[[], nn.Module]] = {
    "mean": nn.CrossEntropyLoss,
    "sum": lambda: nn.CrossEntropyLoss(reduction="sum"),
    "weighted, smoothed": lambda: nn.CrossEntropyLoss(weight=torch.arange(1.0, 6.0), label_smoothing=0.1),
    "margin": nn.MultiMarginLoss,
    "mse": nn.MSELoss,
}

rng = np.random.default_rng(0)
X = rng.random((N, *SHAPE), dtype=np.float32)
Y = rng.integers(0, CLASSES, N)
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[Y]
SOFT = (lambda p: (p / p.sum(1, keepdims=True)).astype(np.float32))(rng.random((N, CLASSES)))


def build(kind: type, model: nn.Module, loss: nn.Module | None = None, **kwargs: Any) -> PyTorchClassifier:
    arguments = {"input_shape": SHAPE, "nb_classes": CLASSES, "clip_values": (0, 1), "device_type": "cpu", **kwargs}
    return kind(model=model, loss=loss or nn.CrossEntropyLoss(), **arguments)


def both(model: nn.Module, loss: nn.Module | None = None, **kwargs: Any) -> tuple[Any, Any]:
    return tuple(build(k, copy.deepcopy(model), loss, **kwargs) for k in (PyTorchClassifier, FastPyTorchClassifier))


def same(stock: Any, fast: Any) -> None:
    assert type(stock) is type(fast)
    assert stock.shape == fast.shape
    assert stock.dtype == fast.dtype
    stock, fast = np.asarray(stock), np.asarray(fast)
    assert np.abs(stock - fast).max() <= 1e-5 * np.abs(stock).max()


@pytest.mark.parametrize("preprocessing", PREPROCESSING.values(), ids=PREPROCESSING.keys())
@pytest.mark.parametrize("model", MODELS.values(), ids=MODELS.keys())
def test_every_answer_is_that_of_the_stock_class(model, preprocessing) -> None:
    stock, fast = both(model(), **preprocessing)

    same(stock.predict(X, batch_size=4), fast.predict(X, batch_size=4))
    same(stock.loss_gradient(X, ONE_HOT), fast.loss_gradient(X, ONE_HOT))
    for labels in (Y, Y[:, None], ONE_HOT):
        same(stock.compute_loss(X, labels), fast.compute_loss(X, labels))
    same(stock.compute_losses(X, Y)["total"], fast.compute_losses(X, Y)["total"])
    for label in (None, 3, np.int64(2), Y, list(Y)):
        same(stock.class_gradient(X, label), fast.class_gradient(X, label))
    assert stock.layer_names == fast.layer_names
    for layer in (0, stock.layer_names[-1]):
        same(stock.get_activations(X, layer, 4), fast.get_activations(X, layer, 4))


@pytest.mark.parametrize("training_mode", [False, True])
@pytest.mark.parametrize("loss", LOSSES.values(), ids=LOSSES.keys())
def test_gradients_have_the_scale_of_the_losses_own_reduction(loss, training_mode) -> None:
    stock, fast = both(small_cnn(SHAPE, CLASSES), loss())

    same(stock.loss_gradient(X, ONE_HOT, training_mode), fast.loss_gradient(X, ONE_HOT, training_mode))
    same(stock.class_gradient(X, Y, training_mode), fast.class_gradient(X, Y, training_mode))
    same(stock.compute_loss(X, Y, reduction="none"), fast.compute_loss(X, Y, reduction="none"))
    same(stock.compute_loss(X, Y, reduction="sum"), fast.compute_loss(X, Y, reduction="sum"))
    assert stock._model.training == fast._model.training


@pytest.mark.parametrize("mode", ["tensor", "tensor that requires a gradient"])
def test_tensors_in_tensors_out(mode) -> None:
    stock, fast = both(small_cnn(SHAPE, CLASSES), preprocessing=(MEAN, STD))
    x, y = torch.tensor(X), torch.tensor(ONE_HOT)
    x.requires_grad_(mode != "tensor")

    same(stock.loss_gradient(x, y), fast.loss_gradient(x, y))
    (of_stock, _), (of_fast, _) = stock._predict_framework(x, y), fast._predict_framework(x, y)
    same(of_stock.detach(), of_fast.detach())
    if x.requires_grad:
        same(torch.autograd.grad(of_stock[:, 1].sum(), x)[0], torch.autograd.grad(of_fast[:, 1].sum(), x)[0])
        assert fast.compute_loss(x, torch.tensor(Y)).requires_grad
        activations = fast.get_activations(x, 0, framework=True)
        same(torch.autograd.grad(activations.sum(), x)[0],
             torch.autograd.grad(stock.get_activations(x, 0, framework=True).sum(), x)[0])  # fmt: skip
    assert x.grad is None


def test_probabilities_as_labels() -> None:
    stock, fast = both(small_cnn(SHAPE, CLASSES))

    same(stock.loss_gradient(X, SOFT), fast.loss_gradient(X, SOFT))
    same(stock.compute_loss(X, SOFT), fast.compute_loss(X, SOFT))


@pytest.mark.parametrize("loss", [nn.BCEWithLogitsLoss, nn.CrossEntropyLoss])
def test_binary_classifiers(loss) -> None:
    outputs = 1 if loss is nn.BCEWithLogitsLoss else 2
    stock, fast = both(linear(SHAPE, outputs), loss(), nb_classes=2)
    index = Y % 2
    labels = index[:, None].astype(np.float32) if outputs == 1 else np.eye(2, dtype=np.float32)[index]

    same(stock.predict(X), fast.predict(X))
    same(stock.compute_loss(X, index), fast.compute_loss(X, index))
    same(stock.loss_gradient(X, labels), fast.loss_gradient(X, labels))
    same(stock.class_gradient(X), fast.class_gradient(X))


def test_recurrent_networks() -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lstm, self.drop, self.head = nn.LSTM(6, 8, batch_first=True), nn.Dropout(0.5), nn.Linear(8, CLASSES)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.drop(self.lstm(x)[0][:, -1]))

    stock, fast = both(Recurrent(), input_shape=(4, 6))
    x = X.reshape(N, -1)[:, :24].reshape(N, 4, 6)

    same(stock.predict(x), fast.predict(x))
    same(stock.loss_gradient(x, ONE_HOT), fast.loss_gradient(x, ONE_HOT))
    same(stock.class_gradient(x, Y), fast.class_gradient(x, Y))


class TwiceThrough(nn.Module):
    """A network whose forward passes through one child twice, as most write their activation functions."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.relu, self.last = nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Linear(4, CLASSES)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.last(self.relu(self.relu(self.first(x)).mean((2, 3)) - 0.1))


@pytest.mark.parametrize("batch_size", [4, 128])
def test_activations_of_a_child_that_is_called_twice_are_those_of_its_last_call(batch_size: int) -> None:
    stock, fast = (build(kind, TwiceThrough()) for kind in (PyTorchClassifier, FastPyTorchClassifier))
    fast.model.load_state_dict(stock.model.state_dict())

    same(stock.get_activations(X, "relu", batch_size), fast.get_activations(X, "relu", batch_size))


def test_the_gradient_between_activations() -> None:
    stock, fast = both(small_cnn(SHAPE, CLASSES))
    arguments = (lambda difference, p: torch.norm(difference, p=p), X, X[::-1].copy(), "3")

    same(stock.custom_loss_gradient(*arguments), fast.custom_loss_gradient(*arguments))
    assert all(parameter.grad is None for parameter in fast.model.parameters())


@pytest.mark.parametrize("labels", [Y, ONE_HOT], ids=["index", "one-hot"])
@pytest.mark.parametrize("preprocessing", [None, (0.0, 1.0), (MEAN, STD)], ids=["none", "identity", "mean and std"])
def test_fit_ends_in_the_same_weights(labels, preprocessing) -> None:
    weights = []
    for kind in (PyTorchClassifier, FastPyTorchClassifier):
        model = small_cnn(SHAPE, CLASSES)
        classifier = build(
            kind, model, optimizer=torch.optim.SGD(model.parameters(), lr=0.1), preprocessing=preprocessing
        )
        with torch.random.fork_rng():
            torch.manual_seed(0)
            classifier.fit(X, labels, batch_size=4, nb_epochs=2)
        assert model.training
        weights.append(classifier.model[-1].weight.detach())

    same(*weights)


def test_clones_start_afresh_with_the_same_parameters() -> None:
    model = small_cnn(SHAPE, CLASSES)
    fast = build(
        FastPyTorchClassifier, model, optimizer=torch.optim.SGD(model.parameters(), lr=0.3), preprocessing=(MEAN, STD)
    )

    clone = fast.clone_for_refitting()

    assert type(clone) is FastPyTorchClassifier
    assert not torch.equal(clone.model[0].weight, model[0].weight)
    assert clone.optimizer.param_groups[0]["params"][0] is clone.model[0].weight
    assert clone.optimizer.param_groups[0]["lr"] == 0.3
    clone.model.load_state_dict(model.state_dict())
    same(fast.predict(X), clone.predict(X))
