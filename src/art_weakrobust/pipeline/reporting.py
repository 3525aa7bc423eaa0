"""From a run directory to its report, without torch and ART."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..plugins.manager import Manager
from ..plugins.reference import Reference
from ..store import Run
from .outcome import Outcome
from .resolve import resolved


def report(out: Path, given: Mapping[str, Any], *, plugins: Sequence[Any] = (), third_party: bool = True) -> Outcome:
    """Write the report of a run again, from its directory alone.

    :raises RunError: where the directory is no run, or holds no scores yet.
    """
    manager = Manager(plugins, third_party=third_party)
    manager.refuse_broken()
    options = resolved(out, given, resume=True, model=False)
    with Run.open(out) as run:
        write_report(run, manager, options.reporter)
        return Outcome(out, run.records(), ("report",))


def write_report(run: Run, manager: Manager, reporter: str) -> None:
    """Hand everything that flowed to a reporter, and write the files that it gives.

    :param reporter: as the user wrote it, ``NAME[:key=value...]``.
    """
    reference = Reference.parse(reporter)
    make = manager.make("reporter", reference.name, written=reference.options)
    options = {"reporter": reporter}
    entry = run.manifest["stages"].get("report")
    if entry is not None and (entry["status"] == "done" or entry["options"] != options):
        run.redo("report")  # cheap, and always asked for: the page may be of an older version, or another reporter's
    run.begin("report", options)
    files = make(run.records())
    for name, content in files.items():
        run.write_bytes(name, content)
    run.finish("report", files=sorted(files))
