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
            facts={
                "weights": "safetensors, or torch.save of a state dict; unpickled with --allow-unsafe-checkpoint alone"
            },
        ),
        Spec(
            "robustbench",
            "RobustBench's zoo of 206: robustbench:DATASET/THREAT/NAME from --model-dir, fetched with --download alone",
            "art_weakrobust.models.robustbench:robustbench",
            facts={"source": "Croce et al., arXiv 2010.09670", "listing": "art-weakrobust models"},
        ),
        Spec(
            "torchvision",
            "a classifier of torchvision: torchvision:NAME or torchvision:NAME@WEIGHTS, its normalisation inside",
            "art_weakrobust.models.torchvision:torchvision",
        ),
        Spec(
            "timm",
            "a classifier of timm: timm:NAME, its normalisation inside",
            "art_weakrobust.models.timm:timm",
        ),
        Spec(
            "endpoint",
            "a model behind an address, for --estimator black-box: endpoint:http://HOST/PATH",
            "art_weakrobust.models.endpoint:endpoint",
            facts={"asked": "POST of a .npy file, float32 (n, c, h, w)", "answers": "JSON or .npy: labels, or scores"},
        ),
    ]
