"""Arrays as a data set: what is taken, and what is refused with which words."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from art_weakrobust.datasets.arrays import ArrayDataset, as_dataset
from art_weakrobust.datasets.base import ImageDataset, limited_ids, stratified
from art_weakrobust.errors import DataError, UsageError
from art_weakrobust.protocols import Dataset

N = 12


@pytest.fixture
def x() -> np.ndarray:
    return np.random.default_rng(0).random((N, 3, 4, 5), dtype=np.float32)


@pytest.fixture
def y() -> np.ndarray:
    return np.arange(N) % 4


def refused(x, y, **options) -> str:
    with pytest.raises(DataError) as caught:
        ArrayDataset(x, y, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_it_is_a_dataset_and_says_what_it_holds(x, y):
    data = ArrayDataset(x, y, class_names=("a", "b", "c", "d"))
    assert isinstance(data, Dataset)
    assert (len(data), data.input_shape, data.nb_classes, data.class_names) == (N, (3, 4, 5), 4, ("a", "b", "c", "d"))
    assert data.labels().tolist() == y.tolist()


def test_take_keeps_the_order_and_the_repetitions_of_the_ids(x, y):
    samples = ArrayDataset(x, y, paths=[f"{i}.png" for i in range(N)]).take(np.array([7, 0, 7]))
    assert samples.ids.tolist() == [7, 0, 7]
    assert np.array_equal(samples.x, x[[7, 0, 7]])
    assert samples.y.tolist() == [3, 0, 3]
    assert samples.paths == ("7.png", "0.png", "7.png")


def test_a_batch_is_a_copy_of_the_right_types(x, y):
    samples = ArrayDataset(x.astype(np.float64), y.astype(np.uint8)).take(np.arange(3))
    assert (samples.ids.dtype, samples.x.dtype, samples.y.dtype) == (np.int64, np.float32, np.int64)
    data = ArrayDataset(x, y)
    data.take(np.arange(3)).x[:] = 0
    data.labels()[:] = 0
    assert x[:3].any()
    assert data.take(np.arange(3)).y.tolist() == [0, 1, 2]


@given(size=st.integers(1, N + 3), ids=st.none() | st.lists(st.integers(0, N - 1), max_size=20))
@settings(max_examples=30, deadline=None)
def test_chunks_are_the_ids_in_order_cut_to_size(size, ids):
    data = ArrayDataset(np.linspace(0, 1, N, dtype=np.float32).reshape(N, 1, 1, 1), np.zeros(N, int))
    wanted = list(range(N)) if ids is None else ids
    chunks = list(data.chunks(size, None if ids is None else np.array(ids, dtype=int)))
    assert [i for chunk in chunks for i in chunk.ids] == wanted
    assert all(len(chunk) == size for chunk in chunks[:-1])


@pytest.mark.parametrize("ids", [[N], [-1], [0, 99]])
def test_an_id_that_does_not_exist_is_named(x, y, ids):
    with pytest.raises(DataError, match=f"there is no sample {ids[-1]}"):
        ArrayDataset(x, y).take(np.array(ids))


def test_one_hot_and_column_labels_become_indices(x, y):
    for form in (np.eye(4)[y], np.eye(4, dtype=bool)[y], y[:, None]):
        assert ArrayDataset(x, form).labels().tolist() == y.tolist()
    assert ArrayDataset(x, np.eye(9)[y]).nb_classes == 9


@pytest.mark.parametrize(
    ("shape", "advice"),
    [
        ((4, 8, 8), r"x[:, None]"),
        ((4, 8, 8, 3), "transpose(0, 3, 1, 2)"),
        ((0, 3, 8, 8), "empty"),
        ((4, 10), "expected"),
    ],
)
def test_another_shape_is_refused_with_the_way_out(shape, advice):
    assert advice in refused(np.zeros(shape, np.float32), np.zeros(shape[0], int))


def test_a_square_image_of_three_pixels_is_not_taken_for_channels_last():
    assert ArrayDataset(np.zeros((2, 3, 3, 3)), [0, 1]).input_shape == (3, 3, 3)


@pytest.mark.parametrize(
    ("value", "words"), [(1.5, "divide by 255"), (-0.1, "[0, 1]"), (np.nan, "nan"), (np.inf, "inf")]
)
def test_a_wrong_pixel_is_named_with_its_sample(x, y, value, words):
    x[9, 1, 2, 3] = value
    message = refused(x, y)
    assert "sample 9" in message
    assert words in message


def test_a_wrong_pixel_far_down_a_large_array_is_found():
    x = np.zeros((3000, 1, 1, 1), np.float32)
    x[2500] = 2
    assert "sample 2500" in refused(x, np.zeros(3000, int))


@pytest.mark.parametrize("dtype", [np.uint8, np.int64, bool])
def test_pixels_that_are_no_floats_are_refused(x, y, dtype):
    assert "expected floats in [0, 1]" in refused((x * 255).astype(dtype), y)


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (np.arange(N) - 1, "label -1 at sample 0"),
        (np.arange(N) * 1.0, "astype('int64')"),
        (np.full(N, 0.5), "0.5"),
        (np.array([0.0] * (N - 1) + [np.nan]), "NaN at sample 11"),
        (np.array(["cat"] * N), "map the classes"),
        (np.arange(N - 1), "11 labels for 12 images"),
        (np.full((N, 4), 0.25), "not one-hot"),
        (np.zeros((N, 2, 2), int), "class indices"),
        (np.arange(N) + 10**7, "no class index"),
    ],
)
def test_wrong_labels_are_named(x, labels, words):
    assert words in refused(x, labels)


def test_a_label_beyond_the_class_names_is_named(x, y):
    assert "label 3 at sample 3, expected 0 to 1" in refused(x, y, class_names=("a", "b"))
    assert "4 classes, class_names 2" in refused(x, np.eye(4)[y], class_names=("a", "b"))


def test_as_many_paths_as_images_are_asked_for(x, y):
    assert "paths" in refused(x, y, paths=["only one"])


def test_a_ragged_list_is_no_array(y):
    assert "no array" in refused([[1.0], [1.0, 2.0]], y)


def test_the_fingerprint_follows_the_data(x, y):
    base = ArrayDataset(x, y).fingerprint()
    assert ArrayDataset(x.copy(), y.copy()).fingerprint() == base
    other_x, other_y = x.copy(), y.copy()
    other_x[5, 0, 0, 0] = 1 - other_x[5, 0, 0, 0]
    other_y[0] = 1
    others = {ArrayDataset(a, b).fingerprint() for a, b in ((other_x, y), (x, other_y), (x[:-1], y[:-1]))}
    assert len(others) == 3
    assert base not in others


def test_as_dataset_wraps_arrays_and_passes_datasets_on(x, y):
    data = as_dataset(x, y)
    assert as_dataset(data) is data
    with pytest.raises(DataError, match="y is missing"):
        as_dataset(x)
    with pytest.raises(DataError, match="leave y out"):
        as_dataset(data, y)


def test_a_limit_takes_the_first(x, y):
    data = ArrayDataset(x, y)
    assert limited_ids(data, 5, seed=3).tolist() == [0, 1, 2, 3, 4]
    assert limited_ids(data, None).tolist() == limited_ids(data, 999).tolist() == list(range(N))
    with pytest.raises(UsageError, match="limit 0"):
        limited_ids(data, 0)


def test_a_limit_on_class_folders_keeps_every_class_and_follows_the_seed():
    class Folders(ArrayDataset):
        class_folders = True

    data: ImageDataset = Folders(np.zeros((100, 1, 2, 2), np.float32), np.repeat(np.arange(10), 10))
    ids = limited_ids(data, 20, seed=1)
    assert np.bincount(data.labels()[ids]).tolist() == [2] * 10
    assert np.array_equal(ids, limited_ids(data, 20, seed=1))
    assert not np.array_equal(ids, limited_ids(data, 20, seed=2))


@given(sizes=st.lists(st.integers(1, 30), min_size=1, max_size=5), share=st.floats(0.05, 1), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_a_stratified_draw_keeps_the_share_of_each_class(sizes, share, seed):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    size = max(1, round(share * len(labels)))
    drawn = stratified(np.arange(len(labels)), labels, size, seed)
    assert len(np.unique(drawn)) == size
    counts = np.bincount(labels[drawn], minlength=len(sizes))
    parts = np.array(sizes) / len(labels)
    assert np.all(np.abs(counts - parts * size) <= 0.5 + 0.5 * len(sizes) * parts + 1e-9)  # Webster's bound
    assert np.all(np.diff(drawn) > 0)


def test_drawing_leaves_the_global_random_state_alone(x, y):
    before = np.random.get_state()[1].copy()
    stratified(np.arange(N), y, 4, 0)
    assert np.array_equal(before, np.random.get_state()[1])
