"""``art-weakrobust triage``: why is each sample weak?"""

from __future__ import annotations

from dataclasses import replace

from .request import Request
from .street import drive


def triage(request: Request) -> None:
    """Say of every scored sample why it is weak: fragile, mislabelled, ambiguous or atypical."""
    drive(replace(request, given={**request.given, "triage": True}), "triage")
