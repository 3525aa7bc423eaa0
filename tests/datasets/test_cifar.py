"""CIFAR as torchvision keeps it: the official order, and nothing unpickled that is not the official file."""

from __future__ import annotations

import hashlib
import pickle

import numpy as np
import pytest
from torchvision.datasets import CIFAR10, CIFAR100

from art_weakrobust.datasets.cifar import cifar10, cifar100
from art_weakrobust.errors import DataError

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 3, 32, 32), dtype=np.uint8)


def md5(content: bytes) -> str:
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


@pytest.fixture
def root(tmp_path, monkeypatch):
    """A folder of both sets with five images a split, declared official."""
    for kind, labels, key in ((CIFAR10, "labels", "label_names"), (CIFAR100, "fine_labels", "fine_label_names")):
        folder = tmp_path / kind.base_folder
        folder.mkdir()
        batch = pickle.dumps({"data": PIXELS.reshape(5, -1), labels: [1, 0, 2, 1, 0]})
        names = pickle.dumps({key: ["a", "b", "c"]})
        for file, content in (("train", batch), ("test", batch), ("meta", names)):
            (folder / file).write_bytes(content)
        monkeypatch.setattr(kind, "train_list", [["train", md5(batch)]])
        monkeypatch.setattr(kind, "test_list", [["test", md5(batch)]])
        monkeypatch.setattr(kind, "meta", {"filename": "meta", "key": key, "md5": md5(names)})
    return tmp_path


@pytest.mark.parametrize("source", [cifar10, cifar100])
def test_images_come_in_the_official_order(root, source):
    samples = source(str(root), split="test").take(np.arange(5))
    assert np.array_equal(samples.x, PIXELS.astype(np.float32) / np.float32(255))
    assert samples.y.tolist() == [1, 0, 2, 1, 0]
    assert source(str(root)).class_names == ("a", "b", "c")


def test_parts_keep_their_ids(root):
    assert cifar10(str(root), indices=[4, 2]).take(np.array([4])).y.tolist() == [0]
    assert len(cifar10(str(root), limit=3)) == 3


def test_a_file_that_is_not_the_official_one_is_never_unpickled(root):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    (root / CIFAR10.base_folder / "train").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(DataError, match="not the official one"):
        cifar10(str(root))


def test_missing_files_say_how_to_fetch_them(tmp_path):
    with pytest.raises(DataError, match="--download"):
        cifar10(str(tmp_path))
    with pytest.raises(DataError, match="does not exist"):
        cifar100(str(tmp_path / "nowhere"))


def test_there_are_two_splits(root):
    with pytest.raises(DataError, match="'train', 'test'"):
        cifar10(str(root), split="validation")
