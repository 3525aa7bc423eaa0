"""The chunk functions of adversarial distances: an engine looks, the judge verifies, and rows say what is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from ..errors import UserError
from ..estimators.judge import exact_float32
from ..perturbations.attacks.judge import error_status
from ..protocols import Estimator
from ..results import Samples, Table, column
from ..threat import norm_key
from .boundary_engine import Certify, Engine, Found, certified, reach, verified
from .neighborhood_clean import CleanRows
from .scorer import OK, known, score_table

NAME = "boundary"
CENSORED = "censored"
"""Status of a sample that is right, and stays so as far as anybody has looked."""


@dataclass(frozen=True)
class Measured:
    """What is known of some samples.

    :param clean: rows of :class:`~.neighborhood_clean.CleanRows`.
    :param distance: float64 (n,), of the smallest verified perturbation; NaN where there is none.
    :param status: object (n,): ``ok``, ``misclassified``, ``censored``, or ``error: …``.
    :param radius: float64 (n,), proven; NaN where nothing is proven.
    :param eps_max: how far was looked.
    """

    clean: Table
    distance: np.ndarray
    status: np.ndarray
    radius: np.ndarray
    eps_max: float


@dataclass(frozen=True)
class Measure:
    """How distances are measured.

    :param engine: who looks for perturbations, and in which norm.
    :param eps_max: how far; None for as far as pixels go.
    :param certify: who proves radii; None for nobody.
    :param batch_size: images a pass.
    """

    engine: Engine
    eps_max: float | None
    certify: Certify | None
    batch_size: int

    def of(self, estimator: Estimator, samples: Samples) -> Measured:
        """Return what is known of one chunk; an engine that breaks down leaves its samples unknown."""
        norm = self.engine.norm
        clean = CleanRows(norm=norm, batch_size=self.batch_size)(estimator, samples)
        status = column(clean, "status").astype(object)
        limit = reach(norm, samples.x.shape[1:]) if self.eps_max is None else self.eps_max
        length, radius = np.full((2, len(samples)), np.nan)
        rows = np.flatnonzero(status == OK)
        if len(rows):
            some = samples[rows]
            found = self._found(estimator, some, limit)
            _, near = verified(estimator, some, found.points, norm, self.batch_size)
            near[(near > limit) | (found.status != OK)] = np.nan
            status[rows] = np.where((found.status == OK) & np.isnan(near), CENSORED, found.status)
            length[rows] = near
            radius[rows] = certified(self.certify, estimator, some, norm, near)
        return Measured(clean, length, status, radius, limit)

    def _found(self, estimator: Estimator, samples: Samples, limit: float) -> Found:
        try:
            with exact_float32(), torch.no_grad():
                return self.engine(estimator, samples, limit)
        except UserError:
            raise
        except Exception as error:  # not swallowed: it is the status of the samples, whose distance is unknown
            return Found(samples.x, np.full(len(samples), error_status(error), object))


@dataclass(frozen=True)
class BoundaryRows:
    """The chunk function of the scorer: rows of :data:`~art_weakrobust.results.SCORES`."""

    measure: Measure

    def __call__(self, estimator: Estimator, samples: Samples) -> Table:
        """Return one row a sample."""
        seen = self.measure.of(estimator, samples)
        censored, found = seen.status == CENSORED, np.isfinite(seen.distance)
        score = np.where(censored, -seen.eps_max, -seen.distance)
        bare = column(seen.clean, "decision").astype(bool)
        margin = np.where(bare, np.nan, column(seen.clean, "margin").astype(np.float64))
        named = {name: seen.clean.column(name) for name in ("prediction", "correct", "first_order_distance")}
        return score_table(
            samples,
            NAME,
            **named,
            status=pa.array(np.where(censored, OK, seen.status), pa.string()),
            score=score,
            margin=known(margin, pa.float32()),
            found=pa.array(found, mask=~(found | censored)),
            perturbation_norm=known(seen.distance, pa.float32()),
            adversarial_distance=known(seen.distance, pa.float32()),
            certified_radius=known(seen.radius, pa.float32()),
        )


@dataclass(frozen=True)
class DistanceRows:
    """The chunk function of refined distances: rows of :data:`~art_weakrobust.results.DISTANCES`, but for the phase."""

    measure: Measure

    def __call__(self, estimator: Estimator, samples: Samples) -> Table:
        """Return one row a sample."""
        seen, n = self.measure.of(estimator, samples), len(samples)
        return pa.table(
            {
                "index": samples.ids,
                "norm": pa.repeat(norm_key(self.measure.engine.norm), n),
                "distance": known(seen.distance, pa.float32()),
                "status": pa.array(seen.status, pa.string()),
                "certified_radius": known(seen.radius, pa.float32()),
                "engine": pa.repeat(self.measure.engine.name, n),
            }
        )
