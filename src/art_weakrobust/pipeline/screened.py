"""What a screening found of itself, as ``findings.json`` holds it and the report tells it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import UsageError
from ..plugins.reference import Reference
from .context import Context


def check_screening(context: Context) -> None:
    """Refuse, before the run, a screening that its scorer does not know, or that is written behind the scorer's name.

    :raises UsageError: in one sentence.
    """
    options = context.options
    scorer = Reference.parse(options.scorer)
    if "screen" in scorer.options:
        raise UsageError(
            f"--scorer {options.scorer!r} is told what it seeks by --screen; write that in place of screen="
        )
    if options.screen and "screen" not in context.manager.check_written("scorer", scorer):
        raise UsageError(f"--screen does not go with --scorer {scorer.name!r}, which scores every sample; leave it out")


def with_screening(noted: Mapping[str, Any], facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the doctor's record with ``missed_bound``, and a note of the screening.

    :param noted: see :meth:`~art_weakrobust.doctor.finding.Diagnosis.record`.
    :param facts: of scores that come of a :class:`~art_weakrobust.analysis.screening.ScreeningScorer`.
    """
    note = {"severity": "note", "code": "screened", "seen": _seen(facts), "do": _do(facts["screening"])}
    return {**noted, "findings": [*noted.get("findings", ()), note], "missed_bound": facts["missed_bound"]}


def _seen(facts: Mapping[str, Any]) -> str:
    told, bound = facts["screening"], facts["missed_bound"]
    spent = f"Screening drew {told['share_drawn']:.1%} of the neighbors to find the {told['sought']:,} weakest samples"
    early = f", {told['decided_early']:,} of the others being out for certain" if told["decided_early"] else ""
    audit = f"an audit of {bound['n']:,} that were left out found {bound['missed']:,} more"
    missed = f"at most {bound['upper']:.1%} are missed (95 % bound)"
    tied = f"; {told['tied_at_the_cut']:,} more are tied with the last of them" if told["tied_at_the_cut"] else ""
    return f"{spent}{early}; {audit}, and {missed}{tied}."


def _do(told: Mapping[str, Any]) -> str:
    calm = told["sought"] - told["members_that_flip"]
    if calm > 0:
        return (
            f"Only {told['members_that_flip']:,} of these {told['sought']:,} have an error nearby: "
            "what ranks below them is ordered by margin alone."
        )
    return "Leave out --screen to score every sample in full."
