"""Registers the validator."""

from __future__ import annotations

from ..plugins import Spec, hookimpl


@hookimpl
def weakrobust_register_validators() -> list[Spec]:
    """Offer the validator of weak robust samples."""
    return [
        Spec(
            "weakrobust",
            "Accuracy per attack and corruption, on weak samples, their control group and the test set",
            "art_weakrobust.validator:WeakRobustValidator",
            needs=("decisions",),
        )
    ]
