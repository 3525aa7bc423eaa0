"""What a loss takes as labels, and how index or one-hot labels become that."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn


class LabelsKnown(NamedTuple):
    """Labels that a loss has been given before, and what it takes in their place.

    An attack gives the same tensor at every step; to look into it again would make it wait for the device.
    """

    labels: Tensor
    version: int
    values: Tensor | None
    taken: Tensor

    @classmethod
    def of(cls, labels: Tensor, taken: Tensor) -> LabelsKnown | None:
        """Return what to remember; None for labels whose writes PyTorch does not count."""
        if labels.is_inference():
            return None
        shared = labels.device.type == "cpu"  # perhaps with an array of NumPy, whose writes PyTorch does not count
        return cls(labels, labels._version, labels.detach().clone() if shared else None, taken)

    def are(self, labels: Any) -> bool:
        """Return whether these are those labels, unwritten since."""
        if labels is not self.labels or labels._version != self.version:
            return False
        return self.values is None or torch.equal(labels, self.values)


def label_rules(loss: Any) -> tuple[bool, bool, bool]:
    """Return whether ``loss`` takes reduced labels, as integers, or as probabilities; ART's own table."""
    if isinstance(loss, nn.CrossEntropyLoss):
        return True, True, True
    if isinstance(loss, nn.NLLLoss | nn.MultiMarginLoss):
        return True, True, False
    if isinstance(loss, nn.BCELoss | nn.BCEWithLogitsLoss):
        return True, False, False
    return False, False, False


def wants_index(loss: Any, nb_classes: int, device: torch.device) -> bool:
    """Return whether a loss of one's own takes class numbers rather than one column a class; asked on no images."""
    n = 3 if nb_classes != 3 else 4  # neither 1 nor the classes: nothing is stretched to fit
    index = torch.arange(n, device=device) % nb_classes
    logits = torch.zeros(n, nb_classes, device=device)

    def takes(labels: Tensor) -> bool:
        try:
            with torch.no_grad():
                loss(logits, labels)
        except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
            return False
        return True

    return takes(index) or not takes(one_hot(index, nb_classes))


def label_tensor(y: np.ndarray | Tensor, device: torch.device) -> Tensor:
    """Return labels of any kind as a tensor on the device; probabilities in float64 become float32."""
    tensor = y.detach() if isinstance(y, Tensor) else torch.from_numpy(np.array(y))
    tensor = tensor.to(device)
    return tensor.float() if tensor.dtype == torch.float64 else tensor


def is_index(y: np.ndarray | Tensor) -> bool:
    """Return whether labels are class numbers, (n,) or (n, 1), rather than one column a class."""
    return y.ndim == 1 or (y.ndim == 2 and y.shape[1] == 1)


def one_hot(y: Tensor, nb_classes: int) -> Tensor:
    """Return index labels, (n,) or (n, 1), as float32 (n, nb_classes)."""
    return nn.functional.one_hot(y.reshape(-1).long(), nb_classes).float()
