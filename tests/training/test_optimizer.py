from __future__ import annotations

import pytest
import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn
from torch.optim import SGD, Adam

from art_weakrobust.errors import TrainingError
from art_weakrobust.testing.networks import small_cnn
from art_weakrobust.training.optimizer import lent, load_state, optimizer_of, set_rate, state_tensors
from art_weakrobust.training.recipe import Recipe


def classifier(model: nn.Module, optimizer=None) -> PyTorchClassifier:
    return PyTorchClassifier(
        model, nn.CrossEntropyLoss(), (1, 8, 8), 10, optimizer=optimizer, clip_values=(0, 1), device_type="cpu"
    )


def stepped(optimizer, model) -> None:
    model(torch.rand(4, 1, 8, 8)).sum().backward()
    optimizer.step()


def test_without_one_it_is_nesterov_sgd_with_decay_on_weights_alone():
    model = small_cnn()

    optimizer = optimizer_of(classifier(model), model, Recipe())

    decayed, free = optimizer.param_groups
    assert isinstance(optimizer, SGD)
    assert (decayed["lr"], decayed["momentum"], decayed["nesterov"]) == (0.05, 0.9, True)
    assert (decayed["weight_decay"], free["weight_decay"]) == (1e-4, 0.0)
    assert {weight.dim() for weight in decayed["params"]} == {2, 4}
    assert {weight.dim() for weight in free["params"]} == {1}


def test_the_classifiers_own_optimizer_is_used_as_it_is():
    model = small_cnn()
    own = Adam(model.parameters(), lr=1e-3)

    assert optimizer_of(classifier(model, own), model, Recipe()) is own


def test_an_optimizer_of_another_network_is_refused():
    model = small_cnn()

    with pytest.raises(TrainingError, match="holds no weight of its model"):
        optimizer_of(classifier(model, SGD(small_cnn().parameters(), lr=0.1)), model, Recipe())


def test_a_network_without_a_weight_to_train_is_refused():
    model = small_cnn().requires_grad_(False)

    with pytest.raises(TrainingError, match="requires_grad"):
        optimizer_of(classifier(model), model, Recipe())


def test_a_lent_optimizer_comes_back_with_its_rate_and_state():
    model = small_cnn()
    optimizer = SGD(model.parameters(), lr=0.3, momentum=0.9)
    stepped(optimizer, model)
    before = state_tensors(optimizer)

    with lent(optimizer) as peaks:
        assert set_rate(optimizer, peaks, 0.5) == 0.15
        stepped(optimizer, model)
        assert any(not torch.equal(tensor, before[name]) for name, tensor in state_tensors(optimizer).items())

    assert optimizer.param_groups[0]["lr"] == 0.3
    assert all(torch.equal(tensor, before[name]) for name, tensor in state_tensors(optimizer).items())


@pytest.mark.parametrize("kind", [lambda p: SGD(p, lr=0.1, momentum=0.9), lambda p: Adam(p, lr=0.1)])
def test_an_optimizer_goes_on_from_stored_state_as_if_it_had_not_stopped(kind):
    runs = []
    for interrupted in (False, True):
        model = small_cnn()
        optimizer = kind(model.parameters())
        for step in range(3):
            if interrupted and step == 2:
                stored = state_tensors(optimizer)
                optimizer = kind(model.parameters())
                load_state(optimizer, stored)
            optimizer.zero_grad()
            (model(torch.full((4, 1, 8, 8), 0.1 * step)) ** 2).sum().backward()
            optimizer.step()
        runs.append(list(model.parameters()))

    assert all(torch.equal(a, b) for a, b in zip(*runs, strict=True))
