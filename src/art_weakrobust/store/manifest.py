"""``manifest.json``: what marks a directory as ours and says what ran. Functions over plain dictionaries."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import RunError
from .atomic import atomic_write
from .layout import MANIFEST

TOOL, SCHEMA = "art-weakrobust", 1
RESERVED = ("tool", "schema", "stages", "files")
_NOT_GIVEN = "(not given)"


def new() -> dict[str, Any]:
    """Return the manifest of a run in which nothing ran yet."""
    return {"tool": TOOL, "schema": SCHEMA, "stages": {}, "files": []}


def load(folder: Path) -> dict[str, Any]:
    """Read the manifest of a run directory; nothing that it names is imported.

    :raises RunError: where there is none, it is damaged, somebody else's, or of a newer version of this package.
    """
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        if not folder.exists():
            raise RunError(f"{folder} does not exist; check --out, or start with `art-weakrobust score`") from None
        raise RunError(f"{folder} is not a run directory: it has no {MANIFEST}; name one with --out") from None
    except OSError as error:
        raise RunError(f"cannot read {path}: {error.strerror or error}") from error
    except ValueError as error:
        raise RunError(f"{path} is damaged ({error}); restore it, or choose another --out") from error
    if not isinstance(manifest, dict) or manifest.get("tool") != TOOL:
        raise RunError(f"{path} was not written by {TOOL}, so {folder} is not a run directory; choose another --out")
    if manifest.get("schema") != SCHEMA:
        raise RunError(
            f"{path} has schema {manifest.get('schema')!r}, this version of {TOOL} reads {SCHEMA}; "
            f"use the version that wrote it, or choose another --out"
        )
    return manifest


def save(folder: Path, manifest: Mapping[str, Any]) -> None:
    """Write the manifest atomically."""
    atomic_write(folder / MANIFEST, as_json(manifest))


def as_json(value: Any) -> bytes:
    """Return readable JSON; see :func:`plain` for what may be in it."""
    return json.dumps(plain(value), indent=1, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def plain(value: Any) -> Any:
    """Return a value as JSON holds it, so that what was asked for compares with what was written.

    Tuples, sets and arrays become lists, paths text, numbers that are not finite ``"inf"``, ``"-inf"`` and ``"nan"``.

    :raises TypeError: for what JSON has no word for.
    """
    if isinstance(value, np.generic | np.ndarray):
        value = value.tolist()
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(plain(item) for item in value)
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return [plain(item) for item in value]
    raise TypeError(f"{type(value).__name__} {value!r} does not fit into JSON; write its name or its numbers")


def differences(
    written: Mapping[str, Any], wanted: Mapping[str, Any], extends: Collection[str] = ()
) -> tuple[dict[str, tuple[Any, Any]], bool]:
    """Compare the options of a stage with those it ran with.

    :param extends: options whose list (or mapping) may grow.
    :return: option -> (value written, value wanted) where they differ, and whether a list has grown.
    """
    changed: dict[str, tuple[Any, Any]] = {}
    grown = False
    for name in [*written, *(name for name in wanted if name not in written)]:
        before, now = written.get(name, _NOT_GIVEN), wanted.get(name, _NOT_GIVEN)
        if before == now:
            continue
        if name in extends and _grew(before, now):
            grown = True
        else:
            changed[name] = (before, now)
    return changed, grown


def _grew(before: Any, now: Any) -> bool:
    if isinstance(before, list) and isinstance(now, list):
        return all(item in now for item in before)
    if isinstance(before, dict) and isinstance(now, dict):
        return all(key in now and now[key] == item for key, item in before.items())
    return False


def refusal(folder: Path, stage: str, changed: Mapping[str, tuple[Any, Any]]) -> RunError:
    """Return the error that lists the options that differ, each with both its values."""
    listed = "; ".join(f"{name}: {_show(before)} there, {_show(now)} now" for name, (before, now) in changed.items())
    return RunError(
        f"stage {stage!r} of {folder} ran with other options ({listed}); use the same ones, "
        f"choose another --out, or redo {stage!r} and what follows it with --force"
    )


def _show(value: Any) -> str:
    return value if value == _NOT_GIVEN else json.dumps(value, ensure_ascii=False)
