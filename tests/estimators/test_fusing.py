"""Layers fused into one pass over memory say what they said one after the other."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.fx import GraphModule
from torchvision.models import resnet18

from art_weakrobust.estimators.folding import folded, pairs
from art_weakrobust.estimators.fusing import convolved, fused
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.models.normalise import Normalised
from art_weakrobust.testing.networks import resnet20_cifar10

SHAPE = (3, 8, 8)
X = torch.rand(4, *SHAPE, generator=torch.Generator().manual_seed(0)).contiguous(memory_format=torch.channels_last)


def laid_out(module: nn.Module) -> Any:
    return module.eval().requires_grad_(False).to(memory_format=torch.channels_last)


def fused_twin(module: nn.Module) -> Any:
    return fused(copy.deepcopy(module))


def fusions(module: nn.Module) -> list[tuple[bool, bool]]:
    """Return of every fused convolution whether something is added, and whether it is clipped."""
    graphs = [part.graph for part in module.modules() if isinstance(part, GraphModule)]
    calls = [node.args for graph in graphs for node in graph.nodes if node.target is convolved]
    return sorted((args[1] is not None, bool(args[5])) for args in calls)


class Block(nn.Module):
    """Two convolutions whose outputs meet in ``meet``."""

    def __init__(self, meet: Callable[..., Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first, self.second = (nn.Conv2d(3, 3, 3, padding=1) for _ in range(2))
        self.meet = meet

    def forward(self, x: Tensor) -> Tensor:
        return self.meet(self.first, self.second, x)


def residual(first: Any, second: Any, x: Tensor) -> Tensor:
    return torch.relu(second(first(x).relu_()) + x)


def residual_in_place(first: Any, second: Any, x: Tensor) -> Tensor:
    out = second(nn.functional.relu(first(x), inplace=True))
    out += x
    return nn.functional.relu_(out)


def both_added(first: Any, second: Any, x: Tensor) -> Tensor:
    return nn.functional.relu(torch.add(first(x), second(x)))


def a_clipped_one_added(first: Any, second: Any, x: Tensor) -> Tensor:
    return first(x) + second(x).relu()


def no_clip_after_the_sum(first: Any, second: Any, x: Tensor) -> Tensor:
    return second(first(x)) + x


def read_twice(first: Any, second: Any, x: Tensor) -> Tensor:
    out = first(x)
    return second(out.relu()) * out


def called_twice(first: Any, second: Any, x: Tensor) -> Tensor:
    return first(first(x).relu()) * second(x)


def input_written_meanwhile(first: Any, second: Any, x: Tensor) -> Tensor:
    x = x * 2
    out = first(x)
    x.mul_(-1)
    return out.relu() - second(x)


def half_added(first: Any, second: Any, x: Tensor) -> Tensor:
    return torch.add(first(x), second(x), alpha=0.5)


def number_added(first: Any, second: Any, x: Tensor) -> Tensor:
    return torch.relu(first(x) + 0.1) + (second(x) + x.shape[-1])


def broadcast(first: Any, second: Any, x: Tensor) -> Tensor:
    return torch.relu(first(x) + x.mean((2, 3), keepdim=True)) + second(x)


def another_clip(first: Any, second: Any, x: Tensor) -> Tensor:
    return second(nn.functional.leaky_relu(first(x)) + x)


MEETINGS: dict[Callable[..., Tensor], list[tuple[bool, bool]]] = {
    residual: [(False, True), (True, True)],
    residual_in_place: [(False, True), (True, True)],
    both_added: [(True, True)],
    a_clipped_one_added: [(False, True), (True, False)],
    no_clip_after_the_sum: [(True, False)],
    read_twice: [],
    called_twice: [(False, True)],
    input_written_meanwhile: [],
    half_added: [],
    number_added: [(True, False)],
    broadcast: [(True, False), (True, True)],
    another_clip: [],
}


@pytest.mark.parametrize("meet", MEETINGS, ids=lambda meet: meet.__name__)
def test_what_is_fused_and_what_it_says(meet: Callable[..., Tensor]) -> None:
    block = laid_out(Block(meet))
    twin = fused_twin(block)

    assert fusions(twin) == MEETINGS[meet]
    for images in (X, X[:1], X.contiguous()):
        torch.testing.assert_close(twin(images), block(images), rtol=1e-5, atol=1e-6)
    if meet is input_written_meanwhile:
        return  # has no gradient
    leaf, other = (X.clone().requires_grad_(True) for _ in range(2))
    (gradient,) = torch.autograd.grad(twin(leaf).square().sum(), leaf)
    (expected,) = torch.autograd.grad(block(other).square().sum(), other)
    torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-5)
    with torch.autocast("cpu", torch.bfloat16):
        torch.testing.assert_close(twin(X).float(), block(X).float(), rtol=0.05, atol=0.05)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.tuples(st.integers(1, 7), st.integers(1, 7)),
    st.sampled_from([(1, 4, 1), (4, 1, 1), (4, 8, 1), (4, 8, 4), (6, 6, 6)]),
    st.sampled_from([1, 3]),
    st.sampled_from([1, 2]),
    st.sampled_from([0, 1, 2]),
    st.sampled_from(["", "channels_last", "contiguous", "one for all"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from([torch.float32, torch.bfloat16, torch.float64]),
)
def test_any_convolution_is_the_one_of_pytorch(
    n: int,
    image: tuple[int, int],
    channels: tuple[int, int, int],
    kernel: int,
    stride: int,
    padding: int,
    added: str,
    biased: bool,
    last: bool,
    dtype: torch.dtype,
) -> None:
    before, after, groups = channels
    if min(image) + 2 * padding < kernel:
        return
    torch.manual_seed(0)
    form = torch.channels_last if last else torch.contiguous_format
    x = torch.randn(n, before, *image, dtype=dtype).contiguous(memory_format=form)
    weight = torch.randn(after, before // groups, kernel, kernel, dtype=dtype).contiguous(memory_format=form)
    bias = torch.randn(after, dtype=dtype) if biased else None
    how = ((padding, padding), (stride, stride), (1, 1), groups)
    expected = nn.functional.conv2d(x, weight, bias, how[1], how[0], how[2], groups)
    other = None
    if added:
        other = torch.randn(*expected.shape, dtype=dtype)
        other = other[:, :, :1, :1] if added == "one for all" else other
        other = other.contiguous(memory_format=getattr(torch, added, torch.contiguous_format))
        expected = expected + other

    for clipped in (True, False) if added else (True,):
        got = convolved(x, other, weight, bias, how, clipped)
        assert got.dtype == dtype
        tolerance = {"rtol": 0.05, "atol": 0.2} if dtype == torch.bfloat16 else {"rtol": 1e-4, "atol": 1e-5}
        torch.testing.assert_close(got, expected.relu() if clipped else expected, **tolerance)


def test_an_empty_batch_stays_empty() -> None:
    twin = fused_twin(laid_out(Block(residual)))
    assert twin(X[:0]).shape == (0, *SHAPE)


@pytest.mark.parametrize("make", [resnet20_cifar10, lambda: resnet18(num_classes=10)], ids=["resnet20", "resnet18"])
def test_residual_networks_are_fused_after_folding(make: Callable[[], nn.Module]) -> None:
    torch.manual_seed(0)
    network = make().eval()
    images = torch.rand(3, 3, 32, 32).contiguous(memory_format=torch.channels_last)
    twin = folded(network, pairs(network, images)).to(memory_format=torch.channels_last)
    fast = fused_twin(twin)

    blocks = sum(type(part).__name__ == "BasicBlock" for part in network.modules())
    assert fusions(fast).count((True, True)) == blocks
    assert fusions(fast).count((False, True)) == blocks + 1
    assert {name: value.shape for name, value in fast.named_parameters()} == {
        name: value.shape for name, value in twin.named_parameters()
    }
    torch.testing.assert_close(fast(images), twin(images), rtol=1e-5, atol=1e-6)


class Deciding(nn.Module):
    """Goes another way for bright images, before a block that can be traced."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Block(residual)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x / 255 if x.max() > 1 else x)


def test_where_a_forward_pass_decides_by_the_images_its_children_are_fused() -> None:
    network = laid_out(Deciding())
    twin = fused_twin(network)

    assert type(twin) is Deciding
    assert fusions(twin) == MEETINGS[residual]
    for images in (X, 200 * X):
        torch.testing.assert_close(twin(images), network(images), rtol=1e-5, atol=1e-6)


class Drawing(nn.Module):
    """Adds a tensor that is made from nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.block = Block(residual)

    def forward(self, x: Tensor) -> Tensor:
        return self.block(x + torch.randn(1, *SHAPE))


def test_what_is_drawn_in_a_forward_pass_is_drawn_every_time_and_tracing_draws_nothing() -> None:
    torch.manual_seed(1)
    drawing = laid_out(Drawing())
    state = torch.get_rng_state()
    twin = fused_twin(drawing)
    assert torch.get_rng_state().equal(state)
    assert type(twin) is Drawing
    assert not torch.equal(twin(X), twin(X))
    assert fusions(twin) == MEETINGS[residual]


class Twofold(nn.Module):
    """Is called with one tensor or two."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 3, 3, padding=1)

    def forward(self, x: Tensor, skip: Tensor | None = None) -> Tensor:
        out = self.conv(x)
        return torch.relu(out if skip is None else out + skip)


def test_a_module_with_a_choice_of_arguments_is_left_as_it_is() -> None:
    twofold = laid_out(Twofold())
    twin = fused_twin(twofold)
    assert type(twin) is Twofold
    assert torch.equal(twin(X), twofold(X))


class Aliased(nn.Module):
    """Adds in place to what another name reads as well: a trace takes that for an addition of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.linear = nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.Linear(3, 10)

    def forward(self, x: Tensor) -> Tensor:
        kept = x * 2
        again = kept
        kept += self.norm(self.conv(x))
        return self.linear((kept * again).mean((2, 3)))


def classifier(module: nn.Module) -> FastPyTorchClassifier:
    return FastPyTorchClassifier(
        module, nn.CrossEntropyLoss(), input_shape=(3, 32, 32), nb_classes=10, clip_values=(0, 1), device_type="cpu"
    )


def test_the_copy_that_searches_is_fused_and_follows_the_model() -> None:
    torch.manual_seed(0)
    network = Normalised(resnet20_cifar10(), (0.5, 0.5, 0.5), (0.2, 0.2, 0.2)).eval()
    estimator = classifier(network)
    images = torch.rand(5, 3, 32, 32)
    assert fusions(estimator._network()).count((True, True)) == 9

    for change in (lambda w: w.mul_(1.5), lambda w: w.data.add_(0.1)):
        with torch.no_grad():
            change(network.module.layer2[0].conv1.weight)
            estimator.refresh()
            expected = network(images)
        torch.testing.assert_close(estimator.predict_tensor(images), expected, rtol=1e-4, atol=1e-5)
        assert fusions(estimator._network())


def test_a_trace_that_misreads_the_model_is_found_out() -> None:
    torch.manual_seed(0)
    network = Aliased().eval()
    images = torch.rand(5, 3, 32, 32)
    twin = laid_out(folded(network, pairs(network, images)))
    assert (fused_twin(twin)(images) - twin(images)).abs().max() > 1e-3

    estimator = classifier(network)

    assert not fusions(estimator._network())
    torch.testing.assert_close(estimator.predict_tensor(images), network(images), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    "plan", [{"memory_format": "contiguous"}, {"folding": "none"}, {"compile": True}], ids=lambda plan: next(iter(plan))
)
def test_other_plans_are_not_fused(plan: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda module: module)
    estimator = classifier(resnet20_cifar10().eval())
    estimator.set_plan(**plan)
    assert not fusions(estimator._network())


def test_where_the_fused_copy_says_something_else_the_plain_one_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    network = resnet20_cifar10().eval()
    images = np.random.default_rng(0).random((3, 3, 32, 32), dtype=np.float32)
    for other in (lambda _module: nn.Flatten(), lambda _module: 1 / 0):
        monkeypatch.setattr("art_weakrobust.estimators.search.fused", other)
        estimator = classifier(network)
        asked = estimator._network()
        assert asked is not estimator._model
        assert not fusions(asked)
        assert estimator.search_failure is None
        np.testing.assert_allclose(
            estimator.predict_tensor(torch.from_numpy(images)), estimator.predict(images), atol=1e-5
        )
