"""Decoding in threads: the short ways give Pillow's pixels, damaged files are refused, order and memory are kept."""

from __future__ import annotations

import threading
from contextlib import suppress
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from art_weakrobust.datasets import decoding, images
from art_weakrobust.datasets.decoding import decoded, in_threads, plain_header, read_ahead
from art_weakrobust.errors import DataError

RGB = np.random.default_rng(0).integers(0, 256, (11, 17, 3), dtype=np.uint8)
GREY = RGB[..., 0]


def saved(pixels: np.ndarray, kind: str = "PNG", mode: str | None = None, **options) -> bytes:
    buffer = BytesIO()
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(buffer, kind, **options)
    return buffer.getvalue()


SAVED = {
    "rgb png": saved(RGB),
    "grey png": saved(GREY),
    "rgb jpeg": saved(RGB, "JPEG", quality=80),
    "jpeg without subsampling": saved(RGB, "JPEG", quality=95, subsampling=0),
    "grey jpeg": saved(GREY, "JPEG"),
    "progressive jpeg": saved(RGB, "JPEG", progressive=True),
    "jpeg with comment": saved(RGB, "JPEG", comment=b"\xff\xc0" * 40),
    "palette png": saved(RGB, mode="P"),
    "png with alpha": saved(RGB, mode="RGBA"),
    "cmyk jpeg": saved(RGB, "JPEG", mode="CMYK"),
    "one bit png": saved(RGB, mode="1"),
}


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("name", SAVED)
def test_the_pixels_are_those_of_pillow(name, grey):
    expected = images.pixels(images.open_image(SAVED[name], name), grey, name)
    assert np.array_equal(decoded(SAVED[name], grey, name), expected)


@pytest.mark.parametrize("name", ["rgb png", "grey png", "rgb jpeg", "grey jpeg", "progressive jpeg"])
def test_plain_files_say_their_size_and_channels_in_their_first_bytes(name):
    assert plain_header(SAVED[name]) == (17, 11, 1 if "grey" in name else 3)


@pytest.mark.parametrize("name", ["palette png", "png with alpha", "cmyk jpeg", "one bit png"])
def test_files_that_are_not_plain_take_the_long_way(name):
    assert plain_header(SAVED[name]) is None


@pytest.mark.parametrize("name", ["rgb png", "rgb jpeg", "grey jpeg"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_file_that_ends_early_is_refused_by_name(name, share):
    with pytest.raises(DataError, match="sample 7 of x is a broken image"):
        decoded(SAVED[name][: int(len(SAVED[name]) * share)], name.startswith("grey"), "sample 7 of x")


@settings(max_examples=60, deadline=None)
@given(
    name=st.sampled_from(["rgb png", "grey png", "rgb jpeg", "grey jpeg"]),
    place=st.floats(0, 0.999),
    value=st.integers(0, 255),
)
def test_an_altered_byte_gives_pixels_or_a_data_error_and_nothing_else(name, place, value):
    data = bytearray(SAVED[name])
    data[int(place * len(data))] = value
    with suppress(DataError):
        assert decoded(bytes(data), False, name).dtype == np.uint8


def test_without_torchvision_s_decoder_pillow_gives_the_same(monkeypatch):
    expected = decoded(SAVED["rgb jpeg"], False, "x")
    monkeypatch.setattr(decoding, "_jpeg_decoder", lambda: None)
    assert np.array_equal(decoded(SAVED["rgb jpeg"], False, "x"), expected)


def test_a_header_that_claims_too_many_pixels_is_not_decoded(monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    for name in ("rgb png", "rgb jpeg"):
        with pytest.raises(DataError, match="decompression bomb"):
            decoded(SAVED[name], False, name)


def test_threads_keep_the_order(monkeypatch):
    monkeypatch.setattr(decoding, "WORKERS", 4)
    parts = in_threads(lambda rows: [row**2 for row in rows], range(1000), 7)
    assert [value for part in parts for value in part] == [row**2 for row in range(1000)]


def test_an_error_in_a_thread_is_raised():
    with pytest.raises(ZeroDivisionError):
        in_threads(lambda rows: [1 // (row - 50) for row in rows], range(100), 5)


def test_read_ahead_keeps_the_order_and_never_holds_more_than_its_depth():
    begun, lock, most = set(), threading.Lock(), []

    def work(item):
        with lock:
            begun.add(item)
        return item

    for item in read_ahead(work, range(50), depth=3):
        with lock:
            most.append(len(begun) - item)  # begun and not yet handed over, with the next ones
    assert begun == set(range(50))
    assert max(most) <= 4


def test_read_ahead_raises_an_error_at_its_item_s_turn():
    def work(item):
        if item == 3:
            raise ValueError("third")
        return item

    stream = read_ahead(work, range(10))
    assert [next(stream) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="third"):
        next(stream)


def test_a_consumer_that_stops_early_leaves_no_work_behind():
    begun = []
    stream = read_ahead(lambda item: begun.append(item) or item, range(1000), depth=2)
    next(stream)
    stream.close()
    assert len(begun) <= 4
