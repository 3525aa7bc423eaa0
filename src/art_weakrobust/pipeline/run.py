"""The street in a run directory: each stage begins, works, writes and ends; a killed run goes on where it stopped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..analysis.gallery import with_after
from ..doctor.finding import Diagnosis
from ..errors import RunError
from ..execution.serial import SerialMap
from ..plugins.manager import Manager
from ..plugins.reference import Reference
from ..protocols import Estimator
from ..results import TYPES, Scores, Validation, WeakSet
from ..store import Run
from ..store.manifest import plain
from ..validation.metrics import weak_types
from .auto_radius import settled
from .context import Context
from .distances import check_distances, distances
from .examination import before_scoring
from .held import GROUPS, GROWING, held_to, refuse_other_work, told_by
from .meter import Meter
from .options import Options
from .outcome import Outcome
from .progress import Progress
from .provenance import versions
from .resolve import recorded_plan, resolved
from .screened import check_screening, with_screening
from .shown import flipped, gallery
from .street import Sets, choose, craft_of, score, sets_of, why_empty
from .triage import check_answers, check_triage, kinds_in, triaged, write_segments
from .tuned import around_kept, keep, trained

TURNING = "being turned"
"""The clean budget that the manifest holds while the dial moves: the weights may be of either point."""


def execute(
    out: Path,
    stages: Sequence[str],
    given: Mapping[str, Any],
    *,
    resume: bool = True,
    force: bool = False,
    plugins: Sequence[Any] = (),
    third_party: bool = True,
    progress: Progress | None = None,
) -> Outcome:
    """Run some stages of the street.

    :param out: the run directory.
    :param stages: of ``score, triage, select, before, finetune, after, report``, in the order of the street; triage is
        left out where the options do not ask for it.
    :param given: options that the user wrote; the others are defaults, or those of the run directory.
    :param resume: whether the run directory has to exist and fills in options.
    :param force: redo the first stage whose options differ, or the first stage at all, and what follows it.
    :raises UserError: for anything that the user can mend; the run directory is left as it was.
    """
    manager = Manager(plugins, third_party=third_party)
    manager.refuse_broken()
    on_the_model = set(stages) - {"report", "select"}
    stage = stages[0] if len(stages) == 1 else None
    adds = "before" in stages and not force
    options = resolved(out, given, resume=resume, model=bool(on_the_model), stage=stage, adds=adds)
    check_triage(options)
    stages = [stage for stage in stages if stage != "triage" or options.triage]
    context = Context(options, manager, plan=recorded_plan(out, options))
    context.check_names()
    check_screening(context)
    suggestion: dict[str, Any] | None = None
    if on_the_model:
        context.check_needs(context.base, stages)  # loads data and model, before anything is written
        check_answers(context, stages)
        context, suggestion = settled(context, out)
        context.check_built(stages)
        check_distances(context, stages)
    diagnosis = before_scoring(out, context, stages, force=force)
    with Run.open(out, create=not resume) as run:
        street = Street(run, context, progress, diagnosis)
        if on_the_model and "score" not in stages:
            refuse_other_work(run, context)
        if force:
            street.force(stages)
        for stage in (stage for stage in stages if stage != "report"):  # before one works: a refusal changes nothing
            run.ended(stage, held_to(context, stage), extends=GROWING.get(stage, ()))
        if suggestion is not None:
            run.update(suggested_radius=suggestion)
        for stage in stages:
            getattr(street, stage)(alone=len(stages) == 1)
        return Outcome(out, run.records(), tuple(stages))


@dataclass(frozen=True)
class Street:
    """The stages of one run; each is a method, done once for its options."""

    run: Run
    context: Context
    progress: Progress | None = None
    diagnosis: Diagnosis | None = None

    @property
    def options(self) -> Options:
        """The options of the run."""
        return self.context.options

    def force(self, stages: Sequence[str]) -> None:
        """Forget the first stage whose options differ (the first, where none does and all have ended), and the rest."""
        written = self.run.manifest["stages"]
        differ = [s for s in stages if s in written and written[s]["options"] != plain(held_to(self.context, s))]
        if differ:
            self.run.redo(differ[0])
        elif all(written.get(stage, {}).get("status") in ("done", "skipped") for stage in stages):
            self.run.redo(stages[0])

    def score(self, *, alone: bool) -> None:  # noqa: ARG002 - every stage is called alike
        """Score every training sample."""
        if self._begin("score"):
            return
        self._tell()
        noted = {} if self.diagnosis is None else self.diagnosis.record()
        suggested = self.run.manifest.get("suggested_radius", {})
        if suggested.get("radius") == self.options.radius:
            noted["radius_curve"] = suggested["curve"]
        if noted:
            self.run.write_json("findings.json", noted)
        context = self.context
        meter = Meter(context.base)
        name = Reference.parse(context.options.scorer).name
        scores = score(context.scorer, context.base, context.train, self._map("scores"), name=name)
        self.run.write_table("scores", scores.table)
        if "screening" in scores.facts:
            self.run.write_json("findings.json", with_screening(noted, scores.facts))
        self.run.finish("score", **scores.facts, samples=len(scores), **meter.facts())

    def triage(self, *, alone: bool) -> None:  # noqa: ARG002 - every stage is called alike
        """Say of what kind every scored sample is."""
        scores = self._scores()
        if self._begin("triage"):
            return
        meter = Meter(self.context.base)
        found = triaged(self.context, scores, self._map("evidence"))
        self.run.write_table("triage", found.table)
        self.run.finish("triage", **found.counts(), samples=len(found), **meter.facts())

    def select(self, *, alone: bool) -> None:  # noqa: ARG002 - every stage is called alike
        """Choose the weak set."""
        scores, found = self._scores(), kinds_in(self.run, self.options)
        if self._begin("select"):
            return
        weak_set = choose(scores, self.options.of("select"), self.options.seed, found)
        self.run.write_table("weak_set", weak_set.table)
        write_segments(self.run, scores, weak_set, found, self.options.seed)
        self.run.finish("select", samples=len(weak_set))

    def before(self, *, alone: bool) -> None:  # noqa: ARG002 - every stage is called alike
        """Validate the base model, and keep what the report shows of the weakest samples."""
        weak_set = self._weak_set()
        if self.context.baseline is not None:
            self.run.update(baseline=self.context.baseline)
        if self._begin("before"):
            return
        meter = Meter(self.context.base)
        validation = self._validate(self.context.base, weak_set, "before")
        self.run.write_table("validation", validation.table)
        self.run.write_table("types", pa.Table.from_pylist([asdict(kind) for kind in validation.types], schema=TYPES))
        context = self.context
        self._distances(self.context.base, weak_set, "before")
        shown = gallery(self._scores(), weak_set, context.scorer, context.base, context.train)
        self.run.write_table("samples", shown)
        self.run.finish("before", samples=len(validation), **meter.facts())

    def finetune(self, *, alone: bool) -> None:
        """Fine-tune on what was found; where that is done, only turn the dial."""
        weak_set = self._weak_set()
        if not len(weak_set):
            reason = why_empty(self._scores())
            if alone:
                raise RunError(f"there is nothing to fine-tune on: {reason}")
            self.run.skip("finetune", reason)
            return
        records = self.run.records()
        if records.before is None:
            raise RunError(f"{self.run.path} has no validation yet: run `art-weakrobust validate` first")
        done = self._begin("finetune")
        wanted, facts = self.options.clean_budget, self.run.manifest["stages"]["finetune"]["facts"]
        if done and facts.get("clean_budget") == wanted:
            return
        if done:
            self.run.redo("after")  # another point of the dial: its rows are of other weights
            self.run.finish("finetune", **{**facts, "clean_budget": TURNING})
        meter = Meter(None)  # training calls the module itself: its passes are not counted, which is not none
        weak = weak_types(records.before)
        if done and records.finetuning is not None:  # types may have been added since
            weak = records.finetuning.options.get("weak_types", weak)
        trainer = trained(self.run, self.context, weak_set, weak, self.progress)
        keep(self.run, trainer, self.options.trainer)
        n = len(trainer.finetuning.trained_ids)
        self.run.finish("finetune", **({} if done else {"samples": n}), **meter.facts(), clean_budget=wanted)

    def after(self, *, alone: bool) -> None:  # noqa: ARG002 - every stage is called alike
        """Validate the fine-tuned model: same samples, same seeds, attacks bound to it."""
        stage = self.run.manifest["stages"].get("finetune", {})
        if stage.get("status") != "done":
            if stage.get("status") == "skipped":
                self.run.skip("after", "there was no fine-tuning")
            return
        if stage["facts"].get("clean_budget") == TURNING:
            raise RunError(
                f"the dial of {self.run.path} was half turned when its command ended: finetune it again first"
            )
        if self._begin("after"):
            return
        tuned = around_kept(self.run, self.context)
        meter = Meter(tuned)
        weak_set = self._weak_set()
        validation = self._validate(tuned, weak_set, "after")
        self.run.write_table("validation", validation.table)
        self._distances(tuned, weak_set, "after")
        if (before := self.run.records().before) is not None:
            self.run.write_table("flips", flipped(before, validation, self._sets(weak_set, "after")))
        shown = with_after(self.run.read_table("samples"), tuned, weak_set)
        self.run.write_table("samples", shown)
        self.run.finish("after", samples=len(validation), **meter.facts())

    def report(self, *, alone: bool) -> None:  # noqa: ARG002 - every stage is called alike
        """Write the report."""
        from .reporting import write_report

        write_report(self.run, self.context.manager, self.options.reporter)

    def _validate(self, estimator: Estimator, weak_set: WeakSet, phase: str) -> Validation:
        sets = self._sets(weak_set, phase)
        craft = craft_of(self.context.train, weak_set)  # the guard part is of the test split
        validator = self.context.make("validator", self.options.validator, estimator, craft=craft)
        self.run.update(early_stop=bool(getattr(validator, "early_stop", False)))
        validation: Validation = validator.validate(estimator, sets, self._map("validation", {"phase": phase}))
        return validation

    def _distances(self, estimator: Estimator, weak_set: WeakSet, phase: str) -> None:
        over = self._map("distances", {"phase": phase})
        table = distances(estimator, weak_set, self.context.train, over, self.context, tune=phase == "before")
        if table is not None:
            self.run.write_table("distances", table)

    def _sets(self, weak_set: WeakSet, phase: str) -> Sets:
        context = self.context
        return sets_of(weak_set, context.train, context.test, context.test_parts[0], tune=phase == "before")

    def _begin(self, stage: str) -> bool:
        done = self.run.begin(stage, held_to(self.context, stage), extends=GROWING.get(stage, ()))
        written = self.run.manifest.get("arguments", {})
        self.run.update(arguments={**written, **plain(told_by(self.context, stage))})
        return done

    def _map(self, table: str, stamp: Mapping[str, str] | None = None) -> SerialMap:
        return SerialMap(self.run.parts(table), stamp=stamp, progress=self.progress)

    def _tell(self) -> None:
        data, options, identity = self.context.train, self.options, self.context.identity
        self.run.update(
            title=options.title(),
            command=options.command(),
            defaults=plain(Options().of(*(group for groups in GROUPS.values() for group in groups))),
            versions=versions(),
            seeds={"seed": options.seed},
            fingerprints={"model": identity["model_fingerprint"], "data": identity["data_fingerprint"]},
            plan=identity["plan"],
            class_names=list(getattr(data, "class_names", ())),
        )

    def _scores(self) -> Scores:
        scores = self.run.records().scores
        if scores is None:
            raise RunError(f"{self.run.path} has no scores yet: run `art-weakrobust score` first")
        return scores

    def _weak_set(self) -> WeakSet:
        weak_set = self.run.records().weak_set
        if weak_set is None:
            raise RunError(f"{self.run.path} has no weak set yet: run `art-weakrobust select` first")
        return weak_set
