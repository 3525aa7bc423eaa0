"""Validation rows in, the tables of the report out: lists of rows, plain Python values, None where nothing is known.

The figures of the set ``tune`` are in no table: training was guided by them. Every share has its n and an interval;
what they are is said in the functions, which :mod:`.judgement` and :mod:`.comparison` complete.
"""

from __future__ import annotations

from ..results import Finetuning, Validation
from .breakdown import class_table, score_histogram
from .comparison import headline, headline_types, paired_table, severity_paired, stance, unseen_table
from .corruption_error import corruption_error_table
from .judgement import HELD_OUT, family_means, strengths, verdict_table, weak_types, weaknesses
from .rows import Row, described, estimate, excess
from .verdicts import Verdicts, by_phase, shown_sets

__all__ = [
    "class_table",
    "corruption_error_table",
    "excess_table",
    "family_means",
    "headline",
    "headline_types",
    "paired_table",
    "score_histogram",
    "severity_paired",
    "severity_table",
    "stance",
    "strengths",
    "type_table",
    "unseen_table",
    "verdict_table",
    "weak_types",
    "weaknesses",
]


def type_table(validation: Validation, finetuning: Finetuning | None = None, *, seed: int = 0) -> list[Row]:
    """Return one row a phase, set and type: how often the model is right.

    Fields: type, family, group, origin, trained (None without fine-tuning), set, phase, n, n_unknown, severities (their
    number, 1 for a type without), accuracy, lower, upper, interval (wilson | bootstrap), verdict (on held_out:
    weakness | strength | neither, or none where nothing is judged; None on other sets). An image without a verdict at
    one of the severities is unknown; a type with no known image has n 0 and no accuracy.
    """
    verdicts = {(row["phase"], row["type"]): row["verdict"] for row in verdict_table(validation, seed=seed)}
    rows: list[Row] = []
    for phase, part in by_phase(validation).items():
        for name in shown_sets(part):
            known = Verdicts.of(part, name)
            for kind in known.types:
                severities = len(known.severities(kind.type))
                row = {**described(kind, finetuning), "set": name, "phase": phase, "severities": severities}
                row |= estimate(known.values(kind.type), pooled=severities > 1, seed=seed)
                row["n_unknown"] = known.unknown(kind.type)
                row["verdict"] = verdicts.get((phase, kind.type), "none") if name == HELD_OUT else None
                rows.append(row)
    return rows


def severity_table(validation: Validation, finetuning: Finetuning | None = None) -> list[Row]:
    """Return one row a phase, set, type and severity, for types that have severities.

    Fields: type, family, group, origin, trained, set, phase, severity, n, n_unknown, accuracy, lower, upper, interval.
    """
    rows: list[Row] = []
    for phase, part in by_phase(validation).items():
        for name in shown_sets(part):
            known = Verdicts.of(part, name)
            for kind in known.types:
                for severity in known.severities(kind.type):
                    if severity is None:
                        continue
                    row = {**described(kind, finetuning), "set": name, "phase": phase, "severity": severity}
                    row |= estimate(known.column(kind.type, severity), pooled=False, seed=0)
                    rows.append(row | {"n_unknown": known.unknown(kind.type, severity)})
    return rows


def excess_table(validation: Validation, *, seed: int = 0) -> list[Row]:
    """Return one row a phase and type: the error on the held-out weak half minus that on the control group.

    Two groups of other images, never paired. It judges nothing: a type that fools everything has no excess. Clean is
    left out, since selection fixed it. Fields: type, family, group, origin, phase, severities, n_weak, n_control,
    weak_error, control_error, excess, lower, upper, interval (newcombe | bootstrap).
    """
    rows: list[Row] = []
    for phase, part in by_phase(validation).items():
        weak, control = Verdicts.of(part, HELD_OUT), Verdicts.of(part, "control")
        for kind in weak.types:
            if kind.family == "clean" or kind not in control.types:
                continue
            severities = max(len(weak.severities(kind.type)), len(control.severities(kind.type)))
            errors = (1 - weak.values(kind.type), 1 - control.values(kind.type))
            row = {**described(kind, None), "phase": phase, "severities": severities}
            del row["trained"]
            rows.append(row | excess(*errors, pooled=severities > 1, seed=seed))
    return rows
