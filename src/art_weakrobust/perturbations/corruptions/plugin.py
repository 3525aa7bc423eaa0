"""The corruptions that come with the package."""

from __future__ import annotations

from ...plugins import Spec, hookimpl
from .constants import CONSTANTS, LARGE, SMALL, SOURCE, min_size
from .stored.specs import STORED

# group -> corruption -> module and summary, in the paper's order; the extra ones are the paper's for validation
_GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    "noise": {
        "gaussian_noise": ("noise", "normal noise on every pixel"),
        "shot_noise": ("noise", "photons counted: noise that grows with the light"),
        "impulse_noise": ("noise", "salt and pepper: values that are black or white"),
    },
    "blur": {
        "defocus_blur": ("blur", "blurred by a disk, as out of focus"),
        "glass_blur": ("glass", "pixels moved about and blurred, as behind frosted glass"),
        "motion_blur": ("blur", "blurred along a line, as by a moving camera"),
        "zoom_blur": ("blur", "blurred towards the middle, as by a camera that moves closer"),
    },
    "weather": {
        "snow": ("snow", "flakes that fall at an angle, on a whiter image"),
        "frost": ("frost", "photographs of ice laid over the image"),
        "fog": ("fog", "a plasma fractal over the image"),
        "brightness": ("colour", "a constant added to the value of HSV"),
    },
    "digital": {
        "contrast": ("colour", "drawn towards the mean of each channel"),
        "elastic_transform": ("elastic", "moved by a random affine map and a smooth random field"),
        "pixelate": ("digital", "made small and large again with a box filter"),
        "jpeg_compression": ("jpeg", "compressed by a JPEG codec and read again"),
    },
    "extra": {
        "speckle_noise": ("noise", "normal noise in proportion to the pixel"),
        "gaussian_blur": ("blur", "blurred by a Gaussian"),
        "spatter": ("spatter", "drops of water or mud on the lens"),
        "saturate": ("colour", "the saturation of HSV multiplied and raised"),
    },
}


@hookimpl
def weakrobust_register_corruptions() -> list[Spec]:
    """Return Hendrycks' 15 corruptions and the 4 extra ones with their constants, and the sets that lie on disk."""
    generated = [
        Spec(
            name,
            f"{summary} ({SMALL} and {LARGE} px constants)",
            f"art_weakrobust.perturbations.corruptions.{module}:{name}",
            facts={
                "group": group,
                "source": SOURCE,
                "constants": {f"{size} px": rows for size, rows in CONSTANTS[name].items()},
                "min_size": min_size(name),
            },
        )
        for group, members in _GROUPS.items()
        for name, (module, summary) in members.items()
    ]
    return [*generated, *STORED]
