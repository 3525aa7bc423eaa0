"""Defocus, glass, motion, zoom and Gaussian blur against their published formulas, one image at a time."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage, signal, stats
from skimage import filters

from art_weakrobust.kernels import keyed
from art_weakrobust.perturbations.corruptions.blur import defocus_blur, gaussian_blur, motion_blur, zoom_blur
from art_weakrobust.perturbations.corruptions.glass import glass_blur

either_size = pytest.mark.parametrize("size", [32, 224])
each_severity = pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])

DEFOCUS = {
    32: [(0.3, 0.4), (0.4, 0.5), (0.5, 0.6), (1, 0.2), (1.5, 0.1)],
    224: [(3, 0.1), (4, 0.5), (6, 0.5), (8, 0.5), (10, 0.5)],
}
GLASS = {
    32: [(0.05, 1, 1), (0.25, 1, 1), (0.4, 1, 1), (0.25, 1, 2), (0.4, 1, 2)],
    224: [(0.7, 1, 2), (0.9, 2, 1), (1, 2, 3), (1.1, 3, 2), (1.5, 4, 2)],
}
MOTION = {32: [(6, 1), (6, 1.5), (6, 2), (8, 2), (9, 2.5)], 224: [(10, 3), (15, 5), (15, 8), (15, 12), (20, 15)]}
ZOOM = {
    32: [np.arange(1, stop, 0.01) for stop in (1.06, 1.11, 1.16, 1.21, 1.26)],
    224: [
        np.arange(1, 1.11, 0.01),
        np.arange(1, 1.16, 0.01),
        np.arange(1, 1.21, 0.02),
        np.arange(1, 1.26, 0.02),
        np.arange(1, 1.31, 0.03),
    ],
}
GAUSSIAN = {32: [0.4, 0.6, 0.7, 0.8, 1], 224: [1, 2, 3, 4, 6]}


def cut(x: np.ndarray) -> np.ndarray:
    """Clipped and truncated as np.uint8 does it, after rounding off what float64 itself got wrong."""
    return np.floor(np.round(np.clip(x, 0, 1) * 255, 6))


def channels(function, image: np.ndarray) -> np.ndarray:
    """A function of planes, applied to each of (h, w, c)."""
    return np.stack([function(plane) for plane in np.moveaxis(image, -1, 0)], -1)


def disk(radius: float, edge: float) -> np.ndarray:
    """The disk on its grid, smoothed by a Gaussian of 3 or 5 taps that is mirrored at the grid's rim."""
    grid = np.arange(-max(8, radius), max(8, radius) + 1)
    kernel = (grid[:, None] ** 2 + grid**2 <= radius**2).astype(float)
    kernel /= kernel.sum()
    taps = np.exp(-(np.arange(-2, 3)[slice(1, 4) if radius <= 8 else slice(None)] ** 2) / (2 * edge**2))
    for axis in (0, 1):
        kernel = ndimage.correlate1d(kernel, taps / taps.sum(), axis=axis, mode="mirror")
    return kernel


@either_size
@each_severity
def test_defocus_blur_is_a_disk_with_a_smooth_edge(agree, size, severity):
    kernel = disk(*DEFOCUS[size][severity - 1])
    reach = len(kernel) // 2

    def blurred(plane):
        return signal.oaconvolve(np.pad(plane, reach, mode="reflect"), kernel, mode="valid")

    agree(defocus_blur, lambda image: cut(channels(blurred, image / 255)), size, severity)


@either_size
@each_severity
def test_gaussian_blur_is_scikit_image_s(agree, size, severity):
    sigma = GAUSSIAN[size][severity - 1]
    agree(gaussian_blur, lambda image: cut(filters.gaussian(image / 255, sigma, channel_axis=-1)), size, severity)


@either_size
@each_severity
def test_glass_blur_copies_pixels_as_the_original_s_swap_does(agree, size, severity):
    sigma, reach, rounds = GLASS[size][severity - 1]

    def draw(ids, seed):
        return (keyed.bits(ids, severity, (rounds, size, size), keyed.derive(seed, "glass_blur")),)

    def reference(image, bits):
        moves = bits.astype(np.int64) % 2**32 // 256 * (2 * reach) ** 2 >> 24
        down, across = (moves // (2 * reach) - reach).tolist(), (moves % (2 * reach) - reach).tolist()
        pixels = list(cut(filters.gaussian(image / 255, sigma, channel_axis=-1)).reshape(size * size, 3))
        for i in range(rounds):
            for h in range(size - reach, reach, -1):
                for w in range(size - reach, reach, -1):
                    pixels[h * size + w] = pixels[(h + down[i][h][w]) * size + w + across[i][h][w]]
        return cut(filters.gaussian(np.reshape(pixels, image.shape) / 255, sigma, channel_axis=-1))

    agree(glass_blur, reference, size, severity, draw)


def test_the_original_s_swap_copies():
    """What make_imagenet_c.py writes, with what numpy makes of it."""
    x = np.arange(12).reshape(2, 2, 3)
    x[0, 0], x[1, 1] = x[1, 1], x[0, 0]
    assert x[0, 0].tolist() == x[1, 1].tolist() == [9, 10, 11]


def motion(plane: np.ndarray, radius: float, sigma: float, angle: float) -> np.ndarray:
    """ImageMagick's MotionBlurImage: a pixel is the weighted mean of those that lie in one direction from it."""
    steps = np.arange(2 * math.ceil(radius) + 1)
    weights = np.exp(-(steps**2) / (2 * sigma**2))
    down, across = (np.ceil(steps * f(math.radians(angle)) - 0.5).astype(int) for f in (math.sin, math.cos))
    rows, columns = np.indices(plane.shape)
    last = np.array(plane.shape) - 1
    parts = [
        weight * plane[(rows + a).clip(0, last[0]), (columns + b).clip(0, last[1])]
        for weight, a, b in zip(weights / weights.sum(), down, across, strict=True)
    ]
    return sum(parts)


@either_size
@each_severity
def test_motion_blur_is_imagemagick_s(agree, size, severity):
    radius, sigma = MOTION[size][severity - 1]

    def draw(ids, seed):
        return (keyed.uniform(ids, severity, (), keyed.derive(seed, "motion_blur")),)

    def reference(image, uniform):
        angle = -45 + 90 * float(uniform)
        return np.round(channels(lambda plane: motion(plane.astype(float), radius, sigma, angle), image))

    agree(motion_blur, reference, size, severity, draw)


def clipped_zoom(plane: np.ndarray, factor: float) -> np.ndarray:
    size = len(plane)
    kept = math.ceil(size / factor)
    top = (size - kept) // 2
    enlarged = ndimage.zoom(plane[top : top + kept, top : top + kept], factor, order=1)
    trim = (len(enlarged) - size) // 2
    return enlarged[trim : trim + size, trim : trim + size]


@either_size
@each_severity
def test_zoom_blur_is_the_mean_of_the_image_and_its_zooms(agree, size, severity):
    factors = ZOOM[size][severity - 1]

    def blurred(plane):
        return (plane + sum(clipped_zoom(plane, factor) for factor in factors)) / (len(factors) + 1)

    agree(zoom_blur, lambda image: cut(channels(blurred, image / 255)), size, severity)


def test_the_moves_of_glass_are_alike_and_leave_out_the_last():
    """One bright pixel a picture: where a round of moves takes it says what was drawn, uniform over [-1, 1) squared."""
    x = torch.zeros(4000, 1, 28, 28)
    x[:, 0, 14, 14] = 1
    out = glass_blur(x, torch.arange(4000), 1, 0)[:, 0]
    places = out[:, 14:16, 14:16].flatten(1)  # a pixel is taken from above and left of itself, or from its own place
    assert out.sum() == places.sum()
    chance = places.sum(0) / 4000
    assert stats.binomtest(int(places.sum()), 16000, 0.25).pvalue > 1e-4
    assert float((chance - 0.25).abs().max()) < 5 * math.sqrt(0.25 * 0.75 / 4000)


@pytest.mark.parametrize("blur", [defocus_blur, gaussian_blur, motion_blur, zoom_blur, glass_blur])
@each_severity
@either_size
def test_a_plain_image_stays_as_it_was(blur, severity, size):
    x = torch.ones(1, 3, size, size)
    x[:, 1], x[:, 2] = 77 / 255, 0
    assert torch.equal(blur(x, torch.arange(1), severity, 0), x)
