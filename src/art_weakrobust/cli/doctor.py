"""``art-weakrobust doctor``: is anything wrong with the model or the data, before an hour is spent?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .console import fail, print_json, print_text
from .request import Request

if TYPE_CHECKING:
    from ..doctor.finding import Diagnosis

_MARKS = {"error": "▲ error", "warning": "▲ warning", "note": "● note"}


def doctor(request: Request) -> None:
    """Examine model and data on a small slice, in seconds, and write nothing; exits with 1 where it finds an error."""
    from ..pipeline.context import Context
    from ..pipeline.examination import diagnosed
    from ..pipeline.options import Options
    from ..plugins.manager import Manager

    manager = Manager(request.plugins, third_party=request.third_party)
    manager.refuse_broken()
    context = Context(Options().with_(request.given), manager)
    context.check_names()
    diagnosis = diagnosed(context, ("before",))
    if request.json:
        print_json(diagnosis.record())
    else:
        print_text(_told(diagnosis), quiet=request.quiet)
    if diagnosis.errors:
        fail(f"{len(diagnosis.errors)} of {len(diagnosis.findings)} findings void the figures of a run", 1)


def _told(diagnosis: Diagnosis) -> str:
    lines = [f"{_MARKS[f.severity]} {f.code}: {f.seen}\n    {f.do}" for f in diagnosis.findings]
    lines += [f"not looked at: {check}, since {why}" for check, why in diagnosis.not_run.items()]
    lines.append(f"{len(diagnosis.passed)} checks found nothing on {diagnosis.samples} samples.")
    return "\n".join(lines)
