"""The data sets that come with the package."""

from __future__ import annotations

from ..plugins import Spec, hookimpl


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
            facts={"columns": "img or image: struct<bytes, path> or bytes; label or fine_label, or --label-column"},
        ),
        Spec(
            "npz",
            "arrays x_train, y_train, x_test, y_test in one npz file: npz:FILE",
            "art_weakrobust.datasets.npz:npz",
            facts={"pixels": "(n, c, h, w); floats in [0, 1], or uint8, which is divided by 255"},
        ),
    ]
