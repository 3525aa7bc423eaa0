"""Small sets on disk, written by this package, and the clean images that they were made of."""

from __future__ import annotations

import resource
from contextlib import contextmanager

import numpy as np
import pytest
import torch
from PIL import Image

from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.datasets.folders import folder
from art_weakrobust.perturbations.corruptions.stored.writing import write_set

N = 60


def _negative(x, ids, severity, seed):
    """Dim an image by its severity, and shift it by a level for each id: cheap, and told apart."""
    return ((x * 255 * (1 - severity / 10)).round() + (ids % 3).view(-1, 1, 1, 1)).clamp(0, 255) / 255


def _noisy(x, ids, severity, seed):
    generator = torch.Generator().manual_seed(seed % 1000 + severity)
    return (x + 0.02 * severity * torch.randn(x.shape, generator=generator)).clamp(0, 1).mul(255).round() / 255


@pytest.fixture(scope="session")
def dim():
    """A corruption that draws nothing."""
    return _negative


@pytest.fixture(scope="session")
def clean():
    """Sixty small pictures in ten classes, in an order of their own."""
    rng = np.random.default_rng(5)
    x = np.rint(rng.uniform(0, 1, (N, 3, 8, 8)) * 255).astype(np.float32) / 255
    return ArrayDataset(x, rng.permutation(np.arange(N) % 10), name="clean")


@pytest.fixture(scope="session")
def arrays(clean, dim, tmp_path_factory):
    """``clean`` in the layout of CIFAR-C; not to be altered."""
    root = tmp_path_factory.mktemp("arrays") / "set"
    write_set(clean, root, {"dim": dim, "noisy": _noisy}, dataset="clean", split="test", workers=2)
    return root


@pytest.fixture(scope="session")
def pictures_root(tmp_path_factory):
    """Three pictures each of four classes to test on, one each to train on, in folders of PNG."""
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(1)
    for kind in ("ant", "bee", "cat", "dog"):
        (root / "val" / kind).mkdir(parents=True)
        for number in range(3):
            levels = rng.integers(0, 256, (4, 4, 3), dtype=np.uint8).repeat(4, 0).repeat(4, 1)
            Image.fromarray(levels).save(root / "val" / kind / f"{kind}_{number}.png")
        (root / "train" / kind).mkdir(parents=True)
        Image.fromarray(levels).save(root / "train" / kind / f"{kind}_of_training.png")
    return root


@pytest.fixture(scope="session")
def in_folders(pictures_root):
    """The pictures of :func:`pictures_root` as a data set."""
    return folder(str(pictures_root), split="test")


@pytest.fixture
def tree(in_folders, dim, tmp_path):
    """``in_folders`` in the layout of ImageNet-C."""
    write_set(in_folders, tmp_path / "tree", {"dim": dim, "noisy": _noisy}, severities=(1, 2), workers=2)
    return tmp_path / "tree"


@pytest.fixture
def full_disk():
    """Return a context in which no file grows beyond some bytes: the system refuses, as a full disk does."""

    @contextmanager
    def limited(size):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))

    return limited


@pytest.fixture(scope="session")
def content():
    """Return a function that gives every file of a set with its bytes, but for the lock."""

    def read(root):
        files = [path for path in sorted(root.rglob("*")) if path.is_file() and path.name != ".lock"]
        return {path.relative_to(root).as_posix(): path.read_bytes() for path in files}

    return read
