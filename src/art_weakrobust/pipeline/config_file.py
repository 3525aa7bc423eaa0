"""Options from a ``--config`` file."""

from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

from ..errors import UsageError, nearest
from .options import Options, flag

COMMON: dict[str, tuple[type, ...]] = {
    "out": (str,),
    "plugin": (str, list),
    "no_plugins": (bool,),
    "force": (bool,),
    "quiet": (bool,),
    "json": (bool,),
    "debug": (bool,),
}
"""Options of a command that are none of the run's -> what a config file may give them."""


def from_toml(path: Path) -> dict[str, Any]:
    """Return the options of a ``--config`` file: long names (``eps-l2`` or ``eps_l2``) at the top level.

    :raises UsageError: where the file cannot be read as TOML, or a key is no option.
    """
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise UsageError(f"--config {path} is not TOML: {error}") from error
    known = {f.name for f in fields(Options)} | set(COMMON)
    options: dict[str, Any] = {}
    for key, value in table.items():
        name = key.replace("-", "_")
        if name not in known:
            raise UsageError(f"--config {path}: unknown key {key!r}{nearest(flag(name), sorted(map(flag, known)))}")
        if name in COMMON and not isinstance(value, COMMON[name]):
            raise UsageError(f"--config {path}: {key} is {value!r}, expected {_words(COMMON[name])}")
        listed = isinstance(value, list) and name != "plugin"
        options[name] = ",".join(map(str, value)) if listed else value
    return options


def _words(kinds: tuple[type, ...]) -> str:
    names = {str: "text", list: "a list of texts", bool: "true or false"}
    return " or ".join(names[kind] for kind in kinds)
