"""Which folders a run may be opened in, and that opening a wrong one changes nothing."""

from __future__ import annotations

import json
import os
import stat

import pyarrow as pa
import pytest

from art_weakrobust.errors import RunError
from art_weakrobust.store import Run
from art_weakrobust.store.lock import RunLock


def snapshot(folder):
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_new_run_is_marked_as_ours_by_its_manifest(tmp_path):
    with Run.open(tmp_path / "deep" / "run", create=True):
        pass
    manifest = json.loads((tmp_path / "deep" / "run" / "manifest.json").read_text())
    assert (manifest["tool"], manifest["schema"], manifest["stages"]) == ("art-weakrobust", 1, {})


def test_an_empty_folder_may_become_a_run(tmp_path):
    with Run.open(tmp_path, create=True) as run:
        assert run.manifest["stages"] == {}


def come_to_nothing(folder, work=lambda run: None):
    def attempt():
        with Run.open(folder, create=True) as run:
            run.begin("score", {})
            work(run)
            raise RunError("nothing came of it")

    with pytest.raises(RunError, match="nothing"):
        attempt()


def test_a_new_run_that_comes_to_nothing_leaves_no_folder_behind(tmp_path):
    come_to_nothing(tmp_path / "deep" / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_new_run_that_comes_to_nothing_leaves_an_empty_folder_as_it_was(tmp_path):
    come_to_nothing(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_new_run_that_fails_keeps_the_work_that_was_done(tmp_path):
    come_to_nothing(tmp_path / "run", lambda run: run.parts("scores").write("a", pa.table({"index": [0]})))
    with Run.open(tmp_path / "run") as run:
        assert run.parts("scores", "score").has("a")


def test_a_run_that_was_there_before_is_not_taken_away_by_an_error(tmp_path):
    with Run.open(tmp_path / "run", create=True):
        pass
    come_to_nothing(tmp_path / "run")
    assert (tmp_path / "run" / "manifest.json").exists()


@pytest.mark.parametrize("write", [True, False])
def test_a_missing_run_is_refused(tmp_path, write):
    with pytest.raises(RunError, match="missing"):
        Run.open(tmp_path / "missing", write=write)
    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("thesis.tex", "years of work"),
        ("manifest.json", '{"tool": "webpack"}'),
        ("manifest.json", '["a"]'),
        ("manifest.json", '{"tool": "art-weakrobust", "sch'),
        ("manifest.json", '{"tool": "art-weakrobust", "schema": 99, "stages": {}}'),
    ],
)
@pytest.mark.parametrize("create", [True, False])
def test_a_folder_that_is_not_ours_is_refused_and_untouched(tmp_path, name, content, create):
    (tmp_path / name).write_text(content)
    with pytest.raises(RunError) as caught:
        Run.open(tmp_path, create=create)
    assert str(tmp_path) in str(caught.value)
    assert (tmp_path / name).read_text() == content
    assert "manifest.json" not in snapshot(tmp_path) or name == "manifest.json"


def test_a_file_is_no_run_directory(tmp_path):
    (tmp_path / "file").write_bytes(b"x")
    for path in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(RunError, match="file"):
            Run.open(path, create=True)
    assert (tmp_path / "file").read_bytes() == b"x"


def test_a_folder_without_write_permission_is_refused_even_to_the_superuser(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    try:
        for path in (tmp_path, tmp_path / "new" / "run"):
            with pytest.raises(RunError, match="read-only") as caught:
                Run.open(path, create=True)
            assert str(path) in str(caught.value)
        assert os.listdir(tmp_path) == []
    finally:
        tmp_path.chmod(stat.S_IRWXU)


def test_a_run_has_one_writer_and_any_readers(tmp_path):
    with Run.open(tmp_path / "run", create=True):
        with pytest.raises(RunError, match="in use"):
            Run.open(tmp_path / "run", create=True)
        with Run.open(tmp_path / "run", write=False) as reader:
            assert reader.manifest["stages"] == {}
    with Run.open(tmp_path / "run"):
        pass


def test_a_failed_opening_lets_the_next_one_in(tmp_path):
    with Run.open(tmp_path / "run", create=True):
        pass
    good = (tmp_path / "run" / "manifest.json").read_bytes()
    (tmp_path / "run" / "manifest.json").write_text("{")
    with pytest.raises(RunError, match="damaged"):
        Run.open(tmp_path / "run")
    (tmp_path / "run" / "manifest.json").write_bytes(good)
    RunLock(tmp_path / "run").release()


def test_readers_change_nothing_and_cannot_write(tmp_path):
    with Run.open(tmp_path / "run", create=True) as run:
        run.write_json("notes.json", {})
    before = snapshot(tmp_path)
    with Run.open(tmp_path / "run", write=False) as reader:
        reader.records()
        for write in (
            lambda: reader.begin("score", {}),
            lambda: reader.finish("score"),
            lambda: reader.update(title="x"),
            lambda: reader.write_json("notes.json", 1),
            lambda: reader.redo("score"),
        ):
            with pytest.raises(RunError, match="reading only"):
                write()
    assert snapshot(tmp_path) == before


def test_what_a_killed_writer_left_is_ignored_by_readers_and_swept_by_the_next_writer(tmp_path):
    with Run.open(tmp_path / "run", create=True) as run:
        run.begin("score", {})
        run.parts("scores").write("a", table := pa.table({"index": [0, 1]}))
    for folder in ("", "scores"):
        (tmp_path / "run" / folder / ".weakrobust-1-ab.tmp").write_bytes(b"half")
    (tmp_path / "run" / ".mine.tmp").write_bytes(b"kept")
    with Run.open(tmp_path / "run", write=False) as run:
        assert run.parts("scores", "score").merged().num_rows == table.num_rows
        assert (tmp_path / "run" / "scores" / ".weakrobust-1-ab.tmp").exists()
    with Run.open(tmp_path / "run"):
        left = [path.name for path in (tmp_path / "run").rglob(".*.tmp")]
    assert left == [".mine.tmp"]
