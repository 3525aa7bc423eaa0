"""``art-weakrobust finetune``: mend what was found."""

from __future__ import annotations

from .request import Request
from .street import drive


def finetune(request: Request) -> None:
    """Fine-tune on what was found; on a trained run, --clean-budget alone only turns the dial, in seconds."""
    drive(request, "finetune")
