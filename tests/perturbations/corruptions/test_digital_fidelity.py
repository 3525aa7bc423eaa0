"""Contrast, elastic transform, pixelate, JPEG, spatter and saturate against their formulas, image by image."""

from __future__ import annotations

import io
import math

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage import color, filters

from art_weakrobust.kernels import keyed
from art_weakrobust.perturbations.corruptions.colour import contrast, saturate
from art_weakrobust.perturbations.corruptions.digital import pixelate
from art_weakrobust.perturbations.corruptions.elastic import elastic_transform
from art_weakrobust.perturbations.corruptions.jpeg import jpeg_compression
from art_weakrobust.perturbations.corruptions.spatter import spatter

either_size = pytest.mark.parametrize("size", [32, 224])
each_severity = pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])

CONTRAST = {32: [0.75, 0.5, 0.4, 0.3, 0.15], 224: [0.4, 0.3, 0.2, 0.1, 0.05]}
PIXELATE = {32: [0.95, 0.9, 0.85, 0.75, 0.65], 224: [0.6, 0.5, 0.4, 0.3, 0.25]}
JPEG = {32: [80, 65, 58, 50, 40], 224: [25, 18, 15, 10, 7]}
SATURATE = {
    32: [(0.3, 0), (0.1, 0), (1.5, 0), (2, 0.1), (2.5, 0.2)],
    224: [(0.3, 0), (0.1, 0), (2, 0), (5, 0.1), (20, 0.2)],
}
# in multiples of 32 px, and of 244 px, as the originals have it
ELASTIC = {
    32: [(0, 0, 0.08), (0.05, 0.2, 0.07), (0.08, 0.06, 0.06), (0.1, 0.04, 0.05), (0.1, 0.03, 0.03)],
    224: [(2, 0.7, 0.1), (2, 0.08, 0.2), (0.05, 0.01, 0.02), (0.07, 0.01, 0.02), (0.12, 0.01, 0.02)],
}
SPATTER = {
    32: [
        (0.62, 0.1, 0.7, 0.7, 0.5, 0),
        (0.65, 0.1, 0.8, 0.7, 0.5, 0),
        (0.65, 0.3, 1, 0.69, 0.5, 0),
        (0.65, 0.1, 0.7, 0.69, 0.6, 1),
        (0.65, 0.1, 0.5, 0.68, 0.6, 1),
    ],
    224: [
        (0.65, 0.3, 4, 0.69, 0.6, 0),
        (0.65, 0.3, 3, 0.68, 0.6, 0),
        (0.65, 0.3, 2, 0.68, 0.5, 0),
        (0.65, 0.3, 1, 0.65, 1.5, 1),
        (0.67, 0.4, 1, 0.65, 1.5, 1),
    ],
}


def cut(x: np.ndarray) -> np.ndarray:
    """Clipped and truncated as np.uint8 does it, after rounding off what float64 itself got wrong."""
    return np.floor(np.round(np.clip(x, 0, 1) * 255, 6))


@either_size
@each_severity
def test_contrast_draws_each_channel_to_its_mean(agree, size, severity):
    def reference(image):
        mean = image.mean((0, 1), keepdims=True)
        return cut(((image - mean) * CONTRAST[size][severity - 1] + mean) / 255)

    agree(contrast, reference, size, severity)


@either_size
@each_severity
def test_pixelate_is_made_small_and_large_again_by_pillow(agree, size, severity):
    small = int(size * PIXELATE[size][severity - 1])

    def reference(image):
        box = Image.Resampling.BOX
        return np.asarray(Image.fromarray(image).resize((small, small), box).resize((size, size), box))

    agree(pixelate, reference, size, severity)


@either_size
@each_severity
def test_jpeg_is_what_pillow_writes_and_reads(agree, size, severity):
    def reference(image):
        file = io.BytesIO()
        Image.fromarray(image).save(file, "JPEG", quality=JPEG[size][severity - 1])
        return np.asarray(Image.open(file))

    agree(jpeg_compression, reference, size, severity)


@either_size
@each_severity
def test_saturate_multiplies_and_raises_the_saturation_of_hsv(agree, size, severity):
    times, added = SATURATE[size][severity - 1]

    def reference(image):
        hsv = color.rgb2hsv(image / 255)
        hsv[..., 1] = np.clip(hsv[..., 1] * times + added, 0, 1)
        return cut(color.hsv2rgb(hsv))

    agree(saturate, reference, size, severity)


def warped(image: np.ndarray, moves: np.ndarray) -> np.ndarray:
    """The affine map that takes three points to their moved places, applied to (h, w, c), mirrored at pixel centres."""
    size = len(image)
    centre, side = size // 2, size // 3
    points = centre + side * np.array([[1, 1], [1, -1], [-1, -1]])
    back = np.linalg.solve(np.c_[points + moves, np.ones(3)], points)  # (moved, 1) @ back = where it came from
    rows, columns = np.mgrid[:size, :size]
    source = np.stack([columns, rows, np.ones_like(rows)], -1) @ back
    places = [source[..., 1], source[..., 0]]
    return np.stack([ndimage.map_coordinates(plane, places, order=1, mode="mirror") for plane in np.rollaxis(image, 2)])


@either_size
@each_severity
def test_elastic_transform_is_an_affine_map_and_a_smooth_field(agree, size, severity):
    alpha, sigma, jitter = ({32: 32, 224: 244}[size] * np.array(ELASTIC[size])[severity - 1]).tolist()

    def draw(ids, seed):
        purpose = keyed.derive(seed, "elastic_transform")
        corners = keyed.uniform(ids, severity, (3, 2), keyed.derive(purpose, "affine"))
        return corners, keyed.uniform(ids, severity, (2, size, size), keyed.derive(purpose, "field"))

    def reference(image, corners, field):
        planes = warped(image / 255, (2 * corners.astype(float) - 1) * jitter)
        across, down = (
            alpha * filters.gaussian(2 * plane.astype(float) - 1, sigma, mode="reflect", truncate=3) for plane in field
        )
        rows, columns = np.mgrid[:size, :size]
        places = [rows + down, columns + across]
        moved = [ndimage.map_coordinates(plane, places, order=1, mode="reflect") for plane in planes]
        return cut(np.stack(moved, -1))

    agree(elastic_transform, reference, size, severity, draw)


def canny(levels: np.ndarray, low: int, high: int) -> np.ndarray:
    """Sobel, L1 length, the longest of three along the direction rounded to 45 degrees, hysteresis by labels."""
    sobel = np.outer([1, 2, 1], [-1, 0, 1])
    across, down = (ndimage.correlate(levels, kernel, mode="nearest") for kernel in (sobel, sobel.T))
    length = np.pad(np.abs(across) + np.abs(down), 1)
    ridge = np.zeros(levels.shape, bool)
    for row, column in np.argwhere(length[1:-1, 1:-1] > low):
        a, b = int(across[row, column]), int(down[row, column])
        here, around = length[row + 1, column + 1], length[row : row + 3, column : column + 3]
        if abs(b) * 2**15 < abs(a) * 13573:
            ridge[row, column] = here > around[1, 0] and here >= around[1, 2]
        elif abs(b) * 2**15 > abs(a) * (13573 + 2**16):
            ridge[row, column] = here > around[0, 1] and here >= around[2, 1]
        elif (a < 0) != (b < 0):
            ridge[row, column] = here > around[0, 2] and here > around[2, 0]
        else:
            ridge[row, column] = here > around[0, 0] and here > around[2, 2]
    labels, _ = ndimage.label(ridge, np.ones((3, 3)))
    strong = np.unique(labels[ridge & (length[1:-1, 1:-1] > high)])
    return np.isin(labels, strong[strong > 0])


def chamfer(edges: np.ndarray, farthest: int) -> np.ndarray:
    """The shortest way to an edge in steps of length 1, 1.4 and 2.1969, in closed form for each displacement."""
    height, width = edges.shape
    padded = np.pad(edges, farthest)
    far = np.full(edges.shape, float(farthest))
    for row, column in np.ndindex(2 * farthest + 1, 2 * farthest + 1):
        most, least = sorted((abs(row - farthest), abs(column - farthest)), reverse=True)
        straight = most - 2 * least
        way = 2.1969 * least + straight if straight >= 0 else 2.1969 * (most - least) - 1.4 * straight
        if way < farthest:
            there = padded[row : row + height, column : column + width]
            far[there] = np.minimum(far[there], way)
    return far


def equalised(levels: np.ndarray) -> np.ndarray:
    counts = np.bincount(levels.ravel(), minlength=256)
    least = levels.min()
    if counts[least] == levels.size:
        return levels
    above = counts.cumsum() - counts[least]
    return np.round(np.clip(above, 0, None) * 255 / (levels.size - counts[least]))[levels]


def smoothed(plane: np.ndarray) -> np.ndarray:
    return ndimage.uniform_filter(plane.astype(float), 3, mode="mirror")


def water(liquid: np.ndarray) -> np.ndarray:
    far = np.floor(np.round(smoothed(chamfer(canny(liquid, 50, 150), 20)), 4)).astype(int)
    kernel = np.array([[-2, -1, 0], [-1, 1, 1], [0, 1, 2]])
    embossed = np.clip(ndimage.correlate(equalised(far), kernel, mode="mirror"), 0, 255)
    light = liquid * np.round(smoothed(embossed))
    return light / max(light.max(), 1)


@either_size
@each_severity
def test_spatter_is_water_or_mud_on_the_lens(agree, size, severity):
    mean, deviation, sigma, threshold, strength, mud = SPATTER[size][severity - 1]

    def draw(ids, seed):
        return (keyed.normal(ids, severity, (size, size), keyed.derive(seed, "spatter")),)

    def reference(image, normal):
        x = image / 255
        liquid = filters.gaussian(mean + deviation * normal.astype(float), sigma)
        liquid[liquid < threshold] = 0
        if mud:
            cover = filters.gaussian((liquid > threshold).astype(float), strength)
            cover[cover < 0.8] = 0
            return cut(x * (1 - cover[..., None]) + cover[..., None] * np.array([63, 42, 20]) / 255)
        light = strength * water(np.floor(np.clip(liquid, 0, 1) * 255).astype(int))
        return cut(x + light[..., None] * np.array([175, 238, 238]) / 255)

    agree(spatter, reference, size, severity, draw)


def test_the_reference_s_chamfer_distance_is_near_the_euclidean_one():
    edges = np.zeros((31, 31), bool)
    edges[15, 15] = True
    euclid = ndimage.distance_transform_edt(~edges)
    assert np.abs(chamfer(edges, 20) - np.minimum(euclid, 20)).max() < 0.02 * 20
    assert math.isclose(chamfer(edges, 20)[15, 20], 5)
