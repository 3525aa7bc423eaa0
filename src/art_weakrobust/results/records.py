"""The frozen records that flow down the street."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from .schemas import KINDS, Table, column

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Samples:
    """One batch in memory.

    :param ids: int64 (n,), positions in the official order of the split.
    :param x: float32 (n, c, h, w).
    :param y: int64 (n,), class indices.
    :param paths: where the samples come from, (n,) of str, or None.
    """

    ids: np.ndarray
    x: np.ndarray
    y: np.ndarray
    paths: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        if not len(self.ids) == len(self.x) == len(self.y):
            raise DataError(f"ids, x and y have to be of one length, not {len(self.ids)}, {len(self.x)}, {len(self.y)}")

    def __len__(self) -> int:
        return len(self.ids)

    def __getitem__(self, rows: slice | np.ndarray) -> Samples:
        """Return the samples at some positions (not ids) of this batch."""
        paths = None if self.paths is None else tuple(np.asarray(self.paths, dtype=object)[rows])
        return Samples(self.ids[rows], self.x[rows], self.y[rows], paths)


@dataclass(frozen=True)
class Scores:
    """How weak every sample is: a table of schema :data:`SCORES`, in the order of the ids.

    A scorer needs to fill ``index`` and ``score``; the pipeline completes the rest.

    :param facts: what the scorer knows of its work as a whole, plain enough for the manifest, which keeps it.
    """

    table: Table
    facts: Mapping[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, name: str) -> np.ndarray:
        return column(self.table, name)

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas frame."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame


@dataclass(frozen=True)
class WeakSet:
    """The weak robust samples, in halves, and their control group: a table of schema :data:`WEAK_SET`."""

    table: Table

    def __len__(self) -> int:
        """Return the number of weak samples, the control group not counted."""
        return len(self.ids("tune")) + len(self.ids("held_out"))

    def ids(self, role: str) -> np.ndarray:
        """Return the sorted sample ids, int64, of a role: ``tune``, ``held_out`` or ``control``."""
        return np.sort(column(self.table, "index")[column(self.table, "role") == role].astype(np.int64))

    @property
    def tune(self) -> np.ndarray:
        """The half that training may see."""
        return self.ids("tune")

    @property
    def held_out(self) -> np.ndarray:
        """The half that training never sees."""
        return self.ids("held_out")

    @property
    def control(self) -> np.ndarray:
        """Samples drawn at random from the clean-correct rest, as many as were held out."""
        return self.ids("control")

    def weights(self) -> dict[int, float]:
        """Return sample id -> weight of the tune half."""
        role, weight = column(self.table, "role"), column(self.table, "weight")
        return {
            int(i): float(w) for i, w, r in zip(column(self.table, "index"), weight, role, strict=True) if r == "tune"
        }

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas frame."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame


@dataclass(frozen=True)
class Triage:
    """Why every scored sample is weak, or is not: a table of schema :data:`TRIAGE`, in the order of the ids."""

    table: Table

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getitem__(self, name: str) -> np.ndarray:
        return column(self.table, name)

    def counts(self) -> dict[str, int]:
        """Return kind -> how many samples are of it; those of unknown kind are left out."""
        kind = self["kind"]
        return {name: int((kind == name).sum()) for name in KINDS}

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas frame."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame


@dataclass(frozen=True)
class PerturbationType:
    """One row of :data:`TYPES`: what a validation type is.

    :param type: its name, as in ``fgm-linf``, ``pgd-l2``, ``gaussian_noise``, ``cifar10-c/fog``.
    :param family: clean | noise | attacks | corruptions.
    :param group: a finer word within the family: ``gradient``, ``noise``, ``blur``, ``weather``, ``digital``, ….
    :param norm: ``"1"``, ``"2"``, ``"inf"``, or None where it has none.
    :param eps: the budget, or None.
    """

    type: str
    family: str
    group: str = ""
    origin: str = "generated"
    norm: str | None = None
    eps: float | None = None
    source: str = ""


@dataclass(frozen=True, eq=False)
class Validation:
    """One verdict a sample x perturbation: rows of :data:`VALIDATION`, and what each type is.

    Equal to itself alone, so that what is made of all its rows can be kept beside it: see
    :meth:`~art_weakrobust.validation.verdicts.Verdicts.of`.
    """

    table: Table
    types: tuple[PerturbationType, ...]

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def to_pandas(self) -> pd.DataFrame:
        """Return the rows as a pandas frame."""
        frame: pd.DataFrame = self.table.to_pandas()
        return frame


@dataclass(frozen=True)
class Finetuning:
    """What fine-tuning drew and did.

    :param drawn: names of the perturbation types that training drew, with how often: type -> number of views.
    :param norms: norms (``"inf"``, ``"2"``) of the attacks that were drawn.
    :param history: one mapping an epoch: epoch, loss, clean and robust accuracy on the guard part, seconds, odds.
    :param guard_ids: int64 ids of the guard part; ``guard_split`` says of which split (``test``, ``train``, ``given``).
    :param trained_ids: int64 ids of the training samples that were drawn from.
    :param curve: the dial: one mapping an interpolation: ``alpha``, ``clean``, ``robust``, ``n``, and their intervals.
    :param alpha: the interpolation that was chosen; 1 is the tuned network, 0 the base.
    :param options: the trainer's resolved options.
    """

    drawn: Mapping[str, int] = field(default_factory=dict)
    norms: tuple[str, ...] = ()
    history: tuple[Mapping[str, Any], ...] = ()
    guard_ids: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    guard_split: str = ""
    trained_ids: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    curve: tuple[Mapping[str, Any], ...] = ()
    alpha: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the record as plain lists, numbers and strings."""
        return {
            f.name: value.tolist() if isinstance(value := getattr(self, f.name), np.ndarray) else _plain(value)
            for f in fields(self)
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Finetuning:
        """Read back what :meth:`to_json` made; keys of other versions are passed over."""
        known = {f.name for f in fields(cls)}
        values = {name: value for name, value in record.items() if name in known}
        for name in ("guard_ids", "trained_ids"):
            values[name] = np.asarray(values.get(name, []), np.int64)
        for name in ("norms", "history", "curve"):
            values[name] = tuple(values.get(name, ()))
        return cls(**values)

    def trained(self, kind: PerturbationType) -> bool:
        """Say whether training drew this type: for an attack one of its norm, for a stored set its corruption."""
        if kind.family == "attacks":
            return kind.type in self.drawn or (kind.norm is not None and kind.norm in self.norms)
        return kind.type in self.drawn or kind.type.rsplit("/", 1)[-1] in self.drawn


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_plain(item) for item in value]
    return value


@dataclass(frozen=True)
class Records:
    """Everything that flowed, as a reporter gets it; what did not happen is None or empty.

    :param scores: every training sample's score.
    :param triage: the kind of every sample, where it was asked for.
    :param weak_set: the weak set, its halves and the control group.
    :param before: validation of the base model; its ``tune`` rows guide training and are shown nowhere.
    :param after: validation of the fine-tuned model, same samples and perturbations.
    :param finetuning: what training drew.
    :param samples: rows of :data:`SAMPLES`.
    :param distances: rows of :data:`DISTANCES`, of the weak set and the control group, where they were asked for.
    :param flipped: rows of :data:`FLIPS`.
    :param class_names: names of the classes, in order; empty where only their numbers are known.
    :param provenance: ``title``, ``command``, ``arguments``, ``defaults``, ``versions``, ``seeds``, ``fingerprints``,
        ``plan``, ``stages`` (name -> status, seconds, forwards, gradients, samples), ``started``.
    :param findings: the doctor's: mappings with ``severity``, ``code``, ``seen``, ``do``.
    :param notes: what else ``findings.json`` holds. The doctor writes ``passed`` (checks that found nothing),
        ``not_run`` (rows check, why) and ``examined`` (how many samples it saw). Scoring writes ``radius_curve`` (rows
        radius, share, n, lower, upper) where a radius was suggested, and ``missed_bound`` (n, missed, upper: how much a
        screening may have missed, by an audit of n samples). Selection writes ``segments`` (rows where, n, weak, share,
        lower, upper) where there was a triage. ``security_curve`` (rows phase, norm, eps, accuracy, lower, upper, n)
        would be shown in place of the one that ``distances`` give.
    """

    scores: Scores | None = None
    triage: Triage | None = None
    weak_set: WeakSet | None = None
    before: Validation | None = None
    after: Validation | None = None
    finetuning: Finetuning | None = None
    samples: Table | None = None
    distances: Table | None = None
    flipped: Table | None = None
    class_names: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Mapping[str, Any], ...] = ()
    notes: Mapping[str, Any] = field(default_factory=dict)

    def with_(self, **changes: Any) -> Records:
        """Return a copy with some fields changed."""
        return replace(self, **changes)
