"""``art-weakrobust report``: write the page again from the run directory alone."""

from __future__ import annotations

from .request import Request
from .street import drive


def report(request: Request) -> None:
    """Write the report from the run directory alone, without torch."""
    drive(request, "report")
