"""Registers the estimators that come with the package."""

from __future__ import annotations

from ..plugins import Spec, hookimpl


@hookimpl
def weakrobust_register_estimators() -> list[Spec]:
    """Return the built-in estimators."""
    return [
        Spec(
            "fast",
            "FastPyTorchClassifier: a drop-in for ART's PyTorchClassifier that does less work (default)",
            "art_weakrobust.estimators.pytorch:FastPyTorchClassifier.from_model",
        ),
        Spec(
            "stock",
            "ART's own PyTorchClassifier, to compare with",
            "art_weakrobust.estimators.stock:stock",
            facts={"draws": True},  # its loader of batches takes a seed from torch's global generator, unused
        ),
        Spec(
            "black-box",
            "any callable or endpoint that maps a batch to scores or labels; no gradients",
            "art_weakrobust.estimators.black_box:black_box",
        ),
    ]
