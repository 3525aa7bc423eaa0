"""One run a model, each in its own directory; a model that fails is a row with its reason, and the rest goes on."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError, UserError
from ..models.registry import published_figures
from ..pipeline.options import AUTO
from ..pipeline.progress import Progress
from ..pipeline.provenance import versions
from ..pipeline.run import execute
from ..report.benchmark import benchmark_files
from ..store.atomic import atomic_write
from ..store.tables import to_parquet
from .entries import Entry
from .ran import Ran
from .table import agreement, core, rankings, rows, shared

_log = logging.getLogger(__name__)

SCHEMA = "art-weakrobust/benchmark/1"
STAGES = ("score", "triage", "select", "before", "report")


def run_all(
    models: Sequence[Entry],
    out: Path,
    given: Mapping[str, Any],
    *,
    force: bool = False,
    plugins: Sequence[Any] = (),
    third_party: bool = True,
    progress: Callable[[Entry], Progress | None] = lambda _: None,
) -> list[Ran]:
    """Score, select and validate every model; a killed benchmark goes on where it stopped.

    :param out: every model's run directory lies in it.
    :param given: options that all models share.
    :param force: redo runs whose options differ.
    :param progress: entry -> where its progress is told.
    :raises UsageError: for a radius that would be another for every model.
    """
    if given.get("radius") == AUTO:
        raise UsageError(
            f"--radius {AUTO} would give every model a radius of its own, and weak sets of different ones cannot be "
            "compared; measure one with `suggest_radius`, or run one model with it"
        )
    ran = []
    for entry in models:
        folder = out / entry.folder
        try:
            outcome = execute(
                folder,
                STAGES,
                {**given, **entry.options},
                resume=False,
                force=force,
                plugins=plugins,
                third_party=third_party,
                progress=progress(entry),
            )
            ran.append(Ran(entry, folder, outcome.records))
        except Exception as error:  # whatever a model does, the others are benchmarked
            if not isinstance(error, UserError):
                _log.warning("%s failed", entry.name, exc_info=True)
            kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
            ran.append(Ran(entry, folder, None, f"{kind}{' '.join(str(error).split())[:500]}"))
    return ran


def publish(
    ran: Sequence[Ran],
    out: Path,
    *,
    title: str,
    command: str = "",
    published: Mapping[str, Mapping[str, float]] | None = None,
) -> dict[str, Any]:
    """Write ``benchmark.html``, ``.json``, ``.csv``, ``.md`` and ``weak_core.parquet``, and return the summary.

    :param published: name -> clean and robust accuracy in [0, 1], as the models' authors publish them; RobustBench's
        are known.
    """
    summary = {
        "schema": SCHEMA,
        "title": title,
        "command": command,
        "rows": rows(ran, {**_known(ran), **(published or {})}),
        "agreement": agreement(ran),
        "shared": shared(ran),
        "rankings": rankings(ran),
        "versions": versions(),
    }
    for name, content in benchmark_files(summary).items():
        atomic_write(out / name, content)
    atomic_write(out / "weak_core.parquet", to_parquet(core(ran)))
    return summary


def _known(ran: Sequence[Ran]) -> dict[str, dict[str, float]]:
    """Return what RobustBench publishes of those models that are of its zoo."""
    models = ((one.entry.name, str(one.entry.options["model"])) for one in ran)
    return {name: figures for name, model in models if (figures := published_figures(model))}
