"""Classifiers whose local robustness is known, and digits for a small real run."""

from __future__ import annotations

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from art.estimators.classification import BlackBoxClassifier, PyTorchClassifier
from torch import nn

from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.datasets.digits import digits
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.execution.serial import SerialMap
from art_weakrobust.kernels import keyed
from art_weakrobust.testing.networks import linear

SHAPE = (1, 8, 8)


def classifier(
    model: nn.Module, classes: int = 10, kind: type = FastPyTorchClassifier, shape: tuple[int, ...] = SHAPE, **kwargs
) -> PyTorchClassifier:
    return kind(
        model=model,
        loss=nn.CrossEntropyLoss(),
        input_shape=shape,
        nb_classes=classes,
        clip_values=(0, 1),
        device_type="cpu",
        **kwargs,
    )


def black_box(estimator: PyTorchClassifier, answer) -> BlackBoxClassifier:
    """Hides a classifier; ``answer`` turns its logits into what the black box returns."""

    def predict(x: np.ndarray) -> np.ndarray:
        return answer(torch.from_numpy(estimator.predict(np.asarray(x, np.float32)))).numpy()

    return BlackBoxClassifier(predict, input_shape=SHAPE, nb_classes=estimator.nb_classes, clip_values=(0, 1))


def one_pixel(slope: float = 4.0) -> nn.Module:
    """Two classes, told apart by the first pixel: the margin of class 1 is ``slope * (pixel - 0.5)``."""
    weight = torch.zeros(2, math.prod(SHAPE))
    weight[1, 0] = slope
    return linear(SHAPE, weight=weight, bias=torch.tensor([slope * 0.5, 0.0]))


def pixel_data(first: np.ndarray) -> ArrayDataset:
    """Grey images whose first pixel is given; all of class 1, so that those below 0.5 are misclassified."""
    x = np.full((len(first), *SHAPE), 0.5, np.float32)
    x[:, 0, 0, 0] = first
    return ArrayDataset(x, np.ones(len(first), np.int64), class_names=("dark", "bright"))


def score_with(scorer, estimator, data, chunk_size: int = 512):
    return scorer(estimator, data, SerialMap(chunk_size=chunk_size))


@pytest.fixture(scope="session")
def trained() -> FastPyTorchClassifier:
    """A linear classifier of the digits: quick to make, right on most of them and fragile."""
    train = digits("", split="train")
    samples = train.take(np.arange(len(train)))
    model = linear(SHAPE, seed=1)
    x, y = torch.from_numpy(samples.x), torch.from_numpy(samples.y)
    optimizer = torch.optim.LBFGS(model.parameters(), lr=1, max_iter=60)

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), y) + 1e-3 * model.linear.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return classifier(model)


@pytest.fixture(scope="session")
def digit_data() -> ArrayDataset:
    test = digits("", split="test")
    samples = test.take(np.arange(120))
    return ArrayDataset(samples.x, samples.y, class_names=tuple("0123456789"))


@pytest.fixture(scope="session")
def noise_data() -> ArrayDataset:
    x = keyed.uniform(torch.arange(40), 0, SHAPE, 3).numpy()
    return ArrayDataset(x, np.arange(40) % 10, class_names=tuple("0123456789"))


@pytest.fixture(scope="session")
def build() -> SimpleNamespace:
    """The functions above, for tests."""
    return SimpleNamespace(
        classifier=classifier,
        black_box=black_box,
        one_pixel=one_pixel,
        pixel_data=pixel_data,
        score_with=score_with,
        shape=SHAPE,
    )
