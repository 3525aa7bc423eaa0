"""What the doctor says: findings, what was in order, and what could not be looked at."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

Severity = Literal["error", "warning", "note"]
_ORDER = {"error": 0, "warning": 1, "note": 2}


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    :param code: what it is, for programs: ``normalisation-missing``.
    :param severity: an ``error`` voids the figures of a run, a ``warning`` has to be known to read them.
    :param seen: one sentence on what was seen, with the figure.
    :param do: one sentence on what to do.
    """

    code: str
    severity: Severity
    seen: str
    do: str


@dataclass(frozen=True)
class Diagnosis:
    """All that an examination gave.

    :param findings: the gravest first.
    :param passed: checks that found nothing.
    :param not_run: check -> why it could not be made.
    :param samples: how many were looked at.
    """

    findings: tuple[Finding, ...]
    passed: tuple[str, ...]
    not_run: dict[str, str]
    samples: int

    @property
    def errors(self) -> tuple[Finding, ...]:
        """The findings that void the figures of a run."""
        return tuple(finding for finding in self.findings if finding.severity == "error")

    def record(self) -> dict[str, Any]:
        """Return plain values, as ``findings.json`` holds them."""
        return {
            "findings": [asdict(finding) for finding in self.findings],
            "passed": list(self.passed),
            "not_run": [{"check": check, "why": why} for check, why in self.not_run.items()],
            "examined": self.samples,
        }


def sorted_findings(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return findings, the gravest first, otherwise as they came."""
    return tuple(sorted(findings, key=lambda finding: _ORDER[finding.severity]))
