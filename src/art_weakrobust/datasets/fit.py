"""Resize and crop: how images of many sizes come to the one that a model takes, as torchvision's transforms do it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from ..errors import DataError, UsageError

_FILTERS = {
    "nearest": Image.Resampling.NEAREST,
    "bilinear": Image.Resampling.BILINEAR,
    "bicubic": Image.Resampling.BICUBIC,
}


@dataclass(frozen=True)
class Fit:
    """What is done to every image before a model sees it; nothing by default.

    :param resize: pixels that the shorter side gets, the longer one in proportion; None leaves the size.
    :param crop: pixels of the square that is cut from the middle, afterwards; None leaves all.
    :param interpolation: ``nearest``, ``bilinear`` or ``bicubic``, all with antialiasing.
    :param squash: give both sides ``resize`` pixels, whatever their proportion.
    :raises UsageError: for sizes below 1, or another interpolation.
    """

    resize: int | None = None
    crop: int | None = None
    interpolation: str = "bilinear"
    squash: bool = False

    def __post_init__(self) -> None:
        for name in ("resize", "crop"):
            value = getattr(self, name)
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise UsageError(f"{name} {value!r} has to be a number of pixels, 1 or more")
        if self.interpolation not in _FILTERS:
            raise UsageError(f"interpolation {self.interpolation!r} is not known; use {', '.join(_FILTERS)}")

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height that an image will have."""
        width, height = self._resized(width, height)
        return (width, height) if self.crop is None else (self.crop, self.crop)

    def __call__(self, pixels: np.ndarray, where: str) -> np.ndarray:
        """Return an image, uint8 (c, h, w), resized and cropped.

        :raises DataError: where it is smaller than the crop.
        """
        height, width = pixels.shape[1:]
        if self._resized(width, height) != (width, height):
            pixels = _resize(pixels, self._resized(width, height), self.interpolation)
        if self.crop is None:
            return pixels
        height, width = pixels.shape[1:]
        if min(height, width) < self.crop:
            raise DataError(f"{where} is {width}x{height}, smaller than the crop of {self.crop}: give --resize as well")
        top, left = round((height - self.crop) / 2), round((width - self.crop) / 2)
        return pixels[:, top : top + self.crop, left : left + self.crop]

    def facts(self) -> tuple[str, ...]:
        """Return what a fingerprint has to cover: nothing where nothing is done."""
        return () if self == Fit() else (repr(self),)

    def _resized(self, width: int, height: int) -> tuple[int, int]:
        short = min(width, height)
        if self.resize is not None and self.squash:
            return self.resize, self.resize
        if self.resize is None or short == self.resize:
            return width, height
        longer = int(self.resize * max(width, height) / short)  # cut down, as torchvision does
        return (self.resize, longer) if width <= height else (longer, self.resize)


def _resize(pixels: np.ndarray, size: tuple[int, int], interpolation: str) -> np.ndarray:
    grey = len(pixels) == 1
    image: Any = Image.fromarray(pixels[0] if grey else np.ascontiguousarray(pixels.transpose(1, 2, 0)))
    resized = np.asarray(image.resize(size, _FILTERS[interpolation]))
    return resized[None] if grey else resized.transpose(2, 0, 1)
