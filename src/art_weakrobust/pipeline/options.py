"""Every option of a run, once: name, default and meaning, for the command line, ``--config`` and the manifest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from math import inf, isfinite
from pathlib import Path
from shlex import quote
from typing import Any

from ..errors import UsageError, nearest
from ..plugins.reference import split_list
from ..threat import norm_key, parse_eps, parse_norm

_LEAST = {
    "neighbors": 1,
    "batch_size": 1,
    "nb_epochs": 1,
    "resize": 1,
    "crop": 1,
    "limit": 1,
    "test_limit": 1,
    "top_k": 1,
    "per_class": 1,
    "seed": 0,
}
"""Least value of options that are whole numbers."""

WRITTEN_AS_TEXT = ("radius", "radius_norm", "distance_norm", "eps", "eps_l2")
"""Options that are numbers and written as text: budgets such as 8/255, and norms."""

AUTO = "auto"
"""A radius that is measured when the run begins; see :mod:`.auto_radius`."""


def _option(default: Any, help: str, stage: str) -> Any:
    return field(default=default, metadata={"help": help, "stage": stage})


@dataclass(frozen=True)
class Options:
    """The resolved options of a run; field ``eps_l2`` is ``--eps-l2`` and ``eps_l2`` in a config file."""

    model: str = _option(
        "digits-cnn",
        "Model, as NAME or NAME:ARGUMENT, e.g. robustbench:cifar10/Linf/Standard, python:MODULE:FACTORY.",
        "model",
    )
    weights: str | None = _option(None, "Weights file for the model: safetensors, or torch read weights_only.", "model")
    mean: str | None = _option(None, "Channel means that the model expects, e.g. 0.485,0.456,0.406.", "model")
    std: str | None = _option(None, "Channel standard deviations that the model expects.", "model")
    model_dir: str = _option("./models", "Folder that holds the weights of zoo models.", "model")
    allow_unsafe_checkpoint: bool = _option(
        False, "Read weights that need unpickling, which runs code that they hold.", "model"
    )
    estimator: str = _option("fast", "ART estimator to wrap the model in.", "model")
    device: str | None = _option(None, "Device: cpu, cuda, cuda:1, mps; the fastest there is, if not given.", "model")
    tune: bool = _option(False, "Measure first which execution plan is fastest on this machine, and keep it.", "model")
    compile: bool = _option(False, "With --tune: try torch.compile as well, half a minute on two cores.", "model")
    dataset: str = _option("digits", "Data, as NAME or NAME:ARGUMENT, e.g. parquet:PATH, npz:PATH.", "data")
    split: str = _option("train", "Split to score and to fine-tune on; one alone is halved, all is the whole.", "data")
    label_column: str | None = _option(None, "Column of the labels, where the data set has several.", "data")
    resize: int | None = _option(None, "Pixels that the shorter side of every image gets.", "data")
    crop: int | None = _option(None, "Pixels of the square cut from the middle of every image.", "data")
    download: bool = _option(False, "Let data sets and models be fetched where they are not there.", "data")
    ignore_doctor: bool = _option(False, "Go on where the doctor finds an error; the report says so.", "data")
    limit: int | None = _option(None, "Score and fine-tune on the first N samples only.", "data")
    test_limit: int | None = _option(None, "Validate on the first N test samples only.", "validate")
    batch_size: int = _option(128, "Images in one forward pass, and in one step of training.", "data")
    seed: int = _option(0, "Seed of every draw.", "data")
    scorer: str = _option("neighborhood", "Scorer of local robustness, as NAME[:key=value...].", "score")
    distance_norm: float = _option("inf", "Norm by whose distance scorer boundary ranks: inf or 2.", "score")
    radius: float | str = _option(
        "8/255", "Radius of the sampled neighborhood; auto: one that tells samples apart.", "score"
    )
    radius_norm: float = _option("inf", "Norm of the neighborhood: inf or 2.", "score")
    neighbors: int = _option(50, "Neighbors drawn per sample.", "score")
    neighbor_source: str = _option(
        "uniform", "Neighbors: uniform in the radius, gaussian of that deviation, or a corruption by name.", "score"
    )
    quantise: bool = _option(False, "Round neighbors to 8 bits, as REVa's reference code does.", "score")
    include_misclassified: bool = _option(False, "Score samples that are wrong when clean as well.", "score")
    screen: bool = _option(False, "Score in full only samples that --fraction or --top-k may take.", "score")
    max_missed: float = _option(0.02, "Share of these that --screen may miss, by a 95 % bound.", "score")
    triage: bool = _option(False, "Say why each sample is weak: fragile, mislabelled, ambiguous, atypical.", "triage")
    label_check: str = _option("built-in", "Who says that a label is wrong: built-in, or cleanlab (extra).", "triage")
    kinds: str | None = _option(None, "Kinds that may enter the weak set, as in fragile,ambiguous.", "select")
    fraction: float = _option(0.1, "Share of the clean-correct samples that becomes the weak set.", "select")
    top_k: int | None = _option(None, "Size of the weak set, in place of --fraction.", "select")
    threshold: float | None = _option(None, "Least score of a weak sample, in place of --fraction.", "select")
    per_class: int | None = _option(None, "At most N weak samples of each class.", "select")
    fill: bool = _option(False, "Fill up by least margin where too few neighborhoods hold an error.", "select")
    validator: str = _option("weakrobust", "Validator.", "validate")
    attacks: str = _option("fgm,pgd,pgd@2", "Attacks, as NAME[@1|2|inf][:key=value...],...; '' for none.", "validate")
    eps: float = _option("2/255", "Budget of Linf attacks.", "budget")
    eps_l2: float = _option(0.5, "Budget of L2 attacks.", "budget")
    corruptions: str = _option(
        "gaussian_noise,shot_noise,brightness,contrast,defocus_blur,pixelate", "Corruptions; '' for none.", "validate"
    )
    severities: str = _option("1,2,3,4,5", "Severities of the corruptions.", "validate")
    distances: str = _option(
        "", "Norms of adversarial distances of weak set and control group: inf,2; '' for none.", "validate"
    )
    baseline: str | None = _option(
        None, "Baseline of mCE: alexnet, alexnet-robustbench, or a .json file of your own.", "validate"
    )
    trainer: str = _option("weakrobust", "Trainer.", "finetune")
    nb_epochs: int = _option(3, "Epochs of fine-tuning.", "finetune")
    weak_weight: float = _option(2.0, "How much likelier the weak tune half is drawn; 1: control arm.", "finetune")
    clean_budget: float | None = _option(
        None, "Points of clean accuracy that may be lost; picks the most robust network within it.", "finetune"
    )
    reporter: str = _option("html", "Reporter.", "report")

    def __post_init__(self) -> None:
        set_ = object.__setattr__
        for name in ("radius", "eps", "eps_l2"):
            if (name, getattr(self, name)) != ("radius", AUTO):
                set_(self, name, parse_eps(getattr(self, name), f"--{flag(name)}"))
        for name in ("radius_norm", "distance_norm"):
            set_(self, name, parse_norm(getattr(self, name), f"--{flag(name)}"))
        for name, least in _LEAST.items():
            value = getattr(self, name)
            if value is not None and value < least:
                raise UsageError(f"--{flag(name)} {value} has to be at least {least}")
        if isinstance(self.radius, float) and self.radius <= 0:
            raise UsageError(f"--radius {self.radius:g} has to be above zero")
        if self.radius_norm == 1:
            raise UsageError("--radius-norm 1 has no neighborhood to draw from; use 2 or inf")
        if self.threshold is not None and not isfinite(self.threshold):
            raise UsageError(f"--threshold {self.threshold:g} has to be a finite number: the least score that enters")
        if self.threshold is not None and self.top_k is not None:
            raise UsageError(f"--top-k {self.top_k} and --threshold {self.threshold:g} exclude one another; give one")
        if not 0 < self.fraction <= 1:
            raise UsageError(f"--fraction {self.fraction:g} has to be above 0 and at most 1")
        if not 0 <= self.max_missed < 1:
            raise UsageError(f"--max-missed {self.max_missed:g} has to be a share from 0 to below 1")
        for name in ("threshold", "per_class", "kinds"):
            if self.screen and (value := getattr(self, name)) is not None:
                raise UsageError(
                    f"--{flag(name)} {shown(value)} does not go with --screen, which is for the first --fraction or "
                    "--top-k of the ranking; leave one out"
                )
        if self.label_check != Options.label_check:
            from ..results import LABEL_CHECKS  # and numpy with it, which --help does without

            if self.label_check not in LABEL_CHECKS:
                raise UsageError(f"--label-check {self.label_check!r} has to be {' or '.join(LABEL_CHECKS)}")
        if self.kinds is not None and not self.triage:
            raise UsageError(f"--kinds {self.kinds!r} needs --triage, which says of what kind each sample is")
        if self.compile and not self.tune:
            raise UsageError(
                "--compile needs --tune, which measures whether that is faster here: give both, or --no-compile"
            )
        if not 0 < self.weak_weight < inf:
            raise UsageError(f"--weak-weight {self.weak_weight:g} has to be a finite number above zero")
        if self.clean_budget is not None and not self.clean_budget >= 0:
            raise UsageError(f"--clean-budget {self.clean_budget:g} has to be zero or more points")
        self.severity_numbers()
        self.distance_norms()

    def severity_numbers(self) -> tuple[int, ...]:
        """Return the severities as sorted integers.

        :raises UsageError: where one is not 1 to 5.
        """
        return severity_numbers(str(self.severities))

    def distance_norms(self) -> tuple[str, ...]:
        """Return the norms of ``--distances``, each once, as tables have them.

        :raises UsageError: where one is neither inf nor 2.
        """
        norms = dict.fromkeys(norm_key(parse_norm(norm, "--distances")) for norm in split_list(self.distances))
        if "1" in norms:
            raise UsageError("--distances 1 is not measured; use inf, 2 or both")
        return tuple(norms)

    def of(self, *stages: str) -> dict[str, Any]:
        """Return the options of some stages (``model``, ``data``, ``score``, …) as plain values."""
        return {f.name: _plain(getattr(self, f.name)) for f in fields(self) if f.metadata["stage"] in stages}

    def changed(self) -> dict[str, Any]:
        """Return the options that differ from their defaults."""
        default = Options()
        return {f.name: v for f in fields(self) if (v := getattr(self, f.name)) != getattr(default, f.name)}

    def title(self) -> str:
        """Return a title for the report: model and data, without paths."""
        return f"{self.model.split(':')[-1]} on {self.data_title()}"

    def data_title(self) -> str:
        """Return what a title calls the data, without paths."""
        data, _, argument = self.dataset.partition(":")
        return Path(argument).stem if argument else data

    def command(self, out: str = "") -> str:
        """Return the command that runs the whole street with these options."""
        return " ".join(["art-weakrobust run", *written(self.changed()), *([f"--out {quote(out)}"] if out else [])])

    def with_(self, values: Mapping[str, Any]) -> Options:
        """Return a copy with some options replaced.

        :raises UsageError: for a name that is no option (nearest names shown), or a value out of range.
        """
        names = [f.name for f in fields(self)]
        for name in values:
            if name not in names:
                raise UsageError(f"unknown option {flag(name)!r}{nearest(name, names)}")
        return replace(self, **{name: _typed(name, value) for name, value in values.items()})


def severity_numbers(text: str) -> tuple[int, ...]:
    """Return the sorted severities of a list such as ``1,3,5`` or ``1-5``.

    :raises UsageError: where one is not 1 to 5.
    """
    numbers: set[int] = set()
    for part in (part.strip() for part in text.split(",") if part.strip()):
        first, _, last = part.partition("-")
        if not {first.strip(), (last or first).strip()} <= set("12345"):
            numbers.clear()
            break
        numbers.update(range(int(first), int(last or first) + 1))
    if not numbers:
        raise UsageError(f"--severities {text!r} has to list numbers from 1 to 5, as in 1,3,5 or 1-5")
    return tuple(sorted(numbers))


def flag(name: str) -> str:
    """Return the long name of an option on the command line."""
    return name.replace("_", "-")


def written(values: Mapping[str, Any]) -> list[str]:
    """Return options as they are written on the command line, name -> value; a shell takes them apart again."""
    switches = {True: "--{}", False: "--no-{}"}
    return [
        switches[value].format(flag(name)) if isinstance(value, bool) else f"--{flag(name)} {quote(_exactly(value))}"
        for name, value in values.items()
    ]


def _exactly(value: Any) -> str:
    """Return a value as it is read back: 8/255 in all its digits."""
    short = f"{value:g}" if isinstance(value, float) else str(value)
    return repr(value) if isinstance(value, float) and float(short) != value else short


def shown(value: Any) -> str:
    """Return a value as ``--help`` and error messages show it."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return "none" if value is None else f"{value:g}" if isinstance(value, float) else str(value) or "''"


def _typed(name: str, value: Any) -> Any:
    """Check the type of a value from a config file or a manifest; budgets and norms are parsed by :class:`Options`."""
    kind = str(next(f.type for f in fields(Options) if f.name == name))
    allowed: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "bool": (bool,), "float": (float, int, str)}
    base = kind.split(" | ")[0]
    wrong_bool = isinstance(value, bool) and base != "bool"
    if value is None and "None" in kind:
        return None
    if wrong_bool or not isinstance(value, allowed[base]):
        raise UsageError(f"option {flag(name)!r} is {value!r}, expected {kind.replace(' | None', '')}")
    if base == "float" and isinstance(value, str) and name not in WRITTEN_AS_TEXT:
        raise UsageError(f"option {flag(name)!r} is {value!r}, expected a number")
    return value


def _plain(value: Any) -> Any:
    return "inf" if value == float("inf") else value
