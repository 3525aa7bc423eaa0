"""The corruptions that come with the package."""

from __future__ import annotations

from ...plugins import Spec, hookimpl
from .constants import CONSTANTS, LARGE, MIN_SIZE, SMALL, SOURCE

_PARTS = {
    "gaussian_noise": ("noise", "normal noise on every pixel"),
    "shot_noise": ("noise", "photons counted: noise that grows with the light"),
    "brightness": ("colour", "a constant added to the value of HSV"),
    "contrast": ("colour", "drawn towards the mean of each channel"),
    "defocus_blur": ("blur", "blurred by a disk, as out of focus"),
    "pixelate": ("digital", "made small and large again with a box filter"),
}
_GROUPS = {"brightness": "weather", "contrast": "digital"}  # where the paper puts what `colour.py` holds


@hookimpl
def weakrobust_register_corruptions() -> list[Spec]:
    """Return six of Hendrycks' corruptions, with the constants of their severities."""
    return [
        Spec(
            name,
            f"{summary} ({SMALL} and {LARGE} px constants)",
            f"art_weakrobust.perturbations.corruptions.{module}:{name}",
            facts={
                "group": _GROUPS.get(name, module),
                "source": SOURCE,
                "constants": {f"{size} px": rows for size, rows in CONSTANTS[name].items()},
                "min_size": MIN_SIZE,
            },
        )
        for name, (module, summary) in _PARTS.items()
    ]
