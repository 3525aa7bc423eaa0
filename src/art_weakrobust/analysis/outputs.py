"""What an estimator says of tensors, so that neighbors are made and judged on its device."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError, ModelError
from ..estimators.judge import judge_logits
from ..estimators.plan import arranged
from ..estimators.precision import precision_on
from ..estimators.pytorch import FastPyTorchClassifier, answers_as_its_module
from ..estimators.streams import Result, slices
from ..protocols import Estimator

Measure = Callable[[Tensor, Tensor], Tensor]
"""Logits (n, K) and labels (n,) -> one number a sample, (n,)."""

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

    def arranged(self, x: Tensor) -> Tensor:
        """Return images in the memory format in which the network takes them."""
        return x if self.fast is None else arranged(x, self.fast.plan)

    def precision(self, asked: str | None) -> str:
        """Return ``float32`` or ``bfloat16``: what was asked for, the plan's by default; a black box has the first.

        :raises ModelError: for a precision that is not known.
        """
        if asked is not None:
            asked = precision_on(self.device, asked)
        return "float32" if self.fast is None else asked or self.fast.precision

    def each(self, work: Callable[[slice], Result], n: int, batch_size: int) -> list[Result]:
        """Return what ``work`` returns for parts of ``n`` images, in their order, several at once if the plan says so.

        :param work: of one part; asks for its logits.
        :param batch_size: images in work at a time.
        """
        if self.fast is None:
            return [work(part) for part in slices(n, batch_size)]
        return self.fast.each(work, n, batch_size)

    def logits(self, x: Tensor, precision: str = "float32") -> Tensor:
        """Return logits (n, K), or logarithms where the answer is a distribution, of one batch (n, c, h, w)."""
        if self.fast is not None:
            return in_logits(self.fast.predict_tensor(x, precision))
        return in_logits(torch.from_numpy(judge_logits(self.estimator, x.numpy(), batch_size=len(x))))

    def logits_and_gradient(self, x: Tensor, y: Tensor, measure: Measure) -> tuple[Tensor, Tensor | None]:
        """Return :meth:`logits`, and from the same pass the gradient of a measure of them; None of a black box.

        :param y: labels, int64 (n,).
        :param measure: of logits and labels, one number a sample, as :func:`~art_weakrobust.kernels.losses.margin` is.
        """
        fast = self.fast
        if fast is None or not fast.all_framework_preprocessing:
            return self.logits(x), None
        with fast.searching("float32"):
            outputs, gradient = fast.logits_and_gradient(x, y, lambda some, labels: measure(in_logits(some), labels))
        return in_logits(outputs), gradient


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
