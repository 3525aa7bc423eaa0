"""What has to hold of a folder before a run is written to it, and what a killed writer leaves to be swept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..errors import RunError
from .atomic import cannot_write, is_leftover, remove_leftovers
from .layout import FOLDERS, MANIFEST, WORKINGS, folders_of
from .lock import LOCK, OWNER
from .parts import Parts

_NOT_CONTENT = {LOCK, OWNER, ".DS_Store"}


def prepare(folder: Path, *, create: bool) -> list[Path]:
    """Make sure that a run may be written to a folder, making it where ``create`` asks for it.

    :return: the folders that were made, the innermost first.
    :raises RunError: where it is missing, a file, full of something else, or may not be written; nothing has changed.
    """
    try:
        if folder.exists() and not folder.is_dir():
            raise RunError(f"{folder} is a file, not a run directory; choose another --out")
        if not folder.is_dir() and not create:
            raise RunError(f"{folder} does not exist; check --out, or start with `art-weakrobust score`")
        _refuse_read_only(folder)
        made = [path for path in (folder, *folder.parents) if not path.exists()]
        folder.mkdir(parents=True, exist_ok=True)
        ours = (folder / MANIFEST).exists()
        if not ours and any(file.name not in _NOT_CONTENT and not is_leftover(file) for file in folder.iterdir()):
            raise RunError(
                f"{folder} is not empty and not a run directory (it has no {MANIFEST}); "
                f"choose another --out, or an empty folder"
            )
        if not ours and not create:
            raise RunError(f"{folder} is not a run directory: it has no {MANIFEST}; check --out")
    except OSError as error:
        raise cannot_write(folder, error) from error
    return made


def withdraw(folder: Path, made: Iterable[Path]) -> None:
    """Remove a new run that came to nothing, with the folders made for it; one that holds any work stays.

    :param made: what :func:`prepare` returned.
    """
    with suppress(OSError):  # an error is on its way that matters more
        if {file.name for file in folder.iterdir()} <= {MANIFEST, LOCK, OWNER}:
            for name in (MANIFEST, OWNER, LOCK):
                (folder / name).unlink(missing_ok=True)
            for path in made:
                path.rmdir()


def sweep(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Remove what a killed writer left: temporary files, and parts of tables that are one file or done with.

    :raises RunError: where they cannot be removed.
    """
    stages = manifest["stages"]
    patterns = [pattern for entry in stages.values() for pattern in entry["files"]] + manifest["files"]
    try:
        remove_leftovers(folders_of(folder, patterns))
        for stage in (name for name, entry in stages.items() if entry["status"] == "done"):
            for table in FOLDERS:
                if table in WORKINGS or (folder / table / f"{stage}.parquet").is_file():
                    remove(Parts(folder / table, stage).files())
    except OSError as error:
        raise cannot_write(folder, error) from error


def remove(files: Iterable[Path]) -> None:
    """Remove some files; one that is gone already is fine.

    :raises RunError: where one cannot be removed.
    """
    for file in files:
        try:
            file.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(file, error) from error


def _refuse_read_only(folder: Path) -> None:
    """Refuse a folder that nobody may write to: the superuser could, against its owner's word."""
    nearest = folder if folder.exists() else next((path for path in folder.absolute().parents if path.exists()), folder)
    if nearest != Path(nearest.anchor) and not nearest.stat().st_mode & 0o222:
        raise RunError(f"cannot write {folder}: {nearest} is read-only (no write permission); choose another --out")
