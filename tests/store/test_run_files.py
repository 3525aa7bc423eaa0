"""Tables, tensors and other files of a run."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from art_weakrobust.errors import DataError, RunError
from art_weakrobust.results import SCORES, VALIDATION
from art_weakrobust.store import Parts, Run, read_safetensors, to_safetensors


@pytest.fixture
def run(tmp_path):
    with Run.open(tmp_path / "run", create=True) as run:
        yield run


def test_a_part_reads_back_as_it_was_returned_and_its_file_has_every_column(tmp_path):
    parts = Parts(tmp_path / "eps=0.1", "score", SCORES)
    table = pa.table({"mine": [1.5, None], "index": pa.array([1, 2], pa.int32()), "status": ["ok", None]})
    written = parts.write("a-1", table)
    assert parts.has("a-1")
    assert parts.read("a-1").equals(written)
    assert written.column_names == ["mine", "index", "status"]
    assert written.schema.field("index").type == pa.int64()
    file = pq.ParquetFile(tmp_path / "eps=0.1" / "score.a-1.parquet").read()
    assert file.column_names == [*SCORES.names, "mine"]


def test_a_part_that_does_not_fit_the_schema_is_refused_and_not_written(tmp_path):
    parts = Parts(tmp_path, "score", SCORES)
    with pytest.raises(DataError, match="score"):
        parts.write("a", pa.table({"index": [0], "score": ["high"]}))
    assert not parts.has("a")


@pytest.mark.parametrize("key", ["", "../a", "A", "a/b", ".a", "a" * 200])
def test_a_key_that_is_no_plain_name_is_refused(tmp_path, key):
    with pytest.raises(ValueError, match="part key"):
        Parts(tmp_path, "score").has(key)


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_part_is_named(tmp_path, damage):
    parts = Parts(tmp_path, "score")
    parts.write("a", pa.table({"index": np.arange(1000), "score": np.linspace(0, 1, 1000)}))
    path = parts.path("a")
    data = bytearray(path.read_bytes())
    data[200] ^= 0xFF
    path.write_bytes({"cut": data[:-100], "flipped": data, "empty": b""}[damage])
    with pytest.raises(RunError, match="damaged") as caught:
        parts.read("a")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_parts_that_are_the_table_stay_it(run):
    run.begin("score", {})
    parts = run.parts("scores")
    tables = [
        parts.write(key, pa.table({"index": [i], "score": [s]})) for key, i, s in (("b", 0, np.nan), ("a", 1, 2.0))
    ]
    run.write_table("scores", pa.concat_tables(tables))
    run.finish("score")
    assert sorted(path.name for path in (run.path / "scores").iterdir()) == ["score.a.parquet", "score.b.parquet"]
    assert run.read_table("scores").column("index").to_pylist() == [0, 1]


@pytest.mark.parametrize(
    "final",
    [
        {"index": [0, 1], "score": [0.0, 2.5]},
        {"index": [0, 1], "score": [0.0, None]},
        {"index": [0], "score": [0.0]},
        {"index": [0, 1], "score": [0.0, 2.0], "status": ["ok", "ok"]},
        {"index": [0, 1], "score": [0.0, 2.0], "mine": [1, 2]},
    ],
)
def test_a_table_that_its_parts_are_not_becomes_one_file_once_the_stage_ends(run, final):
    run.begin("score", {})
    run.parts("scores").write("a", pa.table({"index": [0, 1], "score": [0.0, 2.0]}))
    run.write_table("scores", pa.table(final))
    assert run.parts("scores").has("a")
    run.finish("score")
    assert [path.name for path in (run.path / "scores").iterdir()] == ["score.parquet"]
    assert run.read_table("scores").select(list(final)).to_pydict() == final


def test_parts_that_a_killed_writer_did_not_remove_are_not_counted_twice(run):
    run.begin("score", {})
    run.write_table("scores", pa.table({"index": [0, 1], "score": [0.0, 2.0]}))
    run.finish("score")
    run.parts("scores", "score").write("a", pa.table({"index": [0], "score": [0.0]}))
    assert run.read_table("scores").num_rows == 2
    run.close()
    with Run.open(run.path) as again:
        assert not again.parts("scores", "score").files()


def test_validation_rows_of_both_phases_lie_in_one_folder(run):
    for phase in ("before", "after"):
        run.begin(phase, {})
        run.write_table("validation", pa.table({"index": [0], "phase": [phase], "type": ["clean"]}))
        run.finish(phase)
    assert run.read_table("validation").column("phase").to_pylist() == ["before", "after"]
    assert pq.read_table(run.path / "validation").column_names == VALIDATION.names


def test_a_table_that_no_stage_has_ended_is_missing(run):
    run.begin("score", {})
    run.parts("scores").write("a", pa.table({"index": [0]}))
    with pytest.raises(RunError, match="no scores yet"):
        run.read_table("scores")
    with pytest.raises(RunError, match="missing"):
        run.read_table("weak_set")


@pytest.mark.parametrize("order", ["C", "F"])
def test_tensors_of_any_shape_and_order_come_back(run, order):
    tensors = {"w": np.asarray(np.arange(6.0).reshape(2, 3), order=order), "n": np.array(7), "none": np.empty((0, 2))}
    run.write_tensors("model.safetensors", tensors, {"epoch": "3"})
    back, metadata = read_safetensors(run.path / "model.safetensors")
    assert metadata == {"epoch": "3"}
    assert {name: (array.shape, array.tolist()) for name, array in back.items()} == {
        name: (array.shape, array.tolist()) for name, array in tensors.items()
    }
    assert set(run.read_tensors("model.safetensors")) == set(tensors)


def test_damaged_tensors_and_json_are_named(run):
    run.write_bytes("model.safetensors", to_safetensors({"w": np.ones(3)})[:-4])
    run.write_bytes("findings.json", b"[1")
    for read, name in ((run.read_tensors, "model.safetensors"), (run.read_json, "findings.json")):
        with pytest.raises(RunError, match=rf"{name} is damaged"):
            read(name)
        with pytest.raises(RunError, match="missing"):
            read(f"no-{name}")


def test_json_is_strict_even_for_numbers_that_json_lacks(run):
    run.write_json("summary.json", {"radius": np.float32(np.inf), "mean": np.nan, "ids": np.arange(2)})
    text = (run.path / "summary.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {"radius": "inf", "mean": "nan", "ids": [0, 1]}


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "", ".lock", "manifest.json", "a\\b"])
def test_names_that_lead_elsewhere_are_refused(run, name):
    before = (run.path / "manifest.json").read_bytes()
    with pytest.raises(RunError, match="file name"):
        run.write_bytes(name, b"x")
    assert (run.path / "manifest.json").read_bytes() == before


def test_a_file_that_is_not_the_runs_is_never_overwritten(run):
    (run.path / "notes.html").write_text("mine")
    run.begin("report", {})
    with pytest.raises(RunError, match=r"notes\.html exists"):
        run.write_bytes("notes.html", b"theirs")
    assert (run.path / "notes.html").read_text() == "mine"


def test_a_file_with_glob_characters_is_listed_as_itself(run):
    run.begin("report", {})
    (run.path / "table1.html").write_text("mine")
    run.write_bytes("table[1].html", b"x")
    run.write_bytes("table[1].html", b"y")
    run.redo("report")
    assert [path.name for path in run.path.glob("*.html")] == ["table1.html"]
