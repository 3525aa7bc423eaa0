"""Image sheets: neighbors survive bit by bit, and large images are shown where they change most."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from art_weakrobust.report.images import CROP, Sheet, drawable, gallery


def decode(sheet: Sheet) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(sheet.uri.split(",")[1]))).convert("RGB"))


def tile(sheet: Sheet, position: int) -> np.ndarray:
    x, y, width, height = (int(number) for number in sheet.box(position).split())
    return decode(sheet)[y : y + height, x : x + width]


def random_images(n: int, channels: int, side: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (n, channels, side, side)).astype(np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_small_images_come_back_bit_by_bit(channels: int) -> None:
    images, near = random_images(13, channels, 9), random_images(13, channels, 9)[::-1]
    found = gallery(images.shape[1:], [x.tobytes() for x in images], [x.tobytes() for x in near])
    assert found.pairs == 13
    for position in (0, 9, 12):
        expected = np.broadcast_to(images[position].transpose(1, 2, 0), (9, 9, 3))
        np.testing.assert_array_equal(tile(found.originals, position), expected)
        expected = np.broadcast_to(near[position].transpose(1, 2, 0), (9, 9, 3))
        np.testing.assert_array_equal(tile(found.neighbors, position), expected)


def test_large_pairs_are_lossless_crops_where_the_change_is_largest() -> None:
    image = random_images(1, 3, 200)[0]
    near = image.copy()
    near[:, 150:160, 20:30] ^= 255
    found = gallery(image.shape, [image.tobytes()], [near.tobytes()])
    assert (found.neighbors.width, found.neighbors.height) == (CROP, CROP)
    change = (tile(found.originals, 0) != tile(found.neighbors, 0)).any(axis=2)
    assert change.sum() == 100


def test_without_neighbors_the_originals_stand_alone() -> None:
    image = random_images(2, 1, 8)
    found = gallery(image.shape[1:], [x.tobytes() for x in image], [None, None])
    assert found.neighbors is None
    assert found.pairs == 0


def test_only_grey_and_colour_images_can_be_drawn() -> None:
    assert drawable([1, 8, 8])
    assert drawable([3, 32, 32])
    assert not drawable([2, 8, 8])
    assert not drawable([40])
    assert not drawable(None)


def test_noise_of_the_largest_whole_images_stays_under_the_cap() -> None:
    images, near = random_images(100, 3, 64), random_images(100, 3, 64)[::-1]
    found = gallery((3, 64, 64), [x.tobytes() for x in images], [x.tobytes() for x in near])
    assert len(found.originals.uri) + len(found.neighbors.uri) < 4.5e6


@pytest.mark.parametrize(("radius", "factor"), [(2, 64), (8, 16), (20, 8), (200, 2)])
def test_differences_are_amplified_as_far_as_they_stay_in_range(radius: int, factor: int) -> None:
    image = np.full((1, 8, 8), 20, np.uint8)
    near = image.copy()
    near[0, :2] += radius
    assert gallery(image.shape, [image.tobytes()], [near.tobytes()]).amplify == factor
