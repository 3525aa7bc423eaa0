"""What the plugin registers of the sets on disk; imports nothing heavy."""

from __future__ import annotations

from ....plugins import Spec

_HENDRYCKS = "Hendrycks and Dietterich 2019 (arXiv 1903.12261)"
_ARRAYS = "art_weakrobust.perturbations.corruptions.stored.arrays"
_FOLDERS = "art_weakrobust.perturbations.corruptions.stored.folders"

STORED = (
    Spec(
        "cifar10-c",
        "CIFAR-10-C, or any set of that layout, for the test images: cifar10-c:ROOT[:md5=true]",
        f"{_ARRAYS}:cifar10_c",
        facts={
            "source": f"{_HENDRYCKS}, https://zenodo.org/records/2535967",
            "layout": "ROOT/CORRUPTION.npy, five blocks of rows by severity, and ROOT/labels.npy",
        },
        many=True,
    ),
    Spec(
        "cifar100-c",
        "CIFAR-100-C, or any set of that layout, for the test images: cifar100-c:ROOT[:md5=true]",
        f"{_ARRAYS}:cifar100_c",
        facts={
            "source": f"{_HENDRYCKS}, https://zenodo.org/records/3555552",
            "layout": "ROOT/CORRUPTION.npy, five blocks of rows by severity, and ROOT/labels.npy",
        },
        many=True,
    ),
    Spec(
        "imagenet-c",
        "ImageNet-C, or any set of that layout, for the test images: imagenet-c:ROOT[:subset=robustbench]",
        f"{_FOLDERS}:imagenet_c",
        facts={
            "source": f"{_HENDRYCKS}, https://zenodo.org/records/2235448",
            "layout": "ROOT/CORRUPTION/SEVERITY/WNID/*.JPEG",
        },
        many=True,
    ),
    Spec(
        "imagenet-3dcc",
        "ImageNet-3DCC for the test images: imagenet-3dcc:ROOT[:subset=robustbench]",
        f"{_FOLDERS}:imagenet_3dcc",
        facts={
            "source": "Kar et al. 2022 (arXiv 2203.01441), https://github.com/EPFL-VILAB/3DCommonCorruptions",
            "layout": "ROOT/CORRUPTION/SEVERITY/WNID/*.JPEG",
        },
        many=True,
    ),
)
"""Called with the argument and the options behind it; each gives a mapping type -> stored corruption."""
