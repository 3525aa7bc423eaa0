"""Small networks for tests, benchmarks and first steps, none of which normalises its input.

The CIFAR ResNets are those of He et al. 2015 (https://arxiv.org/abs/1512.03385, section 4.2): three stages of basic
blocks, widths 16, 32 and 64. Their names fit two public checkpoints: ``resnet20`` that of Yerlan Idelbayev
(``resnet20-12fca82f``, shortcut option A), ``resnet32`` that of chenyaofo (``cifar100_resnet32``, shortcut option B).
Put the normalisation of a checkpoint around them with ``--mean`` and ``--std``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn import functional

_WIDTHS = (16, 32, 64)


@contextmanager
def _initialised_with(seed: int) -> Iterator[None]:
    """Draw initial weights from ``seed`` and leave the global generator as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        yield


class PadShortcut(nn.Module):
    """Shortcut option A: every second pixel, missing channels are zeros on both sides; it has no weights."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.pad = channels // 4

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, channels, h / 2, w / 2) for (n, channels / 2, h, w)."""
        return functional.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.pad, self.pad))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut.

    :param shortcut: what the skipped path does where the shape changes, None where it does not.
    :param name: the name under which the shortcut is kept; checkpoints differ.
    """

    def __init__(self, before: int, channels: int, shortcut: nn.Module | None, name: str) -> None:
        super().__init__()
        stride = 1 if shortcut is None else 2
        self.conv1 = nn.Conv2d(before, channels, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut_name = name
        self.add_module(name, nn.Identity() if shortcut is None else shortcut)

    def forward(self, x: Tensor) -> Tensor:
        """Return (n, channels, h, w), or half the height and width where the shortcut halves them."""
        y = functional.relu(self.bn1(self.conv1(x)))
        return functional.relu(self.bn2(self.conv2(y)) + self.get_submodule(self.shortcut_name)(x))


class CifarResNet(nn.Module):
    """A residual network for 32x32 images: pixels (n, 3, h, w) in, logits (n, num_classes) out.

    :param blocks: basic blocks a stage.
    :param option: ``"A"`` (zero padding, no weights; last layer ``linear``) or ``"B"`` (1x1 convolution and batch
        norm, named ``downsample``; last layer ``fc``).
    """

    def __init__(self, blocks: int, num_classes: int, option: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, _WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(_WIDTHS[0])
        before = _WIDTHS[0]
        for number, channels in enumerate(_WIDTHS, start=1):
            stage = []
            for _ in range(blocks):
                stage.append(BasicBlock(before, channels, *_shortcut(before, channels, option)))
                before = channels
            self.add_module(f"layer{number}", nn.Sequential(*stage))
        self.head_name = "linear" if option == "A" else "fc"
        self.add_module(self.head_name, nn.Linear(_WIDTHS[-1], num_classes))

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits."""
        x = functional.relu(self.bn1(self.conv1(x)))
        for number in range(1, len(_WIDTHS) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        logits: Tensor = self.get_submodule(self.head_name)(x.mean(dim=(2, 3)))
        return logits


def _shortcut(before: int, channels: int, option: str) -> tuple[nn.Module | None, str]:
    name = "shortcut" if option == "A" else "downsample"
    if before == channels:
        return None, name
    if option == "A":
        return PadShortcut(channels), name
    return nn.Sequential(nn.Conv2d(before, channels, 1, stride=2, bias=False), nn.BatchNorm2d(channels)), name


def resnet20(num_classes: int = 10, seed: int = 0) -> nn.Module:
    """Return a CIFAR ResNet-20 (0.27 million weights, shortcut option A), initialised from ``seed``."""
    with _initialised_with(seed):
        return CifarResNet(3, num_classes, "A")


def resnet32(num_classes: int = 100, seed: int = 0) -> nn.Module:
    """Return a CIFAR ResNet-32 (0.47 million weights, shortcut option B), initialised from ``seed``."""
    with _initialised_with(seed):
        return CifarResNet(5, num_classes, "B")


def resnet20_cifar10() -> nn.Module:
    """Return the network of the CIFAR-10 checkpoint, for ``--model python:``."""
    return resnet20(10)


def resnet32_cifar100() -> nn.Module:
    """Return the network of the CIFAR-100 checkpoint, for ``--model python:``."""
    return resnet32(100)


def small_cnn(input_shape: tuple[int, int, int] = (1, 8, 8), num_classes: int = 10, seed: int = 0) -> nn.Module:
    """Return a network of two convolutions, batch norm and a linear layer, as an ``nn.Sequential``, from ``seed``."""
    channels, height, width = input_shape
    with _initialised_with(seed):
        return nn.Sequential(
            nn.Conv2d(channels, 8, 3, padding=1),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.Conv2d(8, 16, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(16 * ((height + 1) // 2) * ((width + 1) // 2), num_classes),
        )


class LinearClassifier(nn.Module):
    """``logits = weight · x + bias``: its distance to the boundary is known exactly for L1, L2 and Linf."""

    def __init__(self, features: int, num_classes: int) -> None:
        super().__init__()
        self.linear = nn.Linear(features, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits (n, num_classes) of pixels (n, ...)."""
        logits: Tensor = self.linear(x.flatten(1))
        return logits


def linear(
    input_shape: tuple[int, int, int] = (1, 8, 8),
    num_classes: int = 10,
    seed: int = 0,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
) -> nn.Module:
    """Return a linear classifier, from ``seed`` or with these weights.

    :param weight: (num_classes, c * h * w), replaces the drawn one and its shape.
    :param bias: (num_classes,), zeros where only ``weight`` is given.
    """
    features = input_shape[0] * input_shape[1] * input_shape[2]
    with _initialised_with(seed):
        model = LinearClassifier(features, num_classes if weight is None else len(weight))
    if weight is not None:
        model.linear.weight = nn.Parameter(weight.detach().float().reshape(len(weight), features).clone())
        model.linear.bias = nn.Parameter(torch.zeros(len(weight)))
    if bias is not None:
        model.linear.bias = nn.Parameter(bias.detach().float().clone())
    return model


FACTORIES: dict[str, Callable[[], nn.Module]] = {
    "resnet20_cifar10": resnet20_cifar10,
    "resnet32_cifar100": resnet32_cifar100,
}
"""Name of a shipped checkpoint -> factory of the network that it fits."""
