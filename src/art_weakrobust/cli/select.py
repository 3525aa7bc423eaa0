"""``art-weakrobust select``: which samples are the weak set?"""

from __future__ import annotations

from .request import Request
from .street import drive


def select(request: Request) -> None:
    """Choose the weak set from the scores, split it in halves, and draw the control group."""
    drive(request, "select")
