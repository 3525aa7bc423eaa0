"""``write_set``: official layouts of any data, resumable wherever it stopped."""

from __future__ import annotations

import io
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.datasets.folders import folder
from art_weakrobust.datasets.subset import Subset
from art_weakrobust.errors import DataError, RunError, UsageError
from art_weakrobust.perturbations.corruptions.colour import contrast
from art_weakrobust.perturbations.corruptions.stored import manifest
from art_weakrobust.perturbations.corruptions.stored.writing import layout_of, write_set


class Stop(Exception):
    """Stands for a process that is killed."""


def stop_after(calls):
    left = iter(range(calls))

    def progress(name, done, total):
        if next(left, None) is None:
            raise Stop

    return progress


@pytest.fixture
def small_chunks(monkeypatch):
    """Ten images of 8 x 8 x 3 at once."""
    monkeypatch.setattr("art_weakrobust.perturbations.corruptions.stored.job._AT_ONCE", 10 * 192)


def grey(n, size):
    return ArrayDataset(np.zeros((n, 1, size, size), np.float32), np.arange(n))


def test_class_folders_and_large_images_become_folders_others_arrays(in_folders, clean):
    assert layout_of(in_folders) == "folders"
    assert layout_of(Subset(in_folders, np.arange(3))) == "folders"
    assert layout_of(clean) == layout_of(grey(1, 64)) == "arrays"
    assert layout_of(grey(1, 65)) == "folders"


def test_arrays_are_in_the_layout_of_cifar_c(clean, arrays, dim):
    written = np.load(arrays / "dim.npy")
    assert written.shape == (300, 8, 8, 3)
    assert written.dtype == np.uint8
    labels = np.load(arrays / "labels.npy")
    assert labels.dtype == np.uint8
    np.testing.assert_array_equal(labels, np.tile(clean.labels(), 5))
    x = clean.take(np.arange(60)).x
    wanted = dim(torch.from_numpy(x), torch.arange(60), 4, 0).mul(255).round().numpy().transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(written[180:240], wanted)


def test_a_part_of_a_set_is_not_written_as_arrays_whose_rows_are_ids(clean, dim, tmp_path):
    with pytest.raises(DataError, match="--split all"):
        write_set(Subset(clean, np.arange(1, 60, 2)), tmp_path / "set", {"dim": dim}, layout="arrays")
    assert not (tmp_path / "set").exists()


def test_severities_stand_where_readers_look_and_others_are_empty(clean, dim, tmp_path, arrays):
    write_set(clean, tmp_path / "set", {"dim": dim}, severities=(2, 4))
    part, whole = np.load(tmp_path / "set" / "dim.npy"), np.load(arrays / "dim.npy")
    np.testing.assert_array_equal(part[60:120], whole[60:120])
    np.testing.assert_array_equal(part[180:240], whole[180:240])
    assert len(part) == 240
    assert not part[:60].any()
    assert not part[120:180].any()


def test_labels_above_255_are_not_cut(tmp_path, dim):
    data = ArrayDataset(np.zeros((2, 1, 8, 8), np.float32), np.array([3, 300]))
    write_set(data, tmp_path / "set", {"dim": dim}, severities=[1])
    np.testing.assert_array_equal(np.load(tmp_path / "set" / "labels.npy"), [3, 300])


def test_folders_are_in_the_layout_of_imagenet_c_with_jpeg_of_quality_85(tree):
    files = sorted(path.relative_to(tree).as_posix() for path in tree.rglob("*.JPEG"))
    assert len(files) == 2 * 2 * 12
    assert files[0] == "dim/1/ant/ant_0.JPEG"
    reference = io.BytesIO()
    Image.new("RGB", (16, 16)).save(reference, "JPEG", quality=85)
    assert Image.open(tree / files[0]).quantization == Image.open(reference).quantization


def test_the_manifest_says_what_the_set_was_made_of(clean, dim, tmp_path):
    made = write_set(
        clean, tmp_path / "set", {"dim": dim}, seed=3, dataset="mine", split="train", versions={"torch": "9"}
    )
    assert made == manifest.read(tmp_path / "set")
    assert (made.seed, made.dataset, made.split, made.samples, made.shape) == (3, "mine", "train", 60, (3, 8, 8))
    assert made.fingerprint == clean.fingerprint()
    assert made.corruptions == {"dim": {"versions": {"torch": "9"}}}


def test_any_number_of_threads_writes_the_same_bytes(clean, dim, tmp_path, arrays, small_chunks):
    write_set(clean, tmp_path / "set", {"dim": dim}, workers=5)
    assert (tmp_path / "set" / "dim.npy").read_bytes() == (arrays / "dim.npy").read_bytes()


@pytest.mark.parametrize("calls", [0, 1, 7, 29])
def test_arrays_go_on_where_they_were_stopped(calls, clean, dim, tmp_path, arrays, small_chunks):
    ran = []

    def counted(x, ids, severity, seed):
        ran.append(len(x))
        return dim(x, ids, severity, seed)

    with pytest.raises(Stop):
        write_set(clean, tmp_path / "set", {"dim": dim}, progress=stop_after(calls), workers=1)
    assert not (tmp_path / "set" / "dim.npy").exists()
    write_set(clean, tmp_path / "set", {"dim": counted}, workers=1)
    assert (tmp_path / "set" / "dim.npy").read_bytes() == (arrays / "dim.npy").read_bytes()
    assert sum(ran) - 5 <= 300 - 10 * max(0, calls - 1)  # five: one image is tried at every severity first


def test_a_torn_row_is_written_again(clean, dim, tmp_path, arrays, small_chunks):
    with pytest.raises(Stop):
        write_set(clean, tmp_path / "set", {"dim": dim}, progress=stop_after(4), workers=1)
    part = tmp_path / "set" / "dim.npy.part"
    with part.open("r+b") as file:
        file.truncate(part.stat().st_size - 7)
    write_set(clean, tmp_path / "set", {"dim": dim})
    assert (tmp_path / "set" / "dim.npy").read_bytes() == (arrays / "dim.npy").read_bytes()


def test_folders_go_on_where_they_were_stopped(in_folders, dim, tmp_path, content, monkeypatch):
    monkeypatch.setattr("art_weakrobust.perturbations.corruptions.stored.job._AT_ONCE", 2 * 768)
    write_set(in_folders, tmp_path / "whole", {"dim": dim}, severities=[1, 5])
    with pytest.raises(Stop):
        write_set(in_folders, tmp_path / "set", {"dim": dim}, severities=[1, 5], progress=stop_after(3), workers=1)
    assert 0 < len(list((tmp_path / "set").rglob("*.JPEG"))) < 24
    write_set(in_folders, tmp_path / "set", {"dim": dim}, severities=[1, 5])
    assert content(tmp_path / "set") == content(tmp_path / "whole")


def test_a_full_disk_leaves_a_part_that_is_gone_on_with(clean, dim, tmp_path, arrays, full_disk, small_chunks):
    with full_disk(30_000), pytest.raises(RunError, match=r"cannot write .*dim.npy.part: File too large"):
        write_set(clean, tmp_path / "set", {"dim": dim})
    assert (tmp_path / "set" / "dim.npy.part").stat().st_size > 192 * 100
    write_set(clean, tmp_path / "set", {"dim": dim})
    assert (tmp_path / "set" / "dim.npy").read_bytes() == (arrays / "dim.npy").read_bytes()


def test_a_disk_that_fills_among_the_images_leaves_whole_ones(dim, tmp_path, full_disk, content):
    rng = np.random.default_rng(0)
    x = np.zeros((6, 3, 80, 80), np.float32)
    x[4] = rng.uniform(0, 1, (3, 80, 80))  # the one that compresses to more than there is room for
    data, kinds = ArrayDataset(x, np.arange(6)), {"dim": dim}
    with full_disk(4000), pytest.raises(RunError, match=r"cannot write .*00000004.JPEG"):
        write_set(data, tmp_path / "set", kinds, severities=[1], workers=1)
    for file in (tmp_path / "set").rglob("*.JPEG"):
        Image.open(file).load()
    assert not list((tmp_path / "set").rglob("*.part"))
    write_set(data, tmp_path / "set", kinds, severities=[1])
    write_set(data, tmp_path / "whole", kinds, severities=[1])
    assert content(tmp_path / "set") == content(tmp_path / "whole")


def test_a_set_grows_by_corruptions_and_keeps_what_it_has(clean, dim, tmp_path):
    write_set(clean, tmp_path / "set", {"dim": dim}, severities=[1])
    before = (tmp_path / "set" / "dim.npy").stat().st_mtime_ns
    made = write_set(clean, tmp_path / "set", {"dim": dim, "contrast": contrast}, severities=[1])
    assert list(made.corruptions) == ["dim", "contrast"]
    assert (tmp_path / "set" / "dim.npy").stat().st_mtime_ns == before


def test_a_set_made_in_another_way_is_refused_with_both_values(clean, dim, tmp_path, content):
    write_set(clean, tmp_path / "set", {"dim": dim}, severities=[1])
    before = content(tmp_path / "set")
    with pytest.raises(RunError, match=r"severities: \(1,\) there, \(2,\) now; seed: 0 there, 5 now"):
        write_set(clean, tmp_path / "set", {"dim": dim}, severities=[2], seed=5)
    assert content(tmp_path / "set") == before


def test_a_folder_of_somebody_else_is_refused(clean, dim, tmp_path):
    (tmp_path / "thesis.tex").write_text("")
    with pytest.raises(RunError, match="is not empty and holds no set of ours"):
        write_set(clean, tmp_path, {"dim": dim})


@pytest.mark.parametrize("pixel", [1.25, -0.5, np.nan, np.inf])
def test_pixels_out_of_range_or_not_finite_are_refused_with_their_sample(pixel, dim, tmp_path):
    class Broken(ArrayDataset):
        def _images(self, ids):
            x = super()._images(ids)
            x[ids == 3, 0, 2, 2] = pixel
            return x

    data = Broken(np.full((5, 1, 8, 8), 0.4, np.float32), np.arange(5))
    with pytest.raises(DataError, match=f"dim: sample 3 holds the pixel {pixel:.4g}, expected"):
        write_set(data, tmp_path / "set", {"dim": dim}, severities=[1])


def test_images_too_small_for_a_corruption_are_refused_before_anything_is_written(tmp_path):
    with pytest.raises(DataError, match="contrast needs images of at least 8 x 8 pixels, got 4 x 4"):
        write_set(grey(3, 4), tmp_path / "set", {"contrast": contrast})
    assert not (tmp_path / "set").exists()


@pytest.mark.parametrize(("wrong", "message"), [((0, 1), "severity 0"), ((6,), "severity 6"), ((), "some of 1 to 5")])
def test_severities_outside_1_to_5_are_refused(clean, dim, tmp_path, wrong, message):
    with pytest.raises(UsageError, match=message):
        write_set(clean, tmp_path / "set", {"dim": dim}, severities=wrong)


def test_two_images_that_would_have_one_name_are_refused(pictures_root, dim, tmp_path):
    root = shutil.copytree(pictures_root, tmp_path / "pictures")
    Image.new("RGB", (16, 16)).save(root / "val" / "ant" / "ant_0.jpg")
    with pytest.raises(DataError, match="two images are named ant/ant_0"):
        write_set(folder(str(root), split="test"), tmp_path / "set", {"dim": dim})
