"""One program for every number of images, which answers as the network does."""

from __future__ import annotations

import inspect
import shutil
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from art_weakrobust.estimators.border import LogitsOnly
from art_weakrobust.estimators.compiled import Compiled
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.testing.networks import small_cnn

SHAPE, CLASSES = (3, 8, 8), 5
X = torch.rand(40, *SHAPE, generator=torch.Generator().manual_seed(1)).contiguous(memory_format=torch.channels_last)


@pytest.fixture(autouse=True)
def forgotten() -> None:
    """No program of another test is known."""
    torch._dynamo.reset()


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


@pytest.mark.parametrize("sizes", [(1, 40, 3, 2, 16, 1), (40, 1, 17), (15, 16), (0, 9)])
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

    for size in (1, 40, 4):
        found = []
        for asked in (network, compiled):
            leaf = X[:size].clone().requires_grad_(True)
            (gradient,) = torch.autograd.grad(asked(leaf)[0].logsumexp(1).sum(), leaf)
            found.append(gradient)
        torch.testing.assert_close(*found)

    assert len(programs) == 1


def test_each_precision_has_one_program_which_computes_in_it(network: nn.Module, programs: list[Any]) -> None:
    compiled = Compiled(network)
    answers = {}
    with torch.no_grad():
        for size in (40, 1, 17):
            for enabled in (False, True):
                with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
                    (logits,), (expected,) = compiled(X[:size]), network(X[:size])
                torch.testing.assert_close(logits, expected)
                answers[enabled] = logits

    assert len(programs) == 2
    assert not torch.equal(answers[False], answers[True])


@pytest.mark.skipif(
    "isolate_recompiles" not in inspect.signature(torch.compile).parameters,
    reason="PyTorch counts all networks together",
)
def test_the_programs_of_a_network_are_counted_apart_from_those_of_others(programs: list[Any]) -> None:
    images = [torch.rand(20, 3, 4 + more, 4) for more in range(10)]  # more than PyTorch makes of one network
    networks = [LogitsOnly(small_cnn((3, 4 + more, 4), CLASSES)).eval() for more in range(10)]

    with torch.no_grad():
        for network, x in zip(networks, images, strict=True):
            Compiled(network)(x)

    assert len(programs) == 10


def test_where_nothing_can_be_compiled_the_model_is_asked_and_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    def backend(_program: Any, _inputs: Any) -> Any:
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=backend))
    classifier = FastPyTorchClassifier(
        small_cnn(SHAPE, CLASSES), nn.CrossEntropyLoss(), SHAPE, CLASSES, clip_values=(0, 1), device_type="cpu"
    )
    expected = classifier.predict(X.numpy())

    classifier.set_plan(compile=True)

    np.testing.assert_allclose(classifier.predict_tensor(X).numpy(), expected, rtol=1e-5, atol=1e-6)
    assert classifier.search_failure is not None
    assert "no compiler here" in classifier.search_failure


@pytest.mark.skipif(shutil.which("g++") is None, reason="compiling for a CPU takes g++")
def test_what_is_compiled_answers_an_image_alike_in_any_company_and_keeps_what_is_no_number() -> None:
    classifier = FastPyTorchClassifier(
        small_cnn(SHAPE, CLASSES), nn.CrossEntropyLoss(), SHAPE, CLASSES, clip_values=(0, 1), device_type="cpu"
    )
    expected = classifier.predict_tensor(X)
    labels = torch.zeros(len(X), dtype=torch.int64)
    gradient = classifier.input_gradient(X, labels)

    classifier.set_plan(compile=True)

    whole = classifier.predict_tensor(X)
    torch.testing.assert_close(whole, expected)
    torch.testing.assert_close(classifier.input_gradient(X, labels), gradient)
    for size in (1, 2, 15, 16, 33):
        torch.testing.assert_close(classifier.predict_tensor(X[:size]), whole[:size], rtol=1e-6, atol=1e-6)
    broken = X.clone()
    broken[3, 0, 2, 2] = torch.nan
    assert classifier.predict_tensor(broken).isnan().any(1).tolist() == [row == 3 for row in range(len(X))]
