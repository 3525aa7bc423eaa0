"""What else ART's class can do, and where it is wrong or crashes and ours is not and does not."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from art.attacks.evasion import BoundaryAttack, CarliniL2Method, DeepFool, FastGradientMethod
from art.data_generators import NumpyDataGenerator, PyTorchDataGenerator
from art.estimators.classification import PyTorchClassifier
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

from art_weakrobust.estimators.plan import device_for
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.testing.networks import linear, small_cnn

SHAPE, CLASSES, N = (3, 8, 8), 5, 9
CLASSIFIERS = [PyTorchClassifier, FastPyTorchClassifier]
rng = np.random.default_rng(4)
X = rng.random((N, *SHAPE), dtype=np.float32)
Y = rng.integers(0, CLASSES, N)
ONE_HOT = np.eye(CLASSES, dtype=np.float32)[Y]


def build(kind: type, model: nn.Module | None = None, loss: Any = None, **kwargs: Any) -> PyTorchClassifier:
    model = small_cnn(SHAPE, CLASSES) if model is None else copy.deepcopy(model)
    arguments = {"input_shape": SHAPE, "nb_classes": CLASSES, "clip_values": (0, 1), "device_type": "cpu", **kwargs}
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    return kind(model=model, loss=loss or nn.CrossEntropyLoss(), optimizer=optimizer, **arguments)


def same(stock: Any, fast: Any) -> None:
    stock, fast = np.asarray(stock), np.asarray(fast)
    assert stock.shape == fast.shape
    assert stock.dtype == fast.dtype
    assert np.abs(stock - fast).max() <= 1e-5 * np.abs(stock).max()


def headed(head: nn.Module) -> nn.Module:
    return nn.Sequential(small_cnn(SHAPE, CLASSES), head)


@pytest.mark.parametrize("batch_size", [1, 4, 100])
@pytest.mark.parametrize(
    ("model", "loss"),
    [
        (headed(nn.LogSoftmax(1)), nn.NLLLoss()),
        (headed(nn.Sigmoid()), nn.L1Loss()),
        (headed(nn.Softmax(1)), nn.MSELoss()),
        (headed(nn.Identity()), nn.SmoothL1Loss(reduction="sum")),
    ],
    ids=["nll", "l1", "mse", "huber"],
)
def test_heads_losses_and_batch_sizes(model: nn.Module, loss: nn.Module, batch_size: int) -> None:
    stock, fast = (build(kind, model, loss) for kind in CLASSIFIERS)

    same(stock.predict(X, batch_size=batch_size), fast.predict(X, batch_size=batch_size))
    same(stock.loss_gradient(X, ONE_HOT), fast.loss_gradient(X, ONE_HOT))
    same(stock.class_gradient(X[:batch_size], 1), fast.class_gradient(X[:batch_size], 1))
    same(stock.compute_loss(X, ONE_HOT, reduction="mean"), fast.compute_loss(X, ONE_HOT, reduction="mean"))


@pytest.mark.parametrize("loss", [nn.BCELoss(), nn.BCEWithLogitsLoss()], ids=["probability", "logit"])
def test_one_output_for_two_classes(loss: nn.Module) -> None:
    model = linear(SHAPE, 1)
    model = nn.Sequential(model, nn.Sigmoid()) if isinstance(loss, nn.BCELoss) else model
    stock, fast = (build(kind, model, loss, nb_classes=2) for kind in CLASSIFIERS)
    labels = (Y % 2)[:, None].astype(np.float32)

    same(stock.predict(X), fast.predict(X))
    same(stock.loss_gradient(X, labels), fast.loss_gradient(X, labels))
    same(stock.compute_loss(X, labels), fast.compute_loss(X, labels))


@pytest.mark.parametrize("channels", [1, 4])
def test_any_number_of_channels(channels: int) -> None:
    shape = (channels, 6, 10)
    x = np.random.default_rng(channels).random((3, *shape), dtype=np.float32)
    stock, fast = (build(kind, small_cnn(shape, CLASSES), input_shape=shape) for kind in CLASSIFIERS)

    same(stock.predict(x), fast.predict(x))
    same(stock.loss_gradient(x, ONE_HOT[:3]), fast.loss_gradient(x, ONE_HOT[:3]))


def test_images_with_channels_last() -> None:
    class Rows(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = small_cnn(SHAPE, CLASSES)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x.permute(0, 3, 1, 2))

    x = np.ascontiguousarray(X.transpose(0, 2, 3, 1))
    stock, fast = (build(k, Rows(), input_shape=(8, 8, 3), channels_first=False) for k in CLASSIFIERS)

    same(stock.predict(x), fast.predict(x))
    same(stock.loss_gradient(x, ONE_HOT), fast.loss_gradient(x, ONE_HOT))
    same(stock.class_gradient(x, Y), fast.class_gradient(x, Y))


@pytest.mark.parametrize("kind_of_generator", ["torch", "numpy"])
@pytest.mark.parametrize("preprocessing", [None, (0.5, 0.25)])
def test_fit_generator_ends_in_the_same_weights(kind_of_generator: str, preprocessing: Any) -> None:
    weights = []
    for kind in CLASSIFIERS:
        classifier = build(kind, preprocessing=preprocessing)
        if kind_of_generator == "torch":
            loader = DataLoader(TensorDataset(torch.from_numpy(X), torch.from_numpy(ONE_HOT)), batch_size=3)
            generator: Any = PyTorchDataGenerator(loader, size=N, batch_size=3)
        else:
            generator = NumpyDataGenerator(X, ONE_HOT, batch_size=3, drop_remainder=False, shuffle=False)
        classifier.fit_generator(generator, nb_epochs=2)
        weights.append(classifier.model[-1].weight.detach())

    same(*weights)


def test_training_of_frozen_parameters_leaves_them() -> None:
    model = small_cnn(SHAPE, CLASSES)
    model[0].requires_grad_(False)
    stock, fast = (build(kind, model) for kind in CLASSIFIERS)
    with torch.random.fork_rng():
        for classifier in (stock, fast):
            classifier.loss_gradient(X, ONE_HOT)
            torch.manual_seed(0)
            classifier.fit(X, Y, batch_size=4, nb_epochs=1)

    same(stock.model[-1].weight.detach(), fast.model[-1].weight.detach())
    assert torch.equal(fast.model[0].weight, model[0].weight)


def test_saved_files_hold_the_same(tmp_path: Path) -> None:
    for kind, name in zip(CLASSIFIERS, ("stock", "fast"), strict=True):
        build(kind).save(name, str(tmp_path))

    for ending in ("model", "optimizer"):
        of_stock, of_fast = (torch.load(tmp_path / f"{name}.{ending}", weights_only=True) for name in ("stock", "fast"))
        assert list(of_stock) == list(of_fast)
    model = small_cnn(SHAPE, CLASSES, seed=3)
    model.load_state_dict(torch.load(tmp_path / "fast.model", weights_only=True))
    same(build(PyTorchClassifier, model).predict(X), build(FastPyTorchClassifier).predict(X))


def test_parameters_are_those_of_art_and_one_more() -> None:
    stock, fast = (build(kind) for kind in CLASSIFIERS)

    ours, theirs = fast.get_params(), stock.get_params()

    assert set(ours) == {*theirs, "precision"}
    for name in ("nb_classes", "input_shape", "channels_first", "device_type", "use_amp"):
        assert ours[name] == theirs[name]
    for classifier in (stock, fast):
        with pytest.raises(ValueError, match="Unexpected parameter"):
            classifier.set_params(radius=1)


def test_layers_are_switched_and_weights_reset_as_by_art() -> None:
    model = nn.Sequential(*small_cnn(SHAPE, CLASSES), nn.Dropout(0.5))
    stock, fast = (build(kind, model) for kind in CLASSIFIERS)

    for classifier in (stock, fast):
        classifier.set_batchnorm(train=True)
        classifier.set_dropout(train=True)
    assert [part.training for part in fast.model] == [part.training for part in stock.model]
    assert fast.layer_names == stock.layer_names
    with torch.random.fork_rng():
        for classifier in (stock, fast):
            torch.manual_seed(0)
            classifier.reset()
    same(stock.predict(X), fast.predict(X))


@pytest.mark.parametrize(
    "attack",
    [
        lambda c: DeepFool(c, max_iter=3, batch_size=4, verbose=False),
        lambda c: CarliniL2Method(
            c, max_iter=5, binary_search_steps=1, initial_const=10, learning_rate=0.1, batch_size=4, verbose=False
        ),
        lambda c: FastGradientMethod(c, eps=0.05, norm=2),
    ],
    ids=["deepfool", "carlini l2", "fgm l2"],
)
def test_attacks_end_where_they_end_on_the_stock_class(attack: Any) -> None:
    model = small_cnn(SHAPE, CLASSES)

    of_stock, of_fast = (attack(build(kind, model)).generate(X) for kind in CLASSIFIERS)

    assert np.allclose(of_stock, of_fast, atol=1e-4)
    assert np.abs(of_fast - X).max() > 1e-3


def test_index_labels_in_loss_gradient_which_crash_art() -> None:
    stock, fast = (build(kind) for kind in CLASSIFIERS)

    with pytest.raises(IndexError):
        stock.loss_gradient(X, Y)
    same(stock.loss_gradient(X, ONE_HOT), fast.loss_gradient(X, Y))


@pytest.mark.parametrize("x", [X.astype(np.float64), X[::-1], X[:0]], ids=["float64", "negative strides", "empty"])
def test_inputs_that_crash_art(x: np.ndarray) -> None:
    stock, fast = (build(kind, preprocessing=None) for kind in CLASSIFIERS)

    with pytest.raises((RuntimeError, ValueError)):
        stock.predict(x)
    assert np.array_equal(fast.predict(x), fast.predict(np.array(x, dtype=np.float32, order="C")))
    assert fast.predict(x).shape == (len(x), CLASSES)


def test_bfloat16_logits_which_crash_art() -> None:
    class Narrow(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = small_cnn(SHAPE, CLASSES)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.net(x).bfloat16()

    stock, fast = (build(kind, Narrow()) for kind in CLASSIFIERS)

    with pytest.raises(TypeError):
        stock.predict(X)
    assert np.allclose(fast.predict(X), build(FastPyTorchClassifier).predict(X), rtol=1e-2, atol=1e-2)


def test_the_boundary_attack_which_crashes_art_on_numpy_2() -> None:
    def attack(kind: type) -> np.ndarray:
        made = BoundaryAttack(build(kind), targeted=False, max_iter=2, num_trial=5, init_size=50, verbose=False)
        return made.generate(X[:1])

    if int(np.__version__.split(".")[0]) >= 2:
        with pytest.raises(RuntimeError):
            attack(PyTorchClassifier)
    assert attack(FastPyTorchClassifier).shape == (1, *SHAPE)


def test_devices_that_art_cannot_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)

    assert device_for("cuda:1") == torch.device("cuda", 1)
    assert device_for("mps") == torch.device("mps")
