"""Registers the trainer of this package."""

from __future__ import annotations

from ..plugins import Spec, hookimpl


@hookimpl
def weakrobust_register_trainers() -> list[Spec]:
    """Offer fine-tuning on few-step adversarials and corruptions."""
    return [
        Spec(
            "weakrobust",
            "few-step adversarials, corruptions and the base model's soft labels; a dial back to the base",
            "art_weakrobust.trainer:WeakRobustTrainer",
            needs=("gradients", "labels"),
        )
    ]
