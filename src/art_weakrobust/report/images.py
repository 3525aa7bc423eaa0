"""The weakest samples as image sheets in data URIs: many tiles, one picture, so that the page stays small.

A neighbor is never stored lossy: compression would change the very perturbation that it shows.
"""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

ACROSS = 10
SMALL = 64
THUMB, CROP, CROPS = 96, 112, 24


@dataclass(frozen=True)
class Sheet:
    """Tiles of one size in rows of :data:`ACROSS`.

    :param uri: ``data:`` URI of the picture.
    :param width: of a tile, in pixels.
    :param height: of a tile, in pixels.
    :param count: number of tiles.
    """

    uri: str
    width: int
    height: int
    count: int

    @property
    def size(self) -> tuple[int, int]:
        """Width and height of the whole picture."""
        return self.width * min(ACROSS, self.count), self.height * math.ceil(self.count / ACROSS)

    def box(self, position: int) -> str:
        """Return the ``viewBox`` of a tile."""
        row, col = divmod(position, ACROSS)
        return f"{col * self.width} {row * self.height} {self.width} {self.height}"


@dataclass(frozen=True)
class Gallery:
    """What the page shows of the weakest samples.

    :param thumbs: originals of all samples: lossless up to 64 px, above that reduced and lossy.
    :param originals: lossless tiles for the pairs: whole images, above 64 px a crop where the change is largest.
    :param neighbors: the same crop of the most damaging neighbor.
    :param pairs: how many samples, the weakest first, have a pair.
    :param amplify: by how much their difference may be amplified so that it just stays in range: a power of two.
    """

    thumbs: Sheet
    originals: Sheet | None
    neighbors: Sheet | None
    pairs: int
    amplify: int = 1


def _encode(tiles: Sequence[np.ndarray], quality: int | None = None) -> Sheet:
    from PIL import Image

    height, width = tiles[0].shape[:2]
    rows = math.ceil(len(tiles) / ACROSS)
    canvas = np.zeros((rows * height, min(ACROSS, len(tiles)) * width, 3), np.uint8)
    for position, tile in enumerate(tiles):
        row, col = divmod(position, ACROSS)
        canvas[row * height : (row + 1) * height, col * width : (col + 1) * width] = tile
    buffer = io.BytesIO()
    if quality is None:
        Image.fromarray(canvas).save(buffer, "WEBP", lossless=True, quality=80, method=4, exact=True)
    else:
        Image.fromarray(canvas).save(buffer, "WEBP", quality=quality, method=4)
    text = base64.b64encode(buffer.getvalue()).decode("ascii")
    return Sheet(f"data:image/webp;base64,{text}", width, height, len(tiles))


def _pixels(data: bytes, shape: Sequence[int]) -> np.ndarray:
    """Return uint8 (h, w, 3) from the bytes of a (c, h, w) image of one or three channels."""
    image = np.frombuffer(data, np.uint8).reshape(tuple(shape)).transpose(1, 2, 0)
    return np.repeat(image, 3, axis=2) if image.shape[2] == 1 else image


def _thumb(image: np.ndarray) -> np.ndarray:
    from PIL import Image

    side = min(image.shape[:2])
    top, left = (image.shape[0] - side) // 2, (image.shape[1] - side) // 2
    square = Image.fromarray(np.ascontiguousarray(image[top : top + side, left : left + side]))
    return np.asarray(square.resize((THUMB, THUMB), Image.Resampling.LANCZOS))


def _largest_change(original: np.ndarray, neighbor: np.ndarray) -> tuple[slice, slice]:
    """Return the window of :data:`CROP` pixels in which original and neighbor differ most."""
    change = np.abs(original.astype(np.int64) - neighbor.astype(np.int64)).sum(axis=2)
    height, width = min(CROP, change.shape[0]), min(CROP, change.shape[1])
    total = np.pad(change.cumsum(0).cumsum(1), ((1, 0), (1, 0)))
    sums = total[height:, width:] - total[:-height, width:] - total[height:, :-width] + total[:-height, :-width]
    top, left = np.unravel_index(int(sums.argmax()), sums.shape)
    return slice(int(top), int(top) + height), slice(int(left), int(left) + width)


def drawable(shape: Sequence[int] | None) -> bool:
    """Say whether samples of a shape can be shown as images: (1 or 3, h, w) of at least two pixels a side."""
    return shape is not None and len(shape) == 3 and shape[0] in (1, 3) and min(shape[1:]) >= 2


def gallery(shape: Sequence[int], originals: Sequence[bytes], neighbors: Sequence[bytes | None]) -> Gallery:
    """Return the sheets of the weakest samples, all of one shape and weakest first.

    :param shape: (c, h, w), see :func:`drawable`.
    :param originals: uint8 bytes of each image, (c, h, w) order.
    :param neighbors: the same of each sample's most damaging neighbor, or None where none is known.
    """
    images = [_pixels(data, shape) for data in originals]
    if max(shape[1:]) <= SMALL:
        thumbs = _encode(images)
        if all(data is None for data in neighbors):
            return Gallery(thumbs, None, None, 0)
        pairs = [image if data is None else _pixels(data, shape) for image, data in zip(images, neighbors, strict=True)]
        return Gallery(thumbs, thumbs, _encode(pairs), len(images), _amplification(images, pairs))
    thumbs = _encode([_thumb(image) for image in images], quality=80)
    crops: list[tuple[np.ndarray, np.ndarray]] = []
    for image, data in zip(images[:CROPS], neighbors[:CROPS], strict=True):
        other = image if data is None else _pixels(data, shape)
        window = _largest_change(image, other)
        crops.append((image[window], other[window]))
    if all(data is None for data in neighbors[:CROPS]):
        return Gallery(thumbs, None, None, 0)
    first, second = [crop[0] for crop in crops], [crop[1] for crop in crops]
    return Gallery(thumbs, _encode(first), _encode(second), len(crops), _amplification(first, second))


def thumbs(shape: Sequence[int], originals: Sequence[bytes]) -> Sheet:
    """Return one lossy sheet of originals alone, which have no change that compression could spoil.

    Parameters are those of :func:`gallery`.
    """
    images = [_pixels(data, shape) for data in originals]
    return _encode(images if max(shape[1:]) <= SMALL else [_thumb(image) for image in images], quality=80)


def _amplification(originals: Sequence[np.ndarray], neighbors: Sequence[np.ndarray]) -> int:
    """Return the power of two, 2 to 64, that lifts the largest difference (of all but a few pixels) into sight."""
    change = np.abs(np.stack(originals).astype(np.int16) - np.stack(neighbors).astype(np.int16))
    peak = max(1.0, float(np.quantile(change, 0.999)))
    return int(2 ** np.clip(np.floor(np.log2(255 / peak)), 1, 6))
