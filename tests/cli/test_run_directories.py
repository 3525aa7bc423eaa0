"""A run directory that cannot be written to, or that is another's, is refused and left as it was."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch


def test_a_run_of_another_configuration(refused, copied):
    error = refused("--neighbors", "7", status=1, out=copied)
    assert "neighbors: 6 there, 7 now" in error


def test_a_run_of_another_model(refused, copied, tmp_path):
    from art_weakrobust.models.digits_cnn import network

    torch.save(network(32).state_dict(), weights := tmp_path / "net.pt")
    assert "model_fingerprint" in refused("--weights", weights, status=1, out=copied)


def test_a_run_in_use_by_another_process(refused, copied):
    hold = "import filelock, sys\nwith filelock.FileLock(sys.argv[1]):\n  print('held', flush=True)\n  sys.stdin.read()"
    other = subprocess.Popen(
        [sys.executable, "-c", hold, str(copied / ".lock")], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert other.stdout.readline() == b"held\n"
        assert "in use by another run" in refused(status=1, out=copied)
    finally:
        other.communicate()


def test_a_folder_that_is_not_ours(refused, tmp_path):
    out = tmp_path / "thesis"
    out.mkdir()
    (out / "chapter1.tex").write_text("years of work")
    assert "not empty and not a run directory" in refused(status=1, out=out)


def test_a_run_directory_that_is_a_file(refused, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "is a file, not a run directory" in refused(status=1, out=tmp_path / "file")


def test_a_run_directory_below_a_file(refused, tmp_path):
    (tmp_path / "file").write_text("mine")
    assert "cannot write" in refused(status=1, out=tmp_path / "file" / "run")


@pytest.mark.parametrize("below", ["", "deep/run"])
def test_a_read_only_output_path(below, refused, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir()
    locked.chmod(0o555)
    try:
        assert "read-only" in refused(status=1, out=locked / below)
    finally:
        locked.chmod(0o755)


def test_a_manifest_that_is_damaged(refused, copied):
    manifest = copied / "manifest.json"
    manifest.write_text(manifest.read_text()[:-100])
    assert "is damaged" in refused(status=1, out=copied)
