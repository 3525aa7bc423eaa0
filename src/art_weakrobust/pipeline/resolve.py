"""Whose word counts: what the user wrote, then the run directory's, then the defaults. Reads the manifest alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..plugins.reference import split_argument
from ..store import Run
from .options import Options


def resolved(
    out: Path, given: Mapping[str, Any], *, resume: bool, model: bool = True, stage: str | None = None
) -> Options:
    """Return the options of a run.

    :param given: what the user wrote.
    :param resume: fill in from the run directory, which then has to exist.
    :param model: whether the model will be used: a ``python:`` factory that a manifest names is never imported on the
        manifest's word alone.
    :param stage: what this one began with comes before what later commands added to the run directory's options.
    :raises UsageError: for an option out of range, or a factory that has to be named again.
    :raises RunError: where the run directory has to exist and does not.
    """
    written: Mapping[str, Any] = {}
    if resume:
        with Run.open(out, write=False) as run:
            written = _written(run.manifest, stage)
    options = Options().with_({**written, **given})
    if model and "model" not in given and split_argument(options.model)[0] == "python" and "model" in written:
        raise UsageError(
            f"{out} names the factory {options.model!r}, which runs code: name it again with --model {options.model}"
        )
    return options


def _written(manifest: Mapping[str, Any], stage: str | None) -> dict[str, Any]:
    arguments: dict[str, Any] = dict(manifest.get("arguments", {}))
    options = manifest["stages"].get(stage, {}).get("options", {})
    own = {name: value for name, value in options.items() if name in arguments}
    return arguments | {n: ",".join(map(str, v)) if isinstance(v, list) else v for n, v in own.items()}
