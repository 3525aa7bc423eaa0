"""Can an attack follow the gradients?"""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

import numpy as np
import torch
from torch import Tensor

from ..kernels.losses import margin
from ..perturbations.attacks.masking import masking_evidence
from .finding import Finding
from .patient import Patient, percent

_SAMPLES = 64
_MANY = 0.1
_STEP = 4 / 255  # of the range of the pixels: small enough for a slope to hold


def gradients(patient: Patient) -> Iterator[Finding]:
    """Find gradients of the loss that are missing, zero, not finite, or lead nowhere (masked)."""
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
            "Attacks that follow gradients are blind there: judge with square or hopskipjump as well, or mend what "
            "saturates.",
        )
    else:
        yield from _masked(patient, x, y, found)


def _masked(patient: Patient, x: np.ndarray, y: np.ndarray, found: np.ndarray) -> Iterator[Finding]:
    """Find samples whose margin does not fall along the gradient, or falls further along a random direction."""
    labels = torch.from_numpy(y)

    def loss(images: Tensor) -> Tensor:
        return -margin(torch.from_numpy(patient.says(images.numpy())), labels)

    evidence = masking_evidence(
        loss,
        torch.from_numpy(found.astype(np.float32)),
        torch.from_numpy(x),
        torch.arange(len(x)),
        norm=inf,
        eps=_STEP * patient.span,
        clip=patient.clip,
    )
    signs = {
        "their margin does not fall along a short step": evidence.no_rise,
        "a random direction lowers their margin by more": evidence.beaten_by_random,
    }
    masked = int(evidence.masked.sum())
    if masked > _MANY * len(x):
        sign = max(signs, key=lambda name: int(signs[name].sum()))
        yield Finding(
            "gradients-masked",
            "warning",
            f"The gradients of {masked} of {len(x)} samples ({percent(masked / len(x))}) lead nowhere: {sign}.",
            "Attacks that follow gradients under-report there: add one that needs none (square, hopskipjump), or "
            "find what hides the slope, rounding inside the model say.",
        )


def _loss_gradients(patient: Patient, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    one_hot = np.eye(patient.outputs.shape[1], dtype=np.float32)[y]
    return np.asarray(patient.estimator.loss_gradient(x, one_hot))
