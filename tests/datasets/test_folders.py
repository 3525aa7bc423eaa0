"""Class folders: order, labels, splits, halves, ImageNet's classes, resizing as torchvision does it, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from torchvision import transforms

from art_weakrobust.datasets.base import limited_ids
from art_weakrobust.datasets.fit import Fit
from art_weakrobust.datasets.folders import folder, imagenet, wnids
from art_weakrobust.errors import DataError, UsageError

RANDOM = np.random.default_rng(3)


def write(path: Path, size=(12, 10), kind: str = "JPEG") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(RANDOM.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)).save(path, kind)


@pytest.fixture
def tree(tmp_path) -> Path:
    for split, count in (("train", 4), ("val", 2)):
        for name in ("zebra", "ant", "cat"):
            for number in range(count):
                write(tmp_path / split / name / f"{number}.jpg")
    return tmp_path


@pytest.fixture
def single(tmp_path) -> Path:
    for name in ("zebra", "ant"):
        for number in range(6):
            write(tmp_path / name / f"{number}.png", kind="PNG")
    return tmp_path


def test_ids_follow_the_sorted_paths_and_labels_the_sorted_folders(tree):
    data = folder(str(tree))
    samples = data.take(np.arange(len(data)))
    assert samples.paths == tuple(sorted(samples.paths))
    assert data.class_names == ("ant", "cat", "zebra")
    assert samples.y.tolist() == [0] * 4 + [1] * 4 + [2] * 4
    first = np.asarray(Image.open(tree / samples.paths[0]).convert("RGB")).transpose(2, 0, 1)
    assert np.array_equal(samples.x[0], first.astype(np.float32) / np.float32(255))


def test_test_is_val_where_there_is_no_test(tree):
    assert {path.split("/")[0] for path in folder(str(tree), split="test").take(np.arange(6)).paths} == {"val"}


def test_a_class_that_a_split_lacks_keeps_its_number(tree):
    for file in (tree / "val" / "ant").iterdir():
        file.unlink()
    (tree / "val" / "ant").rmdir()
    data = folder(str(tree), split="test")
    assert (data.nb_classes, sorted(set(data.labels().tolist()))) == (3, [1, 2])


def test_class_folders_in_the_root_are_a_single_split_and_halved(single):
    train, test = (set(folder(str(single), split=split).paths()) for split in ("train", "test"))
    assert not train & test
    assert train | test == set(folder(str(single), split="all").paths())


def test_all_is_every_image_there_is(tree):
    assert len(folder(str(tree), split="all")) == 12 + 6
    assert len(folder(str(tree / "train"), split="all")) == 12


def test_a_limit_keeps_the_shares_of_the_classes(tree):
    assert np.bincount(folder(str(tree), limit=6).labels()).tolist() == [2, 2, 2]
    assert folder(str(tree), indices=[1, 5]).take(np.array([5])).y.tolist() == [1]
    assert len(limited_ids(folder(str(tree)), 3)) == 3


def test_imagenet_s_classes_come_from_the_wordnet_id_and_not_from_the_place(tmp_path):
    kept = [wnids()[7], wnids()[990]]
    for wnid in kept:
        write(tmp_path / "val" / wnid / "a.JPEG")
    data = imagenet(str(tmp_path), split="all")
    assert data.labels().tolist() == [7, 990]
    assert (data.nb_classes, data.class_names[7]) == (1000, "cock")


def test_a_folder_that_is_no_wordnet_id_is_refused_with_the_nearest(tmp_path):
    write(tmp_path / "val" / "n01440765" / "a.JPEG")
    with pytest.raises(DataError, match="n01440764"):
        imagenet(str(tmp_path), split="all")


@pytest.mark.parametrize("size", [(40, 31), (31, 40), (32, 32)])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
def test_resize_and_crop_are_torchvision_s(tmp_path, size, interpolation):
    write(tmp_path / "train" / "a" / "x.png", size, "PNG")
    data = folder(str(tmp_path), resize=25, crop=20, interpolation=interpolation, split="all")
    image = Image.open(tmp_path / "train" / "a" / "x.png")
    mode = transforms.InterpolationMode(interpolation)
    expected = transforms.Compose([transforms.Resize(25, mode), transforms.CenterCrop(20), transforms.ToTensor()])(
        image
    )
    assert np.array_equal(data.take(np.array([0])).x[0], expected.numpy())


def test_a_squashed_image_keeps_nothing_of_its_proportion(tmp_path):
    write(tmp_path / "train" / "a" / "x.png", (40, 31), "PNG")
    data = folder(str(tmp_path), resize=25, squash=True, split="all")
    image = Image.open(tmp_path / "train" / "a" / "x.png")
    expected = transforms.Compose([transforms.Resize((25, 25)), transforms.ToTensor()])(image)
    assert np.array_equal(data.take(np.array([0])).x[0], expected.numpy())


def test_images_of_mixed_size_are_refused_with_the_way_out(tree):
    write(tree / "train" / "zebra" / "9.jpg", (20, 20))
    with pytest.raises(DataError, match="--resize N --crop N"):
        folder(str(tree)).take(np.arange(13))
    assert folder(str(tree), resize=8, crop=8).input_shape == (3, 8, 8)


def test_the_fingerprint_changes_with_the_files_and_with_the_fit(tree):
    before = folder(str(tree)).fingerprint()
    assert before == folder(str(tree)).fingerprint()
    assert before != folder(str(tree), resize=8, crop=8).fingerprint()
    write(tree / "train" / "ant" / "new.jpg")
    assert before != folder(str(tree)).fingerprint()


def test_a_broken_image_is_named_with_its_path(tree):
    broken = tree / "train" / "cat" / "2.jpg"
    broken.write_bytes(broken.read_bytes()[:300])
    with pytest.raises(DataError, match=r"cat/2\.jpg"):
        folder(str(tree)).take(np.arange(12))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"crop": 0}, "crop 0 has to be"),
        ({"resize": -1}, "resize -1 has to be"),
        ({"interpolation": "lanczos"}, "'lanczos' is not known"),
    ],
)
def test_wrong_sizes_are_refused(tree, options, words):
    with pytest.raises(UsageError, match=words):
        folder(str(tree), **options)


def test_a_crop_beyond_the_image_is_refused():
    with pytest.raises(DataError, match="smaller than the crop of 20"):
        Fit(crop=20)(np.zeros((3, 10, 30), np.uint8), "x")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda root: root / "train" / "ant" / "0.jpg", "is a file"),
        (lambda root: (root / "empty").mkdir() or root / "empty", "holds no class folders"),
        (lambda root: (root / "train" / "bee").mkdir() or root, "'.*bee' holds no"),
        (lambda root: root / "trian", "trian"),
    ],
)
def test_a_root_that_is_not_the_layout_is_refused(tree, make, words):
    with pytest.raises(DataError, match=words):
        folder(str(make(tree)))


def test_a_split_that_is_not_there_is_refused(tree):
    with pytest.raises(DataError, match="no split 'dev'; it has: 'train', 'val', 'all'"):
        folder(str(tree), split="dev")
