"""Batch norms are folded into convolutions where that changes nothing, and nowhere else."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from art_weakrobust.estimators.folding import folded, may_fold, pairs, refill
from art_weakrobust.testing.networks import linear, resnet20, resnet32, small_cnn

X = torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def seasoned(model: nn.Module) -> nn.Module:
    """Give every batch norm statistics and weights that do something."""
    generator = torch.Generator().manual_seed(1)
    for part in model.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor in (part.running_mean, part.running_var, part.weight, part.bias):
                if tensor is not None:
                    tensor.data.uniform_(0.5, 1.5, generator=generator)
    return model.eval()


class Branching(nn.Module):
    """What it does depends on the size of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm, self.head = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        h = self.norm(self.conv(x))
        if x.shape[2] > 4:
            h = h.relu()
        return self.head(h.mean((2, 3)))


class ReadTwice(Branching):
    """Its convolution's output goes past the batch norm as well."""

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        return self.head((self.norm(h) + h).mean((2, 3)))


class ReadTwiceWhereLarge(Branching):
    """The same, by the size of its input."""

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        return self.head((self.norm(h) + (h if x.shape[2] > 4 else 0)).mean((2, 3)))


class ReadInPlace(Branching):
    """Something writes to its convolution's output before the batch norm reads it."""

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x)
        h[:, 0] = 1
        return self.head(self.norm(h).mean((2, 3)))


class CalledTwice(Branching):
    """Its one batch norm serves two inputs."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head((self.norm(self.conv(x)) + self.norm(self.conv(-x))).mean((2, 3)))


class WeightRead(Branching):
    """Reads the weight of its convolution besides calling it."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.conv(x)).mean((2, 3))) * self.conv.weight.mean()


class NormRead(Branching):
    """Reads the statistics of its batch norm besides calling it."""

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.norm(self.conv(x)).mean((2, 3))) * self.norm.running_var.mean()


class AskedForItsShape(Branching):
    """Asks for shape and type, which a batch norm leaves alone, of the output and of the weight of its convolution."""

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv(x.to(self.conv.weight.dtype))
        return self.head(self.norm(h).flatten(2).sum(2) / (h.shape[2] * h.size(3)))


def grouped() -> nn.Module:
    plain = nn.BatchNorm2d(6, affine=False)
    return nn.Sequential(nn.Conv2d(3, 6, 3, stride=2, groups=3, bias=False), plain, nn.Flatten(), nn.LazyLinear(5))


@pytest.mark.parametrize(
    ("make", "number"),
    [
        (lambda: resnet20(10), 19),
        (lambda: resnet32(100), 33),
        (lambda: small_cnn((3, 8, 8), 5), 1),
        (Branching, 1),
        (AskedForItsShape, 1),
    ],
    ids=["zero-padded shortcuts", "convolutions on shortcuts", "sequential", "branching", "asked for its shape"],
)
def test_every_batch_norm_after_a_convolution_is_folded(make: Callable[[], nn.Module], number: int) -> None:
    model = seasoned(make())

    found = pairs(model, X)
    twin = folded(model, found)

    assert len(found) == number
    assert not any(isinstance(part, nn.BatchNorm2d) for part in twin.modules())
    torch.testing.assert_close(twin(X), model(X), rtol=1e-5, atol=1e-5)
    assert not any(parameter.requires_grad for parameter in twin.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_groups_strides_and_norms_without_weights() -> None:
    model = grouped()
    model(X)
    model = seasoned(model)

    torch.testing.assert_close(folded(model, pairs(model, X))(X), model(X), rtol=1e-5, atol=1e-5)


OTHERWISE_READ = [ReadTwice, ReadTwiceWhereLarge, ReadInPlace, CalledTwice, WeightRead, NormRead]


@pytest.mark.parametrize("make", OTHERWISE_READ, ids=lambda make: make.__name__)
def test_what_has_another_reader_is_left_alone(make: Callable[[], nn.Module]) -> None:
    assert pairs(make().eval(), X) == []


def test_norms_that_keep_no_statistics_are_left_alone() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4, track_running_stats=False))

    assert pairs(model.eval(), X) == []


def test_subclasses_may_compute_something_else() -> None:
    class Doubled(nn.BatchNorm2d):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    assert pairs(nn.Sequential(nn.Conv2d(3, 4, 3), Doubled(4)).eval(), X) == []
    assert not may_fold(linear((3, 8, 8), 5))


class Noisy(Branching):
    """Draws at every call."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + torch.randn(x.shape))


def test_looking_for_pairs_leaves_the_module_and_the_generator_as_they_were() -> None:
    model = seasoned(Noisy()).train()
    drawn = torch.get_rng_state()
    before = {name: value.clone() for name, value in model.state_dict().items()}

    pairs(model, X)

    assert model.training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not model.conv._forward_hooks
    assert torch.equal(torch.get_rng_state(), drawn)


def test_what_looking_for_pairs_has_copied_is_let_go_of_at_once() -> None:
    copies: list[weakref.ref[Tensor]] = []

    class Watched(Branching):
        def forward(self, x: Tensor) -> Tensor:
            copies.append(weakref.ref(self.conv.weight))
            return super().forward(x)

    gc.disable()
    try:
        pairs(Watched(), X)
        assert [copy() for copy in copies] == [None]
    finally:
        gc.enable()


def test_models_of_other_types_are_looked_at_in_theirs() -> None:
    assert pairs(seasoned(Branching()).double(), X) == [("conv", "norm")]


def test_tied_weights_are_folded_one_by_one() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 3, 3, padding=1), nn.BatchNorm2d(3)
    )
    model[3].weight = model[0].weight
    model = seasoned(model)

    found = pairs(model, X)

    assert len(found) == 2
    torch.testing.assert_close(folded(model, found)(X), model(X), rtol=1e-5, atol=1e-5)


def test_new_values_are_written_into_the_copy_that_there_is() -> None:
    model = seasoned(small_cnn((3, 8, 8), 5))
    found = pairs(model, X)
    twin = folded(model, found)
    with torch.no_grad():
        for tensor in (*model.parameters(), model[1].running_var):
            tensor.mul_(1.5)

    refill(twin, model, found)

    torch.testing.assert_close(twin(X), model(X), rtol=1e-5, atol=1e-5)
