"""Files that are there whole or not at all."""

from __future__ import annotations

import errno
import os
import pickle

import pytest

from art_weakrobust.errors import RunError
from art_weakrobust.store import atomic_write


def test_a_write_makes_the_folders_and_replaces_what_was_there(tmp_path):
    path = tmp_path / "a" / "b" / "file.bin"
    atomic_write(path, b"old")
    atomic_write(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["file.bin"]


def test_others_may_read_what_was_written(tmp_path):
    atomic_write(tmp_path / "file", b"")
    (tmp_path / "plain").write_bytes(b"")
    assert (tmp_path / "file").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize(
    ("code", "advice"), [(errno.ENOSPC, "free some space"), (errno.EROFS, "read-only"), (errno.EIO, "choose another")]
)
@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_disk_that_fails_is_told_and_leaves_the_old_content(tmp_path, monkeypatch, code, advice, call):
    path = tmp_path / "file"
    path.write_bytes(b"old")

    def fail(*arguments):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, call, fail)
    with pytest.raises(RunError) as caught:
        atomic_write(path, b"new")
    assert str(path) in str(caught.value)
    assert advice in str(caught.value)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_a_path_through_a_file_is_told(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RunError, match=r"cannot write .*file/run/x: Not a directory"):
        atomic_write(tmp_path / "file" / "run" / "x", b"")


def test_the_error_survives_pickling(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(RunError) as caught:
        atomic_write(tmp_path / "file" / "x", b"")
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
