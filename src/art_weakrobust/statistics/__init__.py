"""Intervals, bounds and tests, in one place: analysis, validation and the report take them from here (numpy, scipy)."""

from __future__ import annotations

from .hidden import most_hidden, smallest_audit
from .inference import (
    CONFIDENCE,
    Interval,
    bootstrap_difference,
    bootstrap_mean,
    fisher,
    holm,
    kendall,
    mcnemar,
    newcombe,
    paired_bootstrap,
    share_of,
    sign_flip_test,
    sign_test,
    wilson,
)
from .survival import censored_normal, kaplan_meier

__all__ = [
    "CONFIDENCE",
    "Interval",
    "bootstrap_difference",
    "bootstrap_mean",
    "censored_normal",
    "fisher",
    "holm",
    "kaplan_meier",
    "kendall",
    "mcnemar",
    "most_hidden",
    "newcombe",
    "paired_bootstrap",
    "share_of",
    "sign_flip_test",
    "sign_test",
    "smallest_audit",
    "wilson",
]
