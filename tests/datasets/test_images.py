"""Decoding what somebody else encoded: conversions, broken files and bombs."""

from __future__ import annotations

import struct
import warnings
import zlib
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from art_weakrobust.datasets.images import MAX_PIXELS, is_grey, open_image, pixels
from art_weakrobust.errors import DataError

RGB = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def decoded(data: bytes, grey: bool = False) -> np.ndarray:
    return pixels(open_image(data, "sample 7"), grey, "sample 7")


def refused(data: bytes | None) -> str:
    with pytest.raises(DataError, match="sample 7") as caught:
        decoded(data)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def png_of(width: int, height: int) -> bytes:
    """A PNG whose header claims a size that its data do not have."""
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(b"")),
        (b"IEND", b""),
    ]
    body = b"".join(struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in chunks)
    return b"\x89PNG\r\n\x1a\n" + body


def test_a_png_comes_back_pixel_for_pixel_channels_first():
    assert np.array_equal(decoded(encoded(Image.fromarray(RGB))), RGB.transpose(2, 0, 1))


def test_a_jpeg_comes_back_nearly():
    flat = Image.new("RGB", (16, 16), (200, 100, 50))
    array = decoded(encoded(flat, "JPEG", quality=95))
    assert np.abs(array.astype(int) - np.array([200, 100, 50])[:, None, None]).max() <= 3


def test_alpha_is_dropped_and_palettes_are_looked_up():
    image = Image.fromarray(RGB)
    transparent = image.copy()
    transparent.putalpha(Image.fromarray(RGB[..., 0]))
    assert np.array_equal(decoded(encoded(transparent)), RGB.transpose(2, 0, 1))
    palette = Image.new("P", (2, 1))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.putdata([1, 0])
    assert decoded(encoded(palette))[:, 0].T.tolist() == [[40, 50, 60], [10, 20, 30]]


def test_grey_in_colour_repeats_it_and_colour_in_grey_is_luma():
    grey = RGB[..., 0]
    assert np.array_equal(decoded(encoded(Image.fromarray(grey))), np.broadcast_to(grey, (3, 6, 5)))
    assert np.array_equal(decoded(encoded(Image.fromarray(grey)), grey=True), grey[None])
    luma = RGB @ np.array([0.299, 0.587, 0.114])
    assert np.abs(decoded(encoded(Image.fromarray(RGB)), grey=True)[0] - luma).max() <= 1


@pytest.mark.parametrize(("mode", "grey"), [("1", True), ("L", True), ("LA", True), ("RGB", False), ("P", False)])
def test_which_modes_are_grey(mode, grey):
    assert is_grey(open_image(encoded(Image.new(mode, (3, 3))), "")) is grey


def test_black_and_white_means_0_and_255():
    image = Image.new("1", (2, 1))
    image.putdata([0, 1])
    assert decoded(encoded(image), grey=True).ravel().tolist() == [0, 255]


def test_what_is_no_image_is_refused():
    assert "no bytes" in refused(None)
    assert "no bytes" in refused(b"")
    assert "neither PNG nor JPEG" in refused(b"GIF89a" + b"\0" * 50)
    assert "neither PNG nor JPEG" in refused(b"<html>404</html>")
    assert "more than 8 bits" in refused(encoded(Image.fromarray(RGB[..., 0].astype(np.uint16))))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_file_cut_short_is_broken_wherever_it_is_cut(kind):
    whole = encoded(Image.fromarray(np.tile(RGB, (8, 8, 1))), kind)
    for size in range(10, len(whole) * 9 // 10, max(1, len(whole) // 40)):
        assert "broken image" in refused(whole[:size])


@given(position=st.integers(8, 150), byte=st.integers(0, 255))
@settings(max_examples=60, deadline=None)
def test_a_damaged_byte_gives_pixels_or_a_data_error_and_nothing_else(position, byte):
    data = bytearray(encoded(Image.fromarray(RGB)))
    data[position % len(data)] = byte
    try:
        array = decoded(bytes(data))
    except DataError:
        return
    assert array.dtype == np.uint8


def test_a_decompression_bomb_is_refused_by_its_header_without_touching_pillows_limits():
    limit = Image.MAX_IMAGE_PIXELS
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow's own warning would come from decoding, or nearly
        assert "decompression bomb" in refused(png_of(100_000, 100_000))
        assert "decompression bomb" in refused(png_of(MAX_PIXELS, 2))
    assert limit == Image.MAX_IMAGE_PIXELS


def test_a_header_without_pixels_behind_it_is_broken():
    assert "broken image" in refused(png_of(64, 64))
