"""Gradients with respect to the input alone: no gradient of a parameter is computed, and no ``.grad`` is touched."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..errors import ModelError
from .modes import frozen


@contextmanager
def differentiating(module: nn.Module) -> Iterator[None]:
    """Record a graph with the parameters frozen, also where the caller is inside ``no_grad`` or ``inference_mode``."""
    with torch.inference_mode(False), torch.enable_grad(), frozen(module):
        yield


def input_gradient(output: Tensor, leaf: Tensor, weight: Tensor | None = None, keep: bool = False) -> Tensor:
    """Return the gradient of ``output`` (weighted by ``weight``) with respect to ``leaf``, contiguous float32.

    :param keep: whether the graph is needed again.
    :raises ValueError: where the output does not depend on the input, as ART does.
    """
    gradient: Tensor | None = None
    if output.requires_grad:
        (gradient,) = torch.autograd.grad(output, leaf, weight, retain_graph=keep, allow_unused=True)
    if gradient is None:
        raise ValueError("Gradient term in PyTorch model is `None`.")
    return gradient.contiguous()


def class_gradients(logits: Tensor, leaf: Tensor, label: int | np.ndarray | None, separable: bool) -> Tensor:
    """Return the gradients of logits with respect to the input, (n, classes asked for, ...).

    :param label: one class for all samples, one a sample (n,), or None for all K classes.
    :param separable: whether a sample's logits depend on that sample alone. One backward pass then serves an array of
        labels; batch norm in training mode needs one for each label that occurs.
    """
    if isinstance(label, np.ndarray) and separable:
        weight = nn.functional.one_hot(torch.from_numpy(label.astype(np.int64)), logits.shape[1])
        return input_gradient(logits, leaf, weight.to(logits)).unsqueeze(1)
    if isinstance(label, np.ndarray):
        classes, rows = np.unique(label, return_inverse=True)
        stacked = _gradients_of(logits, leaf, [int(c) for c in classes])
        return stacked[torch.arange(len(rows)), torch.from_numpy(rows)].unsqueeze(1)
    return _gradients_of(logits, leaf, list(range(logits.shape[1])) if label is None else [int(label)])


def _gradients_of(logits: Tensor, leaf: Tensor, classes: list[int]) -> Tensor:
    last = len(classes) - 1
    totals = logits.sum(dim=0)
    return torch.stack(
        [input_gradient(totals[c], leaf, keep=position < last) for position, c in enumerate(classes)], dim=1
    )


_SUMS_OVER_SAMPLES = (
    nn.BCELoss,
    nn.BCEWithLogitsLoss,
    nn.CrossEntropyLoss,
    nn.MultiMarginLoss,
    nn.NLLLoss,
)


def share_of_part(loss: Any, part: int, whole: int, y: np.ndarray | Tensor) -> float | None:
    """Return the factor from the loss of some samples to their part in the loss of all; None where there is none.

    A mean over samples that are weighted by class, or some of which are ignored, is no sum of means.

    :param y: the labels; a negative one can only be meant to be ignored.
    """
    if type(loss) not in _SUMS_OVER_SAMPLES or getattr(loss, "weight", None) is not None:
        return None
    if getattr(loss, "ignore_index", -1) >= 0 or bool((y < 0).any()):
        return None
    return {"sum": 1.0, "mean": part / whole}.get(loss.reduction)


def with_reduction(loss: Callable[..., Any], reduction: str) -> Callable[..., Any]:
    """Return a copy of ``loss`` with another reduction; ``loss`` itself is shared with others and left alone.

    :raises ModelError: where the loss has no reduction.
    """
    if not hasattr(loss, "reduction"):
        raise ModelError(
            f"loss {type(loss).__name__} has no attribute 'reduction', which reduction={reduction!r} asks for; "
            "use a loss of torch.nn, or give yours one"
        )
    changed: Any = copy.copy(loss)
    changed.reduction = reduction
    return changed  # type: ignore[no-any-return]
