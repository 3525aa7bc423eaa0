"""The stage between scoring and selection: of what kind is each sample, and where does weakness concentrate?"""

from __future__ import annotations

from collections.abc import Collection

from ..analysis.segments import weak_segments
from ..analysis.triage import triage
from ..analysis.triage_cleanlab import check_installed
from ..errors import ModelError, RunError
from ..protocols import Map
from ..results import Scores, Triage, WeakSet
from ..selection import kinds_named
from ..store import Run
from .context import Context
from .options import Options

FINDINGS = "findings.json"


def check_triage(options: Options) -> None:
    """Refuse, before the run, kinds that there are not and a label check that is not installed.

    :raises UsageError: in one sentence.
    """
    kinds_named(options.kinds, "--kinds")
    if options.triage and options.label_check == "cleanlab":
        check_installed()


def check_answers(context: Context, stages: Collection[str]) -> None:
    """Refuse, before the run, the triage of a model that does not tell how sure it is.

    :raises ModelError: for one that gives labels alone.
    """
    if "triage" in stages and getattr(context.base, "decisions_only", False):
        raise ModelError(
            f"--triage asks how sure the model is, and {context.options.model!r} gives labels alone: leave it out"
        )


def triaged(context: Context, scores: Scores, over: Map) -> Triage:
    """Return the kind of every scored sample, its weight and the evidence."""
    options = context.options
    return triage(
        context.base,
        context.train,
        scores,
        over,
        eps=options.eps,
        label_check=options.label_check,
        seed=options.seed,
        batch_size=options.batch_size,
    )


def kinds_in(run: Run, options: Options) -> Triage | None:
    """Return the triage that selection reads, None where it is not asked for.

    :raises RunError: where it is, and has not been made.
    """
    if not options.triage:
        return None
    found = run.records().triage
    if found is None:
        raise RunError(f"{run.path} has no triage yet: run `art-weakrobust triage` first")
    return found


def write_segments(run: Run, scores: Scores, weak_set: WeakSet, found: Triage | None, seed: int) -> None:
    """Put the segments of this weak set beside the doctor's findings, and those of another one away."""
    path = run.path / FINDINGS
    written = run.read_json(FINDINGS) if path.is_file() else {}
    notes = written if isinstance(written, dict) else {"findings": written}
    told = {name: value for name, value in notes.items() if name != "segments"}
    if found is not None:
        names = tuple(run.manifest.get("class_names", ()))
        told["segments"] = weak_segments(scores, weak_set, found, class_names=names, seed=seed)
    if told != notes:
        run.write_json(FINDINGS, told)
