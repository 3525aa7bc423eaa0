"""``art-weakrobust score``: how weakly robust is every training sample?"""

from __future__ import annotations

from .request import Request
from .street import drive


def score(request: Request) -> None:
    """Score the local robustness of every training sample."""
    drive(request, "score", resume=False)
