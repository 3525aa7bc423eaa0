"""Arrays in an npz file: read without unpickling, mapped where they can be."""

from __future__ import annotations

import numpy as np
import pytest

from art_weakrobust.datasets.npz import npz
from art_weakrobust.errors import DataError

X = np.random.default_rng(0).random((10, 3, 6, 6), dtype=np.float32)
Y = np.arange(10) % 5


def saved(path, compressed=False, **arrays) -> str:
    (np.savez_compressed if compressed else np.savez)(path / "data.npz", **arrays)
    return str(path / "data.npz")


def refused(path: str, **options) -> str:
    with pytest.raises(DataError) as caught:
        npz(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("compressed", [False, True])
def test_both_splits_are_read(tmp_path, compressed):
    path = saved(tmp_path, compressed, x_train=X, y_train=Y, x_test=X[:4], y_test=np.eye(5)[Y[:4]])
    train, test = npz(path, split="train"), npz(path, split="test")
    assert np.array_equal(train.take(np.arange(10)).x, X)
    assert train.labels().tolist() == Y.tolist()
    assert (len(test), test.nb_classes) == (4, 5)


def test_arrays_in_fortran_order_keep_their_pixels(tmp_path):
    path = saved(tmp_path, x_train=np.asfortranarray(X), y_train=Y)
    assert np.array_equal(npz(path, split="all").take(np.arange(10)).x, X)


def test_bytes_are_divided_by_255(tmp_path):
    pixels = np.arange(10 * 27, dtype=np.int64).reshape(10, 3, 3, 3).astype(np.uint8)
    data = npz(saved(tmp_path, x_train=pixels, y_train=Y), split="all")
    assert np.array_equal(data.take(np.arange(10)).x, pixels.astype(np.float32) / np.float32(255))


def test_bytes_that_are_all_zero_or_one_are_no_pixels(tmp_path):
    assert "save it as float32" in refused(saved(tmp_path, x_train=np.ones((10, 1, 6, 6), np.uint8), y_train=Y))


def test_class_names_are_read_where_they_are(tmp_path):
    path = saved(tmp_path, x_train=X, y_train=Y, class_names=np.array(["a", "b", "c", "d", "e"]))
    assert npz(path, split="all").class_names == ("a", "b", "c", "d", "e")


def test_a_missing_split_or_array_says_what_is_there(tmp_path):
    path = saved(tmp_path, x_train=X, y_train=Y, x_extra=X, y_extra=Y)
    assert "no split 'test'; it has: 'extra', 'train'" in refused(path, split="test")
    assert "it holds: 'images'" in refused(saved(tmp_path, images=X))


def test_python_objects_are_not_unpickled(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("it was unpickled",))

    for compressed in (False, True):
        bomb = np.array([Bomb()] * 10, dtype=object)
        path = saved(tmp_path, compressed, x_train=X, y_train=bomb)
        assert "unpickled" in refused(path)


def test_a_file_cut_short_is_refused(tmp_path):
    path = saved(tmp_path, x_train=X, y_train=Y)
    whole = (tmp_path / "data.npz").read_bytes()
    for size in (0, 4, 100, len(whole) // 2, len(whole) - 30):
        (tmp_path / "data.npz").write_bytes(whole[:size])
        assert "data.npz" in refused(path)


@pytest.mark.parametrize("seed", range(80))
def test_altered_bytes_give_samples_or_a_data_error_and_nothing_else(tmp_path, seed):
    path = saved(tmp_path, seed % 2 == 0, x_train=X[:, :1, :2, :2], y_train=Y)
    content, random = bytearray((tmp_path / "data.npz").read_bytes()), np.random.default_rng(seed)
    for position in random.integers(0, len(content), 3):
        content[position] = random.integers(256)
    (tmp_path / "data.npz").write_bytes(content)
    try:
        chunks = list(npz(path, split="all").chunks(10))
    except DataError:
        return
    assert sum(len(chunk) for chunk in chunks) == 10


@pytest.mark.parametrize("compressed", [False, True])
def test_a_header_that_claims_more_than_there_is_allocates_nothing(tmp_path, compressed):
    path = saved(tmp_path, compressed=False, x_train=X, y_train=Y)
    hostile = (tmp_path / "data.npz").read_bytes().replace(b"(10, 3, 6, 6), }      ", b"(99999999,3,6,6999),} ")
    (tmp_path / "data.npz").write_bytes(hostile)
    if compressed:
        import zipfile

        with zipfile.ZipFile(tmp_path / "deflated.npz", "w", zipfile.ZIP_DEFLATED) as archive:
            start = hostile.index(b"\x93NUMPY")
            archive.writestr("x_train.npy", hostile[start : start + 128 + X.nbytes])
            archive.writestr("y_train.npy", b"")
        path = str(tmp_path / "deflated.npz")
    assert "cut short" in refused(path)


def test_other_files_are_named_for_what_they_are(tmp_path):
    page = tmp_path / "page.npz"
    page.write_text("<!DOCTYPE html><html>Not found</html>")
    assert "HTML page" in refused(str(page))
    page.write_text("version https://git-lfs.github.com/spec/v1\n")
    assert "Git LFS pointer" in refused(str(page))
    assert "did you mean 'page.npz'" in refused(str(tmp_path / "pages.npz"))
    assert "cannot be read" in refused(str(tmp_path))
    assert "path" in refused("")
