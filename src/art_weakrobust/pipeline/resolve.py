"""Whose word counts: what the user wrote, then the run directory's, then the defaults. Reads the manifest alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..plugins.reference import split_argument, split_list
from ..store import Run
from ..store.layout import MANIFEST
from ..store.manifest import plain
from .options import Options

LISTS = ("attacks", "corruptions", "distances")
"""The lists to which a validation adds: perturbation types, and norms of distances."""


def resolved(
    out: Path,
    given: Mapping[str, Any],
    *,
    resume: bool,
    model: bool = True,
    stage: str | None = None,
    adds: bool = False,
) -> Options:
    """Return the options of a run.

    :param given: what the user wrote.
    :param resume: fill in from the run directory, which then has to exist.
    :param model: whether the model will be used: a ``python:`` factory that a manifest names is never imported on the
        manifest's word alone.
    :param stage: what this one began with comes before what later commands added to the run directory's options.
    :param adds: types that are written are added to those that the run directory was validated with.
    :raises UsageError: for an option out of range, or a factory that has to be named again.
    :raises RunError: where the run directory has to exist and does not.
    """
    written: Mapping[str, Any] = {}
    if resume:
        with Run.open(out, write=False) as run:
            written = _written(run.manifest, stage)
            given = {**given, **_added(run.manifest, given)} if adds else given
    options = Options().with_({**written, **given})
    if model and "model" not in given and split_argument(options.model)[0] == "python" and "model" in written:
        raise UsageError(
            f"{out} names the factory {options.model!r}, which runs code: name it again with --model {options.model}"
        )
    return options


def recorded_plan(out: Path, options: Options) -> dict[str, Any] | None:
    """Return the execution plan that a run directory has scored its samples with, so that going on measures nothing.

    None where nothing was scored yet, or where other work is asked for: another model, other data, or ``--tune`` or
    ``--compile`` where it was not asked for, or the other way about.
    """
    if not (out / MANIFEST).is_file():
        return None
    with Run.open(out, write=False) as run:
        manifest = run.manifest
    scored = manifest["stages"].get("score", {}).get("options", {})
    asked = plain(options.of("model", "data"))
    same = all(value == asked[name] for name, value in scored.items() if name in asked)
    given = manifest.get("arguments", {})
    if not same or any(given.get(name, False) != getattr(options, name) for name in ("tune", "compile")):
        return None
    plan: dict[str, Any] | None = scored.get("plan")
    return plan


def _added(manifest: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, str]:
    """Return the lists of types that are written, behind those that the base model was validated with."""
    validated: Mapping[str, Any] = manifest["stages"].get("before", {}).get("options", {})
    growing = [name for name in LISTS if name in given and name in validated]
    lists = {name: [*validated[name], *split_list(given[name])] for name in growing}
    return {name: ",".join(dict.fromkeys(parts)) for name, parts in lists.items()}


def _written(manifest: Mapping[str, Any], stage: str | None) -> dict[str, Any]:
    arguments: dict[str, Any] = dict(manifest.get("arguments", {}))
    options = manifest["stages"].get(stage, {}).get("options", {})
    own = {name: value for name, value in options.items() if name in arguments}
    if stage == "select":
        own.pop("triage", None)  # whether there is one, the latest command says: select itself has no option for it
    arguments.pop("allow_unsafe_checkpoint", None)  # nothing is unpickled on the manifest's word
    return arguments | {n: ",".join(map(str, v)) if isinstance(v, list) else v for n, v in own.items()}
