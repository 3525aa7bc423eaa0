"""``art-weakrobust run``: the whole street."""

from __future__ import annotations

from .request import Request
from .street import drive


def run(request: Request) -> None:
    """Score, select, validate, fine-tune, validate again, report; a killed run goes on where it stopped."""
    drive(request, "score", "triage", "select", "before", "finetune", "after", "report", resume=False)
