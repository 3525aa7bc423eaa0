"""The form of a row of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf
from types import MappingProxyType
from typing import Any, Literal

ART = "art.attacks.evasion"
"""The module that exports ART's evasion attacks."""

Cost = Literal["cheap", "medium", "expensive", "very expensive"]
"""Evaluations a sample with the defaults of the row: up to about a hundred gradients, up to a thousand, up to ten
thousand, and beyond (most attacks that see decisions alone)."""

NOTHING: Mapping[Any, Any] = MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Row:
    """What is known of one attack: how it is built, what it asks for, and how it treats what it is given.

    :param name: the registered name; ``NAME@2`` is written for another norm than the first of ``norms``.
    :param kind: name of its class in :data:`ART`, or ``"package.module:Class"`` of one that is ours. Several rows may
        have one class; the first says what is true of a ready-made object.
    :param also: further classes, named alike, that this row is true of.
    :param summary: one line for listings.
    :param source: link to the paper.
    :param group: ``gradient``, ``score``, ``decision``, ``universal`` or ``ensemble``.
    :param norms: norms in which it works and is judged, the default first.
    :param bounded: True where ``eps`` bounds the perturbation; False where the attack seeks the smallest one (or knows
        no norm at all), which is then held against the run's budget.
    :param needs: of the estimator: ``gradients``, ``scores``, ``decisions``; a spec's ``needs``.
    :param package: what has to be installed besides ART, which does not ask for it.
    :param cost: see :data:`Cost`.
    :param y: what the attack takes as ``y``: the ``labels``; nothing, for it leaves its own ``prediction``; or
        ``targets``, which our subclass of it (repaired.py) chooses by the labels.
    :param estimator_argument: what the constructor calls the estimator.
    :param batch_size: the constructor's own default, None where it has no such argument; ours is the run's.
    :param targeted: the constructor's own default, None where it has no such argument; ours is False.
    :param draws: False where the result is a function of model, images and labels alone.
    :param memoryless: each step depends on the current point alone, so that a sample may leave as soon as it is fooled.
    :param few_step: training may run it with two or three steps.
    :param couples: a sample's result depends on who is in the batch with it.
    :param crafts: it makes one perturbation for all, out of training samples that are judged nowhere.
    :param clones: the constructor may build a stock classifier of its own, which binding replaces by a fast one.
    :param eps: its own budget, of a published configuration; otherwise the run's counts.
    :param eps_as: constructor's argument that takes eps, and how many of its units are 1.0 (rounded down then).
    :param step: default of ``eps_step`` as a share of eps.
    :param defaults: what we set otherwise than the constructor does.
    :param by_norm: what we set for one norm alone.
    :param settings: attributes that ``set_params`` takes and the constructor does not; rebinding carries them over.
    :param target: ``"package.module:attribute"`` that builds it; None for build.py, which builds every class of ART.
    """

    name: str
    kind: str
    summary: str
    source: str
    group: Literal["gradient", "score", "decision", "universal", "ensemble"]
    norms: tuple[float, ...] = (inf,)
    bounded: bool = True
    needs: tuple[str, ...] = ("gradients",)
    package: str = ""
    cost: Cost = "cheap"
    y: Literal["labels", "prediction", "targets"] = "labels"
    also: tuple[str, ...] = ()
    estimator_argument: str = "estimator"
    batch_size: int | None = 32
    targeted: bool | None = False
    draws: bool = False
    memoryless: bool = False
    few_step: bool = False
    couples: bool = False
    crafts: bool = False
    clones: bool = False
    eps: float | None = None
    eps_as: tuple[str, int] = ("eps", 1)
    step: float | None = None
    defaults: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    by_norm: Mapping[float, Mapping[str, Any]] = field(default_factory=lambda: NOTHING)
    settings: tuple[str, ...] = ()
    target: str | None = None

    @property
    def attribute(self) -> str:
        """Its name as an identifier."""
        return self.name.replace("-", "_")

    @property
    def facts(self) -> dict[str, Any]:
        """What a listing shows beside it, as plain values."""
        return {
            "norm": _word(self.norms[0]),
            "norms": [_word(norm) for norm in self.norms],
            **({} if self.eps is None else {"eps": self.eps}),
            "budget": "eps" if self.bounded else "smallest",
            "group": self.group,
            **({"package": self.package} if self.package else {}),
            "cost": self.cost,
            "y": self.y,
            "draws": self.draws,
            "memoryless": self.memoryless,
            "few_step": self.few_step,
            "couples": self.couples,
            "crafts": self.crafts,
            "kind": self.kind if ":" in self.kind else f"{ART}.{self.kind}",
            "source": self.source,
        }


def _word(norm: float) -> str:
    return "inf" if norm == inf else f"{norm:g}"
