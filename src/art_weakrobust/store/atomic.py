"""Files that are there whole or not at all, whenever the process dies."""

from __future__ import annotations

import errno
import itertools
import os
import secrets
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from ..errors import RunError

FAILPOINT = "ART_WEAKROBUST_FAILPOINT"
"""Tests set this variable: ``3`` kills the process right before its third rename, ``3+`` right after it."""

_KILLED = 137  # what a shell reports of a process that SIGKILL ended
_PREFIX, _SUFFIX = ".weakrobust-", ".tmp"
_renames = itertools.count(1)

_ADVICE = {
    errno.ENOSPC: "free some space or choose another --out, then run the same command again",
    errno.EDQUOT: "your quota is used up: free some space or choose another --out",
    errno.EROFS: "the file system is read-only: choose another --out",
    errno.EACCES: "choose a folder that you may write to",
    errno.EPERM: "choose a folder that you may write to",
    errno.ENOTDIR: "a part of this path is a file: choose another --out",
}


def cannot_write(path: Path, error: OSError) -> RunError:
    """Return the error that tells a user why ``path`` could not be written and what to do."""
    advice = _ADVICE.get(error.errno or 0, "choose another --out")
    return RunError(f"cannot write {path}: {error.strerror or error}; {advice}")


def atomic_write(path: str | Path, data: bytes | memoryview) -> None:
    """Write a file so that a reader, or a resumed run, finds the old content or the new, never a part of it.

    The content goes to a temporary file beside it, reaches the disk, and is renamed; then the folder reaches the disk.
    Missing folders are made. A killed writer leaves at most a temporary file, which :func:`remove_leftovers` clears.

    :param path: the file; one that exists is replaced.
    :param data: its whole content.
    :raises RunError: where the file cannot be written (no space, read-only, a part of the path is a file).
    """
    path = Path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.parent / f"{_PREFIX}{os.getpid()}-{secrets.token_hex(6)}{_SUFFIX}"
        # Not tempfile's: its mode of 0600 would hide a shared run from its other readers.
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            _rename(temporary, path)
        except BaseException:
            with suppress(OSError):
                os.unlink(temporary)
            raise
        _sync_folder(path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error


def remove_leftovers(folders: Iterable[Path]) -> None:
    """Remove the temporary files of killed writers from some folders; whoever calls holds the lock."""
    for folder in folders:
        for file in folder.glob(f"{_PREFIX}*{_SUFFIX}"):
            file.unlink(missing_ok=True)


def is_leftover(path: Path) -> bool:
    """Say whether a file is the temporary file of a killed writer."""
    return path.name.startswith(_PREFIX) and path.name.endswith(_SUFFIX)


def _rename(temporary: Path, path: Path) -> None:
    failpoint, number = os.environ.get(FAILPOINT), str(next(_renames))
    if failpoint == number:
        os._exit(_KILLED)
    os.replace(temporary, path)
    if failpoint == f"{number}+":
        os._exit(_KILLED)


def _sync_folder(folder: Path) -> None:
    """Make a rename last through a power cut; some network file systems know no such thing, and need none."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
