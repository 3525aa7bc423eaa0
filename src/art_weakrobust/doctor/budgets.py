"""Are the budgets of the attacks on the scale of the pixels?"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from .finding import Finding
from .patient import Patient, budget_name

_NOTHING = 1e-4


def budget_scale(patient: Patient) -> Iterator[Finding]:
    """Find budgets that cover the whole range of the pixels, or next to nothing of it."""
    for budget in dict.fromkeys(patient.budgets):
        norm, eps = budget
        share = eps / patient.span
        if norm == inf and share >= 1:
            yield Finding(
                "eps-scale",
                "error",
                f"A budget of {budget_name(budget)} covers the whole range of the pixels.",
                f"Write it on the scale of the pixels: {eps:g}/255 if {eps:g} levels of 255 are meant.",
            )
        elif 0 < share < _NOTHING:
            yield Finding(
                "eps-scale",
                "warning",
                f"A budget of {budget_name(budget)} is {share:.1g} of the pixels' range, below any image's noise.",
                "Write it on the scale of the pixels, once: an eps that was divided by 255 twice looks like this.",
            )
