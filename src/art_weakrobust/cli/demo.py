"""``art-weakrobust demo``: the whole street on the embedded digits, in about a minute."""

from __future__ import annotations

from dataclasses import replace

from .request import Request
from .street import drive

_DEMO = {"radius": 0.3, "eps": 0.15, "eps_l2": 0.75, "nb_epochs": 5, "batch_size": 32}
"""Eight-pixel digits are far apart: here at least a tenth of them flips, at the radii of photographs none does."""


def demo(request: Request) -> None:
    """Run the whole street on scikit-learn's digits and a small network, with a radius and eps of its own."""
    request = replace(request, given={**_DEMO, **request.given})
    drive(request, "score", "triage", "select", "before", "finetune", "after", "report", resume=False)
