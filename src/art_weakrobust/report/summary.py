"""The numbers of a report as one plain dictionary: ``summary.json`` is it, and the page is rendered from it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..results import WEAK_SET, Records, Validation, WeakSet, column
from ..threat import parse_eps
from ..validation import metrics
from ..validation.baselines import Baseline
from ..validation.flips import flip_table
from . import wording
from .flipped import flipped_rows
from .security import security_rows
from .weakest import Outcomes, outcomes, sample_rows

SCHEMA = "art-weakrobust/summary/1"
_NOTES = ("radius_curve", "segments", "security_curve")
"""Tables that a run may hold in its notes, see :class:`~art_weakrobust.results.Records`."""

Row = dict[str, Any]


def summarise(records: Records) -> dict[str, Any]:
    """Return the tables, the facts and the sentences of a report, in plain Python values; unknown is None.

    Keys: ``schema``, ``title``, ``stance``, ``headline``, ``tables`` (name -> list of rows: headline, validation,
    family_means, unseen, excess, paired, flips, flipped, severity, severity_paired, corruption_errors (where a baseline
    was named), samples, classes; radius_curve and segments, empty unless the run noted them; security_curve, noted or
    from several budgets), ``outcome_types`` (the types of the samples' ``outcomes``), ``score_histogram``, ``scored``,
    ``weak_set``, ``missed_bound``, ``finetuning``, ``provenance``, ``findings``, ``checks`` (passed, not_run),
    ``class_names``.
    """
    facts, judged = _provenance(records), outcomes(records)
    summary: dict[str, Any] = {
        "schema": SCHEMA,
        "title": str(facts["title"] or "Robustness report"),
        "class_names": [str(name) for name in records.class_names],
        "tables": plain(_tables(records, judged)),
        "outcome_types": list(judged),
        "score_histogram": plain(_histogram(records)),
        "scored": None if records.scores is None else len(records.scores),
        "weak_set": _roles(records.weak_set),
        "missed_bound": plain(records.notes.get("missed_bound")),
        "finetuning": None if records.finetuning is None else _tuned(records),
        "provenance": facts,
        "findings": shortened(plain([dict(finding) for finding in records.findings])),
        "checks": shortened(plain({name: records.notes.get(name, ()) for name in ("passed", "not_run")})),
    }
    summary["stance"] = wording.stance(summary)
    summary["headline"] = wording.headline(summary)
    return summary


def _provenance(records: Records) -> Row:
    """Return the provenance with every key it may have, so that what is missing is empty and not absent."""
    facts: Row = dict.fromkeys(("title", "command", "started"), "")
    facts |= {name: {} for name in ("arguments", "defaults", "versions", "seeds", "fingerprints", "plan", "stages")}
    facts |= shortened(plain(records.provenance))
    nothing = dict.fromkeys(("status", "reason", "seconds", "forwards", "gradients", "samples"))
    stages = {name: nothing | dict(stage) for name, stage in facts["stages"].items()}
    if stages.get("report", {}).get("status") == "running":  # it is being written: this is it
        del stages["report"]
    return facts | {"stages": stages}


def run_eps(records: Records) -> float:
    """Return the run's Linf budget: its argument ``eps``, else the commonest of its Linf attacks, else NaN."""
    given = records.provenance.get("arguments", {}).get("eps")
    if given is not None:
        return parse_eps(given)
    kinds = () if records.before is None else records.before.types
    budgets = [kind.eps for kind in kinds if kind.family == "attacks" and kind.norm == "inf" and kind.eps is not None]
    return Counter(budgets).most_common(1)[0][0] if budgets else math.nan


def _tables(records: Records, judged: Outcomes) -> dict[str, list[Row]]:
    before, after, tuned = records.before, records.after, records.finetuning
    validations = [validation for validation in (before, after) if validation is not None]
    tables: dict[str, list[Row]] = {
        "headline": [] if before is None else metrics.headline(before, after, run_eps(records)),
        "validation": [row for one in validations for row in metrics.type_table(one, tuned)],
        "family_means": [row for one in validations for row in metrics.family_means(one)],
        "excess": [row for one in validations for row in metrics.excess_table(one)],
        "unseen": [] if before is None else metrics.unseen_table(before, after, tuned),
        "severity": [row for one in validations for row in metrics.severity_table(one, tuned)],
        "corruption_errors": [row for one in validations for row in _corruption_errors(records, one)],
        "paired": [],
        "flips": [],
        "flipped": [],
        "severity_paired": [],
        "samples": sample_rows(records, judged),
        "classes": [],
        **{name: [dict(row) for row in records.notes.get(name, ())] for name in _NOTES},
    }
    tables["security_curve"] = tables["security_curve"] or security_rows(records)
    if before is not None and after is not None:
        alone = {row["types"][0] for row in tables["headline"] if len(row["types"]) == 1}
        tables["paired"] = [_once(row, alone) for row in metrics.paired_table(before, after, tuned)]
        tables["flips"] = flip_table(before, after)
        tables["flipped"] = flipped_rows(records)
        tables["severity_paired"] = metrics.severity_paired(before, after, tuned)
    if records.scores is not None and {"label", "correct"} <= set(records.scores.table.column_names):
        chosen = records.weak_set or WeakSet(WEAK_SET.empty_table())
        eps = run_eps(records)
        budget = None if math.isnan(eps) else eps
        tables["classes"] = metrics.class_table(
            records.scores, chosen, before, after, eps=budget, class_names=records.class_names
        )
    return tables


def _once(row: Row, alone: set[str]) -> Row:
    """Return a paired row without its test where the headline makes the same one: a comparison has one p-value."""
    if row["set"] != "test" or row["type"] not in alone or row["verdict"] == "not run":
        return row
    return row | {"p": None, "p_holm": None, "verdict": "see headline"}


def _corruption_errors(records: Records, validation: Validation) -> list[Row]:
    """Return corruption errors and mCE against the baseline that the run named; without one there is no mCE."""
    named = records.provenance.get("baseline")
    if not named:
        return []
    return metrics.corruption_error_table(validation, Baseline.from_json(named), named.get("nb_classes"))


def _histogram(records: Records) -> Row | None:
    """Return the spread of the scores, and of how many samples an error was ``found`` nearby."""
    if records.scores is None:
        return None
    chosen = records.weak_set or WeakSet(WEAK_SET.empty_table())
    score = records.scores["score"]
    finite = np.isfinite(score.astype(np.float64))
    names = records.scores.table.column_names
    found = records.scores["found"] if "found" in names else np.ones(len(score), bool)
    scorer = str(records.scores["scorer"][0]) if "scorer" in names and len(score) else ""
    near = int((finite & (found == np.True_)).sum())
    return metrics.score_histogram(records.scores, chosen) | {"found": near, "scorer": scorer}


def _roles(weak_set: WeakSet | None) -> dict[str, int] | None:
    if weak_set is None:
        return None
    roles = Counter(column(weak_set.table, "role").tolist())
    return {role: roles.get(role, 0) for role in ("tune", "held_out", "control")}


def _tuned(records: Records) -> Row:
    """Return the fine-tuning record, intervals named as everywhere, and of its ids their number."""
    tuned = records.finetuning
    assert tuned is not None
    facts = tuned.to_json()
    ends = {"clean_low": "clean_lower", "clean_high": "clean_upper"}
    ends |= {"robust_low": "robust_lower", "robust_high": "robust_upper"}
    facts["curve"] = [{ends.get(name, name): value for name, value in point.items()} for point in facts["curve"]]
    facts["guard_n"], facts["trained_n"] = len(facts.pop("guard_ids")), len(facts.pop("trained_ids"))
    return dict(shortened(plain(facts)))


def plain(value: Any) -> Any:
    """Return plain Python values; NaN and infinity, which JSON does not know, are None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    return value if value is None or isinstance(value, bool | int | str) else str(value)


def shortened(value: Any) -> Any:
    """Return provenance without the path of the home directory, which names a person."""
    if isinstance(value, Mapping):
        return {key: shortened(item) for key, item in value.items()}
    if isinstance(value, list):
        return [shortened(item) for item in value]
    home = str(Path.home())
    return value.replace(home + "/", "~/") if isinstance(value, str) and len(home) > 1 else value
