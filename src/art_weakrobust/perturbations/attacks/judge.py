"""Never believe an attack: measure what it returned, predict again, judge against the label.

What comes back is held to the budget and the range of the pixels first. A point outside of them is projected onto the
ball, clipped, and *that* point is judged; its status says so. A crash is an error and no verdict, never "robust".
runner.py asks the attacks; here are the rules that it judges by.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import torch

from ...kernels.norms import project
from ...threat import ThreatModel

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
    :param broken_by: object (n,), the name of the attack that broke the sample first; None where none did.
    :param logits: float32 (n, k) of ``x_adv``, NaN where unknown.
    :param clean_logits: float32 (n, k) of the clean samples.
    """

    x_adv: np.ndarray
    norm: np.ndarray
    prediction: np.ndarray
    correct: np.ndarray
    status: np.ndarray
    queries: np.ndarray
    broken_by: np.ndarray
    logits: np.ndarray
    clean_logits: np.ndarray

    def columns(self) -> dict[str, pa.Array]:
        """Return the columns of ``VALIDATION`` that an attack fills, as arrow arrays, null where unknown."""
        return {
            "prediction": pa.array(self.prediction, pa.int64(), mask=self.prediction < 0),
            "correct": pa.array(self.correct, pa.bool_()),
            "perturbation_norm": pa.array(self.norm.astype(np.float32), pa.float32(), mask=np.isnan(self.norm)),
            "queries": pa.array(np.rint(self.queries), pa.float64(), mask=np.isnan(self.queries)).cast(pa.int32()),
            "status": pa.array(self.status, pa.string()),
            "broken_by": pa.array(self.broken_by, pa.string()),
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
