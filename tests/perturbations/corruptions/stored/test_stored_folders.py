"""Sets in the layout of ImageNet-C: paired by path; what a tree lacks is named."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.datasets.folders import folder, wnids
from art_weakrobust.errors import DataError, UsageError
from art_weakrobust.perturbations.corruptions.stored import tree as trees
from art_weakrobust.perturbations.corruptions.stored.folders import imagenet_3dcc, imagenet_c
from art_weakrobust.perturbations.corruptions.stored.writing import write_set


def test_every_corruption_found_is_a_type(tree):
    assert list(imagenet_c(str(tree))) == ["imagenet-c/dim", "imagenet-c/noisy"]
    assert list(imagenet_3dcc(str(tree))) == ["imagenet-3dcc/dim", "imagenet-3dcc/noisy"]


def test_images_are_paired_by_path_with_ids_and_labels_of_the_test_images(tree, in_folders):
    held = imagenet_c(str(tree))["imagenet-c/dim"].against(in_folders)
    assert held.paired
    assert held.pairing == "paired by path with 12 of the 12 test images"
    stored, clean = (data.take(np.array([7, 2])) for data in (held.dataset(1), in_folders))
    np.testing.assert_array_equal(stored.ids, clean.ids)
    np.testing.assert_array_equal(stored.y, clean.y)
    assert [path.rsplit(".")[0].split("/")[1:] for path in stored.paths] == [
        path.rsplit(".")[0].split("/")[1:] for path in clean.paths
    ]
    assert np.abs(stored.x - 0.9 * clean.x).mean() < 0.08  # JPEG halves the colours; other images are 0.3 apart


def test_images_that_the_test_set_lacks_are_left_out(tree, pictures_root, tmp_path):
    few = shutil.copytree(pictures_root, tmp_path / "few")
    (few / "val" / "bee" / "bee_1.png").unlink()
    held = imagenet_c(str(tree))["imagenet-c/dim"].against(folder(str(few), split="test"))
    assert held.pairing == "paired by path with 11 of the 11 test images"
    assert len(held.dataset(2)) == 11


def test_a_missing_severity_is_named(tree):
    shutil.rmtree(tree / "dim" / "2")
    with pytest.raises(DataError, match="'dim' has no severity 2"):
        imagenet_c(str(tree))


def test_a_missing_class_is_named(tree):
    shutil.rmtree(tree / "noisy" / "2" / "cat")
    with pytest.raises(DataError, match=r"'noisy' lacks the class 'cat' at severity 2 \(1 of 4 classes missing"):
        imagenet_c(str(tree))


def test_an_image_missing_at_one_severity_is_named(tree, in_folders):
    (tree / "dim" / "2" / "ant" / "ant_2.JPEG").unlink()
    held = imagenet_c(str(tree))["imagenet-c/dim"].against(in_folders)
    with pytest.raises(DataError, match="severity 2 lacks the image ant/ant_2"):
        held.dataset(2)


def test_a_folder_without_the_layout_is_refused(pictures_root):
    with pytest.raises(DataError, match=r"holds no CORRUPTION/SEVERITY/CLASS/\*.JPEG"):
        imagenet_c(str(pictures_root))


def test_paths_alone_are_not_believed(tree, in_folders, pictures_root, tmp_path):
    other = shutil.copytree(pictures_root, tmp_path / "other")
    rng = np.random.default_rng(9)
    for file in other.rglob("*.png"):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), dtype=np.uint8)).save(file)
    held = imagenet_c(str(tree))["imagenet-c/dim"].against(folder(str(other), split="test"))
    assert not held.paired
    assert held.pairing.startswith("unpaired: no test image looks like")


def test_unpaired_images_have_the_labels_of_their_wordnet_ids(tree, in_folders):
    (tree / "corruptions.json").unlink()
    for place in tree.glob("*/*"):
        for old, new in zip(("ant", "bee", "cat", "dog"), (999, 5, 0, 7), strict=True):
            (place / old).rename(place / wnids()[new])
    for name in ("dim", "noisy"):
        for severity in (3, 4, 5):
            shutil.copytree(tree / name / "1", tree / name / str(severity))
    stored = imagenet_c(str(tree))["imagenet-c/dim"]
    data = stored.dataset(1)
    assert data.ids.max() < 0
    assert set(data.take(data.ids).y) == {0, 5, 7, 999}
    with pytest.raises(DataError, match="label 999, and the test images have 4 classes"):
        stored.against(in_folders)


def test_unpaired_images_in_folders_of_other_names_have_no_label(tree, in_folders):
    for place in tree.glob("*/*"):
        (place / "ant").rename(place / "wasp")
    stranger = ArrayDataset(in_folders.take(np.arange(12)).x, in_folders.labels())
    held = imagenet_c(str(tree))["imagenet-c/dim"].against(stranger)
    with pytest.raises(DataError, match=r"class folder 'wasp' is no WordNet id .* its label is unknown"):
        held.dataset(1)


def test_a_set_of_data_without_paths_is_paired_by_the_ids_in_its_names(clean, dim, tmp_path):
    write_set(clean, tmp_path / "set", {"dim": dim}, severities=[1], layout="folders")
    assert (tmp_path / "set" / "dim" / "1" / f"{clean.labels()[7]:04d}" / "00000007.JPEG").is_file()
    held = imagenet_c(str(tmp_path / "set"))["imagenet-c/dim"].against(clean)
    assert held.paired
    np.testing.assert_array_equal(held.dataset(1).take(np.arange(60)).y, clean.labels())


def test_images_are_resized_and_cropped_where_it_is_asked_for(tree):
    stored = imagenet_c(str(tree), resize=12, crop=10)["imagenet-c/dim"]
    assert stored.dataset(1).input_shape == (3, 10, 10)


def test_images_of_another_size_than_the_test_images_say_what_to_do(tree, pictures_root):
    with pytest.raises(DataError, match="choose the set of these images, or :resize=N:crop=N"):
        imagenet_c(str(tree))["imagenet-c/dim"].against(folder(str(pictures_root), split="test", resize=8))


def test_robustbench_s_subset_is_its_5000_images():
    subset = trees.robustbench_subset()
    assert len(set(subset)) == 5000
    assert len({kind for kind, _ in subset}) == 997
    assert subset[0] == ("n09468604", "ILSVRC2012_val_00015253")


def test_robustbench_s_subset_is_read_in_its_order_and_what_it_lacks_is_named(tree, in_folders, monkeypatch):
    monkeypatch.setattr(trees, "robustbench_subset", lambda: (("cat", "cat_2"), ("ant", "ant_0")))
    held = imagenet_c(str(tree), subset="robustbench")["imagenet-c/dim"].against(in_folders)
    np.testing.assert_array_equal(held.dataset(1).ids, [0, 8])
    monkeypatch.setattr(trees, "robustbench_subset", lambda: (("cat", "cat_9"),))
    with pytest.raises(DataError, match=r"lacks cat/cat_9 of RobustBench's subset \(1 of 1 images missing\)"):
        imagenet_c(str(tree), subset="robustbench")["imagenet-c/dim"].against(in_folders)


def test_another_subset_is_refused(tree):
    with pytest.raises(UsageError, match="subset 'half' is not known; use all or robustbench"):
        imagenet_c(str(tree), subset="half")


def test_labels_are_told_in_the_order_of_the_ids(tree, in_folders, monkeypatch):
    monkeypatch.setattr(trees, "robustbench_subset", lambda: (("cat", "cat_2"), ("ant", "ant_0")))
    held = imagenet_c(str(tree), subset="robustbench")["imagenet-c/dim"].against(in_folders)
    np.testing.assert_array_equal(held.dataset(1).labels(), in_folders.labels()[[0, 8]])
