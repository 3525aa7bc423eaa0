"""The models that come with the package."""

from __future__ import annotations

from ..plugins import Spec, hookimpl


@hookimpl
def weakrobust_register_models() -> list[Spec]:
    """Return the built-in models."""
    return [
        Spec(
            "digits-cnn",
            "a small CNN for the digits, trained on first use on their train split: the embedded default",
            "art_weakrobust.models.digits_cnn:digits_cnn",
            facts={"accuracy": "about 98 % on the digits' test split", "input": "(1, 8, 8)"},
        ),
        Spec(
            "python",
            "a network of your own: python:MODULE:FACTORY, with --weights FILE, --mean and --std",
            "art_weakrobust.models.factory:python",
            facts={"weights": "safetensors, or torch.save of a state dict; nothing is unpickled"},
        ),
    ]
