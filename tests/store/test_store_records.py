"""A run directory read back as records."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pyarrow as pa
import pytest

from art_weakrobust.errors import RunError
from art_weakrobust.results import Finetuning, PerturbationType
from art_weakrobust.store import Run

CLEAN = PerturbationType("clean", "clean")
PGD = PerturbationType("pgd-linf", "attacks", "gradient", norm="inf", eps=8 / 255)


@pytest.fixture
def run(tmp_path):
    with Run.open(tmp_path / "run", create=True) as run:
        yield run


def verdicts(phase, *types):
    rows = [
        {"index": i, "set": "test", "phase": phase, "type": t, "severity": 0, "correct": i > 0}
        for t in types
        for i in (1, 0)
    ]
    return pa.Table.from_pylist(rows)


def write_phase(run, phase, *types):
    run.begin(phase, {})
    run.write_table("types", pa.Table.from_pylist([vars(CLEAN), vars(PGD)]))
    run.write_table("validation", verdicts(phase, *types))
    run.finish(phase)


def test_a_run_in_which_nothing_ran_has_empty_records(run):
    records = run.records()
    assert (records.scores, records.weak_set, records.before, records.after) == (None, None, None, None)
    assert (records.finetuning, records.samples, records.class_names, records.findings) == (None, None, (), ())


def test_phases_are_apart_and_carry_the_types_of_their_rows(run):
    write_phase(run, "before", "clean", "pgd-linf")
    write_phase(run, "after", "clean")
    records = run.records()
    assert records.before.types == (CLEAN, PGD)
    assert records.after.types == (CLEAN,)
    assert set(records.after.table.column("phase").to_pylist()) == {"after"}


def test_rows_have_one_order_whoever_wrote_them(run):
    write_phase(run, "before", "pgd-linf", "clean")
    rows = run.records().before.table
    assert rows.column("type").to_pylist() == ["clean", "clean", "pgd-linf", "pgd-linf"]
    assert rows.column("index").to_pylist() == [0, 1, 0, 1]


def test_the_weak_set_finetuning_samples_and_findings_come_back(run):
    run.begin("select", {})
    run.write_table(
        "weak_set", pa.table({"index": [4, 2, 9], "role": ["tune", "held_out", "control"], "weight": [1.0, 1, 1]})
    )
    run.finish("select")
    run.begin("finetune", {})
    told = Finetuning(drawn={"pgd-linf": 7}, norms=("inf",), guard_ids=np.array([3, 5]), options={"eps": 0.1})
    run.write_json("training/finetuning.json", told.to_json())
    run.finish("finetune")
    run.write_table("samples", pa.table({"index": [4], "original": [b"\0\1"]}))
    run.write_json("findings.json", {"findings": [{"code": "train-mode"}], "radius_curve": []})
    records = run.records()
    assert (records.weak_set.tune.tolist(), records.weak_set.control.tolist()) == ([4], [9])
    assert records.finetuning.trained(PGD)
    assert records.finetuning.guard_ids.tolist() == [3, 5]
    assert records.samples.column("original").to_pylist() == [b"\0\1"]
    assert records.findings == ({"code": "train-mode"},)
    assert records.notes == {"radius_curve": []}


def test_provenance_is_the_manifest_with_the_stages_facts(run):
    run.update(title="digits", class_names=("zero", "one"), seeds={"seed": 0}, versions={"torch": "2"})
    run.begin("score", {"radius": 1})
    run.write_table("scores", pa.table({"index": [0]}))
    run.finish("score", seconds=2.0, forwards=10)
    records = run.records()
    assert records.class_names == ("zero", "one")
    assert records.provenance["title"] == "digits"
    assert records.provenance["stages"] == {"score": {"status": "done", "seconds": 2.0, "forwards": 10}}
    assert not {"class_names", "files", "tool", "schema"} & set(records.provenance)


def test_a_stage_that_has_not_ended_did_not_happen(run):
    write_phase(run, "before", "clean")
    run.begin("after", {})
    run.parts("validation").write("a", verdicts("after", "clean"))
    assert run.records().after is None
    assert run.records().before is not None


def test_what_a_fine_tuned_model_said_of_the_samples_counts_as_long_as_its_validation(run):
    shown = pa.table({"index": [4], "p_neighbor_before": [[0.0, 1.0]], "p_neighbor_after": [[1.0, 0.0]]})
    write_phase(run, "before", "clean")
    run.write_table("samples", shown)
    write_phase(run, "after", "clean")
    assert run.records().samples.column("p_neighbor_after").to_pylist() == [[1.0, 0.0]]
    run.redo("after")  # the dial was turned
    samples = run.records().samples
    assert samples.column("p_neighbor_after").to_pylist() == [None]
    assert samples.column("p_neighbor_before").to_pylist() == [[0.0, 1.0]]


def test_a_missing_file_of_a_stage_that_ended_is_named(run):
    run.begin("select", {})
    run.finish("select")
    with pytest.raises(RunError, match=r"weak_set\.parquet is missing"):
        run.records()


def test_reading_imports_neither_torch_nor_art_nor_what_the_manifest_names(run, tmp_path):
    (tmp_path / "factory.py").write_text("raise SystemExit('imported')")
    run.update(arguments={"model": "python:factory:make"})
    write_phase(run, "before", "clean")
    program = (
        "import sys; from art_weakrobust.store import Run\n"
        f"Run.open({str(run.path)!r}, write=False).records()\n"
        "assert not {'torch', 'art', 'factory'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
