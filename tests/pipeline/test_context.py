"""Who is in which set, and under which ids."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from art_weakrobust.datasets.arrays import ArrayDataset
from art_weakrobust.datasets.base import ids_of, labels_of
from art_weakrobust.datasets.subset import Subset
from art_weakrobust.errors import DataError
from art_weakrobust.execution.serial import SerialMap
from art_weakrobust.pipeline.parts import GUARD_SIZE, split_test

EVERY = np.arange(1000)
LABELS = EVERY % 10


def dataset(n=20):
    x = np.linspace(0, 1, n, dtype=np.float32)[:, None, None, None] * np.ones((1, 1, 4, 4), np.float32)
    return ArrayDataset(x, np.arange(n) % 5)


def test_the_guard_part_lies_beyond_the_test_limit_where_a_tenth_of_the_split_is_left_there():
    test, guard = split_test(EVERY, LABELS, 600, seed=0)
    np.testing.assert_array_equal(test, np.arange(600))
    assert guard.min() >= 600
    assert len(guard) == 400


@pytest.mark.parametrize("limit", [None, 950, 5000])
def test_otherwise_the_guard_part_is_a_tenth_of_the_split_that_is_then_not_in_the_test_set(limit):
    test, guard = split_test(EVERY, LABELS, limit, seed=0)
    assert len(guard) == 100
    assert not np.intersect1d(test, guard).size
    assert len(test) == min(limit or 900, 900)


def test_the_guard_part_is_never_larger_than_its_cap():
    every = np.arange(10 * GUARD_SIZE * 2)
    for limit in (None, 100):
        assert len(split_test(every, every % 10, limit, seed=0)[1]) == GUARD_SIZE


def test_the_guard_part_is_stratified_and_seeded():
    guard = split_test(EVERY, LABELS, None, seed=3)[1]
    np.testing.assert_array_equal(np.bincount(LABELS[guard]), np.full(10, 10))
    np.testing.assert_array_equal(guard, split_test(EVERY, LABELS, None, seed=3)[1])
    assert not np.array_equal(guard, split_test(EVERY, LABELS, None, seed=4)[1])


@pytest.mark.parametrize("limit", [None, 600])
def test_of_a_half_both_parts_have_the_ids_of_the_whole(limit):
    odd = EVERY[1::2]
    test, guard = split_test(odd, LABELS[odd], None if limit is None else limit // 2, seed=0)
    np.testing.assert_array_equal(np.union1d(test, guard), odd)
    np.testing.assert_array_equal(np.unique(LABELS[guard]), [1, 3, 5, 7, 9])


def test_a_subset_keeps_the_ids_of_the_whole_split():
    whole = dataset()
    part = Subset(whole, np.array([3, 7, 11]))
    assert len(part) == 3
    np.testing.assert_array_equal(ids_of(part), [3, 7, 11])
    np.testing.assert_array_equal(labels_of(part), [3, 2, 1])
    chunks = list(part.chunks(2))
    np.testing.assert_array_equal(np.concatenate([chunk.ids for chunk in chunks]), [3, 7, 11])
    np.testing.assert_array_equal(part.take(np.array([11])).x, whole.take(np.array([11])).x)
    assert part.input_shape == whole.input_shape


def test_of_a_data_set_without_labels_of_its_own_a_subset_reads_no_more_than_its_samples():
    class Plain:
        def __init__(self, whole):
            self.whole, self.read = whole, []

        def __len__(self):
            return len(self.whole)

        def take(self, ids):
            self.read.extend(ids.tolist())
            return self.whole.take(ids)

        def chunks(self, size, ids=None):
            ids = np.arange(len(self)) if ids is None else ids
            yield from (self.take(ids[start : start + size]) for start in range(0, len(ids), size))

    plain = Plain(dataset())
    np.testing.assert_array_equal(labels_of(Subset(plain, np.array([3, 7, 11]))), [3, 2, 1])
    assert plain.read == [3, 7, 11]
    np.testing.assert_array_equal(labels_of(plain), dataset().labels())


def test_a_subset_gives_nothing_that_does_not_belong_to_it():
    with pytest.raises(DataError, match="sample 4 is not in this subset"):
        Subset(dataset(), np.array([3, 7])).take(np.array([3, 4]))


def test_the_map_works_on_the_ids_of_a_subset():
    def chunk(estimator, samples):
        return pa.table({"index": samples.ids})

    part = Subset(dataset(), np.array([3, 7, 11]))
    assert SerialMap()("ids", chunk, None, part).column("index").to_pylist() == [3, 7, 11]
