"""A run directory read back as the records that Python holds. It only reads, and imports nothing that a file names."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import RunError
from ..results import Finetuning, PerturbationType, Records, Scores, Table, Triage, Validation, WeakSet, merge
from .layout import FOLDERS, SCHEMAS
from .manifest import RESERVED
from .parts import Parts
from .tables import ordered, read_parquet

_PHASES = ("before", "after")


def read_records(folder: Path, manifest: Mapping[str, Any]) -> Records:
    """Return everything that flowed. A stage that did not end is one that did not happen.

    :param manifest: the run's, as :func:`.manifest.load` gives it.
    :raises RunError: where a file of a stage that ended is missing or damaged.
    """
    done = {stage for stage, entry in manifest["stages"].items() if entry["status"] == "done"}
    scores = rows_of(folder, "scores", "score") if "score" in done else None
    findings, notes = _findings(folder, done)
    before, after = (_validation(folder, phase) if phase in done else None for phase in _PHASES)
    return Records(
        scores=None if scores is None else Scores(scores, manifest["stages"]["score"].get("facts", {})),
        triage=Triage(read_parquet(folder / "triage.parquet")) if "triage" in done else None,
        weak_set=WeakSet(read_parquet(folder / "weak_set.parquet")) if "select" in done else None,
        before=before,
        after=after,
        finetuning=_finetuning(folder) if "finetune" in done else None,
        samples=_samples(folder, done),
        distances=_distances(folder, done),
        flipped=_flipped(folder) if "after" in done else None,
        class_names=tuple(manifest.get("class_names", ())),
        provenance=_provenance(manifest),
        findings=findings,
        notes=notes,
    )


def rows_of(folder: Path, table: str, stage: str) -> Table | None:
    """Return what a stage wrote of a table that is a folder, in its one order; None where it wrote no row.

    One file for the whole table comes before parts: it is there only where the parts are not the table.
    """
    whole = folder / table / f"{stage}.parquet"
    rows = read_parquet(whole) if whole.is_file() else Parts(folder / table, stage, SCHEMAS[table]).merged()
    return None if rows is None else ordered(rows, FOLDERS[table])


def stages_of(manifest: Mapping[str, Any], table: str) -> list[str]:
    """Return the stages that ended and write this table."""
    writers = ("score",) if table == "scores" else _PHASES
    return [stage for stage in writers if manifest["stages"].get(stage, {}).get("status") == "done"]


def read_json(path: Path) -> Any:
    """Return what a JSON file holds.

    :raises RunError: where it is missing or damaged.
    """
    try:
        return json.loads(path.read_bytes())
    except FileNotFoundError:
        raise RunError(f"{path} is missing: the stage that writes it has to run first") from None
    except (OSError, ValueError) as error:
        raise RunError(f"{path} is damaged ({error}); delete it and redo its stage with --force") from error


def read_folder(folder: Path, manifest: Mapping[str, Any], table: str) -> Table:
    """Return the rows of all stages that ended of a table that is a folder.

    :raises RunError: where there are none.
    """
    found = [rows_of(folder, table, stage) for stage in stages_of(manifest, table)]
    rows = [part for part in found if part is not None]
    if not rows:
        raise RunError(f"{folder} has no {table} yet: the stage that writes them has to run to its end first")
    return merge(rows)


def _validation(folder: Path, phase: str) -> Validation | None:
    table = rows_of(folder, "validation", phase)
    if table is None:
        return None
    types = tuple(PerturbationType(**row) for row in _types(folder))
    present = set(table.column("type").unique().to_pylist())
    return Validation(table, tuple(kind for kind in types if kind.type in present))


def _distances(folder: Path, done: Collection[str]) -> Table | None:
    found = [rows_of(folder, "distances", phase) for phase in _PHASES if phase in done]
    rows = [table for table in found if table is not None]
    return merge(rows) if rows else None


def _types(folder: Path) -> list[dict[str, Any]]:
    table = read_parquet(folder / "types.parquet").select(SCHEMAS["types"].names)
    rows = table.to_pylist()
    texts = ("type", "family", "group", "origin", "source")
    return [{**row, **{name: row[name] or "" for name in texts}} for row in rows]


def _finetuning(folder: Path) -> Finetuning | None:
    path = folder / "training" / "finetuning.json"
    return Finetuning.from_json(read_json(path)) if path.is_file() else None


def _samples(folder: Path, done: Collection[str]) -> Table | None:
    """Return the weakest samples; what an earlier fine-tuned model said of them is left out."""
    path = folder / "samples.parquet"
    table = read_parquet(path) if path.is_file() else None
    if table is None or "after" in done:
        return table
    for at, name in enumerate(table.column_names):
        if name.endswith("_after"):
            table = table.set_column(at, name, pa.nulls(table.num_rows, table.column(name).type))
    return table


def _flipped(folder: Path) -> Table | None:
    path = folder / "flips.parquet"
    return read_parquet(path) if path.is_file() else None


def _findings(folder: Path, done: Collection[str]) -> tuple[tuple[Mapping[str, Any], ...], Mapping[str, Any]]:
    """Return the doctor's findings, and what else stands beside them; a list alone, as older runs have it, will do.

    Segments are of a weak set: of one that is chosen anew they are left out.
    """
    path = folder / "findings.json"
    found = read_json(path) if path.is_file() else []
    notes = found if isinstance(found, dict) else {"findings": found}
    left_out = {"findings"} if "select" in done else {"findings", "segments"}
    return tuple(notes.get("findings", ())), {key: value for key, value in notes.items() if key not in left_out}


def _provenance(manifest: Mapping[str, Any]) -> dict[str, Any]:
    told = {key: value for key, value in manifest.items() if key not in (*RESERVED, "class_names")}
    stages = {
        stage: {"status": entry["status"], **entry.get("facts", {})} for stage, entry in manifest["stages"].items()
    }
    return {**told, "stages": stages}
