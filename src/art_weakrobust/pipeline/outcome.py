"""What a command gives back: the records as they are now, as text for a person or numbers for a program."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..report.summary import summarise
from ..report.text import summary_text
from ..results import KINDS, SCREENED, Records, column


@dataclass(frozen=True)
class Outcome:
    """The run directory after a command.

    :param out: the run directory.
    :param records: everything that flowed so far.
    :param stages: the stages that the command named.
    :param told: the summary of these records, where the command has made it already.
    :param page: where the report was written, if not in the run directory.
    """

    out: Path
    records: Records
    stages: tuple[str, ...]
    told: Mapping[str, Any] | None = None
    page: Path | None = None

    def summary(self) -> dict[str, Any]:
        """Return the numbers, as ``summary.json`` holds them."""
        return summarise(self.records) if self.told is None else dict(self.told)

    def text(self) -> str:
        """Return what a person wants to know after the command."""
        lines = []
        if self.records.scores is not None and {"score", "triage", "select"} & set(self.stages):
            lines.append(self._scored())
        if {"before", "after", "report"} & set(self.stages) and self.records.before is not None:
            lines.append(summary_text(self.summary()))
        elif self.stages == ("finetune",) and self.records.finetuning is not None:
            lines.append(self._tuned())
        for stage, facts in self.records.provenance.get("stages", {}).items():
            if stage in self.stages and facts.get("status") == "skipped":
                lines.append(f"{stage}: skipped, {facts.get('reason', '')}")
        page = self.page or self.out / "report.html"
        if page.exists() and "report" in self.stages:
            lines.append(f"report: {page}")
        return "\n".join(lines)

    def _scored(self) -> str:
        assert self.records.scores is not None
        table = self.records.scores.table
        correct = int((column(table, "correct") == True).sum())  # noqa: E712 - null where unknown
        found = int((column(table, "found") == True).sum())  # noqa: E712
        left_out = int((self.records.scores["status"] == SCREENED).sum())
        text = f"{table.num_rows - left_out} samples scored, {correct} right when clean, {found} with an error nearby"
        text += f"; {left_out} more left out by screening" if left_out else ""
        if self.records.triage is not None:
            text += f"\nkinds: {_listed(self.records.triage['kind'])}"
        if self.records.weak_set is None:
            return text
        weak = self.records.weak_set
        halves = f"{len(weak.tune)} to tune on, {len(weak.held_out)} held out, {len(weak.control)} control"
        text += f"\n{len(weak)} weak samples: {halves}"
        chosen = column(weak.table, "kind")[column(weak.table, "role") != "control"]
        return text if self.records.triage is None else f"{text}\nof them {_listed(chosen)}"

    def _tuned(self) -> str:
        tuning = self.records.finetuning
        assert tuning is not None
        lines = [f"fine-tuned on {len(tuning.trained_ids)} samples; the dial stands at {tuning.alpha:g}"]
        for point in tuning.curve:
            mark = "  <-" if point.get("alpha") == tuning.alpha else ""
            clean, robust = 100 * point["clean"], 100 * point["robust"]
            lines.append(f"  {point['alpha']:.2f}: guard part clean {clean:.1f} %, PGD-20 {robust:.1f} %{mark}")
        return "\n".join(lines)


def _listed(kinds: np.ndarray) -> str:
    return ", ".join(f"{count} {kind}" for kind in KINDS if (count := int((kinds == kind).sum()))) or "none of a kind"
