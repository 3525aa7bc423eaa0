"""Sets in the layout of CIFAR-C: read lazily, paired by index where the order is the same, held to their sums."""

from __future__ import annotations

import hashlib
import shutil

import numpy as np
import pytest
import torch

from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.errors import DataError, PluginError, UsageError
from art_weakrobust.kernels.keyed import derive
from art_weakrobust.perturbations.corruptions.noise import gaussian_noise
from art_weakrobust.perturbations.corruptions.stored import sums
from art_weakrobust.perturbations.corruptions.stored.arrays import cifar10_c, cifar100_c
from art_weakrobust.perturbations.corruptions.stored.writing import write_set
from art_weakrobust.perturbations.resolve import resolve_corruptions
from art_weakrobust.plugins.manager import Manager
from art_weakrobust.protocols import Dataset, StoredCorruption


@pytest.fixture
def copied(arrays, tmp_path):
    return shutil.copytree(arrays, tmp_path / "set")


@pytest.fixture
def foreign(copied):
    """The set as somebody else's, without our manifest."""
    (copied / "corruptions.json").unlink()
    return copied


def test_every_type_found_is_a_stored_corruption_named_after_set_and_file(arrays):
    found = cifar10_c(str(arrays))
    assert list(found) == ["cifar10-c/dim", "cifar10-c/noisy"]
    assert all(isinstance(kind, StoredCorruption) for kind in found.values())
    assert list(cifar100_c(str(arrays))) == ["cifar100-c/dim", "cifar100-c/noisy"]


def test_sets_on_disk_enter_beside_generated_corruptions_by_the_same_door(arrays):
    found = resolve_corruptions(f"gaussian_noise,cifar10-c:{arrays},cifar100-c:{arrays}:label=mine", Manager())
    assert [kind.name for kind in found] == [
        *("gaussian_noise", "cifar10-c/dim", "cifar10-c/noisy", "mine/dim", "mine/noisy"),
    ]
    assert [kind.stored for kind in found] == [False, True, True, True, True]


def test_a_stored_type_is_of_the_group_of_its_corruption(clean, tmp_path):
    write_set(clean, tmp_path / "set", {"gaussian_noise": gaussian_noise}, severities=[1])
    (found,) = resolve_corruptions([f"cifar10-c:{tmp_path / 'set'}"], Manager())
    assert found.info.group == "noise"


@pytest.mark.parametrize("severity", [1, 5])
def test_a_severity_is_its_block_of_rows_with_int64_labels(clean, arrays, dim, severity):
    data = cifar10_c(str(arrays))["cifar10-c/dim"].against(clean).dataset(severity)
    assert isinstance(data, Dataset)
    ids = np.array([41, 3])
    taken, own = data.take(ids), clean.take(ids)
    assert taken.y.dtype == np.int64
    np.testing.assert_array_equal(taken.y, own.y)
    np.testing.assert_array_equal(taken.x, dim(torch.from_numpy(own.x), torch.from_numpy(ids), severity, 0).numpy())


def test_what_is_on_disk_is_what_a_validation_of_that_seed_makes(clean, tmp_path):
    write_set(clean, tmp_path / "set", {"gaussian_noise": gaussian_noise}, severities=[2], seed=7)
    stored = cifar10_c(str(tmp_path / "set"))["cifar10-c/gaussian_noise"].against(clean)
    samples = clean.take(np.arange(len(clean)))
    made = gaussian_noise(torch.from_numpy(samples.x), torch.from_numpy(samples.ids), 2, derive(7, "gaussian_noise"))
    np.testing.assert_array_equal(stored.dataset(2).take(samples.ids).x, made.numpy())


def test_images_stay_on_disk_until_they_are_taken(arrays, clean):
    block = cifar10_c(str(arrays))["cifar10-c/dim"].against(clean).dataset(3)
    assert isinstance(block._pixels, np.memmap)


def test_the_set_is_paired_by_index_with_images_in_its_order(arrays, clean):
    held = cifar10_c(str(arrays))["cifar10-c/noisy"].against(clean)
    assert held.paired
    assert held.pairing == "paired by index with the test images"


def test_the_first_images_of_the_order_are_paired_too(arrays, clean):
    first = clean.take(np.arange(25))
    assert cifar10_c(str(arrays))["cifar10-c/dim"].against(ArrayDataset(first.x, first.y)).paired


def test_images_in_another_order_are_unpaired_and_it_is_said(arrays, clean):
    other = clean.take(np.arange(len(clean))[::-1])
    held = cifar10_c(str(arrays))["cifar10-c/dim"].against(ArrayDataset(other.x, other.y))
    assert not held.paired
    assert held.pairing == "unpaired: its labels are in another order"


def test_other_images_with_the_same_labels_are_unpaired_since_the_mildest_severity_is_looked_at(arrays, clean):
    labels = clean.labels()
    order = np.lexsort((-np.arange(len(labels)), labels))  # turned round within each class
    place = np.empty_like(order)
    place[np.lexsort((np.arange(len(labels)), labels))] = order
    held = cifar10_c(str(arrays))["cifar10-c/dim"].against(ArrayDataset(clean.take(place).x, labels))
    assert not held.paired
    assert "does not look like the test images of the same index" in held.pairing


def test_unpaired_images_have_negative_ids_of_their_set_alone(arrays):
    ten, hundred = cifar10_c(str(arrays)), cifar100_c(str(arrays))
    stored = (ten["cifar10-c/dim"], ten["cifar10-c/noisy"], hundred["cifar100-c/dim"])
    dim, noisy, other = (kind.dataset(1).ids for kind in stored)
    assert dim.max() < 0
    np.testing.assert_array_equal(dim, noisy)
    assert not set(dim) & set(other)


def test_chunks_of_unpaired_images_keep_their_ids(arrays):
    data = cifar10_c(str(arrays))["cifar10-c/dim"].dataset(1)
    parts = list(data.chunks(25))
    np.testing.assert_array_equal(np.concatenate([part.ids for part in parts]), data.ids)
    np.testing.assert_array_equal(parts[1].x, data.take(data.ids[25:50]).x)


def test_a_severity_that_is_none_is_refused(arrays):
    with pytest.raises(UsageError, match=r"severity 6 .* use 1, 2, 3, 4 or 5"):
        cifar10_c(str(arrays))["cifar10-c/dim"].dataset(6)


def test_a_severity_that_the_set_lacks_is_named(clean, dim, tmp_path):
    write_set(clean, tmp_path / "set", {"dim": dim}, severities=(1, 3))
    with pytest.raises(DataError, match="has no severity 2; it has 1, 3"):
        cifar10_c(str(tmp_path / "set"))["cifar10-c/dim"].dataset(2)


def test_an_array_of_the_wrong_shape_is_refused_with_both_shapes(foreign):
    with pytest.raises(DataError, match=r"uint8 of shape \(300, 8, 8, 3\), expected uint8 of \(50000, 32, 32, 3\)"):
        cifar10_c(str(foreign))


def test_images_of_another_size_than_the_test_images_are_refused(arrays):
    large = ArrayDataset(np.zeros((60, 3, 16, 16), np.float32), np.zeros(60, int))
    with pytest.raises(DataError, match=r"images of \(3, 8, 8\), the test images are \(3, 16, 16\)"):
        cifar10_c(str(arrays))["cifar10-c/dim"].against(large)


def test_labels_of_more_classes_than_the_test_images_have_are_refused(arrays, clean):
    few = ArrayDataset(clean.take(np.arange(60)).x, np.arange(60) % 5)
    with pytest.raises(DataError, match="holds the label 9, and the test images have 5 classes"):
        cifar10_c(str(arrays))["cifar10-c/dim"].against(few)


def test_missing_labels_are_named(copied):
    (copied / "labels.npy").unlink()
    with pytest.raises(DataError, match=r"labels.npy' is missing"):
        cifar10_c(str(copied))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"<!DOCTYPE html>", "HTML page"), (b"", "is empty"), (b"\x93NUMPY\x01\x00", "cannot be read as .npy")],
)
def test_what_a_bad_download_leaves_is_told(copied, content, message):
    (copied / "dim.npy").write_bytes(content)
    with pytest.raises(DataError, match=message):
        cifar10_c(str(copied))


def test_a_folder_without_arrays_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no CORRUPTION.npy"):
        cifar10_c(str(tmp_path))


def test_the_folder_that_robustbench_downloads_to_will_do(arrays, tmp_path):
    shutil.copytree(arrays, tmp_path / "data" / "CIFAR-10-C")
    assert len(cifar10_c(str(tmp_path / "data"))) == 2


def test_sums_are_known_for_all_official_files():
    for name in ("cifar10-c", "cifar100-c"):
        assert len(sums.SUMS[name]) == 20
        assert {len(value) for value in sums.SUMS[name].values()} == {32}
    assert not set(sums.SUMS["cifar10-c"].values()) & set(sums.SUMS["cifar100-c"].values())


def test_sums_are_checked_on_request(copied, monkeypatch):
    official = {f.stem: hashlib.md5(f.read_bytes()).hexdigest() for f in copied.glob("*.npy")}
    monkeypatch.setattr(sums, "SUMS", {"cifar10-c": official})
    assert resolve_corruptions(f"cifar10-c:{copied}:md5=true", Manager())
    with (copied / "dim.npy").open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"\x07")
    assert cifar10_c(str(copied))
    with pytest.raises(DataError, match=r"dim.npy' has the MD5 sum [0-9a-f]{32}, the official file " + official["dim"]):
        cifar10_c(str(copied), md5=True)


def test_an_unknown_option_is_refused(arrays):
    with pytest.raises(PluginError, match="no option 'md6', did you mean 'md5'"):
        resolve_corruptions(f"cifar10-c:{arrays}:md6=true", Manager())
