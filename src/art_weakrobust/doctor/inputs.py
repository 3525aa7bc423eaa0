"""Would the model do better on the same images in another form? Normalisation, scale, order of the channels."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from ..statistics import mcnemar, wilson
from .finding import Finding
from .patient import Patient, percent

_STATISTICS = {
    "ImageNet's": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "CIFAR-10's": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    "CIFAR-100's": ((0.5071, 0.4867, 0.4408), (0.2675, 0.2565, 0.2761)),
    "one half as": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
}
_ENOUGH, _LEAST, _LEVEL = 0.97, 0.05, 1e-4
"""Accuracy that nothing can improve on, the gain that counts, and its p (a dozen forms are tried)."""
_FIRST = 48  # samples on which a form has to gain before the rest is asked


def input_form(patient: Patient) -> Iterator[Finding]:
    """Find the form of the images, if any, in which significantly more of them are right (McNemar's exact test)."""
    if patient.accuracy >= _ENOUGH:
        return
    best: tuple[float, Finding] | None = None
    for code, what, do, form in _forms(patient):
        right = _right(patient, form)
        if right is None:
            continue
        gained, lost = int((right & ~patient.right).sum()), int((patient.right & ~right).sum())
        gain = (gained - lost) / len(right)
        better_than_chance = wilson(int(right.sum()), len(right))[0] > patient.chance
        if (
            gain >= _LEAST
            and better_than_chance
            and mcnemar(gained, lost) <= _LEVEL
            and (best is None or gain > best[0])
        ):
            seen = f"{percent(patient.accuracy)} of {len(right)} samples are right, and {percent(right.mean())} {what}."
            best = gain, Finding(code, "error", seen, do)
    if best is not None:
        yield best[1]


def _right(patient: Patient, form: Callable[[np.ndarray], np.ndarray]) -> np.ndarray | None:
    """Return which samples are right in another form; None where the first ones gain nothing."""
    first = patient.says(form(patient.x[:_FIRST])).argmax(axis=1) == patient.labels[:_FIRST]
    if first.mean() <= patient.right[:_FIRST].mean():
        return None
    rest = patient.says(form(patient.x[_FIRST:])).argmax(axis=1) == patient.labels[_FIRST:]
    return np.concatenate([first, rest])


def _forms(patient: Patient) -> Iterator[tuple[str, str, str, Callable[[np.ndarray], np.ndarray]]]:
    _, high = patient.clip
    top = high if np.isfinite(high) else 1.0
    if patient.x.shape[1] == 3:
        yield (
            "channels-order",
            "with the channels reversed",
            "Hand in RGB: images that OpenCV reads are BGR.",
            lambda x: x[:, ::-1],
        )
    for whose, (mean, std) in _STATISTICS.items():
        m, s = (np.array(v[: patient.x.shape[1]], np.float32).reshape(1, -1, 1, 1) * top for v in (mean, std))
        yield (
            "normalisation-missing",
            f"after normalisation with {whose} mean and standard deviation",
            f"Put it into the model: --mean {','.join(map(str, mean))} --std {','.join(map(str, std))}.",
            lambda x, m=m, s=s: (x - m) / s * (top if top > 1 else 1),  # type: ignore[misc]
        )
        yield (
            "normalisation-twice",
            f"with {whose} mean and standard deviation taken back",
            "Normalise once: hand in images in [0, 1] where the model normalises.",
            lambda x, m=m, s=s: x * s + m,  # type: ignore[misc]
        )
    yield (
        "pixels-scale",
        "with the pixels 255 times as large",
        "The model expects 0 to 255: put the factor into it.",
        lambda x: x * 255,
    )
    yield (
        "pixels-scale",
        "with the pixels divided by 255",
        "Divide by 255: the model expects [0, 1].",
        lambda x: x / 255,
    )
    yield (
        "pixels-inverted",
        "with light and dark exchanged",
        "Hand in images with light and dark as the model knows them.",
        lambda x: top - x,
    )
