"""The shape of a model's input and the number of its classes, where only the model or the data know them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from ..errors import ModelError, UsageError
from .border import LogitsOnly
from .modes import evaluating

if TYPE_CHECKING:
    from ..protocols import ModelInfo


def shape_and_classes(
    model: nn.Module, info: ModelInfo, input_shape: tuple[int, ...] | None, nb_classes: int | None
) -> tuple[tuple[int, ...], int]:
    """Return input shape and number of classes: as asked for, as the model's info says, or by one forward pass.

    :raises ModelError: where ``model`` is no module, no input shape is known, or the model does not take that shape.
    """
    if not isinstance(model, nn.Module):
        raise ModelError(
            f"model {info.name or type(model).__name__!r} is no torch.nn.Module, which this estimator needs; "
            "choose a model with gradients, or an --estimator for black boxes"
        )
    shape = tuple(input_shape or info.input_shape or ())
    if not shape:
        raise ModelError(f"input_shape of model {info.name!r} is not known; pass input_shape=(c, h, w)")
    return shape, nb_classes or info.nb_classes or _classes_of(model, info, shape)


def _classes_of(model: nn.Module, info: ModelInfo, shape: tuple[int, ...]) -> int:
    parameter = next(model.parameters(), None)
    device = torch.device("cpu") if parameter is None else parameter.device
    with evaluating(model), torch.no_grad():
        try:
            logits = LogitsOnly(model)(torch.zeros(1, *shape, device=device))[-1]
        except (RuntimeError, ValueError, IndexError) as error:
            raise ModelError(f"model {info.name!r} does not take images of shape {shape}: {error}") from error
    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or logits.shape[1] < 2:
        got = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ModelError(f"model {info.name!r} has to return logits (n, classes) with 2 classes or more, got {got}")
    return int(logits.shape[1])


def check_clip_values(classifier: Any) -> None:
    """Hold a classifier's pixels to [0, 1]: radii, budgets and corruptions are in these units.

    :raises UsageError: for other clip values, with how to wrap the model.
    """
    clip = (
        None if classifier.clip_values is None else [np.unique(np.asarray(v)).tolist() for v in classifier.clip_values]
    )
    if clip != [[0.0], [1.0]]:
        raise UsageError(
            f"classifier: clip_values are {classifier.clip_values}, expected (0, 1): put the scaling of the pixels "
            "inside the model, as in torch.nn.Sequential(YourScaling(), model), and build the classifier with "
            "clip_values=(0, 1)"
        )
