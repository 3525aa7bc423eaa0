"""Targets and loss of fine-tuning: labels mixed with the base model's soft labels (https://arxiv.org/abs/1503.02531)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from ..kernels.losses import soft_cross_entropy
from .recipe import Recipe


@dataclass(frozen=True)
class Targets:
    """What the views of a batch should be taken for, each (n, K) with rows that sum to one.

    :param clean: for clean views.
    :param views: for adversarial and corrupted ones.
    """

    clean: Tensor
    views: Tensor


def targets(y: Tensor, teacher: Tensor, recipe: Recipe) -> Targets:
    """Return ``(1 - share) * label + share * softmax(teacher / temperature)`` for both kinds of views.

    :param y: int64 (n,), class indices.
    :param teacher: logits (n, K) of the frozen base model on the clean views.
    """
    label = functional.one_hot(y, teacher.shape[1]).to(teacher.dtype)
    soft = (teacher / recipe.temperature).softmax(1)
    return Targets(torch.lerp(label, soft, recipe.teacher_clean), torch.lerp(label, soft, recipe.teacher_views))


def batch_loss(logits: Tensor, wanted: Targets, adversarial: Tensor, corrupted: Tensor, recipe: Recipe) -> list[Tensor]:
    """Return the weighted means over clean, adversarial and corrupted views; their sum is the loss.

    :param logits: of the clean views (n), then the adversarial, then the corrupted ones.
    :param wanted: the targets of the batch.
    :param adversarial: positions in the batch of the samples that entered as adversarial views.
    :param corrupted: positions of those that entered corrupted.
    :param recipe: the weights of the views.
    """
    parts = torch.split(logits, [len(wanted.clean), len(adversarial), len(corrupted)])
    goals = (wanted.clean, wanted.views[adversarial], wanted.views[corrupted])
    means = [
        soft_cross_entropy(part, goal).mean() if len(part) else part.sum()
        for part, goal in zip(parts, goals, strict=True)
    ]
    return [means[0], means[1] * recipe.adversarial_weight, means[2] * recipe.corrupted_weight]
