"""Snow, frost, fog and brightness against their published formulas, written once more for one image at a time."""

from __future__ import annotations

import math
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage
from skimage import color

from art_weakrobust.kernels import keyed
from art_weakrobust.perturbations.corruptions.colour import brightness
from art_weakrobust.perturbations.corruptions.fog import fog
from art_weakrobust.perturbations.corruptions.frost import frost
from art_weakrobust.perturbations.corruptions.snow import snow

either_size = pytest.mark.parametrize("size", [32, 224])
each_severity = pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])

SNOW = {
    32: [
        (0.1, 0.2, 1, 0.6, 8, 3, 0.95),
        (0.1, 0.2, 1, 0.5, 10, 4, 0.9),
        (0.15, 0.3, 1.75, 0.55, 10, 4, 0.9),
        (0.25, 0.3, 2.25, 0.6, 12, 6, 0.85),
        (0.3, 0.3, 1.25, 0.65, 14, 12, 0.8),
    ],
    224: [
        (0.1, 0.3, 3, 0.5, 10, 4, 0.8),
        (0.2, 0.3, 2, 0.5, 12, 4, 0.7),
        (0.55, 0.3, 4, 0.9, 12, 8, 0.7),
        (0.55, 0.3, 4.5, 0.85, 12, 8, 0.65),
        (0.55, 0.3, 2.5, 0.85, 12, 12, 0.55),
    ],
}
FROST = {
    32: [(1, 0.2), (1, 0.3), (0.9, 0.4), (0.85, 0.4), (0.75, 0.45)],
    224: [(1, 0.4), (0.8, 0.6), (0.7, 0.7), (0.65, 0.7), (0.6, 0.75)],
}
FOG = {
    32: [(0.2, 3), (0.5, 3), (0.75, 2.5), (1, 2), (1.5, 1.75)],
    224: [(1.5, 2), (2, 2), (2.5, 1.7), (2.5, 1.5), (3, 1.4)],
}
BRIGHTNESS = {32: [0.05, 0.1, 0.15, 0.2, 0.3], 224: [0.1, 0.2, 0.3, 0.4, 0.5]}


def cut(x: np.ndarray) -> np.ndarray:
    """Clipped and truncated as np.uint8 does it, after rounding off what float64 itself got wrong."""
    return np.floor(np.round(np.clip(x, 0, 1) * 255, 6))


def clipped_zoom(plane: np.ndarray, factor: float) -> np.ndarray:
    size = len(plane)
    kept = math.ceil(size / factor)
    top = (size - kept) // 2
    enlarged = ndimage.zoom(plane[top : top + kept, top : top + kept], factor, order=1)
    trim = (len(enlarged) - size) // 2
    return enlarged[trim : trim + size, trim : trim + size]


def motion(plane: np.ndarray, radius: float, sigma: float, angle: float) -> np.ndarray:
    """ImageMagick's MotionBlurImage: a pixel is the weighted mean of those that lie in one direction from it."""
    height, width = plane.shape
    rows, columns = np.mgrid[:height, :width]
    blurred, total = np.zeros(plane.shape), 0.0
    for step in range(2 * math.ceil(radius) + 1):
        weight = math.exp(-(step**2) / (2 * sigma**2))
        row = math.ceil(step * math.sin(math.radians(angle)) - 0.5)
        column = math.ceil(step * math.cos(math.radians(angle)) - 0.5)
        blurred += weight * plane[(rows + row).clip(0, height - 1), (columns + column).clip(0, width - 1)]
        total += weight
    return blurred / total


def grey(image: np.ndarray) -> np.ndarray:
    return (image @ [0.299, 0.587, 0.114])[..., None]


@either_size
@each_severity
def test_snow_falls_as_in_the_paper(agree, size, severity):
    mean, deviation, zoom, threshold, radius, sigma, kept = SNOW[size][severity - 1]

    def draw(ids, seed):
        purpose = keyed.derive(seed, "snow")
        normal = keyed.normal(ids, severity, (size, size), keyed.derive(purpose, "flakes"))
        return normal, keyed.uniform(ids, severity, (), keyed.derive(purpose, "angle"))

    def reference(image, normal, uniform):
        x = image / 255
        layer = clipped_zoom(mean + deviation * normal.astype(float), zoom)
        layer[layer < threshold] = 0
        layer = np.floor(np.clip(layer, 0, 1) * 255)
        layer = np.round(motion(layer, radius, sigma, -135 + 90 * float(uniform)))[..., None] / 255
        x = kept * x + (1 - kept) * np.maximum(x, grey(x) * 1.5 + 0.5)
        return cut(x + layer + np.rot90(layer, k=2))

    agree(snow, reference, size, severity, draw)


@pytest.fixture(scope="module")
def ice() -> list[np.ndarray]:
    folder = files("torch_uncertainty_assets") / "frost"
    return [np.asarray(Image.open(str(folder / f"frost{number}.jpg")).convert("RGB")) for number in range(1, 6)]


@either_size
@each_severity
def test_frost_lays_a_piece_of_ice_over_the_image(agree, ice, size, severity):
    kept, added = FROST[size][severity - 1]
    step = {32: 5, 224: 1}[size]  # a fifth, by the middle pixel of five

    def draw(ids, seed):
        return (keyed.bits(ids, severity, (3,), keyed.derive(seed, "frost")),)

    def reference(image, bits):
        which, down, across = (int(number) % 2**24 / 2**24 for number in bits)
        texture = ice[int(which * 5)]
        texture = texture[step // 2 :: step, step // 2 :: step]
        top, left = int(down * (texture.shape[0] - size)), int(across * (texture.shape[1] - size))
        return cut((kept * image + added * texture[top : top + size, left : left + size].astype(float)) / 255)

    agree(frost, reference, size, severity, draw)


def plasma_fractal(draws: np.ndarray, decay: float) -> np.ndarray:
    """Diamond-square by the rule for one place: the mean of four others on the torus, and a draw."""
    size = len(draws)
    heights, wibble = np.zeros((size, size)), 100.0
    step = size
    while step >= 2:
        half = step // 2

        def place(row, column, arms, scale=wibble**2):
            around = sum(heights[(row + a) % size, (column + b) % size] for a, b in arms)
            heights[row, column] = around / 4 + scale * draws[row, column]

        corners = [(a, b) for a in (-half, half) for b in (-half, half)]
        sides = [(-half, 0), (half, 0), (0, -half), (0, half)]
        place(*np.ix_(range(half, size, step), range(half, size, step)), corners)
        place(*np.ix_(range(0, size, step), range(half, size, step)), sides)
        place(*np.ix_(range(half, size, step), range(0, size, step)), sides)
        step, wibble = half, wibble / decay
    heights -= heights.min()
    return heights / heights.max()


@either_size
@each_severity
def test_fog_is_a_plasma_fractal(agree, size, severity):
    amount, decay = FOG[size][severity - 1]
    side = {32: 32, 224: 256}[size]

    def draw(ids, seed):
        return (keyed.uniform(ids, severity, (side, side), keyed.derive(seed, "fog")),)

    def reference(image, uniform):
        x = image / 255
        mist = plasma_fractal(2 * uniform.astype(float) - 1, decay)[:size, :size, None]
        return cut((x + amount * mist) * x.max() / (x.max() + amount))

    agree(fog, reference, size, severity, draw)


@either_size
@each_severity
def test_brightness_adds_to_the_value_of_hsv_as_scikit_image_has_it(agree, size, severity):
    def reference(image):
        hsv = color.rgb2hsv(image / 255)
        hsv[..., 2] = np.clip(hsv[..., 2] + BRIGHTNESS[size][severity - 1], 0, 1)
        return cut(color.hsv2rgb(hsv))

    agree(brightness, reference, size, severity)
