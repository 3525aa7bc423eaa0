"""The judge of every prediction that counts: float32, nothing approximate, the model as it is in evaluation mode."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Any

import numpy as np
from torch import nn

from .modes import evaluating
from .precision import exact_float32 as exact_float32  # one of the judge's two words, for those who judge tensors
from .pytorch import FastPyTorchClassifier, answers_as_its_module


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
            return FastPyTorchClassifier.sharing(estimator).predict_by_module(x, batch_size)
        outputs = estimator.predict(np.array(x, dtype=np.float32, order="C"), batch_size=batch_size)
    outputs = np.asarray(outputs, dtype=np.float32)
    return outputs[:, None] if outputs.ndim == 1 else outputs
