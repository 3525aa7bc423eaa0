"""The judge of every prediction that counts: float32, nothing approximate, the model as it is in evaluation mode."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from .modes import evaluating
from .pytorch import FastPyTorchClassifier, answers_as_its_module

_AUTOCAST_DEVICES = ("cpu", "cuda")


def _precision_switches() -> list[tuple[Any, str, Any]]:
    """Return the switches by which PyTorch computes float32 in less: (where, attribute, exact value)."""
    backends: Any = torch.backends
    if hasattr(backends.cuda.matmul, "fp32_precision"):  # since PyTorch 2.9, which forbids mixing it with the older
        owners = [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn]
        owners += [backends.mkldnn.matmul, backends.mkldnn.conv, backends.mkldnn.rnn]
        return [(owner, "fp32_precision", "ieee") for owner in owners]
    return [(backends.cuda.matmul, "allow_tf32", False), (backends.cudnn, "allow_tf32", False)]


@contextmanager
def exact_float32() -> Iterator[None]:
    """Compute float32 in float32: autocast, TF32 and bfloat16 matrix products are off inside, restored afterwards."""
    switches = _precision_switches()
    before = [getattr(owner, name) for owner, name, _ in switches]
    with ExitStack() as stack:
        for device in _AUTOCAST_DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        try:
            for owner, name, exact in switches:
                setattr(owner, name, exact)
            yield
        finally:
            for (owner, name, _), value in zip(switches, before, strict=True):
                setattr(owner, name, value)


def module_of(estimator: Any) -> nn.Module | None:
    """Return the PyTorch module of an estimator, or None for a black box."""
    module = getattr(estimator, "model", None)
    return module if isinstance(module, nn.Module) else None


def judge_logits(estimator: Any, x: np.ndarray, batch_size: int = 256) -> np.ndarray:
    """Return the outputs (n, K), float32, by which samples are judged.

    A PyTorch classifier, ART's or ours, is asked by slices in one memory format, in evaluation mode, in exact float32;
    its training flags are left as they were. Any other estimator of ART is asked by its ``predict``.

    :param x: images (n, ...), of any numeric type.
    :param batch_size: images a forward pass.
    """
    module = module_of(estimator)
    with ExitStack() as stack:
        stack.enter_context(exact_float32())
        if module is not None:
            stack.enter_context(evaluating(module))
        if answers_as_its_module(estimator):
            return FastPyTorchClassifier.sharing(estimator).predict(x, batch_size=batch_size)
        outputs = estimator.predict(np.array(x, dtype=np.float32, order="C"), batch_size=batch_size)
    outputs = np.asarray(outputs, dtype=np.float32)
    return outputs[:, None] if outputs.ndim == 1 else outputs
