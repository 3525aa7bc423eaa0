"""From a request to the pipeline, and from the pipeline to what a person sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .console import print_json, print_text, progress_bars
from .request import Request

if TYPE_CHECKING:
    from ..pipeline.outcome import Outcome


def drive(request: Request, *stages: str, resume: bool = True) -> None:
    """Run some stages of the street in the run directory.

    :param resume: options that were not written come from the run directory, not from the defaults.
    """
    from ..pipeline.run import execute

    with progress_bars(quiet=request.quiet) as progress:
        outcome = execute(
            request.out,
            stages,
            request.given,
            resume=resume,
            force=request.force,
            plugins=request.plugins,
            third_party=request.third_party,
            progress=progress,
        )
    tell(request, outcome)


def tell(request: Request, outcome: Outcome) -> None:
    """Show what came out: JSON, text, or nothing."""
    if request.json:
        print_json(outcome.summary())
    else:
        print_text(outcome.text(), quiet=request.quiet)
