"""Which models take part: named one by one, listed in a TOML file, or found in a folder of checkpoints."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError, nearest
from ..models.registry import CLASSES, THREATS
from ..plugins.reference import split_list

_KEYS = ("model", "weights", "mean", "std", "name")


@dataclass(frozen=True)
class Entry:
    """One model of the benchmark.

    :param name: as the table calls it.
    :param options: ``model``, and where they were given ``weights``, ``mean``, ``std``: options of a run.
    """

    name: str
    options: Mapping[str, Any]

    @property
    def folder(self) -> str:
        """Name of the run directory: the entry's, as far as a file system takes it."""
        return re.sub(r"[^A-Za-z0-9._+-]+", "-", self.name).strip("-.") or "model"


def entries(models: str | Sequence[str] = (), file: Path | None = None, folder: Path | None = None) -> list[Entry]:
    """Return the models that take part, in the order in which they were named.

    :param models: names as ``--model`` takes them, comma-separated or in a sequence.
    :param file: TOML with one ``[[model]]`` table a model: ``model``, and optionally ``weights, mean, std, name``.
    :param folder: checkpoints in RobustBench's layout, ``DATASET/THREAT/NAME.pt``, every one of which takes part.
    :raises UsageError: where there are none, two are called alike, or the file is not as said.
    """
    names = split_list(models) if isinstance(models, str) else list(models)
    found = [Entry(name, {"model": name}) for name in names]
    found += [] if file is None else _listed(file)
    found += [] if folder is None else _checkpoints(folder)
    if not found:
        raise UsageError("no model was named: use --models A,B, --models-file FILE.toml or --model-dir FOLDER")
    folders = [entry.folder for entry in found]
    twice = sorted({name for name in folders if folders.count(name) > 1})
    if twice:
        raise UsageError(f"two models are called {twice[0]!r}: give one another name = '...' in --models-file")
    return found


def _listed(file: Path) -> list[Entry]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--models-file {file} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--models-file {file} is not TOML: {error}") from error
    rows = table.pop("model", None)
    if table or not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UsageError(f"--models-file {file} has to hold [[model]] tables and nothing else")
    return [_entry(row, f"--models-file {file}, model {number}") for number, row in enumerate(rows, 1)]


def _entry(row: Mapping[str, Any], where: str) -> Entry:
    for key in row:
        if key not in _KEYS:
            raise UsageError(f"{where}: unknown key {key!r}{nearest(key, _KEYS)}")
    values = {key: ",".join(map(str, v)) if isinstance(v, list) else v for key, v in row.items()}
    for key, value in values.items():
        if not isinstance(value, str):
            raise UsageError(f"{where}: {key} is {value!r}, expected text")
    if "model" not in values:
        raise UsageError(f"{where} has no 'model'")
    return Entry(values.pop("name", "") or _called(values), values)


def _called(values: Mapping[str, str]) -> str:
    weights = values.get("weights")
    return values["model"] if weights is None else f"{values['model']} {Path(weights).stem}"


def _checkpoints(folder: Path) -> list[Entry]:
    if not folder.is_dir():
        raise UsageError(f"--model-dir {folder} is no folder; it has to hold DATASET/THREAT/NAME.pt")
    names = sorted(
        {
            f"{data}/{threat}/{re.sub(r'[.]pt_m[0-9]+$', '', file.stem)}"
            for data in CLASSES
            for threat in THREATS
            for file in folder.glob(f"{data}/{threat}/*.pt")
        }
    )
    if not names:
        raise UsageError(f"--model-dir {folder} holds no DATASET/THREAT/NAME.pt")
    return [Entry(f"robustbench:{name}", {"model": f"robustbench:{name}", "model_dir": str(folder)}) for name in names]
