"""What a network sees in an image just before it decides: the input of its last layer."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from .modes import evaluating
from .pytorch import FastPyTorchClassifier

_HEADS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Bilinear)


@contextmanager
def penultimate(classifier: FastPyTorchClassifier) -> Iterator[Callable[[Tensor], tuple[Tensor, Tensor]]]:
    """Give a function from images (n, ...) to features (n, d) and logits (n, K), float32 on the device, in one pass.

    Features are the flattened input of the layer whose output are the logits: of the last linear layer or convolution
    that the model calls. Where there is none, as in an ensemble that averages, the logits serve as features.

    :param classifier: its own model is asked, in evaluation mode, not the copy that searches.
    """
    seen: list[Tensor] = []

    def keep(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        seen[:] = [inputs[0].detach(), output.detach()]

    def ask(x: Tensor) -> tuple[Tensor, Tensor]:
        seen.clear()
        with torch.no_grad():
            logits = classifier._logits(classifier._preprocessed(x.to(classifier.device, torch.float32, copy=True)))
        return _before(seen, logits), logits

    heads = [module for module in classifier.model.modules() if isinstance(module, _HEADS)]
    hooks = [module.register_forward_hook(keep) for module in heads]
    try:
        with evaluating(classifier.model):
            yield ask
    finally:
        for hook in hooks:
            hook.remove()


def _before(seen: list[Tensor], logits: Tensor) -> Tensor:
    """Return what went into the last layer, if the logits came out of it."""
    if not seen or seen[1].numel() != logits.numel() or not torch.equal(seen[1].reshape(logits.shape).float(), logits):
        return logits
    features = seen[0].flatten(1) if len(seen[0]) == len(logits) else logits
    return features.float()
