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


def _fine_switches() -> list[Any]:
    """Return the owners of PyTorch's ``fp32_precision`` (since 2.9) that its older switches stand for."""
    backends: Any = torch.backends
    if not hasattr(backends.cuda.matmul, "fp32_precision"):
        return []
    of_gpu = [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn]
    return [*of_gpu, backends.mkldnn.matmul, backends.mkldnn.conv, backends.mkldnn.rnn]


def _coarse_switches() -> tuple[str, bool] | None:
    """Return the older switches, or None where the user set the newer ones, which PyTorch then forbids to mix."""
    try:
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    except RuntimeError:
        return None


def _set_coarse_switches(matmul: str, cudnn: bool) -> None:
    torch.set_float32_matmul_precision(matmul)
    torch.backends.cudnn.allow_tf32 = cudnn


@contextmanager
def _full_precision() -> Iterator[None]:
    fine = _fine_switches()
    values = [owner.fp32_precision for owner in fine]
    coarse = _coarse_switches()
    try:
        if coarse is not None:
            _set_coarse_switches("highest", False)
        for owner in fine:
            if owner.fp32_precision not in ("none", "ieee"):
                owner.fp32_precision = "ieee"
        yield
    finally:
        if coarse is not None:
            _set_coarse_switches(*coarse)
        for owner, value in zip(fine, values, strict=True):
            if owner.fp32_precision != value:
                owner.fp32_precision = value


@contextmanager
def exact_float32() -> Iterator[None]:
    """Compute float32 in float32: autocast, TF32 and bfloat16 matrix products are off inside, restored afterwards."""
    with ExitStack() as stack:
        for device in _AUTOCAST_DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(_full_precision())
        yield


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
