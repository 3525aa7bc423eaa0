"""What ``WeakRobustValidator.evaluate`` returns: scores, weak set and verdicts, and how to look at them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from ..errors import UsageError
from ..report import figure_curves, figures
from ..report.html import compact_html, render, weakest_images
from ..report.summary import summarise
from ..report.text import summary_text
from ..results import Finetuning, Records, Scores, Validation, WeakSet
from ..store import atomic_write
from ..validation.metrics import strengths, weak_types, weaknesses

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True, repr=False)
class _Shown:
    """Records that can be printed, plotted and written as a page.

    :param records: everything that flowed.
    """

    records: Records

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The numbers, as ``summary.json`` holds them."""
        return summarise(self.records)

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """The tables of the report, name -> frame: ``headline``, ``validation``, ``paired``, ``classes``, …."""
        return {name: pd.DataFrame(rows) for name, rows in self.summary["tables"].items()}

    def __repr__(self) -> str:
        weak, validation = self.records.weak_set, self.records.after or self.records.before
        found = 0 if weak is None else len(weak)
        kinds = [] if validation is None else [kind.type for kind in validation.types]
        return f"{type(self).__name__}({found} weak samples, types={kinds})"

    def __str__(self) -> str:
        return summary_text(self.summary)

    def _repr_html_(self) -> str:
        return compact_html(self.summary)

    def to_html(self, path: str | Path) -> Path:
        """Write the report, one file without network, and return its path.

        :raises RunError: where the path cannot be written.
        """
        atomic_write(path, render(self.summary, weakest_images(self.records)).encode())
        return Path(path)

    def plot_types(self) -> Figure:
        """Return accuracy per perturbation type, with intervals."""
        return figures.plot_types(self.summary)

    def plot_scores(self) -> Figure:
        """Return the distribution of the scores."""
        return figures.plot_scores(self.summary)

    def plot_samples(self) -> Figure:
        """Return the weakest samples with their most damaging neighbors."""
        return figures.plot_samples(self.summary, self.records.samples)

    def plot_security_curve(self) -> Figure:
        """Return accuracy against the size of the perturbation: from adversarial distances, or an attack's budgets.

        :raises UsageError: where neither was measured.
        """
        return figure_curves.plot_security_curve(self.summary)


@dataclass(frozen=True, repr=False)
class WeakRobustEvaluation(_Shown):
    """One evaluation of one classifier.

    :param records: ``before`` holds the verdicts, whatever the phase was.
    :param phase: ``before`` where the weak set was found here, ``after`` where it was handed in.
    """

    phase: str = "before"

    @property
    def scores(self) -> Scores:
        """One row a training sample.

        :raises UsageError: where the weak set was handed in, so that nothing was scored.
        """
        if self.records.scores is None:
            raise UsageError(
                "this evaluation was given a weak_set, so nothing was scored; the first one has the scores"
            )
        return self.records.scores

    @property
    def weak_set(self) -> WeakSet:
        """The weak robust samples, in halves, and their control group."""
        assert self.records.weak_set is not None
        return self.records.weak_set

    @property
    def validation(self) -> Validation:
        """One verdict a sample x perturbation."""
        assert self.records.before is not None
        return self.records.before

    @property
    def weak_types(self) -> list[str]:
        """Types that are weak on the tune half: they guide training. Empty where the weak set was handed in."""
        return weak_types(self.validation)

    @property
    def weaknesses(self) -> list[str]:
        """Types that are weak on the held-out half: the verdict."""
        return weaknesses(self.validation)

    @property
    def strengths(self) -> list[str]:
        """Types that are strong on the held-out half."""
        return strengths(self.validation)

    def compare(self, before: WeakRobustEvaluation, finetuning: Finetuning | None = None) -> WeakRobustComparison:
        """Hold this evaluation, after fine-tuning, against the one before, sample by sample.

        :param before: the evaluation that found the weak set.
        :param finetuning: what training drew (``trainer.finetuning``), so that trained types are marked.
        :raises UsageError: where the two were made on different samples, seeds or perturbation types.
        """
        self._check_same(before)
        records = before.records.with_(after=self.validation, finetuning=finetuning)
        if self.records.samples is not None:
            records = records.with_(samples=self.records.samples)
        return WeakRobustComparison(records)

    def _check_same(self, before: WeakRobustEvaluation) -> None:
        if self.weak_set.table != before.weak_set.table:
            raise UsageError(
                "the two evaluations have different weak sets: pass weak_set=before.weak_set to the second"
            )
        different = {kind.type for kind in {*before.validation.types} ^ {*self.validation.types}}
        if different:
            raise UsageError(
                f"the two evaluations have different perturbation types or budgets: {', '.join(sorted(different))}"
            )
        here, there = (each.records.provenance for each in (self, before))
        for key, name in (("data", "training samples"), ("test", "test samples")):
            if here["fingerprints"].get(key) != there["fingerprints"].get(key):
                raise UsageError(f"the two evaluations have different {name}: pass the same to both")
        settings, earlier = (provenance.get("perturbations", {}) for provenance in (here, there))
        for kind, own in settings.items():
            for name in own if kind in earlier and own != earlier[kind] else ():
                if own[name] != earlier[kind].get(name):
                    raise UsageError(
                        f"the two evaluations perturb differently: {kind} has {name} {earlier[kind].get(name)!r} "
                        f"before and {own[name]!r} after; use one validator for both"
                    )
        if here["seeds"] != there["seeds"]:
            raise UsageError(f"the two evaluations have different seeds: {here['seeds']} and {there['seeds']}")


@dataclass(frozen=True, repr=False)
class WeakRobustComparison(_Shown):
    """Before and after fine-tuning, on the same samples, seeds and perturbations."""

    @property
    def finetuning(self) -> Finetuning | None:
        """What training drew."""
        return self.records.finetuning

    def plot(self) -> Figure:
        """Return the change of every perturbation type, with intervals."""
        return figures.plot_comparison(self.summary)
