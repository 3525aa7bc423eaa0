"""How training calls a network: on which device, in which precision and memory format, after which preprocessing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError
from ..estimators.modes import generators_kept
from ..estimators.plan import views


@dataclass(frozen=True)
class Forward:
    """Calls a module: pixels (n, c, h, w) in [0, 1] in, float32 logits (n, K) out.

    :param device: where the module lives.
    :param precision: ``bfloat16`` (autocast) or ``float32``.
    :param prepare: the classifier's own preprocessing, differentiable, or None.
    :param memory_format: of the images that the module is given.
    """

    device: torch.device
    precision: str = "float32"
    prepare: Callable[[Tensor], Tensor] | None = None
    memory_format: torch.memory_format = torch.channels_last

    def __call__(self, module: nn.Module, x: Tensor) -> Tensor:
        """Return the logits."""
        if self.prepare is not None:
            x = self.prepare(x)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision == "bfloat16"):
            output = module(x.contiguous(memory_format=self.memory_format))
        logits: Tensor = output[-1] if isinstance(output, list | tuple) else output
        return logits.float()

    def exact(self) -> Forward:
        """Return the same in float32, for judging."""
        return replace(self, precision="float32")

    def gradient(self, module: nn.Module, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the logits and the gradient of the summed cross entropy with respect to the pixels alone."""
        x = x.detach().requires_grad_()
        logits = self(module, x)
        (gradient,) = torch.autograd.grad(nn.functional.cross_entropy(logits, y, reduction="sum"), x)
        return logits.detach(), gradient


def forward_of(classifier: Any, device: torch.device, precision: str) -> Forward:
    """Return how to call the classifier's module, with its preprocessing in front where it has one.

    :param classifier: an ART ``PyTorchClassifier``.
    :raises ModelError: for a preprocessing that is not written in torch: no gradient reaches the pixels through it.
    """
    steps = [step for step in classifier.preprocessing_operations if not _identity(step)]
    if not steps:
        return _laid_out(Forward(device, precision), classifier)
    if not classifier.all_framework_preprocessing:
        names = ", ".join(type(step).__name__ for step in steps)
        raise ModelError(f"classifier: its preprocessing ({names}) is not written in torch; put it inside the model")

    def prepare(x: Tensor) -> Tensor:
        for step in steps:
            if step.apply_predict:
                x, _ = step.forward(x, None)
        return x

    return _laid_out(Forward(device, precision, prepare), classifier)


def _laid_out(forward: Forward, classifier: Any) -> Forward:
    """Return ``forward`` with channels last, unless the module views what its convolutions give, as it then cannot."""
    examples = torch.zeros(2, *classifier.input_shape, device=forward.device)
    contiguous = replace(forward, memory_format=torch.contiguous_format)
    if examples.ndim != 4:
        return contiguous
    with generators_kept(forward.device):
        return contiguous if views(classifier.model, lambda twin: forward(twin, examples)) else forward


def _identity(step: Any) -> bool:
    """Whether this is ART's default standardisation, by mean 0 and deviation 1."""
    mean, std = getattr(step, "mean", None), getattr(step, "std", None)
    return mean is not None and std is not None and bool((mean == 0).all()) and bool((std == 1).all())


@contextmanager
def deterministic(device: torch.device) -> Iterator[None]:
    """Run a block with convolutions that give the same sums every time; on a processor they do so anyway."""
    if device.type != "cuda":
        yield
        return
    with torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True):
        yield


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    """Return a copy of all weights and buffers, on the CPU, none sharing memory with another."""
    return {
        name: tensor.detach().to("cpu", copy=True).clone(memory_format=torch.contiguous_format)
        for name, tensor in module.state_dict().items()
        if isinstance(tensor, Tensor)
    }


@torch.no_grad()
def restore(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Copy weights and buffers back into a module: in place, so that its optimizer still knows them."""
    for name, tensor in module.state_dict().items():
        if name in state:
            tensor.copy_(state[name])


@torch.no_grad()
def follow(average: nn.Module, student: nn.Module, decay: float) -> None:
    """Move averaged weights and buffers towards the student's by ``1 - decay``; counts are copied."""
    pairs = zip(average.state_dict().values(), student.state_dict().values(), strict=True)
    pairs_of_tensors = [(mean, new) for mean, new in pairs if isinstance(mean, Tensor)]
    floats = [(mean, new) for mean, new in pairs_of_tensors if mean.is_floating_point()]
    torch._foreach_lerp_([mean for mean, _ in floats], [new for _, new in floats], 1 - decay)
    for mean, new in pairs_of_tensors:
        if not mean.is_floating_point():
            mean.copy_(new)
