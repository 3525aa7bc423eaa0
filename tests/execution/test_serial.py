"""The Map in this process: fixed chunks, each done once, rows in the order of the ids."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from art_weakrobust.errors import DataError, PluginError, UsageError
from art_weakrobust.execution.serial import SerialMap
from art_weakrobust.results import SCORES, Samples
from art_weakrobust.store import Parts


class Pixels:
    """Samples whose only pixel is their id; it keeps count of the ids that were read."""

    def __init__(self, count=10):
        self.count, self.read = count, []

    def __len__(self):
        return self.count

    def take(self, ids):
        ids = np.asarray(ids, np.int64)
        return Samples(ids, ids.astype(np.float32).reshape(-1, 1, 1, 1), ids % 3)

    def chunks(self, size, ids=None):
        for start in range(0, len(ids), size):
            self.read.append(ids[start : start + size].tolist())
            yield self.take(ids[start : start + size])


def double(estimator, samples):
    return pa.table({"index": samples.ids, "score": 2.0 * samples.x.reshape(-1), "status": ["ok"] * len(samples)})


def two_rows(estimator, samples):
    return pa.table({"index": np.repeat(samples.ids, 2), "severity": [1, 2] * len(samples)})


@pytest.fixture
def parts(tmp_path):
    return Parts(tmp_path / "scores", "score", SCORES)


@given(ids=st.lists(st.integers(0, 99), max_size=30, unique=True), size=st.integers(1, 40), keep=st.booleans())
@settings(max_examples=25, deadline=None)
def test_any_cut_into_chunks_merges_to_the_same_rows(ids, size, keep):
    with tempfile.TemporaryDirectory() as folder:
        over = SerialMap(Parts(Path(folder), "score", SCORES) if keep else None, chunk_size=size)
        rows = over("work", two_rows, None, Pixels(100), np.array(ids, np.int64))
    assert rows.column("index").to_pylist() == [i for i in ids for _ in range(2)]
    if ids:
        assert rows.column("severity").to_pylist() == [1, 2] * len(ids)


def test_all_ids_are_taken_where_none_are_named(parts):
    assert SerialMap(parts, chunk_size=3)("work", double, None, Pixels())["index"].to_pylist() == list(range(10))


def test_what_was_stored_is_neither_read_nor_computed_again(parts):
    first = SerialMap(parts, chunk_size=4)("work", double, None, Pixels())
    parts.path(sorted(file.name for file in parts.files())[1].removeprefix("score.").removesuffix(".parquet")).unlink()
    data, computed = Pixels(), []

    def watched(estimator, samples):
        computed.append(samples.ids.tolist())
        return double(estimator, samples)

    again = SerialMap(parts, chunk_size=4)("work", watched, None, data)
    assert data.read == computed == [[4, 5, 6, 7]]
    assert again.equals(first)


def test_a_function_that_fails_leaves_the_chunks_before_it(parts):
    def fails_late(estimator, samples):
        if 8 in samples.ids:
            raise ArithmeticError("at 8")
        return double(estimator, samples)

    with pytest.raises(ArithmeticError):
        SerialMap(parts, chunk_size=4)("work", fails_late, None, Pixels())
    data = Pixels()
    rows = SerialMap(parts, chunk_size=4)("work", double, None, data)
    assert data.read == [[8, 9]]
    assert rows.num_rows == 10


@pytest.mark.parametrize(
    ("stage", "stamp", "ids"),
    [
        ("work", {"phase": "before"}, [0, 1, 2, 4]),
        ("work", {"phase": "before"}, [3, 2, 1, 0]),
        ("work", {"phase": "after"}, [0, 1, 2, 3]),
        ("work", {}, [0, 1, 2, 3]),
        ("Work", {"phase": "before"}, [0, 1, 2, 3]),
        ("other", {"phase": "before"}, [0, 1, 2, 3]),
    ],
)
def test_a_part_of_other_work_is_never_taken(parts, stage, stamp, ids):
    SerialMap(parts, stamp={"phase": "before"})("work", double, None, Pixels(), [0, 1, 2, 3])
    data = Pixels()
    rows = SerialMap(parts, stamp=stamp)(stage, double, None, data, np.array(ids))
    assert data.read == [ids]
    assert rows.column("index").to_pylist() == ids


def test_chunks_are_cut_the_same_whether_some_are_stored_or_not(parts):
    ids = np.arange(10)
    SerialMap(parts, chunk_size=4)("work", double, None, Pixels(), ids[:4])
    data = Pixels()
    SerialMap(parts, chunk_size=4)("work", double, None, data, ids)
    assert data.read == [[4, 5, 6, 7], [8, 9]]


def test_memory_holds_the_pixels_of_one_chunk(parts):
    data, seen = Pixels(), []

    def watched(estimator, samples):
        seen.append(len(data.read))
        return double(estimator, samples)

    SerialMap(parts, chunk_size=2)("work", watched, None, data)
    assert seen == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("keep", [True, False])
def test_the_stamp_is_a_column_of_every_row_and_beats_the_functions_own(parts, keep):
    def stamped(estimator, samples):
        return double(estimator, samples).append_column("set", pa.array(["mine"] * len(samples)))

    over = SerialMap(parts if keep else None, chunk_size=4, stamp={"phase": "before", "set": "test"})
    rows = over("work", stamped, None, Pixels())
    assert rows.column_names == ["index", "score", "status", "set", "phase"]
    assert set(rows.column("phase").to_pylist()) == {"before"}
    assert set(rows.column("set").to_pylist()) == {"test"}


def test_no_ids_make_no_rows(parts):
    rows = SerialMap(parts, stamp={"phase": "after"})("work", double, None, Pixels(), np.array([], np.int64))
    assert (rows.num_rows, rows.column_names) == (0, ["index", "phase"])


def test_progress_counts_samples_and_stored_ones_too(parts):
    SerialMap(parts, chunk_size=4)("work", double, None, Pixels(), np.arange(4))
    told = []
    SerialMap(parts, chunk_size=4, progress=lambda *step: told.append(step))("work", double, None, Pixels())
    assert told == [("work", 0, 10), ("work", 4, 10), ("work", 8, 10), ("work", 10, 10)]


@pytest.mark.parametrize("answer", [[1, 2], {"index": [0]}, None])
def test_a_function_that_gives_no_table_is_named(parts, answer):
    def mistaken(estimator, samples):
        return answer

    with pytest.raises(PluginError, match=r"'work': .*mistaken returned .*pyarrow\.Table"):
        SerialMap(parts)("work", mistaken, None, Pixels())
    assert not parts.files()


def test_a_data_set_that_gives_other_samples_is_named(parts):
    class Shuffled(Pixels):
        def chunks(self, size, ids=None):
            yield from super().chunks(size, ids[::-1])

    class Short(Pixels):
        def chunks(self, size, ids=None):
            yield from super().chunks(size, ids[:4])

    for data in (Shuffled(), Short()):
        with pytest.raises(DataError, match=f"data set {type(data).__name__} gave"):
            SerialMap(parts, chunk_size=4)("work", double, None, data)


@pytest.mark.parametrize("keep", [True, False])
def test_two_pieces_of_work_may_share_a_name_only_on_other_samples(parts, keep):
    over = SerialMap(parts if keep else None)
    over("work", double, None, Pixels(), np.arange(4))
    over("work", double, None, Pixels(), np.arange(4, 8))
    with pytest.raises(UsageError, match="'work' was done on these 4 samples already"):
        over("work", two_rows, None, Pixels(), np.arange(4))


def test_a_long_or_odd_name_makes_a_file_all_the_same(parts):
    over = SerialMap(parts)
    over("Prüfung/../" + "x" * 500, double, None, Pixels())
    over("???", double, None, Pixels())
    assert len(parts.files()) == 2


def test_chunks_have_at_least_one_sample():
    with pytest.raises(UsageError, match="chunk_size 0"):
        SerialMap(chunk_size=0)
