"""Pictures that every corruption is compared on, and what it means to agree with a reference."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
from PIL import Image
from scipy import ndimage

SMALL, LARGE = 200, 20  # pictures of 32 and of 224 px


@pytest.fixture(scope="session")
def pictures() -> Callable[[int], np.ndarray]:
    """Pictures of a size as uint8 (n, 3, size, size): real ones where there are any, otherwise smooth random ones."""
    root = os.environ.get("ART_WEAKROBUST_DATA")
    kept = {size: (_real if root else _smooth)(size, Path(root or ".")) for size in (32, 224)}
    return kept.__getitem__


@pytest.fixture(scope="session")
def agree(pictures) -> Callable[..., None]:
    """Assert that a corruption and its reference agree within one level on 99.9 % of the pixels.

    The reference gets the same random fields, drawn by ``draw(ids)`` where it draws any, image by image: it is called
    with an image as uint8 (h, w, 3) and the fields of that image, and gives levels 0 to 255.
    """

    def check(corruption, reference, size: int, severity: int, draw=None, seed: int = 3) -> None:
        levels = pictures(size)
        ids = torch.arange(len(levels)) * 7 + 1
        x = torch.from_numpy(levels).to(torch.float32) / 255
        actual = corruption(x, ids, severity, seed)
        assert actual.dtype == torch.float32
        assert torch.equal(actual, (actual * 255).round() / 255)
        actual = (actual * 255).round().numpy().transpose(0, 2, 3, 1)
        fields = [field.numpy() for field in draw(ids, seed)] if draw else []
        apart = [
            np.abs(actual[number] - np.asarray(reference(image, *(field[number] for field in fields)), dtype=float))
            for number, image in enumerate(levels.transpose(0, 2, 3, 1))
        ]
        share = np.mean(np.stack(apart) > 1)
        assert share <= 0.001, f"{share:.3%} of the values are more than a level apart"

    return check


def _real(size: int, root: Path) -> np.ndarray:
    if size == 32:
        column = pq.ParquetFile(next((root / "cifar10").glob("test-*"))).read_row_group(0, columns=["img"])["img"]
        images = [Image.open(io.BytesIO(row["bytes"])) for row in column[:SMALL].to_pylist()]
    else:
        files = sorted((root / "imagenet-sample" / "val").glob("*/*.JPEG"))[:: 1000 // LARGE][:LARGE]
        images = [Image.open(file).convert("RGB").crop((16, 16, 240, 240)) for file in files]
    return np.stack([np.asarray(image) for image in images]).transpose(0, 3, 1, 2).copy()


def _smooth(size: int, _: Path) -> np.ndarray:
    noise = np.random.default_rng(0).normal(size=(40 if size == 32 else 4, 3, size, size))
    smooth = ndimage.gaussian_filter(noise, (0, 0, size / 16, size / 16))
    return np.clip(128 + 90 * smooth / smooth.std(), 0, 255).astype(np.uint8)
