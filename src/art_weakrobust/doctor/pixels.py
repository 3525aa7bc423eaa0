"""Are the pixels what the estimator was told they are?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .finding import Finding
from .patient import Patient

_SLACK = 1e-4
_DARK = 2 / 255  # no set of photographs or scans is darker than this throughout


def pixels(patient: Patient) -> Iterator[Finding]:
    """Find pixels that are not finite, lie outside ``clip_values``, or fill next to nothing of them."""
    x = np.asarray(patient.x)
    if not np.issubdtype(x.dtype, np.number) or np.iscomplexobj(x):
        yield Finding(
            "pixels-type", "error", f"The images are of type {x.dtype}.", "Convert them to float32 in [0, 1]."
        )
        return
    if not np.isfinite(x).all():
        bad = int((~np.isfinite(x.reshape(len(x), -1))).any(axis=1).sum())
        yield Finding(
            "pixels-not-finite",
            "error",
            f"{bad} of {len(x)} images hold a pixel that is NaN or infinite.",
            "Remove or mend these images.",
        )
        return
    low, high = patient.clip
    least, most = float(x.min()), float(x.max())
    seen = f"Pixels run from {least:.4g} to {most:.4g}, and clip_values are ({low:g}, {high:g})."
    if least < low - _SLACK * patient.span or most > high + _SLACK * patient.span:
        yield Finding("pixels-range", "error", seen, _mend(least, most))
    elif np.isfinite(high - low) and most - low < _DARK * patient.span:
        yield Finding("pixels-scale", "error", seen, "Scale them once only, so that they fill the range.")
    elif high > 1 and np.isfinite(high) and most <= 1:
        yield Finding("pixels-scale", "error", seen, f"Multiply them by {high:g}, or set clip_values=(0, 1).")


def _mend(least: float, most: float) -> str:
    if least >= 0 and 1 < most <= 255:
        return "Divide them by 255."
    return "Hand in images in [0, 1], and put mean and standard deviation into the model (--mean, --std)."
