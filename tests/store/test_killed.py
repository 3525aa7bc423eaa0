"""Killed at any instant, a run resumes and ends with the same rows (contract 6)."""

from __future__ import annotations

import json
import os
import runpy
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from art_weakrobust.errors import RunError
from art_weakrobust.store import Run

SCRIPT = Path(__file__).with_name("small_job.py")
job = runpy.run_path(str(SCRIPT))["job"]


def run_script(*arguments, failpoint=""):
    environment = os.environ | {"ART_WEAKROBUST_FAILPOINT": failpoint}
    command = [sys.executable, str(SCRIPT), *map(str, arguments)]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def contents(out):
    """All that a run holds: rows of its tables, names and bytes of other files, the manifest without its times."""
    with Run.open(out, write=False) as run:
        records, manifest = run.records(), run.manifest
        rows = [run.read_table(name).to_pylist() for name in ("scores", "weak_set", "validation", "types")]
        assert records.finetuning.drawn == {"fgm-linf": 3}
    for entry in manifest["stages"].values():
        del entry["attempts"]
    del manifest["started"]
    files = sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file())
    return rows, manifest, files, (out / "model.safetensors").read_bytes(), (out / "extra.csv").read_bytes()


@pytest.fixture(scope="module")
def unkilled(tmp_path_factory):
    out = tmp_path_factory.mktemp("unkilled") / "run"
    job(out)
    return contents(out)


@pytest.fixture(scope="module")
def killed_everywhere(tmp_path_factory):
    """One run for every write and each of its sides, killed there; (failpoint, run directory, exit status)."""
    folder = tmp_path_factory.mktemp("killed")

    def kill(failpoint):
        return failpoint, folder / failpoint, run_script(folder / failpoint, failpoint=failpoint).returncode

    killed, number = [], 0
    with ThreadPoolExecutor(2) as pool:
        while not killed or killed[-1][2] == 137:
            number += 1
            killed += pool.map(kill, [f"{number}+", f"{number}"])
    return killed


def test_every_write_has_a_failpoint_until_the_job_is_done(killed_everywhere):
    statuses = [status for _, _, status in killed_everywhere]
    assert statuses[-2:] == [0, 0]
    assert set(statuses[:-2]) == {137}
    assert len(statuses) > 2 * 15


def test_a_run_killed_at_any_write_resumes_to_the_same_rows(killed_everywhere, unkilled):
    for failpoint, out, _ in killed_everywhere:
        job(out)
        assert contents(out) == unkilled, f"killed at write {failpoint}"


def test_readers_see_only_whole_stages_of_a_killed_run(tmp_path):
    run_script(tmp_path / "run", failpoint="5")
    with Run.open(tmp_path / "run", write=False) as run:
        assert run.manifest["stages"]["score"]["status"] == "running"
        assert run.records().scores is None


def test_sigkill_between_two_chunks_leaves_the_first_and_no_lock(tmp_path, unkilled):
    out = tmp_path / "run"
    child = subprocess.Popen(
        [sys.executable, str(SCRIPT), str(out), "2"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with child:
        assert child.stdout.readline() == b"waiting\n"
        with pytest.raises(RunError, match=rf"in use by another run \(process {child.pid}\)"):
            Run.open(out)
        child.send_signal(signal.SIGKILL)
    parts = {path.name: path.stat().st_mtime_ns for path in (out / "scores").glob("score.*.parquet")}
    assert len(parts) == 2
    with Run.open(out) as run:
        assert {name: (out / "scores" / name).stat().st_mtime_ns for name in parts} == parts
        assert not run.begin("score", {"factor": 2.0})
    job(out)
    assert contents(out) == unkilled


def test_a_second_process_is_refused_in_one_line_and_changes_nothing(tmp_path):
    with Run.open(tmp_path / "run", create=True):
        before = (tmp_path / "run" / "manifest.json").read_bytes()
        second = run_script(tmp_path / "run")
    assert second.returncode == 1
    assert f"in use by another run (process {os.getpid()})" in second.stderr
    assert len(second.stderr.splitlines()) == 1
    assert (tmp_path / "run" / "manifest.json").read_bytes() == before


def test_the_manifest_of_a_finished_job_tells_what_each_stage_did(tmp_path):
    job(tmp_path / "run")
    manifest = json.loads((tmp_path / "run" / "manifest.json").read_text())
    assert {stage: entry["status"] for stage, entry in manifest["stages"].items()} == dict.fromkeys(
        ("score", "select", "before", "finetune", "report"), "done"
    )
    assert manifest["stages"]["score"]["facts"] == {"samples": 10}
    assert "extra.csv" in manifest["stages"]["report"]["files"]
