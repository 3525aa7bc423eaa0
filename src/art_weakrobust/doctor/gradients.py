"""Can an attack follow the gradients?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .finding import Finding
from .patient import Patient, percent

_SAMPLES = 64
_MANY = 0.1


def gradients(patient: Patient) -> Iterator[Finding]:
    """Find gradients of the loss that are missing, zero or not finite."""
    right = np.flatnonzero(patient.right)[:_SAMPLES]
    x, y = (
        (patient.x[right], patient.labels[right]) if len(right) else (patient.x[:_SAMPLES], patient.labels[:_SAMPLES])
    )
    try:
        found = _loss_gradients(patient, x, y)
    except (ValueError, RuntimeError) as error:
        yield Finding(
            "gradients-none",
            "error",
            f"The loss cannot be differentiated with respect to the images: {' '.join(str(error).split())[:200]}",
            "Find what cuts the graph, a detach or a step through numpy say, or use the estimator black-box.",
        )
        return
    flat = found.reshape(len(found), -1)
    wild = int((~np.isfinite(flat)).any(axis=1).sum())
    dead = int((flat == 0).all(axis=1).sum())
    if wild:
        yield Finding(
            "gradients-not-finite",
            "error",
            f"The gradients of {wild} of {len(flat)} samples are NaN or infinite.",
            "Find the operation whose derivative is not finite, a square root or logarithm at zero say.",
        )
    elif dead > _MANY * len(flat):
        yield Finding(
            "gradients-zero",
            "error" if dead == len(flat) else "warning",
            f"The gradients of {dead} of {len(flat)} samples ({percent(dead / len(flat))}) are zero everywhere.",
            "Attacks that follow gradients are blind there: judge with square or hop-skip-jump as well, or mend what "
            "saturates.",
        )


def _loss_gradients(patient: Patient, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    one_hot = np.eye(patient.outputs.shape[1], dtype=np.float32)[y]
    return np.asarray(patient.estimator.loss_gradient(x, one_hot))
