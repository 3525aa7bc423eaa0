"""Where neighbors come from: noise in a ball, normal noise, or any corruption at random severities.

A source is called with images (n, c, h, w), their ids and the numbers of the neighbors, and gives one neighbor of
each, in [0, 1]: a function of (seed, sample id, number) alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from math import inf
from threading import RLock
from typing import Any, Protocol

import torch
from torch import Tensor

from ..errors import PluginError, UsageError
from ..kernels import keyed
from ..kernels.neighborhood import gaussian_neighbors, neighbors
from ..perturbations.corruptions.constants import SEVERITIES
from ..perturbations.resolve import resolve_corruptions
from ..perturbations.types import CorruptionType
from ..plugins.manager import Manager

UNIFORM, GAUSSIAN = "uniform", "gaussian"

_ONE_AT_A_TIME = RLock()  # neighbors are made in streams as well, of which somebody else's corruption knows nothing


class NeighborSource(Protocol):
    """See the top of this module; frozen, so that it can travel with a chunk function.

    Several threads may call it at once.
    """

    def __call__(self, x: Tensor, ids: Tensor, index: int | Tensor) -> Tensor:
        """Return one neighbor of every image: float32, shaped and laid out in memory as ``x``.

        :param index: its number, one for all or int64 (n,).
        """
        ...


@dataclass(frozen=True, kw_only=True)
class Uniform:
    """Uniform in the ball of ``norm`` and ``radius``; see :func:`~art_weakrobust.kernels.neighborhood.neighbors`."""

    radius: float
    norm: float = inf
    seed: int = 0
    quantise: bool = False

    def __post_init__(self) -> None:
        _refuse_nothing(self.radius)
        if self.norm not in (2.0, inf):
            raise UsageError(f"radius_norm {self.norm:g} has no neighborhood here; use 2 or inf")

    def __call__(self, x: Tensor, ids: Tensor, index: int | Tensor) -> Tensor:
        """Return one neighbor of every image."""
        return neighbors(x, ids, index, self.radius, self.norm, self.seed, quantise=self.quantise)


@dataclass(frozen=True, kw_only=True)
class Gaussian:
    """Normal noise in every pixel; its standard deviation is the ``radius``."""

    radius: float
    seed: int = 0
    quantise: bool = False

    def __post_init__(self) -> None:
        _refuse_nothing(self.radius)

    def __call__(self, x: Tensor, ids: Tensor, index: int | Tensor) -> Tensor:
        """Return one neighbor of every image."""
        return gaussian_neighbors(x, ids, index, self.radius, self.seed, quantise=self.quantise)


@dataclass(frozen=True, kw_only=True)
class Corrupted:
    """A corruption at severities drawn alike from 1 to 5; a neighbor draws as a sample of its own would.

    Of a corruption that draws nothing (brightness, pixelate) the neighbors are as many images as there are severities.
    """

    kind: CorruptionType
    seed: int = 0
    quantise: bool = False

    def __call__(self, x: Tensor, ids: Tensor, index: int | Tensor) -> Tensor:
        """Return one neighbor of every image."""
        severity = self.severity(ids, index)
        half = keyed.bits(ids, index, (2,), keyed.derive(self.seed, "neighbor", "id")).to(torch.int64)
        own = half[:, 0] << 32 | half[:, 1] & 0xFFFFFFFF  # an id of its own: all neighbors of a batch in one call
        made = torch.empty_like(x)
        for level in SEVERITIES:
            rows = (severity == level).nonzero().squeeze(1)
            if len(rows):
                made[rows] = self._corrupted(x[rows], own[rows], level)
        made.clamp_(0, 1)
        return made.mul_(255).round_().div_(255) if self.quantise else made

    def severity(self, ids: Tensor, index: int | Tensor) -> Tensor:
        """Return the severity of each neighbor, int64 (n,)."""
        u = keyed.uniform(ids, index, (1,), keyed.derive(self.seed, "neighbor", "severity"))[:, 0]
        return (u * len(SEVERITIES)).to(torch.int64).add_(SEVERITIES[0])

    def _corrupted(self, x: Tensor, ids: Tensor, severity: int) -> Tensor:
        corruption: Any = self.kind.corruption
        seed = keyed.derive(self.seed, "neighbor", self.kind.name)
        module = getattr(corruption, "__module__", None) or type(corruption).__module__
        own = module.partition(".")[0] == __package__.partition(".")[0]
        with nullcontext() if own else _ONE_AT_A_TIME:
            made: Tensor = corruption(x.contiguous(), ids, severity, seed)
        if made.shape != x.shape:
            raise PluginError(
                f"corruption {self.kind.name!r} gave {tuple(made.shape)} for {tuple(x.shape)}: it has to keep the shape"
            )
        return made


def source_named(
    name: Any,
    *,
    radius: float,
    radius_norm: float,
    seed: int,
    quantise: bool,
    plugins: Manager | Iterable[Any] | None = None,
) -> NeighborSource:
    """Return the source that a user names.

    :param name: ``uniform``, ``gaussian``, a corruption by its name or itself, or a mapping label -> corruption of one.
    :param radius: of the ball, or the standard deviation; without effect on a corruption, as is ``radius_norm``.
    :raises UsageError: for a corruption that lies on disk, or several at once.
    :raises PluginError: for a name that nobody registered.
    """
    if name == UNIFORM:
        return Uniform(radius=radius, norm=radius_norm, seed=seed, quantise=quantise)
    if name == GAUSSIAN:
        return Gaussian(radius=radius, seed=seed, quantise=quantise)
    manager = Manager.of(plugins)
    if isinstance(name, str) and name not in manager.names("corruption"):
        known = ", ".join((UNIFORM, GAUSSIAN, *manager.names("corruption")))
        raise UsageError(f"neighbor_source {name!r} is not known; use one of {known}")
    kinds = resolve_corruptions(name if isinstance(name, str | Mapping) else [name], manager)
    if len(kinds) != 1 or kinds[0].stored:
        raise UsageError(
            f"neighbor_source {name!r} has to be uniform, gaussian or one corruption that is computed: "
            "sets on disk are for the test images alone"
        )
    return Corrupted(kind=kinds[0], seed=seed, quantise=quantise)


def _refuse_nothing(radius: float) -> None:
    if not radius > 0:
        raise UsageError(f"radius {radius!r} has to be above 0: without it a sample has no neighbors")
