"""What an estimator says of tensors, so that neighbors are made and judged on its device."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, ModelError
from ..estimators.judge import judge_logits
from ..estimators.pytorch import FastPyTorchClassifier, answers_as_its_module
from ..kernels.losses import margin
from ..protocols import Estimator

_LEAST = 1e-30  # a probability below this counts as this, so that its logarithm is a number


@dataclass(frozen=True)
class Asked:
    """An estimator, asked for logits by tensors: a PyTorch classifier on its device, any other through ``predict``.

    Answers are those of :func:`~art_weakrobust.estimators.judge.judge_logits`; call it inside
    :func:`~art_weakrobust.estimators.judge.exact_float32`.
    """

    estimator: Estimator
    fast: FastPyTorchClassifier | None
    device: torch.device

    @classmethod
    def of(cls, estimator: Estimator) -> Asked:
        """Return ``estimator``, its module shared with a fast classifier where its answers are those of a module."""
        if answers_as_its_module(estimator) and not estimator.postprocessing_defences:
            fast = FastPyTorchClassifier.sharing(estimator)
            fast.refresh()
            return cls(estimator, fast, torch.device(fast.device))
        return cls(estimator, None, torch.device("cpu"))

    def tensor(self, values: np.ndarray) -> Tensor:
        """Return an array on the estimator's device."""
        return torch.from_numpy(np.ascontiguousarray(values)).to(self.device)

    def logits(self, x: Tensor) -> Tensor:
        """Return logits (n, K), or logarithms where the answer is a distribution, of one batch (n, c, h, w)."""
        return in_logits(self._outputs(x))

    def _outputs(self, x: Tensor) -> Tensor:
        if self.fast is not None:
            return self.fast.predict_tensor(x)
        return torch.from_numpy(judge_logits(self.estimator, x.numpy(), batch_size=len(x)))

    def margin_gradient(self, x: Tensor, y: Tensor) -> Tensor | None:
        """Return the gradient of the margin with respect to a batch, shaped as ``x``; None for a black box."""
        fast = self.fast
        if fast is None or not fast.all_framework_preprocessing:
            return None
        with fast.searching("float32"):
            return fast.input_gradient(x, y, lambda outputs, labels: margin(in_logits(outputs), labels))


def in_logits(outputs: Tensor) -> Tensor:
    """Return logits as they are, and the logarithm of every row that is a distribution, (n, K)."""
    distribution = (outputs >= 0).all(1) & ((outputs.sum(1) - 1).abs() < 1e-4)
    return torch.where(distribution.unsqueeze(1), outputs.clamp_min(_LEAST).log(), outputs)


def is_decision(logits: Tensor) -> Tensor:
    """Say of every row of :func:`in_logits` whether it is a bare label: all on one class, so that it has no margin."""
    least = torch.tensor(_LEAST).log().item() + 1e-3
    return ((logits <= least).sum(1) == logits.shape[1] - 1) & (logits.amax(1) == 0)


def check_labels(logits: Tensor, y: np.ndarray, ids: np.ndarray) -> None:
    """Refuse outputs and labels that cannot be compared.

    :param logits: (n, K).
    :param y: int64 (n,).
    :param ids: int64 (n,), to name one.
    :raises ModelError: for fewer than two classes.
    :raises DataError: for a label that is no class of the model.
    """
    classes = logits.shape[1]
    if classes < 2:
        raise ModelError(
            f"the estimator's outputs have {classes} column, expected one a class, at least 2: "
            f"wrap the model so that it returns a logit for every class"
        )
    wrong = (y < 0) | (y >= classes)
    if wrong.any():
        raise DataError(
            f"label {y[wrong][0]} of sample {ids[wrong][0]} is none of the model's {classes} classes: "
            f"expected 0 to {classes - 1}; check --dataset, --label-column and --model"
        )
