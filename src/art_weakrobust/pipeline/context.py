"""From the options of a run to the things it works with: plugins, data, model, estimator, and who is in which set."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from art.estimators.estimator import LossGradientsMixin

from ..analysis.scorer import ChunkScorer
from ..datasets.base import ids_of, labels_of, limited_ids
from ..datasets.subset import Subset
from ..errors import UsageError
from ..perturbations.resolve import resolve_attacks, resolve_corruptions
from ..perturbations.types import AttackType
from ..plugins.manager import Manager
from ..plugins.reference import Reference, split_argument, split_list
from ..protocols import Dataset, Estimator, ModelInfo, Scorer
from ..validation.baselines import baseline
from ..validation.stored import held_against
from .agreement import check_info_on_data, check_model_on_data
from .measuring import TUNED_ON, tune
from .options import Options
from .parts import split_test
from .provenance import data_fingerprint, follow, model_fingerprint, plan_of

ATTACKING = frozenset({"before", "finetune", "after"})
"""Stages that build the attacks of the options."""


@dataclass(frozen=True)
class Context:
    """What a run works with; everything is made when it is first asked for.

    :param options: resolved.
    :param manager: the plugin host.
    :param plan: the execution plan that the run has followed so far; None before its first stage.
    """

    options: Options
    manager: Manager
    plan: Mapping[str, Any] | None = None

    @cached_property
    def whole(self) -> Dataset:
        """The split that is scored and fine-tuned on, without ``--limit``."""
        return self._fitted(self.options.split)

    @cached_property
    def train(self) -> Dataset:
        """The split that is scored and fine-tuned on, as far as ``--limit`` goes."""
        ids = limited_ids(self.whole, self.options.limit, self.options.seed)
        return self.whole if len(ids) == len(self.whole) else Subset(self.whole, ids)

    @cached_property
    def train_ids(self) -> np.ndarray:
        """The ids of :attr:`train`."""
        return ids_of(self.train)

    @cached_property
    def test(self) -> Dataset:
        """The test split, whole."""
        return self._fitted("test")

    @cached_property
    def test_fingerprint(self) -> str:
        """The fingerprint of the test split, on which before and after are compared."""
        return data_fingerprint(self.test)

    @property
    def test_is_scored(self) -> bool:
        """Whether the split that is scored holds the test set, which judges fine-tuning."""
        return self.options.split == "all" or self.test_fingerprint == self.identity["data_fingerprint"]

    @cached_property
    def test_parts(self) -> tuple[np.ndarray, np.ndarray]:
        """Ids of the test set and of the guard part, both of the test split and without a common one."""
        return split_test(ids_of(self.test), labels_of(self.test), self.options.test_limit, self.options.seed)

    @cached_property
    def base(self) -> Estimator:
        """The estimator around the model as it was loaded; checked on one image of the data, tuned if asked for."""
        estimator = self._around(*self._first)
        check_model_on_data(estimator, self.train, self.options.model)
        if self.plan is not None:
            follow(estimator, self.plan)
        elif self.options.tune:
            tune(estimator, self.train.take(self.train_ids[:TUNED_ON]).x, self.options)
        return estimator

    @cached_property
    def scorer(self) -> Scorer:
        """The scorer, with the options that were written behind its name.

        All of :attr:`train` is scored, so that an attack that crafts does it on what ``--limit`` leaves of the split.
        """
        left = np.setdiff1d(ids_of(self.whole), self.train_ids)
        craft = Subset(self.whole, left) if len(left) else None
        scorer: Scorer = self.make("scorer", self.options.scorer, craft=craft)
        return scorer

    @cached_property
    def identity(self) -> dict[str, Any]:
        """Fingerprints of model and data, and the execution plan."""
        return {
            "model_fingerprint": model_fingerprint(self.base),
            "data_fingerprint": data_fingerprint(self.whole),
            "plan": plan_of(self.base),
        }

    @cached_property
    def attacks(self) -> Sequence[AttackType]:
        """The attacks of the options with their budgets, each built once on :attr:`base` to see that it can be.

        :raises UserError: for one that does not go with the model.
        """
        chosen = self.options
        return resolve_attacks(chosen.attacks, self.manager, estimator=self.base, eps=chosen.eps, eps_l2=chosen.eps_l2)

    @cached_property
    def baseline(self) -> dict[str, Any] | None:
        """The row that corruption errors are normalised by, and the number of classes of the data; None without one.

        :raises UsageError: for one that is not known, or was measured on another number of classes.
        """
        if self.options.baseline is None:
            return None
        row = baseline(self.options.baseline)
        row.check_classes(self.base.nb_classes)
        return {**row.to_json(), "nb_classes": self.base.nb_classes}

    def fresh(self) -> Estimator:
        """Return an estimator of its own around the model, loaded once more: fine-tuning works in place."""
        estimator = self._around(*self._model())
        follow(estimator, plan_of(self.base))
        return estimator

    @cached_property
    def _first(self) -> tuple[Any, ModelInfo]:
        return self._model()

    @property
    def info(self) -> ModelInfo:
        """What is known of the model beside its weights."""
        return self._first[1]

    def _model(self) -> tuple[Any, ModelInfo]:
        """Return the model, loaded, and its info.

        It comes before the data, whose images are brought to its size; unless it asks for the data's classes.
        """
        options = self.options
        name, argument = split_argument(options.model)
        written = {key: v for key in ("weights", "mean", "std") if (v := getattr(options, key)) is not None}
        offered: dict[str, Any] = {
            "model_dir": options.model_dir,
            "download": options.download,
            "allow_unsafe": options.allow_unsafe_checkpoint,
            "seed": options.seed,
        }
        if "nb_classes" in self.manager.check_written("model", Reference(name)):
            offered["nb_classes"] = getattr(self._dataset(options.split), "nb_classes", None)
        model, info = self.manager.make("model", name, argument, written=written, offered=offered)
        return model, info

    def _around(self, model: Any, info: ModelInfo) -> Estimator:
        options, data = self.options, self.train
        check_info_on_data(info, data, options.model, sized=self._sized)
        # a black box that gives labels does not tell how many classes it has
        classes = info.nb_classes if info.gradients else info.nb_classes or getattr(data, "nb_classes", None)
        return self.manager.make(
            "estimator",
            options.estimator,
            model,
            info,
            offered={
                "device": options.device,
                "batch_size": options.batch_size,
                "clip_values": (0.0, 1.0),
                "input_shape": getattr(data, "input_shape", None),
                "nb_classes": classes,
            },
        )

    def offered(self) -> dict[str, Any]:
        """Return what the run offers to every target; each gets what its options name."""
        options = self.options
        names = ("radius", "radius_norm", "neighbors", "quantise", "include_misclassified", "eps", "eps_l2")
        more = ("distance_norm", "neighbor_source", "seed", "batch_size", "weak_weight", "clean_budget")
        screening = ("screen", "max_missed", "fraction", "top_k") if options.screen else ()
        return {name: getattr(options, name) for name in (*names, *more, *screening)} | {
            "attacks": split_list(options.attacks),
            "corruptions": split_list(options.corruptions),
            "severities": options.severity_numbers(),
            "plugins": self.manager,
        }

    def taken(self, kind: str, text: str) -> dict[str, Any]:
        """Return what a thing takes of the run's offer, plugins apart; what is written behind its name comes later."""
        reference = Reference.parse(text)
        names = self.manager.check_written(kind, reference)
        return {name: v for name, v in self.offered().items() if name in names and name != "plugins" and v is not None}

    def make(self, kind: str, text: str, *args: Any, **offered: Any) -> Any:
        """Make a thing by the name that the user wrote, with the options behind it."""
        reference = Reference.parse(text)
        return self.manager.make(
            kind, reference.name, *args, written=reference.options, offered={**self.offered(), **offered}
        )

    def check_names(self) -> None:
        """Find every name that the options hold, so that a wrong one is told before the hour is spent.

        :raises PluginError: for a name that nobody or two have registered, or an option that it does not know.
        """
        options = self.options
        for kind, text in (
            ("model", split_argument(options.model)[0]),
            ("dataset", split_argument(options.dataset)[0]),
            ("estimator", options.estimator),
            ("scorer", options.scorer),
            ("validator", options.validator),
            ("trainer", options.trainer),
            ("reporter", options.reporter),
            *(("attack", text) for text in split_list(options.attacks)),
        ):
            self.manager.check_written(kind, Reference.parse(text))
        for text in split_list(options.corruptions):
            self.manager.find("corruption", split_argument(text)[0])

    def check_needs(self, estimator: Estimator, stages: Collection[str]) -> None:
        """Refuse, before the run, a scorer, attack or trainer that asks for what the estimator does not give.

        :param stages: attacks are built by some of them alone.
        :raises PluginError: in one sentence.
        """
        given = {"decisions", "labels"}
        given |= set() if getattr(estimator, "decisions_only", False) else {"scores"}
        given |= {"gradients"} if isinstance(estimator, LossGradientsMixin) else set()
        scorer = Reference.parse(self.options.scorer)
        things = [self.manager.find("scorer", scorer.name)] if "score" in stages else []
        attacks = split_list(self.options.attacks) if ATTACKING & set(stages) else []
        attacks += [scorer.options["attack"]] if "score" in stages and "attack" in scorer.options else []
        things += [self.manager.find("attack", Reference.parse(text).name) for text in attacks if isinstance(text, str)]
        if "finetune" in stages:
            things.append(self.manager.find("trainer", Reference.parse(self.options.trainer).name))
        for thing in things:
            self.manager.require(thing, given)

    def check_built(self, stages: Collection[str]) -> None:
        """Build once what the stages will build on the model, and hold their data against it; nothing is run yet.

        :raises UserError: for an attack, a scorer or data that do not go with the model.
        """
        options = self.options
        if "score" in stages and isinstance(self.scorer, ChunkScorer):
            self.scorer.build(self.base)
        if ATTACKING & set(stages):
            _ = self.attacks, self.baseline
            check_model_on_data(self.base, self.test, options.model)
            corruptions = resolve_corruptions(options.corruptions, self.manager)
            held_against(corruptions, self.test, options.severity_numbers())
        if "finetune" in stages and self.test_is_scored:
            raise UsageError(
                f"--split {options.split} of {options.dataset!r} holds the test set, which judges fine-tuning; "
                "choose another --split, or run `art-weakrobust score`, `select` and `validate` alone"
            )

    @property
    def _sized(self) -> bool:
        return (self.options.resize, self.options.crop) != (None, None)

    def _fitted(self, split: str) -> Dataset:
        """Return a split as the model takes it: resized and cropped as it asks for, where the user wrote neither."""
        info = self.info
        names = () if self._sized else ("resize", "crop", "interpolation", "squash")
        return self._dataset(split, **{name: getattr(info, name) for name in names})

    def _dataset(self, split: str, **preparation: Any) -> Dataset:
        options = self.options
        name, argument = split_argument(options.dataset)
        written = {key: v for key in ("label_column", "resize", "crop") if (v := getattr(options, key)) is not None}
        offered = {"split": split, "seed": options.seed, "download": options.download, **preparation}
        data: Dataset = self.manager.make("dataset", name, argument, written=written, offered=offered)
        return data
