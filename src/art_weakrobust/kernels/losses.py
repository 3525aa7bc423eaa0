"""What is measured on logits, per sample."""

from __future__ import annotations

import torch
from torch import Tensor


def margin(logits: Tensor, y: Tensor) -> Tensor:
    """Return the logit of the label minus the best other, (n,): negative where the prediction is wrong.

    :param logits: (n, K) with K >= 2, or log-probabilities of a model that has no logits.
    :param y: int64 (n,), class indices.
    """
    label = y.unsqueeze(1)
    others = logits.scatter(1, label, -torch.inf)
    return logits.gather(1, label).squeeze(1) - others.amax(1)


def misprediction_score(logits: Tensor, y: Tensor) -> Tensor:
    """Return 0 where the prediction is the label, else the highest softmax probability, (n,) (arXiv 2509.19197).

    Parameters are those of :func:`margin`.
    """
    confidence = logits.softmax(1).amax(1)
    return confidence.masked_fill(logits.argmax(1) == y, 0.0)


def soft_cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Return the cross entropy against a distribution over classes, (n,).

    :param logits: (n, K).
    :param target: (n, K), rows that sum to one.
    """
    return -(target * logits.log_softmax(1)).sum(1)
