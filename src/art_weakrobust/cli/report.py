"""``art-weakrobust report``: write the page again from the run directory alone."""

from __future__ import annotations

from .request import Request
from .street import tell


def report(request: Request) -> None:
    """Write the report from the run directory alone, without torch."""
    from ..pipeline.reporting import report as write

    tell(request, write(request.out, request.given, plugins=request.plugins, third_party=request.third_party))
