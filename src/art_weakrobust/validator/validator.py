"""``WeakRobustValidator``: finds the weak samples of a training set and validates a classifier on them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from math import inf
from typing import Any

import numpy as np
from art.evaluations.evaluation import Evaluation

from ..analysis.gallery import with_after
from ..analysis.segments import weak_segments
from ..analysis.triage import triage as triage_of
from ..datasets.arrays import as_dataset
from ..datasets.splits import half_seed
from ..errors import UsageError
from ..perturbations.attacks.binding import bind, describe
from ..perturbations.attacks.crafting import crafter
from ..perturbations.attacks.settings import settings_of
from ..perturbations.resolve import check_craft, resolve_attacks, resolve_corruptions
from ..perturbations.types import AttackType
from ..pipeline.agreement import check_model_on_data
from ..pipeline.examination import examined, refuse_errors
from ..pipeline.provenance import data_fingerprint, model_fingerprint, plan_of, versions
from ..pipeline.shown import gallery
from ..pipeline.street import choose, craft_of, score, sets_of
from ..plugins.manager import Manager
from ..plugins.reference import Reference
from ..protocols import Dataset, Estimator, Map, Scorer
from ..results import Records, Scores, Table, Triage, Validation, WeakSet
from ..selection import kinds_named
from ..threat import parse_eps, parse_norm
from ..validation.loop import validate
from .evaluation import WeakRobustEvaluation
from .handed_in import checked, kept
from .progress import maps

ATTACKS = ("fgm", "pgd", "pgd@2")
CORRUPTIONS = ("gaussian_noise", "shot_noise", "brightness", "contrast", "defocus_blur", "pixelate")


class WeakRobustValidator(Evaluation):
    """Scores the local robustness of every training sample, and validates the classifier on the weakest of them.

    >>> validator = WeakRobustValidator(classifier, radius=8 / 255, attacks=["fgm", "pgd@2"], corruptions=["contrast"])
    >>> before = validator.evaluate(x_train, y_train, x_test=x_test, y_test=y_test)
    >>> print(before.weaknesses)

    Source: Nuhu et al., "A Validation Strategy for Deep Learning Models", https://arxiv.org/abs/2509.19197.

    :param classifier: any ART classifier with clip values (0, 1); the module of a ``PyTorchClassifier`` is shared.
    :param radius: of the sampled neighborhood, in the units of the pixels; ``"8/255"`` is understood.
    :param neighbors: drawn per sample.
    :param fraction: share of the clean-correct samples that becomes the weak set; see also ``top_k``, ``threshold``.
    :param eps: budget of Linf attacks without one of their own; ``eps_l2`` of L2 attacks.
    :param seed: of every draw.
    :param attacks: names, factories ``estimator -> EvasionAttack``, ready-made attacks (rebound), or a mapping label ->
        one of these; None for none.
    :param corruptions: names, functions ``(x, ids, severity, seed) -> x``, or a mapping label -> one of these; None for
        none.
    :param radius_norm: ``inf`` or 2.
    :param scorer: a name (``"attack:attack=pgd"``), or any :class:`~art_weakrobust.protocols.Scorer`.
    :param severities: of the corruptions, 1 to 5.
    :param top_k: size of the weak set, in place of ``fraction``.
    :param threshold: least score of a weak sample, in place of ``fraction``.
    :param per_class: at most so many weak samples of each class.
    :param fill: fill up by least margin where too few neighborhoods hold an error.
    :param triage: say of what kind each sample is, see :func:`~art_weakrobust.analysis.triage.triage`; the weak set's
        rows then have a kind and a weight, and ``records.notes`` the segments in which weakness concentrates.
    :param kinds: kinds that may enter the weak set, such as ``["fragile"]``; it needs ``triage=True``.
    :param quantise: round neighbors to 8 bits.
    :param include_misclassified: score samples that are wrong when clean as well.
    :param batch_size: images in one forward pass.
    :param early_stop: memoryless attacks leave a sample once it is fooled: same verdicts, smaller perturbations.
    :param craft: samples, ``(x, y)`` or a ``Dataset``, that are judged nowhere, for attacks that make one perturbation
        for all, such as ``uap``; by default :meth:`evaluate` takes training samples outside weak set and control.
    :param plugins: modules or objects with hooks, or a manager.
    :param ignore_doctor: go on where the doctor finds an error; the page says so.
    :param verbose: show progress.
    :raises UsageError: for clip values other than (0, 1), and values out of range.
    """

    def __init__(
        self,
        classifier: Estimator,
        radius: float | str = 8 / 255,
        neighbors: int = 50,
        fraction: float = 0.1,
        eps: float | str = 2 / 255,
        seed: int = 0,
        attacks: Iterable[Any] | Mapping[str, Any] | None = ATTACKS,
        corruptions: Iterable[Any] | Mapping[str, Any] | None = CORRUPTIONS,
        *,
        eps_l2: float | str = 0.5,
        radius_norm: float | str = inf,
        scorer: str | Scorer = "neighborhood",
        severities: Sequence[int] = (1, 2, 3, 4, 5),
        top_k: int | None = None,
        threshold: float | None = None,
        per_class: int | None = None,
        fill: bool = False,
        triage: bool = False,
        kinds: Iterable[str] | str | None = None,
        quantise: bool = False,
        include_misclassified: bool = False,
        batch_size: int = 128,
        early_stop: bool = True,
        craft: Dataset | tuple[np.ndarray, np.ndarray] | None = None,
        plugins: Manager | Iterable[Any] = (),
        ignore_doctor: bool = False,
        verbose: bool = True,
    ) -> None:
        self.classifier = checked(classifier)
        self.radius, self.radius_norm = parse_eps(radius, "radius"), parse_norm(radius_norm)
        self.eps, self.eps_l2 = parse_eps(eps), parse_eps(eps_l2, "eps_l2")
        self.neighbors, self.seed, self.batch_size, self.verbose = int(neighbors), int(seed), int(batch_size), verbose
        self.craft = as_dataset(*craft, name="craft") if isinstance(craft, tuple) else craft
        self.attacks, self.corruptions = kept(attacks), kept(corruptions)
        self.severities, self.scorer, self.early_stop = tuple(severities), scorer, bool(early_stop)
        self.quantise, self.include_misclassified = quantise, include_misclassified
        self.selection = {
            "fraction": fraction,
            "top_k": top_k,
            "threshold": threshold,
            "per_class": per_class,
            "fill": fill,
            "kinds": kinds_named(kinds),
        }
        if kinds is not None and not triage:
            raise UsageError(f"kinds={kinds!r} needs triage=True, which says of what kind each sample is")
        self.triage = bool(triage)
        self.manager, self.ignore_doctor = Manager.of(plugins), ignore_doctor
        self._shown: tuple[WeakSet, Table] | None = None  # of the last evaluation that scored: shown after, too

    def evaluate(
        self,
        x: np.ndarray | Dataset,
        y: np.ndarray | None = None,
        *,
        x_test: np.ndarray | Dataset | None = None,
        y_test: np.ndarray | None = None,
        classifier: Estimator | None = None,
        weak_set: WeakSet | None = None,
    ) -> WeakRobustEvaluation:
        """Score, select and validate; or, with a weak set at hand, validate alone.

        :param x: training samples, float32 (n, c, h, w) in [0, 1], or a ``Dataset``; ids are positions in it.
        :param y: labels, indices (n,) or one-hot (n, classes); None with a ``Dataset``.
        :param x_test: samples of the test set; without them the headline measures are not run.
        :param classifier: another classifier than the validator's own, the fine-tuned one say.
        :param weak_set: the weak set of an earlier evaluation, for the same samples ``x``.
        :raises DataError: for arrays that are no images or labels.
        """
        estimator = self.classifier if classifier is None else checked(classifier)
        train = as_dataset(x, y, name="training samples")
        test = None if x_test is None else as_dataset(x_test, y_test, name="test samples")
        check_model_on_data(estimator, train, type(estimator).__name__)
        phase = "before" if weak_set is None else "after"
        scorer, scores, found, diagnosis = self._scorer(), None, None, self._examined(estimator, train, test)
        with maps(verbose=self.verbose) as over:
            if weak_set is None:
                scores = score(scorer, estimator, train, over(None), name=self._scorer_name())
                found = self._triaged(estimator, train, scores, over(None)) if self.triage else None
                weak_set = choose(scores, self.selection, self.seed, found)
        with maps(verbose=self.verbose) as over:
            sets, craft = sets_of(weak_set, train, test, tune=phase == "before"), craft_of(train, weak_set)
            validation = self._validated(estimator, sets, over(phase), self.craft or craft)
        if scores is not None:
            shown: Table | None = gallery(scores, weak_set, scorer, estimator, train)
            self._shown = (weak_set, shown)
        else:
            shown = self._shown_after(weak_set, estimator)
        names = tuple(getattr(train, "class_names", ()))
        notes = {name: told for name, told in diagnosis.items() if name != "findings"}
        if scores is not None and found is not None:
            notes["segments"] = weak_segments(scores, weak_set, found, class_names=names, seed=self.seed)
        records = Records(
            scores=scores,
            triage=found,
            weak_set=weak_set,
            before=validation,
            samples=shown,
            findings=tuple(diagnosis["findings"]),
            notes=notes,
            class_names=names,
            provenance=self._provenance(estimator, train, test),
        )
        return WeakRobustEvaluation(records, phase)

    def validate(self, estimator: Estimator, sets: Mapping[str, tuple[Dataset, np.ndarray]], over: Map) -> Validation:
        """Return one verdict a sample x perturbation; attacks are bound to ``estimator``.

        :param sets: name of the set -> data set and int64 sample ids.
        :param over: runs the chunks.
        """
        return self._validated(estimator, sets, over, self.craft)

    def _validated(
        self, estimator: Estimator, sets: Mapping[str, tuple[Dataset, np.ndarray]], over: Map, craft: Dataset | None
    ) -> Validation:
        attacks = self._attacks(estimator, craft)
        check_craft(attacks)
        return validate(
            estimator,
            sets,
            over,
            attacks=attacks,
            corruptions=resolve_corruptions(self.corruptions, self.manager),
            severities=self.severities,
            radius=self.radius,
            radius_norm=self.radius_norm,
            seed=self.seed,
            batch_size=self.batch_size,
            early_stop=self.early_stop,
        )

    def _triaged(self, estimator: Estimator, train: Dataset, scores: Scores, over: Map) -> Triage:
        return triage_of(estimator, train, scores, over, eps=self.eps, seed=self.seed, batch_size=self.batch_size)

    def _examined(self, estimator: Estimator, train: Dataset, test: Dataset | None) -> dict[str, Any]:
        """Return what the doctor says, as ``findings.json`` holds it."""
        budgets = [(attack.threat.norm, attack.threat.eps) for attack in self._attacks(estimator)]
        diagnosis = examined(estimator, train, budgets, halved_by=half_seed(test))
        if not self.ignore_doctor:
            refuse_errors(diagnosis, "ignore_doctor=True")
        return diagnosis.record()

    def _attacks(self, estimator: Estimator, craft: Dataset | None = None) -> list[AttackType]:
        return resolve_attacks(
            self.attacks,
            self.manager,
            estimator=estimator,
            eps=self.eps,
            eps_l2=self.eps_l2,
            seed=self.seed,
            batch_size=self.batch_size,
            craft=craft,
        )

    def _settings(self, estimator: Estimator) -> dict[str, dict[str, Any]]:
        """Return type -> what it runs with, so that before and after can be held to the same perturbations."""
        attacks = {kind.name: settings_of(bind(crafter(kind.factory), estimator)) for kind in self._attacks(estimator)}
        corruptions = {
            kind.name: {"function": describe(kind.corruption), "severities": sorted(set(self.severities))}
            for kind in resolve_corruptions(self.corruptions, self.manager)
        }
        return attacks | corruptions

    def _scorer(self) -> Scorer:
        if not isinstance(self.scorer, str):
            return self.scorer
        reference = Reference.parse(self.scorer)
        offered = {**self._neighborhood(), "eps": self.eps, "eps_l2": self.eps_l2, "batch_size": self.batch_size}
        offered |= {"neighbors": self.neighbors, "include_misclassified": self.include_misclassified}
        offered |= {"craft": self.craft}
        made: Scorer = self.manager.make("scorer", reference.name, written=reference.options, offered=offered)
        return made

    def _scorer_name(self) -> str:
        if isinstance(self.scorer, str):
            return Reference.parse(self.scorer).name
        name = getattr(self.scorer, "name", None) or getattr(self.scorer, "__name__", None)
        return str(name or type(self.scorer).__name__)

    def _shown_after(self, weak_set: WeakSet, estimator: Estimator) -> Table | None:
        """Return the weakest samples with what ``estimator`` says of them, where they were found here."""
        if self._shown is None or self._shown[0].table != weak_set.table:
            return None
        return with_after(self._shown[1], estimator, weak_set)

    def _neighborhood(self) -> dict[str, Any]:
        return {
            "radius": self.radius,
            "radius_norm": self.radius_norm,
            "quantise": self.quantise,
            "seed": self.seed,
        }

    def _provenance(self, estimator: Estimator, data: Dataset, test: Dataset | None) -> dict[str, Any]:
        arguments = {
            **self._neighborhood(),
            **self.selection,
            "neighbors": self.neighbors,
            "scorer": self._scorer_name(),
        }
        arguments |= {"eps": self.eps, "eps_l2": self.eps_l2, "severities": list(self.severities)}
        arguments |= {"early_stop": self.early_stop, "triage": self.triage}
        fingerprints = {"model": model_fingerprint(estimator), "data": data_fingerprint(data)}
        if test is not None:
            fingerprints["test"] = data_fingerprint(test)
        return {
            "title": f"{type(estimator).__name__} on {getattr(data, 'name', 'data')}",
            "arguments": arguments,
            "versions": versions(),
            "seeds": {"seed": self.seed},
            "fingerprints": fingerprints,
            "plan": plan_of(estimator),
            "perturbations": self._settings(estimator),
        }
