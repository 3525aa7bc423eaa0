"""From a run directory to its report, the exports beside it, or two runs side by side; without torch and ART."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..plugins.manager import Manager
from ..plugins.reference import Reference
from ..report.compare import Side
from ..report.html import MAX_SHOWN
from ..report.summary import SCHEMA, summarise
from ..results import Records
from ..store import Run, atomic_write
from .outcome import Outcome
from .resolve import resolved

PAGE = "report.html"


@dataclass(frozen=True)
class Wanted:
    """What is asked for beside the report in the run directory.

    :param html: file for the page, instead of the run directory, to which nothing is then written.
    :param max_samples: how many of the weakest samples are shown as images, 0 to 100; None for the reporter's own.
    :param csv: folder for one CSV file a table.
    :param junit: file for the verdicts as JUnit XML.
    :param markdown: file for the report as Markdown.
    :param figures: folder for every chart as SVG and PNG.
    """

    html: Path | None = None
    max_samples: int | None = None
    csv: Path | None = None
    junit: Path | None = None
    markdown: Path | None = None
    figures: Path | None = None

    def __post_init__(self) -> None:
        if self.max_samples is not None and not 0 <= self.max_samples <= MAX_SHOWN:
            raise UsageError(f"--max-samples {self.max_samples} has to be from 0 to {MAX_SHOWN}: a page has its limits")


@dataclass(frozen=True)
class Written:
    """What came of it.

    :param page: the page that was written.
    :param files: the exports, in the order they were written.
    """

    page: Path
    files: tuple[Path, ...]


def report(
    out: Path,
    given: Mapping[str, Any],
    wanted: Wanted | None = None,
    *,
    plugins: Sequence[Any] = (),
    third_party: bool = True,
) -> tuple[Outcome, Written]:
    """Write the report of a run again, from its directory alone, and what else is wanted.

    :raises RunError: where the directory is no run, or holds no scores yet, or a file cannot be written.
    :raises UsageError: where a page is wanted elsewhere, and the reporter makes none.
    """
    wanted = wanted or Wanted()
    manager = Manager(plugins, third_party=third_party)
    manager.refuse_broken()
    reporter = resolved(out, given, resume=True, model=False).reporter
    if wanted.max_samples is not None:
        reporter = f"{reporter}:max_samples={wanted.max_samples}"
    with Run.open(out, write=wanted.html is None) as run:
        if wanted.html is None:
            files = write_report(run, manager, reporter)
        else:
            files = _made(_unreported(run.records()), manager, reporter)
            if PAGE not in files:
                raise UsageError(f"--html needs a reporter that makes {PAGE}; {reporter!r} makes {', '.join(files)}")
            atomic_write(wanted.html, files[PAGE])
        records = run.records()
    summary = _summary(files, records)
    outcome = Outcome(out, records, ("report",), summary, wanted.html)
    exports = _exports(wanted, summary, records)
    return outcome, Written(wanted.html or out / PAGE, _write(exports))


def compare(out: Path, other: Path, wanted: Wanted | None = None) -> tuple[dict[str, Any], Written]:
    """Write a page that shows two runs side by side, from their directories alone, and what else is wanted.

    :param out: the run that is judged; the page goes there as ``compare.html`` unless it is wanted elsewhere.
    :param other: the run that it is held against; nothing is written to it.
    :return: the summary of the comparison, and what was written.
    :raises RunError: where one of them is no run directory.
    :raises UsageError: where they are one directory, or something is wanted that a comparison does not have.
    """
    from ..report.compare_page import compare_files

    wanted = wanted or Wanted()
    for name in ("figures", "max_samples"):
        if getattr(wanted, name) is not None:
            flag = name.replace("_", "-")
            raise UsageError(f"--{flag} is of one run; leave out --compare, or --{flag}")
    names = _told_apart(other, out)
    sides = [_side(path, name) for path, name in zip((other, out), names, strict=True)]
    files = compare_files(*sides)
    if wanted.html is not None:
        atomic_write(wanted.html, files["compare.html"])
    else:
        with Run.open(out) as run:
            for name, content in files.items():
                run.write_bytes(name, content)
    summary: dict[str, Any] = json.loads(files["compare.json"])
    return summary, Written(wanted.html or out / "compare.html", _write(_exports(wanted, summary, None)))


def write_report(run: Run, manager: Manager, reporter: str) -> Mapping[str, bytes]:
    """Hand everything that flowed to a reporter, write the files that it gives, and return them.

    :param reporter: as the user wrote it, ``NAME[:key=value...]``.
    """
    options = {"reporter": reporter}
    entry = run.manifest["stages"].get("report")
    if entry is not None and (entry["status"] == "done" or entry["options"] != options):
        run.redo("report")  # cheap, and always asked for: the page may be of an older version, or another reporter's
    run.begin("report", options)
    files = _made(run.records(), manager, reporter)
    for name, content in files.items():
        run.write_bytes(name, content)
    run.finish("report", files=sorted(files))
    return files


def _made(records: Records, manager: Manager, reporter: str) -> Mapping[str, bytes]:
    reference = Reference.parse(reporter)
    make = manager.make("reporter", reference.name, written=reference.options)
    files: Mapping[str, bytes] = make(records)
    return files


def _unreported(records: Records) -> Records:
    """Return the records without the stage of an earlier report, which the page that is made now does not tell of."""
    facts = dict(records.provenance)
    stages = {stage: told for stage, told in facts.get("stages", {}).items() if stage != "report"}
    return records.with_(provenance=facts | {"stages": stages})


def _summary(files: Mapping[str, bytes], records: Records) -> Mapping[str, Any]:
    """Return the summary that the reporter wrote; making it again takes as long as all the rest."""
    if "summary.json" in files:
        summary: Mapping[str, Any] = json.loads(files["summary.json"])
        if summary.get("schema") == SCHEMA:
            return summary
    return summarise(records)


def _exports(wanted: Wanted, summary: Mapping[str, Any], records: Records | None) -> dict[Path, bytes]:
    """Return path -> content of what is wanted beside the page.

    :param records: the run's, or None for a comparison.
    """
    from ..report.compare_page import comparison_markdown
    from ..report.exports import csv_files
    from ..report.junit import junit
    from ..report.markdown import markdown

    files: dict[Path, bytes] = {}
    if wanted.csv is not None:
        files |= {wanted.csv / name: content for name, content in csv_files(summary["tables"]).items()}
    if wanted.junit is not None:
        files[wanted.junit] = junit(summary)
    if wanted.markdown is not None:
        files[wanted.markdown] = (comparison_markdown if records is None else markdown)(summary).encode()
    if wanted.figures is not None and records is not None:
        from ..report.figure_files import figure_files

        files |= {wanted.figures / name: content for name, content in figure_files(summary, records.samples).items()}
    return files


def _write(files: Mapping[Path, bytes]) -> tuple[Path, ...]:
    for path, content in files.items():
        atomic_write(path, content)
    return tuple(files)


def _side(path: Path, name: str) -> Side:
    """Return one run of a comparison, with the fingerprint of its test images, which its stages have."""
    with Run.open(path, write=False) as run:
        records, stages = run.records(), run.manifest["stages"]
    facts = dict(records.provenance)
    fingerprints = dict(facts.get("fingerprints", {}))
    for stage in ("before", "after"):
        if found := stages.get(stage, {}).get("options", {}).get("test_fingerprint"):
            fingerprints["test"] = found
    return Side(name, replace(records, provenance=facts | {"fingerprints": fingerprints}))


def _told_apart(first: Path, second: Path) -> tuple[str, str]:
    """Return the shortest ends of two paths that differ: ``run-1`` and ``run-2``, or ``a/run`` and ``b/run``.

    :raises UsageError: where they are one directory.
    """
    one, two = first.resolve(), second.resolve()
    if one == two:
        raise UsageError(f"--compare {first} is the run itself; name another run directory")
    for number in range(1, max(len(one.parts), len(two.parts)) + 1):
        ends = ["/".join(path.parts[-number:]) for path in (one, two)]
        if ends[0] != ends[1]:
            return ends[0], ends[1]
    return str(one), str(two)
