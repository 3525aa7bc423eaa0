"""``art-weakrobust validate``: where is the model weak and strong?"""

from __future__ import annotations

from .request import Request
from .street import drive


def validate(request: Request) -> None:
    """Validate the model on weak, control and test samples per perturbation type; the fine-tuned one too, if there."""
    drive(request, "before", "after")
