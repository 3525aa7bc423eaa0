"""One program for every number of images, which answers as the network does."""

from __future__ import annotations

import shutil
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from art_weakrobust.estimators.border import LogitsOnly
from art_weakrobust.estimators.compiled import Compiled
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.testing.networks import small_cnn

SHAPE, CLASSES = (3, 8, 8), 5
X = torch.rand(9, *SHAPE, generator=torch.Generator().manual_seed(1)).contiguous(memory_format=torch.channels_last)


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """No program of another test is known."""
    torch._dynamo.reset()  # type: ignore[no-untyped-call]


@pytest.fixture
def network() -> nn.Module:
    return LogitsOnly(small_cnn(SHAPE, CLASSES)).eval().requires_grad_(False)


@pytest.fixture
def programs(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The programs that were made; they are run as PyTorch would run them by itself."""
    made: list[Any] = []

    def backend(program: Any, inputs: Any) -> Any:
        made.append(program)
        return program.forward

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    return made


@pytest.mark.parametrize("sizes", [(1, 9, 3, 2, 9, 1), (9, 1, 4), (2, 7)])
def test_one_program_serves_every_number_of_images(
    network: nn.Module, programs: list[Any], sizes: tuple[int, ...]
) -> None:
    compiled = Compiled(network)

    with torch.no_grad():
        for size in sizes:
            (logits,) = compiled(X[:size])
            torch.testing.assert_close(logits, network(X[:size])[0])

    assert len(programs) == 1


def test_gradients_are_those_of_the_network(network: nn.Module, programs: list[Any]) -> None:
    compiled = Compiled(network)

    for size in (1, 9, 4):
        found = []
        for asked in (network, compiled):
            leaf = X[:size].clone().requires_grad_(True)
            (gradient,) = torch.autograd.grad(asked(leaf)[0].logsumexp(1).sum(), leaf)
            found.append(gradient)
        torch.testing.assert_close(*found)

    assert len(programs) == 1


@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling for a CPU takes g++")
def test_what_is_compiled_answers_an_image_alike_in_any_company_and_keeps_what_is_no_number() -> None:
    classifier = FastPyTorchClassifier(
        small_cnn(SHAPE, CLASSES), nn.CrossEntropyLoss(), SHAPE, CLASSES, clip_values=(0, 1), device_type="cpu"
    )
    expected = classifier.predict_tensor(X)
    labels = torch.zeros(len(X), dtype=torch.int64)
    gradient = classifier.input_gradient(X, labels)

    classifier.set_plan(compile=True)

    def asked(x: Tensor) -> Tensor:
        return classifier.predict_tensor(x)

    whole = asked(X)
    torch.testing.assert_close(whole, expected)
    torch.testing.assert_close(classifier.input_gradient(X, labels), gradient)
    for size in (1, 2, 5):
        torch.testing.assert_close(asked(X[:size]), whole[:size], rtol=1e-6, atol=1e-6)
    broken = X.clone()
    broken[3, 0, 2, 2] = torch.nan
    assert asked(broken).isnan().any(1).tolist() == [row == 3 for row in range(len(X))]
