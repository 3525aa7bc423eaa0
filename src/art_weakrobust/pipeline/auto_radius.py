"""``--radius auto``: the radius of a run, measured once and kept in its manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..analysis.radius import suggest_radius
from ..store import Run
from ..store.layout import MANIFEST
from ..store.manifest import plain
from .context import Context
from .held import held_to
from .options import AUTO
from .provenance import plan_of

Suggestion = dict[str, Any]
KEY = "suggested_radius"
"""Where the manifest keeps it: ``radius``, ``curve``, and ``of``, the options that it was measured with."""

_LOADED = ("whole", "train", "train_ids", "test", "_first", "base")
"""What a context has loaded by then, and no radius enters."""


def settled(context: Context, out: Path) -> tuple[Context, Suggestion | None]:
    """Return a context whose radius is a number, and the suggestion that it was taken from; None where it was given.

    A run directory that was begun with the same options keeps its radius: nothing is measured again.

    :raises UsageError: where no radius can be suggested.
    """
    options = context.options
    if options.radius != AUTO:
        return context, None
    of = plain({name: value for name, value in held_to(context, "score").items() if name != "radius"})
    kept = _kept(out)
    if kept is None or kept["of"] != of:
        found = suggest_radius(
            context.base,
            context.train,
            radius_norm=options.radius_norm,
            neighbors=options.neighbors,
            neighbor_source=options.neighbor_source,
            quantise=options.quantise,
            seed=options.seed,
            batch_size=options.batch_size,
        )
        kept = {"radius": found.radius, "curve": list(found.curve), "of": of}
    plan = context.plan or plan_of(context.base)
    later = replace(context, options=replace(options, radius=kept["radius"]), plan=plan)
    vars(later).update({name: value for name, value in vars(context).items() if name in _LOADED})
    return later, dict(kept)


def _kept(out: Path) -> Mapping[str, Any] | None:
    if not (out / MANIFEST).is_file():
        return None
    with Run.open(out, write=False) as run:
        kept: Mapping[str, Any] | None = run.manifest.get(KEY)
    return kept
