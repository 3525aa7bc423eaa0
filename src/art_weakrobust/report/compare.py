"""Two runs side by side, two recipes or two models, as one plain dictionary: paired where samples are the same.

The other run is the base: its figures are ``before``, this run's are ``after``, and better means that this run is. Of
each run the last model counts, after fine-tuning where it ran. Test images are paired where both runs tested on the
same data; weak and control samples only where both runs hold the very same ones, chosen by the same model, since a
sample that one model chose for its weakness says nothing about another. A type is compared where both ran it with the
same budget and settings. What is not paired stands side by side, each figure with its own n, and is not tested.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..results import Finetuning, Records, Validation
from ..validation import comparison, metrics
from ..validation.verdicts import Verdicts, align
from .comparable import comparable_types, different_settings
from .summary import plain, run_eps, shortened
from .typography import count, isolated, known, listing, shown
from .wording import NOUNS

SCHEMA = "art-weakrobust/comparison/1"
STANCES = {
    comparison.IMPROVED: "Better",
    comparison.COST: "Better, at a cost",
    comparison.NO_EVIDENCE: "No evidence of a difference",
    comparison.WORSE: "Worse",
}
NOT_TESTED = "Side by side"
_OWN_SAMPLES = ("held_out", "control")

Row = dict[str, Any]


@dataclass(frozen=True)
class Side:
    """One of the two runs.

    :param name: how it is called, other than the other one.
    :param records: everything that flowed in it; ``fingerprints`` of its provenance say which data were used.
    """

    name: str
    records: Records

    @property
    def last(self) -> Validation | None:
        """The validation of the last model: the fine-tuned one where there is one."""
        return self.records.after or self.records.before

    def fingerprint(self, of: str) -> str | None:
        """Return the fingerprint of ``model``, ``data`` or ``test``; None where none was recorded."""
        found = self.records.provenance.get("fingerprints", {}).get(of)
        return None if found is None else str(found)


def compared(other: Side, this: Side) -> dict[str, Any]:
    """Return the tables and sentences of a comparison, in plain Python values; unknown is None.

    Keys: ``schema``, ``title``, ``names`` (other, this), ``runs``, ``stance``, ``headline``, ``paired`` (set -> why it
    is not, None where it is, and n) and ``tables``: headline and paired as in a report's summary, with ``trained`` the
    runs that drew the type; types (one row a run, set and type), settings (what differs: name, other, this) and
    left_out (type, why).
    """
    other, this = (replace(side, name=shown(side.name)) for side in (other, this))
    unpaired = {name: _why_unpaired(other, this, name) for name in ("test", *_OWN_SAMPLES)}
    shared, left_out = comparable_types(other.records, this.records)
    pairs = [name for name, why in unpaired.items() if why is None]
    paired = _paired(other, this, shared, pairs)
    headline = _headline(other, this, shared, paired=unpaired["test"] is None)
    summary = {
        "schema": SCHEMA,
        "title": f"{this.name} against {other.name}",
        "names": {"other": other.name, "this": this.name},
        "runs": {side: _run(each) for side, each in (("other", other), ("this", this))},
        "paired": {
            name: {"why": why, "n": max((row["n"] for row in paired if row["set"] == name), default=0)}
            for name, why in unpaired.items()
        },
        "tables": {
            "headline": headline,
            "paired": [row for row in paired if row["family"] != "clean"],
            "types": _types("other", other) + _types("this", this),
            "settings": different_settings(other.records, this.records),
            "left_out": left_out,
        },
    }
    summary |= _verdict(other, this, headline, unpaired["test"])
    return dict(shortened(plain(summary)))


def _why_unpaired(other: Side, this: Side, name: str) -> str | None:
    """Return why a set is not paired, in half a sentence; None where it is."""
    if other.last is None or this.last is None:
        return f"{listing([isolated(side.name) for side in (other, this) if side.last is None])} validated nothing"
    parts = (("test", "test images"),) if name == "test" else (("data", "training samples"), ("model", "base model"))
    for key, noun in parts:
        fingerprints = [side.fingerprint(key) for side in (other, this)]
        if None in fingerprints:
            return f"it is not recorded which {noun} {'was' if key == 'model' else 'were'} used"
        if fingerprints[0] != fingerprints[1]:
            return f"the {noun} {'is another' if key == 'model' else 'are others'}"
    first, second = (Verdicts.of(side.last, name) for side in (other, this) if side.last is not None)
    if name != "test" and not np.array_equal(first.ids, second.ids):
        return "each run has samples of its own"
    first, second = align(first, second)
    if not first.ids.size:
        return "no image is in both"
    return None if np.array_equal(first.labels, second.labels) else "the labels of the same images differ"


def _restricted(validation: Validation, types: Sequence[str], sets: Sequence[str]) -> Validation:
    """Return the rows of some types and sets."""
    table = validation.table
    kept = pc.and_(
        pc.is_in(table.column("type").cast(pa.string()), pa.array(types, pa.string())),
        pc.is_in(table.column("set").cast(pa.string()), pa.array(sets, pa.string())),
    )
    return Validation(table.filter(kept), tuple(kind for kind in validation.types if kind.type in types))


def _paired(other: Side, this: Side, types: Sequence[str], sets: Sequence[str]) -> list[Row]:
    if other.last is None or this.last is None or not sets:
        return []
    first, second = (_restricted(each, types, sets) for each in (other.last, this.last))
    rows = metrics.paired_table(first, second)
    drawn = {kind.type: [s.name for s in (other, this) if _drew(s.records.finetuning, kind)] for kind in first.types}
    return [row | {"trained": drawn[row["type"]]} for row in rows]


def _drew(tuned: Finetuning | None, kind: Any) -> bool:
    return tuned is not None and tuned.trained(kind)


def _headline(other: Side, this: Side, types: Sequence[str], *, paired: bool) -> list[Row]:
    """Return the three measures: tested on the shared images, or each run's own beside one another."""
    if other.last is None or this.last is None:
        return []
    if paired:
        first, second = (_restricted(each, types, ["test"]) for each in (other.last, this.last))
        rows = metrics.headline(first, second, run_eps(other.records))
        return [row | {"n_before": row["n"], "n_after": row["n"], "types_after": row["types"]} for row in rows]
    own = [metrics.headline(side.last, None, run_eps(side.records)) for side in (other, this) if side.last is not None]
    return [_beside(first, second) for first, second in zip(*own, strict=True)]


def _beside(first: Row, second: Row) -> Row:
    row = first | {"n_before": first["n"], "n_after": second["n"], "types_after": second["types"]}
    row |= {f"after{end}": second[f"before{end}"] for end in ("", "_lower", "_upper")}
    row["n_unknown"] = first["n_unknown"] + second["n_unknown"]
    return row | {"verdict": "not run" if not first["n"] and not second["n"] else "not tested"}


def _types(key: str, side: Side) -> list[Row]:
    if side.last is None:
        return []
    rows = metrics.type_table(side.last, side.records.finetuning)
    return [{"run": key, **{name: value for name, value in row.items() if name != "phase"}} for row in rows]


def _run(side: Side) -> Row:
    facts, weak = side.records.provenance, side.records.weak_set
    return {
        "name": side.name,
        "title": str(facts.get("title", "")),
        "command": str(facts.get("command", "")),
        "started": str(facts.get("started", "")),
        "model": "fine-tuned" if side.records.after is not None else "as it came",
        "scored": None if side.records.scores is None else len(side.records.scores),
        "weak": None if weak is None else len(weak),
        "errors": sum(str(finding.get("severity")).lower() == "error" for finding in side.records.findings),
    }


def _verdict(other: Side, this: Side, rows: Sequence[Row], why: str | None) -> Row:
    """Return stance and headline, from the three tests alone."""
    void = [side.name for side in (other, this) if _run(side)["errors"]]
    if void:
        told = f"The doctor found an error in {listing([isolated(name) for name in void])}: do not compare the figures."
        return {"stance": comparison.NOT_COMPARABLE, "headline": told}
    if why is not None:
        told = f"Nothing is tested between the two, since {why}: the figures stand side by side."
        return {"stance": NOT_TESTED, "headline": told}
    stance = comparison.stance(rows)
    return {"stance": STANCES.get(stance, stance), "headline": _sentence(other.name, this.name, rows)}


def _sentence(other: str, this: str, rows: Sequence[Row]) -> str:
    one, base = isolated(this), isolated(other)
    tested = [row for row in rows if known(row["change"])]
    better, worse = ([NOUNS[r["metric"]] for r in tested if r["verdict"] == word] for word in ("better", "worse"))
    shared = max((row["n"] for row in tested), default=0)
    images = f"on the {count(shared)} test images of both"
    if not tested:
        return f"{one} and {base} share no perturbation type, so that nothing is tested."
    if not better and not worse:
        return f"No evidence that {one} and {base} differ {images}."
    if not better:
        return f"{one} is worse than {base} in {listing(worse)}, {images}."
    price = f", and worse in {listing(worse)}" if worse else ""
    return f"{one} is better than {base} in {listing(better)}{price}, {images}."
