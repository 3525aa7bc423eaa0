"""Where everything lies in a run directory, and which stage of the street owns it."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

import pyarrow as pa

from ..errors import RunError
from ..results import DISTANCES, FLIPS, SAMPLES, SCORES, TRIAGE, TYPES, VALIDATION, WEAK_SET

MANIFEST = "manifest.json"

STAGES = ("score", "triage", "select", "before", "finetune", "after", "report")
"""The stages in the order of the street: what redoes one redoes those after it."""

OWNED: dict[str, tuple[str, ...]] = {
    "score": ("scores/score.parquet", "scores/score.*.parquet"),
    "triage": ("triage.parquet", "evidence/triage.*.parquet"),
    "select": ("weak_set.parquet",),
    "before": (
        *("validation/before.parquet", "validation/before.*.parquet", "types.parquet", "samples.parquet"),
        *("distances/before.parquet", "distances/before.*.parquet"),
    ),
    "finetune": ("training/*.json", "training/*.parquet", "training/*.safetensors", "model.safetensors"),
    "after": (
        *("validation/after.parquet", "validation/after.*.parquet", "flips.parquet"),
        *("distances/after.parquet", "distances/after.*.parquet"),
    ),
    "report": ("report.html", "summary.json"),
}
"""The names a stage may write, known before it starts; others join them in the manifest before they are written."""

SCHEMAS: dict[str, pa.Schema] = {
    "scores": SCORES,
    "evidence": pa.schema([("index", pa.int64())]),
    "triage": TRIAGE,
    "distances": DISTANCES,
    "weak_set": WEAK_SET,
    "types": TYPES,
    "validation": VALIDATION,
    "samples": SAMPLES,
    "flips": FLIPS,
}
"""What the tables of a run hold at least; tables of other names hold what they were given."""

FOLDERS: dict[str, tuple[str, ...]] = {
    "scores": ("index",),
    "evidence": ("index",),
    "distances": ("phase", "norm", "index"),
    "validation": ("phase", "type", "severity", "set", "index"),
}
"""Tables that are folders of parts -> the columns that give their rows one order, whoever wrote them and when."""

WORKINGS = frozenset({"evidence"})
"""Tables of :data:`FOLDERS` that a stage works with and nobody reads once it is done: their parts go then."""


def check_stage(stage: str) -> None:
    """Refuse a stage that the street does not have.

    :raises ValueError: for a name that is none of :data:`STAGES`.
    """
    if stage not in STAGES:
        raise ValueError(f"stage {stage!r} is none of {', '.join(STAGES)}")


def check_name(name: str) -> str:
    """Return a file's name relative to the run directory.

    :raises RunError: where it leads out of the directory or is one of the directory's own files.
    """
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\\" in name or path.parts[-1].startswith("."):
        raise RunError(f"file name {name!r} has to lie inside the run directory, without '..' and not hidden")
    if str(path) == MANIFEST:
        raise RunError(f"file name {name!r} is the run directory's own; choose another name")
    return str(path)


def covers(patterns: Iterable[str], name: str) -> bool:
    """Say whether one of a stage's patterns names this file."""
    return any(
        name.count("/") == pattern.count("/") and fnmatch.fnmatchcase(name, pattern)  # as glob, * stays in its folder
        for pattern in patterns
    )


def files_of(folder: Path, patterns: Iterable[str]) -> Iterator[Path]:
    """Yield the files that a stage's patterns name, and nothing else."""
    for pattern in patterns:
        yield from sorted(file for file in folder.glob(pattern) if file.is_file())


def folders_of(folder: Path, patterns: Iterable[str]) -> list[Path]:
    """Return the existing folders in which files of these patterns lie, the run directory first."""
    names = {str(PurePosixPath(pattern).parent) for pattern in patterns} - {"."}
    return [folder, *(folder / name for name in sorted(names) if (folder / name).is_dir())]
