"""Constants of the common corruptions, severities 1 to 5 (Hendrycks and Dietterich, arXiv 1903.12261).

Two sets, of https://github.com/hendrycks/robustness: ``make_cifar_c.py`` for 32 px, ``make_imagenet_c.py`` for 224 px.
An image counts by its shorter side. Up to 32 px takes the first, from 224 px the second; in between, each constant is
interpolated linearly over the logarithm of the size, so that no size makes a jump. A corruption that needs a whole
number (repetitions, a JPEG quality) rounds what it gets.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

from ...errors import DataError, UsageError

SOURCE = "Hendrycks and Dietterich 2019 (arXiv 1903.12261), make_cifar_c.py and make_imagenet_c.py"
SMALL, LARGE = 32, 224
SEVERITIES = (1, 2, 3, 4, 5)

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
        # share of the values that are replaced
        "impulse_noise": {
            SMALL: ((0.01,), (0.02,), (0.03,), (0.05,), (0.07,)),
            LARGE: ((0.03,), (0.06,), (0.09,), (0.17,), (0.27,)),
        },
        # radius of the disk, standard deviation that smooths its edge; in pixels
        "defocus_blur": {
            SMALL: ((0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)),
            LARGE: ((3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)),
        },
        # standard deviation of the blur, farthest move (both in pixels), rounds
        "glass_blur": {
            SMALL: ((0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)),
            LARGE: ((0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)),
        },
        # radius of the kernel, standard deviation; in pixels
        "motion_blur": {
            SMALL: ((6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)),
            LARGE: ((10, 3), (15, 5), (15, 8), (15, 12), (20, 15)),
        },
        # end of the zooms, step between them
        "zoom_blur": {
            SMALL: ((1.06, 0.01), (1.11, 0.01), (1.16, 0.01), (1.21, 0.01), (1.26, 0.01)),
            LARGE: ((1.11, 0.01), (1.16, 0.01), (1.21, 0.02), (1.26, 0.02), (1.31, 0.03)),
        },
        # flakes: mean, deviation, zoom, threshold; their fall: radius, deviation; share of the image
        "snow": {
            SMALL: (
                (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
                (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
                (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
                (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
                (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
            ),
            LARGE: (
                (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
                (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
                (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
                (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
                (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
            ),
        },
        # weights of the image and of the ice, scale of the photographs of ice
        "frost": {
            SMALL: ((1, 0.2, 0.2), (1, 0.3, 0.2), (0.9, 0.4, 0.2), (0.85, 0.4, 0.2), (0.75, 0.45, 0.2)),
            LARGE: ((1, 0.4, 1), (0.8, 0.6, 1), (0.7, 0.7, 1), (0.65, 0.7, 1), (0.6, 0.75, 1)),
        },
        # weight of the fractal, decay of its wibble
        "fog": {
            SMALL: ((0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)),
            LARGE: ((1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)),
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
        # length of the moves, deviation that smooths their field, jitter of the affine map; in pixels
        "elastic_transform": {
            SMALL: tuple(
                (32 * strength, 32 * sigma, 32 * jitter)
                for strength, sigma, jitter in (
                    (0, 0, 0.08),
                    (0.05, 0.2, 0.07),
                    (0.08, 0.06, 0.06),
                    (0.1, 0.04, 0.05),
                    (0.1, 0.03, 0.03),
                )
            ),
            LARGE: tuple(
                (244 * strength, 244 * sigma, 244 * jitter)  # 244, not 224: as published
                for strength, sigma, jitter in (
                    (2, 0.7, 0.1),
                    (2, 0.08, 0.2),
                    (0.05, 0.01, 0.02),
                    (0.07, 0.01, 0.02),
                    (0.12, 0.01, 0.02),
                )
            ),
        },
        # size of the small image in proportion
        "pixelate": {
            SMALL: ((0.95,), (0.9,), (0.85,), (0.75,), (0.65,)),
            LARGE: ((0.6,), (0.5,), (0.4,), (0.3,), (0.25,)),
        },
        # quality of the codec
        "jpeg_compression": {
            SMALL: ((80,), (65,), (58,), (50,), (40,)),
            LARGE: ((25,), (18,), (15,), (10,), (7,)),
        },
        # standard deviation of the noise in proportion to the pixel
        "speckle_noise": {
            SMALL: ((0.06,), (0.1,), (0.12,), (0.16,), (0.2,)),
            LARGE: ((0.15,), (0.2,), (0.35,), (0.45,), (0.6,)),
        },
        # standard deviation of the blur, in pixels
        "gaussian_blur": {
            SMALL: ((0.4,), (0.6,), (0.7,), (0.8,), (1,)),
            LARGE: ((1,), (2,), (3,), (4,), (6,)),
        },
        # mean and deviation of the drops, their blur, threshold, strength (of mud: its blur), and whether it is mud
        "spatter": {
            SMALL: (
                (0.62, 0.1, 0.7, 0.7, 0.5, 0),
                (0.65, 0.1, 0.8, 0.7, 0.5, 0),
                (0.65, 0.3, 1, 0.69, 0.5, 0),
                (0.65, 0.1, 0.7, 0.69, 0.6, 1),
                (0.65, 0.1, 0.5, 0.68, 0.6, 1),
            ),
            LARGE: (
                (0.65, 0.3, 4, 0.69, 0.6, 0),
                (0.65, 0.3, 3, 0.68, 0.6, 0),
                (0.65, 0.3, 2, 0.68, 0.5, 0),
                (0.65, 0.3, 1, 0.65, 1.5, 1),
                (0.67, 0.4, 1, 0.65, 1.5, 1),
            ),
        },
        # factor of the saturation of HSV, and what is added to it
        "saturate": {
            SMALL: ((0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)),
            LARGE: ((0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)),
        },
    }
)
"""Corruption -> 32 or 224 px -> the constants of each severity."""

_FROM_8_PX = frozenset({"gaussian_noise", "shot_noise", "brightness", "contrast", "defocus_blur", "pixelate"})


def min_size(name: str) -> int:
    """Return the least length of an image's shorter side, in pixels.

    8 for corruptions that make sense on a few pixels, such as the 8 x 8 digits; 28 for the others.
    """
    return 8 if name in _FROM_8_PX else 28


def check_severity(severity: int, name: str) -> int:
    """Return a severity that is one.

    :param name: how the message calls what it is a severity of.
    :raises UsageError: for anything but 1 to 5.
    """
    if isinstance(severity, bool) or severity not in SEVERITIES:
        raise UsageError(f"severity {severity!r} of {name} is not known; use 1, 2, 3, 4 or 5")
    return int(severity)


def constants(name: str, shape: tuple[int, ...], severity: int) -> tuple[float, ...]:
    """Return the constants of a corruption for images of a size.

    :param name: a key of :data:`CONSTANTS`.
    :param shape: (n, c, h, w).
    :param severity: 1 to 5.
    :raises DataError: for images below the corruption's least size.
    :raises UsageError: for another severity.
    """
    check_severity(severity, name)
    height, width = shape[-2:]
    least = min_size(name)
    if min(height, width) < least:
        raise DataError(
            f"{name} needs images of at least {least} x {least} pixels, got {height} x {width}: "
            f"leave it out of corruptions, or enlarge the images"
        )
    place = math.log(min(max(min(height, width), SMALL), LARGE) / SMALL) / math.log(LARGE / SMALL)
    small, large = (CONSTANTS[name][size][severity - 1] for size in (SMALL, LARGE))
    if place in (0.0, 1.0):
        return (small, large)[int(place)]
    return tuple(low + place * (high - low) for low, high in zip(small, large, strict=True))
