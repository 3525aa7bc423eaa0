from __future__ import annotations

import torch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from art_weakrobust.testing.networks import small_cnn
from art_weakrobust.training.network import Forward, follow, forward_of, restore, snapshot

CPU = torch.device("cpu")
X = torch.rand(5, 1, 8, 8)


class Pair(nn.Module):
    def forward(self, x):
        return [x.flatten(1), x.flatten(1) * 2]


def test_a_module_that_returns_several_outputs_is_asked_for_the_last():
    torch.testing.assert_close(Forward(CPU)(Pair(), X), X.flatten(1) * 2)


def test_logits_are_float32_in_any_precision():
    model = small_cnn().eval()

    low, exact = Forward(CPU, "bfloat16")(model, X), Forward(CPU, "bfloat16").exact()(model, X)

    assert low.dtype == exact.dtype == torch.float32
    torch.testing.assert_close(low, exact, rtol=0.05, atol=0.05)
    torch.testing.assert_close(exact, model(X))


def test_the_gradient_is_that_of_the_summed_cross_entropy_and_leaves_none_on_the_weights():
    model, y = small_cnn().eval(), torch.arange(5)
    x = X.clone().requires_grad_()
    (expected,) = torch.autograd.grad(nn.functional.cross_entropy(model(x), y, reduction="sum"), x)

    logits, gradient = Forward(CPU).gradient(model, X, y)

    torch.testing.assert_close(gradient, expected)
    torch.testing.assert_close(logits, model(X))
    assert all(weight.grad is None for weight in model.parameters())


def test_the_classifiers_own_standardisation_comes_first():
    model = nn.Flatten()
    classifier = PyTorchClassifier(
        model, nn.CrossEntropyLoss(), (1, 8, 8), 64, clip_values=(0, 1), preprocessing=(0.5, 0.25), device_type="cpu"
    )

    torch.testing.assert_close(forward_of(classifier, CPU, "float32")(model, X), ((X - 0.5) / 0.25).flatten(1))


def test_arts_default_standardisation_is_left_out_since_it_changes_nothing():
    classifier = PyTorchClassifier(
        nn.Flatten(), nn.CrossEntropyLoss(), (1, 8, 8), 64, clip_values=(0, 1), device_type="cpu"
    )

    assert forward_of(classifier, CPU, "float32").prepare is None


def test_restoring_writes_into_the_weights_that_an_optimizer_knows():
    model = small_cnn()
    known, before = list(model.parameters()), snapshot(model)
    with torch.no_grad():
        for weight in known:
            weight.add_(1)

    restore(model, before)

    assert all(a is b for a, b in zip(model.parameters(), known, strict=True))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_average_moves_a_share_of_the_way_and_copies_counts():
    average, student = small_cnn(seed=0), small_cnn(seed=1)
    student[1].num_batches_tracked += 7
    before = snapshot(average)

    follow(average, student, decay=0.75)

    expected = before["0.weight"] + 0.25 * (student[0].weight - before["0.weight"])
    torch.testing.assert_close(average[0].weight, expected)
    assert average[1].num_batches_tracked == 7
