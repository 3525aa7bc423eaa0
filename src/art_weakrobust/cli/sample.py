"""``art-weakrobust sample``: score one sample of a run again, from its seed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import typer

from .console import fail, print_json, print_text, told

_SHOWN = ("label", "prediction", "status", "score", "flips", "neighbors", "worst_neighbor", "margin")
_TOLERANCE = 1e-5
"""Scores agree within this across execution plans."""


def sample(
    index: int = typer.Option(..., min=0, help="The sample, as the report and the tables number it."),
    out: Path = typer.Option(Path("run"), help="Run directory."),
    model: str | None = typer.Option(None, help="Model; a python: factory has to be named again."),
    weights: str | None = typer.Option(None, help="Weights file, where it lies elsewhere now."),
    plugin: list[str] = typer.Option([], "--plugin", help="Module with hooks; repeatable."),
    no_plugins: bool = typer.Option(False, "--no-plugins", help="Load no installed plugins but our own."),
    json: bool = typer.Option(False, "--json", help="Print the result as JSON."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Score one sample of a run again and hold it against what the run says; exits with 1 where they differ."""
    with told(debug=debug):
        from ..pipeline.again import again

        given = {name: value for name, value in (("model", model), ("weights", weights)) if value is not None}
        stored, now = again(out, index, given, plugins=plugin, third_party=not no_plugins)
        names = [name for name in _SHOWN if stored.get(name) is not None or now.get(name) is not None]
        same = all(_alike(stored.get(name), now.get(name)) for name in names)
        if json:
            print_json({"index": index, "stored": stored, "now": now, "same": same})
        else:
            lines = [f"{name:<15} {stored.get(name)!s:>24} {now.get(name)!s:>24}" for name in names]
            print_text("\n".join([f"{f'sample {index}':<15} {'the run':>24} {'now':>24}", *lines]), quiet=False)
        if not same:
            fail(f"sample {index} does not come out as {out} has it", 1)


def _alike(stored: Any, now: Any) -> bool:
    if isinstance(stored, float) and isinstance(now, float):
        both_unknown = math.isnan(stored) and math.isnan(now)
        return both_unknown or math.isclose(stored, now, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
    return bool(stored == now)
