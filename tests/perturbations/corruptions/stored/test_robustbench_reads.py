"""RobustBench's own readers read what was written."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.datasets.folders import imagenet
from art_weakrobust.perturbations.corruptions.colour import brightness
from art_weakrobust.perturbations.corruptions.stored.tree import robustbench_subset
from art_weakrobust.perturbations.corruptions.stored.writing import write_set


@pytest.fixture(scope="module")
def readers():
    """``robustbench.data``; two modules that it imports and its readers never call are stood in for, if missing."""
    stubs = {}
    if find_spec("pkg_resources") is None:
        stubs["pkg_resources"] = ModuleType("pkg_resources")
        stubs["pkg_resources"].resource_filename = lambda name, file: str(
            Path(sys.modules[name].__file__).parent / file
        )
    if find_spec("autoattack") is None:
        stubs["autoattack"], stubs["autoattack.state"] = ModuleType("autoattack"), ModuleType("autoattack.state")
        stubs["autoattack"].__path__ = []
        stubs["autoattack"].AutoAttack = stubs["autoattack.state"].EvaluationState = object
    with pytest.MonkeyPatch.context() as patch:
        for name, module in stubs.items():
            patch.setitem(sys.modules, name, module)
        from robustbench import data
    return data


def test_load_cifar10c_reads_ten_thousand_images_of_every_severity(readers, tmp_path):
    rng = np.random.default_rng(0)
    x = rng.integers(0, 256, (10_000, 3, 8, 8), dtype=np.uint8)
    y = rng.integers(0, 10, 10_000)
    clean = ArrayDataset(x, y, allow_bytes=True)
    write_set(clean, tmp_path / "CIFAR-10-C", {"brightness": brightness}, severities=(1, 5))
    for severity, added in ((1, 0.05), (5, 0.3)):
        images, labels = readers.load_cifar10c(10_000, severity, str(tmp_path), corruptions=["brightness"])
        np.testing.assert_array_equal(labels.numpy(), y)
        brighter = np.minimum(x.max(axis=1) / 255 + added, 1)
        np.testing.assert_allclose(images.numpy().max(axis=1), brighter, atol=1 / 255)


def test_load_imagenetc_reads_a_tree_named_from_its_list(readers, tmp_path):
    wanted = robustbench_subset()
    firsts = dict(reversed([(kind, (kind, stem)) for kind, stem in wanted]))  # one of each of the 997 classes
    for number, (kind, stem) in enumerate({*wanted[:20], *firsts.values()}):
        folder = tmp_path / "clean" / "val" / kind
        folder.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number % 251, 80, 120)).save(folder / f"{stem}.JPEG", quality=95)
    clean = imagenet(str(tmp_path / "clean"), split="all")
    write_set(clean, tmp_path / "ImageNet-C", {"brightness": brightness}, severities=[3])
    images, labels = readers.load_imagenetc(20, 3, str(tmp_path), corruptions=["brightness"])
    folders = sorted({kind for kind, _ in wanted})
    assert labels.tolist() == [folders.index(kind) for kind, _ in wanted[:20]]
    assert images.shape == (20, 3, 8, 8)
    path_of = {path.split("/", 1)[1]: number for number, path in enumerate(clean.paths())}
    ids = np.array([path_of[f"{kind}/{stem}.JPEG"] for kind, stem in wanted[:20]])
    x = clean.take(ids).x
    factor = np.minimum(x.max(1, keepdims=True) + 0.15, 1) / x.max(1, keepdims=True)
    np.testing.assert_allclose(images.numpy(), x * factor, atol=4 / 255)
