"""The border between NumPy and the device: float32 batches in, float32 logits out, a slice at a time."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from art.preprocessing.standardisation_mean_std.pytorch import StandardisationMeanStdPyTorch
from torch import Tensor, nn

from ..errors import ModelError
from .memory import halving


class LogitsOnly(nn.Module):
    """What an ART classifier keeps as ``_model``: a list whose last item is the logits.

    Unlike ART's wrapper it calls the module once, and so keeps alive no outputs of the children of an
    ``nn.Sequential`` and respects a ``forward`` of its subclasses. Input is cast to the type of the module's
    parameters and the logits to float32, so that bfloat16 and float64 modules can be asked as any other.

    :param model: pixels in, logits out.
    :raises TypeError: where it is no ``nn.Module``.
    """

    def __init__(self, model: nn.Module) -> None:
        if not isinstance(model, nn.Module):
            raise TypeError(f"model {type(model).__name__} must inherit from torch.nn.Module")
        super().__init__()
        self._model = model

    def forward(self, x: Tensor) -> list[Tensor]:
        """Return ``[logits]``, float32."""
        dtype = self._dtype
        if dtype is not None and dtype != x.dtype:
            x = x.to(dtype)
        logits = self._model(x)
        if isinstance(logits, Tensor) and logits.dtype != torch.float32:
            logits = logits.float()
        return [logits]

    @property
    def _dtype(self) -> torch.dtype | None:
        """The floating type of the first weights; a single number, a learned temperature say, may be of another."""
        floating = [parameter for parameter in self._model.parameters() if parameter.is_floating_point()]
        return next((parameter.dtype for parameter in (*(p for p in floating if p.ndim > 1), *floating)), None)

    @property
    def get_layers(self) -> list[str]:
        """Names of the module's children; a property, and named so, because ART asks for it in this way."""
        return [name for name, _ in self._model._modules.items()]  # what a TorchScript module has can be asked no more


def rows_of(outputs: Any) -> Tensor:
    """Return what a module gives as (n, K): one number an image becomes one column.

    :raises ModelError: where it is no tensor, but a tuple of several, say.
    """
    if not isinstance(outputs, Tensor):
        raise ModelError(
            f"model gives a {type(outputs).__name__}, expected a tensor of logits (n, classes): wrap it in a module "
            "that returns the logits alone"
        )
    return outputs.unsqueeze(1) if outputs.ndim == 1 else outputs


def float32_tensor(x: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """Return ``x`` as a float32 tensor on the device, part of no graph.

    Always a copy: a module that works in place on its input must not reach the caller's array.
    """
    tensor = x.detach() if isinstance(x, Tensor) else torch.from_numpy(np.array(x, dtype=np.float32, order="C"))
    return tensor.to(device=device, dtype=torch.float32, copy=isinstance(x, Tensor))


def standardiser(preprocessing: Any, device: torch.device) -> Any:
    """Return ``(mean, std)`` as an operation of ART on the device; anything else as it is."""
    if not isinstance(preprocessing, tuple):
        return preprocessing
    operation = StandardisationMeanStdPyTorch(mean=preprocessing[0], std=preprocessing[1], device_type="cpu")
    operation._device = device
    return operation


def stream(forward: Callable[[np.ndarray], Tensor], x: np.ndarray, batch_size: int, nb_classes: int) -> np.ndarray:
    """Return the float32 logits (n, K) of ``x``, ``batch_size`` images at a time; (0, nb_classes) where it is empty.

    Where memory runs out, it goes on with half the batch.

    :param forward: logits (b, K) of a slice of ``x``, on any device.
    :raises ValueError: for a batch size below 1.
    """
    if batch_size < 1:
        raise ValueError(f"batch_size {batch_size} has to be a whole number from 1")
    parts: list[np.ndarray] = []
    start = 0
    while start < len(x):
        part, batch_size = halving(partial(_part, forward, x, start), batch_size)
        parts.append(part)
        start += batch_size
    return np.concatenate(parts) if parts else np.empty((0, nb_classes), dtype=np.float32)


def _part(forward: Callable[[np.ndarray], Tensor], x: np.ndarray, start: int, size: int) -> np.ndarray:
    return np.asarray(forward(x[start : start + size]).detach().cpu().numpy())
