"""Bytes of a PNG or JPEG file in, pixels out: the one place that decodes what somebody else encoded.

Only these two formats are tried, the size is read from the header and compared before a pixel is decoded, and Pillow's
process-wide limits and warnings are left alone.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from ..errors import DataError

MAX_PIXELS = 4096 * 4096
"""No classifier looks at more; a file whose header claims more is taken for a decompression bomb."""

PNG, JPEG = b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"
"""What files of the two formats begin with."""

_OPENERS: tuple[tuple[bytes, Callable[[BytesIO], Image.Image]], ...] = ((PNG, PngImageFile), (JPEG, JpegImageFile))
_BROKEN = (OSError, SyntaxError, ValueError, IndexError, TypeError, EOFError, struct.error, zlib.error)
_GREY = ("1", "L", "LA", "La")
_DEEP = ("I", "F")  # with their byte orders: "I;16B"


def open_image(data: bytes | None, where: str) -> Image.Image:
    """Return an image of which only the header was read; its size is within :data:`MAX_PIXELS`.

    :param where: how messages call it: ``"sample 7 of train-00000.parquet"``.
    :raises DataError: where it is missing, neither PNG nor JPEG, broken, too large, or of more than 8 bits.
    """
    if not data:
        raise DataError(f"{where} holds no bytes; the image has to be stored in the file, a path alone is not read")
    opener = next((opener for magic, opener in _OPENERS if data.startswith(magic)), None)
    if opener is None:
        raise DataError(f"{where} is neither PNG nor JPEG (it starts with {data[:8]!r}); convert it")
    try:
        image = opener(BytesIO(data))
    except _BROKEN as error:
        raise DataError(f"{where} is a broken image: {error}; replace or remove it") from error
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise DataError(
            f"{where} claims {width}x{height} pixels, more than {MAX_PIXELS}: "
            "a decompression bomb, not decoded; remove it"
        )
    if image.mode.split(";")[0] in _DEEP:
        raise DataError(f"{where} has more than 8 bits a channel (mode {image.mode}); convert it to 8 bits")
    return image


def is_grey(image: Image.Image) -> bool:
    """Say whether an image has no colour to lose: stored as black and white or grey, with or without alpha."""
    return image.mode in _GREY


def pixels(image: Image.Image, grey: bool, where: str) -> np.ndarray:
    """Return uint8 (c, h, w), c = 1 where ``grey``, else 3.

    Palettes and CMYK become RGB, alpha is dropped (as torchvision's loader does), colour becomes luma where ``grey``.

    :raises DataError: where the file ends early or its data are damaged.
    """
    mode = "L" if grey else "RGB"
    try:
        if image.mode != mode:
            image = image.convert(mode)
        image.load()
        array = np.asarray(image)
    except _BROKEN as error:
        raise DataError(f"{where} is a broken image: {error}; replace or remove it") from error
    return array[None] if grey else array.transpose(2, 0, 1)
