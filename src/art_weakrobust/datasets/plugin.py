"""The data sets that come with the package."""

from __future__ import annotations

from ..plugins import Spec, hookimpl

_HALVED = {"one split alone": "halved by the seed, --split train and test; --split all is the whole"}


@hookimpl
def weakrobust_register_datasets() -> list[Spec]:
    """Return the built-in data sets."""
    return [
        Spec(
            "digits",
            "scikit-learn's 1,797 handwritten digits, 8x8 grey, one fixed train/test split: the embedded default",
            "art_weakrobust.datasets.digits:digits",
            facts={"source": "UCI Optical Recognition of Handwritten Digits (Alpaydin, Kaynak, 1998), in scikit-learn"},
        ),
        Spec(
            "parquet",
            "PNG or JPEG images in parquet files of the Hugging Face layout: parquet:FOLDER or parquet:FILE",
            "art_weakrobust.datasets.parquet:parquet",
            facts={
                "columns": "img or image: struct<bytes, path> or bytes; label or fine_label, or --label-column",
                **_HALVED,
            },
        ),
        Spec(
            "cifar10",
            "CIFAR-10 as torchvision keeps it: cifar10:ROOT, fetched with --download alone",
            "art_weakrobust.datasets.cifar:cifar10",
            facts={"source": "Krizhevsky 2009; files held to the MD5 sums of the official ones"},
        ),
        Spec(
            "cifar100",
            "CIFAR-100, fine labels, as torchvision keeps it: cifar100:ROOT, fetched with --download alone",
            "art_weakrobust.datasets.cifar:cifar100",
            facts={"source": "Krizhevsky 2009; files held to the MD5 sums of the official ones"},
        ),
        Spec(
            "imagenet",
            "ImageNet-1k in the ImageFolder layout: imagenet:ROOT; classes by WordNet id, also of a pruned tree",
            "art_weakrobust.datasets.folders:imagenet",
            facts={"layout": "ROOT/SPLIT/WNID/*.JPEG; --resize, --crop; --split all", **_HALVED},
        ),
        Spec(
            "folder",
            "Images in class folders, the ImageFolder layout: folder:ROOT",
            "art_weakrobust.datasets.folders:folder",
            facts={"layout": "ROOT/SPLIT/CLASS/*.jpg or ROOT/CLASS/*.jpg; --resize, --crop; --split all", **_HALVED},
        ),
        Spec(
            "hf",
            "A data set of the Hugging Face hub or a local one, by the datasets library: hf:NAME or hf:NAME@CONFIG",
            "art_weakrobust.datasets.hub:hf",
            needs=("hf",),
            facts={"columns": "one image column; label or fine_label, or --label-column", **_HALVED},
        ),
        Spec(
            "npz",
            "arrays x_train, y_train, x_test, y_test in one npz file: npz:FILE",
            "art_weakrobust.datasets.npz:npz",
            facts={"pixels": "(n, c, h, w); floats in [0, 1], or uint8, which is divided by 255", **_HALVED},
        ),
    ]
