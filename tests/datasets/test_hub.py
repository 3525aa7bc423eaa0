"""Data sets by the Hugging Face library, from local files: nothing is fetched."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from art_weakrobust.datasets.hub import hf
from art_weakrobust.errors import DataError

datasets = pytest.importorskip("datasets")
pytestmark = pytest.mark.usefixtures("own_cache")

PIXELS = np.random.default_rng(0).integers(0, 256, (6, 9, 7, 3), dtype=np.uint8)


@pytest.fixture
def own_cache(monkeypatch, tmp_path):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    datasets.disable_progress_bars()


def png(pixels: np.ndarray) -> bytes:
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def stored(tmp_path) -> str:
    """A folder as the library's users push it to the hub: parquet, a train and a test split."""
    features = datasets.Features({"image": datasets.Image(), "label": datasets.ClassLabel(names=["a", "b", "c"])})
    for split, rows in (("train", range(4)), ("test", range(4, 6))):
        columns = {
            "image": [{"bytes": png(PIXELS[i]), "path": f"{i}.png"} for i in rows],
            "label": [i % 3 for i in rows],
        }
        whole = datasets.Dataset.from_dict(columns, features=features)
        whole.to_parquet(str(tmp_path / "set" / "data" / f"{split}-00000-of-00001.parquet"))
    return str(tmp_path / "set")


def test_images_labels_and_paths_come_from_the_split(stored):
    data = hf(stored, split="test")
    samples = data.take(np.array([1, 0]))
    expected = PIXELS[[5, 4]].transpose(0, 3, 1, 2).astype(np.float32) / np.float32(255)
    assert np.array_equal(samples.x, expected)
    assert (samples.y.tolist(), samples.paths) == ([2, 1], ("5.png", "4.png"))
    assert (data.class_names, data.input_shape) == (("a", "b", "c"), (3, 9, 7))


def test_images_that_are_files_of_their_own_are_read_where_they_lie(tmp_path):
    for i, kind in enumerate("ab"):
        file = tmp_path / "set" / "train" / kind / f"{i}.png"
        file.parent.mkdir(parents=True)
        file.write_bytes(png(PIXELS[i]))
    data = hf(str(tmp_path / "set"), split="all")
    assert data.paths() == ("0.png", "1.png")
    assert np.array_equal(np.rint(255 * data.take(np.arange(2)).x), PIXELS[:2].transpose(0, 3, 1, 2))
    file.unlink()
    with pytest.raises(DataError, match=r"1\.png' cannot be read: No such file"):
        data.take(np.array([1]))


def test_parts_and_sizes_are_as_everywhere(stored):
    assert hf(stored, resize=5, crop=4).input_shape == (3, 4, 4)
    assert hf(stored, indices=[3]).take(np.array([3])).y.tolist() == [0]


def test_the_fingerprint_is_that_of_the_split(stored):
    assert hf(stored).fingerprint() == hf(stored).fingerprint()
    assert hf(stored).fingerprint() != hf(stored, split="test").fingerprint()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"split": "dev"}, "no split 'dev'; it has: 'train', 'test'"),
        ({"label_column": "lable"}, "did you mean 'label'"),
    ],
)
def test_what_is_not_there_is_refused(stored, options, words):
    with pytest.raises(DataError, match=words):
        hf(stored, **options)


def test_a_name_that_is_in_no_cache_says_how_to_fetch_it():
    with pytest.raises(DataError, match="--download"):
        hf("nobody/nothing-of-this-name")
