"""Never believe an attack: measure what it returned, predict again, judge against the label.

What comes back is held to the budget and the range of the pixels first. A point outside of them is projected onto the
ball, clipped, and *that* point is judged; its status says so. A crash is an error and no verdict, never "robust".
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from ...errors import UserError
from ...estimators.judge import exact_float32, judge_logits
from ...kernels.keyed import derive
from ...kernels.norms import project
from ...protocols import Estimator
from ...results import Samples
from ...threat import ThreatModel
from ..types import AttackType
from .binding import bind
from .randomness import seeded

RELATIVE_TOLERANCE, ABSOLUTE_TOLERANCE = 1e-5, 1e-6
"""A point counts as inside the budget up to ``eps * (1 + 1e-5) + 1e-6``: what float32 arithmetic on pixels in [0, 1]
costs an attack that aims at the boundary exactly. The range of the pixels is held to the absolute part."""

OK, MISCLASSIFIED, OVER_BUDGET = "ok", "misclassified", "over_budget"


@dataclass(frozen=True)
class AttackResult:
    """One verdict a sample, in the order of the samples.

    :param x_adv: float32 (n, c, h, w), the points that were judged, inside budget and range; the clean sample where
        nothing was attacked or judged.
    :param norm: float64 (n,), measured norm of what the attack returned, in the norm of the threat model; above the
        budget where the status is ``over_budget``; 0 where not attacked, NaN where unknown.
    :param prediction: int64 (n,), class of ``x_adv``; -1 where unknown.
    :param correct: object (n,) of True, False, or None where the verdict is unknown.
    :param status: object (n,) of ``ok``, ``misclassified`` (the clean sample was, so it was not attacked),
        ``over_budget`` (the projected point was judged), or ``error: Type: message``.
    :param queries: float64 (n,), forward passes for each attacked sample (a gradient counts as the one that it needs),
        mean of the chunk; NaN where the estimator does not count.
    :param logits: float32 (n, k) of ``x_adv``, NaN where unknown.
    :param clean_logits: float32 (n, k) of the clean samples.
    """

    x_adv: np.ndarray
    norm: np.ndarray
    prediction: np.ndarray
    correct: np.ndarray
    status: np.ndarray
    queries: np.ndarray
    logits: np.ndarray
    clean_logits: np.ndarray

    def columns(self) -> dict[str, pa.Array]:
        """Return ``prediction, correct, perturbation_norm, queries, status`` as arrow columns, null where unknown."""
        return {
            "prediction": pa.array(self.prediction, pa.int64(), mask=self.prediction < 0),
            "correct": pa.array(self.correct, pa.bool_()),
            "perturbation_norm": pa.array(self.norm.astype(np.float32), pa.float32(), mask=np.isnan(self.norm)),
            "queries": pa.array(np.rint(self.queries), pa.float64(), mask=np.isnan(self.queries)).cast(pa.int32()),
            "status": pa.array(self.status, pa.string()),
        }


def verdicts(logits: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return prediction (-1 where unknown), correct (None where unknown) and status of some logits.

    :param logits: float32 (n, k); a row that is not finite is no prediction.
    :param y: int64 (n,).
    """
    known = np.isfinite(logits).all(axis=1)
    prediction = np.where(known, logits.argmax(axis=1), -1).astype(np.int64)
    correct = (prediction == y).astype(object)
    correct[~known] = None
    status = np.where(known, OK, "error: the model's output is not finite").astype(object)
    return prediction, correct, status


def error_status(error: Exception) -> str:
    """Return the status of samples for which something crashed: ``error: Type: message``, one line."""
    return f"error: {type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")


def attack_samples(
    attack_type: AttackType, estimator: Estimator, samples: Samples, *, seed: int = 0, batch_size: int = 256
) -> AttackResult:
    """Attack those samples that are correct when clean, and judge what comes back.

    The attack gets the labels as ``y`` (one-hot, float32) and a copy of the pixels. Its randomness is a function of
    (seed, name of the type, first id of the chunk) for attacks that draw from the global generators.

    :param samples: one chunk.
    :param seed: of the run.
    :param batch_size: of the judge's forward passes.
    :raises AttackError: where the attack cannot be built on this estimator.
    """
    clean_logits = judge_logits(estimator, samples.x, batch_size)
    prediction, correct, status = verdicts(clean_logits, samples.y)
    status[correct == False] = MISCLASSIFIED  # noqa: E712 - three-valued
    result = AttackResult(
        x_adv=np.array(samples.x, np.float32),
        norm=np.where(prediction < 0, np.nan, 0.0),
        prediction=prediction,
        correct=correct,
        status=status,
        queries=np.zeros(len(samples)),
        logits=clean_logits.copy(),
        clean_logits=clean_logits,
    )
    rows = np.flatnonzero(correct == True)  # noqa: E712
    if len(rows):
        chunk_seed = derive(seed, attack_type.name, int(samples.ids[0]))
        _fill(result, rows, samples[rows], attack_type, estimator, chunk_seed, batch_size)
    return result


def _fill(
    result: AttackResult,
    rows: np.ndarray,
    samples: Samples,
    attack_type: AttackType,
    estimator: Estimator,
    seed: int,
    batch_size: int,
) -> None:
    """Attack ``samples`` and write their verdicts into ``rows`` of the result."""
    before = _queries(estimator)
    returned = _generate(attack_type, estimator, samples, seed)
    result.queries[rows] = (_queries(estimator) - before) / len(rows)
    if isinstance(returned, str):
        _unknown(result, rows, returned)
        return
    finite = np.isfinite(returned).all(axis=(1, 2, 3))
    _unknown(result, rows[~finite], "error: the attack returned pixels that are not finite")
    rows, returned, samples = rows[finite], returned[finite], samples[finite]
    if not len(rows):
        return
    x_adv, norm, over = hold(returned, samples.x, attack_type.threat)
    logits = judge_logits(estimator, x_adv, batch_size)
    prediction, correct, status = verdicts(logits, samples.y)
    status[over & (status == OK)] = OVER_BUDGET
    result.x_adv[rows], result.norm[rows], result.logits[rows] = x_adv, norm, logits
    result.prediction[rows], result.correct[rows], result.status[rows] = prediction, correct, status


def _generate(attack_type: AttackType, estimator: Estimator, samples: Samples, seed: int) -> np.ndarray | str:
    """Return what the attack made, float32 of the shape of ``samples.x``, or the status that says why not."""
    labels = np.eye(int(estimator.nb_classes), dtype=np.float32)[samples.y]
    x = np.array(samples.x, np.float32, order="C")  # a copy: an attack that writes into its input changes nothing here
    with seeded(seed):
        attack = bind(attack_type.factory, estimator)
        try:
            with _silent(attack), exact_float32():
                returned = attack.generate(x=x, y=labels)
        except UserError:
            raise
        except Exception as error:  # not swallowed: it is the verdict's status, and the verdict is unknown
            return error_status(error)
    if not isinstance(returned, np.ndarray) or returned.shape != samples.x.shape:
        shape = getattr(returned, "shape", type(returned).__name__)
        return f"error: the attack returned {shape}, expected an array of {samples.x.shape}"
    if returned.dtype.kind not in "fiu":
        return f"error: the attack returned an array of {returned.dtype}, expected numbers"
    with np.errstate(over="ignore"):
        return returned.astype(np.float32)


def distance(x_adv: np.ndarray, x: np.ndarray, norm: float) -> np.ndarray:
    """Return ``||x_adv - x||_norm`` of every sample, float64 (n,), computed in float64."""
    delta = (x_adv.astype(np.float64) - x).reshape(len(x), -1)
    return np.asarray(np.linalg.norm(delta, ord=norm, axis=1))


def hold(x_adv: np.ndarray, x: np.ndarray, threat: ThreatModel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Hold points to a threat model.

    :param x_adv: float32 (n, c, h, w), finite.
    :param x: float32 (n, c, h, w), inside the range of the pixels.
    :return: the points inside budget and range, float32; their norm as they came, float64 (n,), measured in float64;
        and whether they were outside, bool (n,).
    """
    low, high = threat.clip_values
    norm = distance(x_adv, x, threat.norm)
    excess = norm > threat.eps * (1 + RELATIVE_TOLERANCE) + ABSOLUTE_TOLERANCE
    outside = ((x_adv < low - ABSOLUTE_TOLERANCE) | (x_adv > high + ABSOLUTE_TOLERANCE)).any(axis=(1, 2, 3))
    held = x_adv.copy()
    if excess.any():
        delta = torch.from_numpy(x_adv[excess].astype(np.float64) - x[excess])
        held[excess] = x[excess] + project(delta, threat.norm, threat.eps).numpy()
    # Clipping comes last: x lies inside the range, so it moves no coordinate away from x and keeps the budget.
    return np.clip(held, low, high), norm, excess | outside


def _unknown(result: AttackResult, rows: np.ndarray, status: str) -> None:
    result.norm[rows] = np.nan
    result.prediction[rows] = -1
    result.correct[rows] = None
    result.status[rows] = status
    result.logits[rows] = np.nan


def _queries(estimator: Estimator) -> float:
    """Return how many images went forward through the estimator so far, NaN where it does not count."""
    return float(getattr(estimator, "forwards", np.nan))


@contextmanager
def _silent(attack: Any) -> Iterator[None]:
    """Switch off the progress bars of an attack that has them, and on again after: the object may be the user's."""
    shown = getattr(attack, "verbose", False)
    if "verbose" not in attack.attack_params or not shown:
        yield
        return
    attack.set_params(verbose=False)
    try:
        yield
    finally:
        attack.set_params(verbose=shown)
