"""Encoded images in, pixels out, many at once: by the fastest decoder that gives what Pillow gives, in threads.

Plain files, 8-bit grey or RGB without a palette and not interlaced, take a short way. JPEG goes to torchvision, which
decodes without the interpreter lock. PNG goes to Pillow's inflating decoder, past its reader of chunks: torchvision's
own ends the process with a segmentation fault where a PNG is damaged (0.29; JPEG it survives). Anything else, and
anything that is refused on the short way, goes to :mod:`~art_weakrobust.datasets.images`, which words the errors.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from itertools import islice
from typing import NamedTuple, TypeVar
from zlib import crc32

import numpy as np
from PIL import Image

from . import images

T = TypeVar("T")
U = TypeVar("U")

WORKERS = min(8, os.cpu_count() or 1)
"""Threads that decode; more would wait for one another."""

_IHDR = slice(12, 29)
_PNG_CHANNELS = {0: 1, 2: 3}  # colour types that are stored as they are meant: grey, RGB
_HARMLESS = {b"IHDR", b"PLTE", b"sRGB", b"gAMA", b"cHRM", b"pHYs", b"tIME", b"bKGD", b"tEXt", b"zTXt", b"iTXt", b"eXIf"}
_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # JPEG markers that are followed by the size
_BATCH = 32  # images a thread decodes before the next one is asked


class Header(NamedTuple):
    """What the first bytes of a plain image say: pixels across and down, and 1 (grey) or 3 (RGB) channels."""

    width: int
    height: int
    channels: int


def plain_header(data: bytes) -> Header | None:
    """Return the header of a plain 8-bit grey or RGB PNG or JPEG, None for anything else."""
    if data.startswith(images.PNG):
        ihdr = data[_IHDR]
        if len(ihdr) < 17 or ihdr[:4] != b"IHDR" or ihdr[12] != 8 or ihdr[16] != 0:
            return None
        channels = _PNG_CHANNELS.get(ihdr[13])
        size = int.from_bytes(ihdr[4:8], "big"), int.from_bytes(ihdr[8:12], "big")
        return None if channels is None else Header(*size, channels)
    return _jpeg_header(data) if data.startswith(images.JPEG) else None


def _jpeg_header(data: bytes) -> Header | None:
    place = 2
    while place + 10 <= len(data) and data[place] == 0xFF:
        marker = data[place + 1]
        if marker in _FRAMES:
            channels = data[place + 9]
            height, width = (int.from_bytes(data[place + at : place + at + 2], "big") for at in (5, 7))
            plain = data[place + 4] == 8 and channels in (1, 3)
            return Header(width, height, channels) if plain else None
        place += 2 + int.from_bytes(data[place + 2 : place + 4], "big")
    return None


def decoded(data: bytes | None, grey: bool, where: str) -> np.ndarray:
    """Return the pixels of one image, uint8 (c, h, w), c = 1 where ``grey``, else 3.

    :param where: how messages call it: ``"sample 7 of train-00000.parquet"``.
    :raises DataError: see :func:`~art_weakrobust.datasets.images.open_image` and
        :func:`~art_weakrobust.datasets.images.pixels`.
    """
    header = plain_header(data) if data else None
    if data and header and header.channels == (1 if grey else 3) and header.width * header.height <= images.MAX_PIXELS:
        pixels = _inflated(data, header) if data.startswith(images.PNG) else _by_torchvision(data, header)
        if pixels is not None:
            return pixels
    return images.pixels(images.open_image(data, where), grey, where)


def _inflated(data: bytes, header: Header) -> np.ndarray | None:
    """Return the pixels of a plain PNG; None where it is damaged or holds other chunks than pixels and metadata."""
    mode = "L" if header.channels == 1 else "RGB"
    stream = _png_stream(data)
    if stream is None:
        return None
    try:
        image = Image.frombytes(mode, (header.width, header.height), stream, "zip", (mode, 0))
    except (ValueError, OSError):
        return None
    pixels = np.frombuffer(image.tobytes(), np.uint8).reshape(header.height, header.width, header.channels)
    return pixels.transpose(2, 0, 1)


def _png_stream(data: bytes) -> bytes | None:
    """Return the compressed pixels of a PNG; None where a chunk is cut short, altered, or changes what they mean."""
    place, parts = len(images.PNG), []
    while place + 12 <= len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        body = data[place + 4 : place + 8 + size]
        if crc32(body) != int.from_bytes(data[place + 8 + size : place + 12 + size], "big"):
            return None
        kind = body[:4]
        if kind == b"IDAT":
            parts.append(body[4:])
        elif kind == b"IEND":
            return b"".join(parts)
        elif kind not in _HARMLESS:
            return None
        place += 12 + size
    return None


def _by_torchvision(data: bytes, header: Header) -> np.ndarray | None:
    decode = _jpeg_decoder()
    if decode is None:
        return None
    try:
        pixels = decode(data, header.channels)
    except RuntimeError:  # damaged: Pillow says how
        return None
    return pixels if pixels.shape == (header.channels, header.height, header.width) else None


@lru_cache(maxsize=1)
def _jpeg_decoder() -> Callable[[bytes, int], np.ndarray] | None:
    """Return torchvision's decoder where it has one: since 0.29 it announces that it will lose it."""
    import torch

    try:
        from torchvision.io import ImageReadMode, decode_jpeg
    except ImportError:
        return None

    def decode(data: bytes, channels: int) -> np.ndarray:
        mode = ImageReadMode.GRAY if channels == 1 else ImageReadMode.RGB
        pixels: np.ndarray = decode_jpeg(torch.frombuffer(bytearray(data), dtype=torch.uint8), mode).numpy()
        return pixels

    return decode


def in_threads(function: Callable[[range], U], rows: range, size: int = _BATCH) -> list[U]:
    """Return ``function`` of ``rows``, ``size`` at a time, in order; by several threads where there is enough."""
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    if len(parts) < 2 or WORKERS < 2:
        return [function(part) for part in parts]
    return list(_decoders(os.getpid()).map(function, parts))


def read_ahead(function: Callable[[T], U], items: Iterable[T], depth: int = 2) -> Iterator[U]:
    """Yield ``function`` of each item in order, while the next ``depth`` are being worked on.

    What was begun is finished and dropped where the consumer stops early; an error is raised at its item's turn.
    """
    waiting: list[Future[U]] = []
    rest = iter(items)
    with ThreadPoolExecutor(depth, "read-ahead") as readers:
        try:
            waiting.extend(readers.submit(function, item) for item in islice(rest, depth))
            while waiting:
                done = waiting.pop(0).result()
                waiting.extend(readers.submit(function, item) for item in islice(rest, 1))
                yield done
        finally:
            readers.shutdown(wait=False, cancel_futures=True)


@lru_cache(maxsize=1)
def _decoders(process: int) -> ThreadPoolExecutor:  # noqa: ARG001 - threads do not survive a fork
    return ThreadPoolExecutor(WORKERS, "decode")
