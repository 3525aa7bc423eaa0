"""Constants of the common corruptions, severities 1 to 5 (Hendrycks and Dietterich, arXiv 1903.12261).

Two sets, of https://github.com/hendrycks/robustness: ``make_cifar_c.py`` for 32 px, ``make_imagenet_c.py`` for 224 px.
An image counts by its shorter side. Up to 32 px takes the first, from 224 px the second; in between, each constant is
interpolated linearly over the logarithm of the size, so that no size makes a jump.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from ...errors import DataError, UsageError

SOURCE = "Hendrycks and Dietterich 2019 (arXiv 1903.12261), make_cifar_c.py and make_imagenet_c.py"
MIN_SIZE = 8
SMALL, LARGE = 32, 224

CONSTANTS: Mapping[str, Mapping[int, tuple[tuple[float, ...], ...]]] = MappingProxyType(
    {
        # standard deviation of the noise
        "gaussian_noise": {
            SMALL: ((0.04,), (0.06,), (0.08,), (0.09,), (0.10,)),
            LARGE: ((0.08,), (0.12,), (0.18,), (0.26,), (0.38,)),
        },
        # photons that a white pixel stands for
        "shot_noise": {
            SMALL: ((500,), (250,), (100,), (75,), (50,)),
            LARGE: ((60,), (25,), (12,), (5,), (3,)),
        },
        # added to the value of HSV
        "brightness": {
            SMALL: ((0.05,), (0.1,), (0.15,), (0.2,), (0.3,)),
            LARGE: ((0.1,), (0.2,), (0.3,), (0.4,), (0.5,)),
        },
        # what is left of the distance to the mean
        "contrast": {
            SMALL: ((0.75,), (0.5,), (0.4,), (0.3,), (0.15,)),
            LARGE: ((0.4,), (0.3,), (0.2,), (0.1,), (0.05,)),
        },
        # radius of the disk, standard deviation that smooths its edge; in pixels
        "defocus_blur": {
            SMALL: ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
            LARGE: ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
        },
        # size of the small image in proportion
        "pixelate": {
            SMALL: ((0.95,), (0.9,), (0.85,), (0.75,), (0.65,)),
            LARGE: ((0.6,), (0.5,), (0.4,), (0.3,), (0.25,)),
        },
    }
)
"""Corruption -> 32 or 224 px -> the constants of each severity."""


def constants(name: str, shape: tuple[int, ...], severity: int) -> tuple[float, ...]:
    """Return the constants of a corruption for images of a size.

    :param name: a key of :data:`CONSTANTS`.
    :param shape: (n, c, h, w).
    :param severity: 1 to 5.
    :raises DataError: for images below 8 x 8 pixels.
    :raises UsageError: for another severity.
    """
    if severity not in range(1, 6):
        raise UsageError(f"severity {severity!r} of {name} is not known; use 1, 2, 3, 4 or 5")
    height, width = shape[-2:]
    if min(height, width) < MIN_SIZE:
        raise DataError(
            f"{name} needs images of at least {MIN_SIZE} x {MIN_SIZE} pixels, got {height} x {width}: "
            f"leave it out of corruptions, or enlarge the images"
        )
    place = math.log(min(max(min(height, width), SMALL), LARGE) / SMALL) / math.log(LARGE / SMALL)
    small, large = (CONSTANTS[name][size][severity - 1] for size in (SMALL, LARGE))
    if place in (0.0, 1.0):
        return (small, large)[int(place)]
    return tuple(low + place * (high - low) for low, high in zip(small, large, strict=True))
