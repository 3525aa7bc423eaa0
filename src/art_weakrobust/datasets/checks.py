"""What every source of samples is checked for, in one place: shapes, pixels, labels, ids, splits and paths.

Each check raises :class:`~art_weakrobust.errors.DataError` with one line that names the argument, what was found and
what to do. ``where`` is how the message calls the thing that was checked: ``"x_train of digits.npz"``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..errors import DataError, UserError, nearest

_SCAN = 1024  # images looked at together: bounds the memory that a check of an array on disk takes
_CHANNELS = (1, 3, 4)
_MOST_CLASSES = 10**6  # a stray label would otherwise ask for as many outputs


def image_array(x: np.ndarray, where: str, *, allow_bytes: bool = False) -> None:
    """Check a whole set of images held in one array: (n, c, h, w), finite floats in [0, 1].

    :param allow_bytes: take uint8 as well, which then means 0 to 255.
    :raises DataError: for any other shape, type or pixel.
    """
    image_shape(x.shape, where)
    if allow_bytes and x.dtype == np.uint8:
        if x.max() <= 1:
            raise DataError(f"{where} is uint8 without a value above 1: it is read as 0 to 255; save it as float32")
        return
    if x.dtype.kind != "f":
        advice = (
            "divide by 255 (x.astype('float32') / 255)" if x.dtype == np.uint8 else "convert with .astype('float32')"
        )
        raise DataError(f"{where} holds {x.dtype}, expected floats in [0, 1]; {advice}")
    for start in range(0, len(x), _SCAN):
        pixels(x[start : start + _SCAN], np.arange(start, min(start + _SCAN, len(x))), where)


def image_shape(shape: tuple[int, ...], where: str) -> None:
    """Check the shape of a whole set of images: (n, c, h, w), not empty, channels first."""
    if len(shape) != 4:
        advice = "; add the channel axis with x[:, None]" if len(shape) == 3 else ""
        raise DataError(f"{where} has shape {shape}, expected (n, channels, height, width){advice}")
    if shape[1] not in _CHANNELS and shape[3] in _CHANNELS:
        raise DataError(f"{where} has shape {shape}: channels come last; put them first with x.transpose(0, 3, 1, 2)")
    if 0 in shape:
        raise DataError(f"{where} has shape {shape}: it is empty; at least one image of one pixel is needed")


def pixels(x: np.ndarray, ids: np.ndarray, where: str) -> None:
    """Check that every pixel of a batch is finite and in [0, 1]; the first offending sample is named."""
    low, high = float(x.min()), float(x.max())  # a NaN anywhere makes both NaN, and the comparison false
    if low >= 0.0 and high <= 1.0:
        return
    flat = x.reshape(len(x), -1)
    wrong = ~((flat >= 0.0) & (flat <= 1.0))
    row = int(np.flatnonzero(wrong.any(axis=1))[0])
    value = float(flat[row][wrong[row]][0])
    if not np.isfinite(value):
        raise DataError(f"{where}: sample {ids[row]} holds a pixel that is {value}; remove or mend that image")
    raise DataError(
        f"{where}: sample {ids[row]} holds the pixel {value:.4g}, expected [0, 1]; divide by 255, or undo the "
        "normalisation and put mean and std into the model (--mean, --std)"
    )


def labels(y: np.ndarray, count: int, where: str, nb_classes: int | None = None) -> np.ndarray:
    """Return the labels of ``count`` samples as int64 class indices; one-hot rows are understood.

    :param y: integers (n,) or (n, 1), or one-hot rows (n, K).
    :param nb_classes: number of classes, where known: labels have to lie below it.
    :raises DataError: for another length, floats, soft labels, NaN, negative labels and those that are too large.
    """
    y = np.asarray(y)
    if y.ndim == 2 and y.shape[1] > 1:
        y = _from_one_hot(y, where)
    elif y.ndim == 2:
        y = y[:, 0]
    if y.ndim != 1:
        raise DataError(f"{where} has shape {y.shape}, expected class indices (n,) or one-hot rows (n, classes)")
    if len(y) != count:
        raise DataError(f"{where} has {len(y)} labels for {count} images; every image needs one")
    if y.dtype.kind not in "iu":
        raise DataError(f"{where} holds {_kind(y)}, expected whole numbers: class indices from 0; {_mend(y)}")
    _label_range(y, where, nb_classes)
    return y.astype(np.int64)


def _from_one_hot(y: np.ndarray, where: str) -> np.ndarray:
    if y.dtype.kind not in "iufb" or not (((y == 0) | (y == 1)).all() and (y.sum(axis=1) == 1).all()):
        raise DataError(
            f"{where} has shape {y.shape} but its rows are not one-hot (a single 1, else 0); "
            "give class indices: soft labels have no one right answer"
        )
    return np.asarray(y.argmax(axis=1))


def _kind(y: np.ndarray) -> str:
    if y.dtype.kind == "f" and np.isnan(y).any():
        return f"NaN at sample {int(np.flatnonzero(np.isnan(y))[0])}"
    return f"{y.dtype} such as {y.flat[0]!r}" if y.size else str(y.dtype)


def _mend(y: np.ndarray) -> str:
    whole = y.dtype.kind == "b" or (
        y.dtype.kind == "f" and bool(np.isfinite(y).all()) and bool((y == np.rint(y)).all())
    )
    return "convert with y.astype('int64')" if whole else "map the classes to 0, 1, 2, …"


def _label_range(y: np.ndarray, where: str, nb_classes: int | None) -> None:
    low, high = int(y.min()), int(y.max())
    if low < 0:
        raise DataError(
            f"{where} holds the label {low} at sample {int(y.argmin())}, expected 0 or more; "
            "a split without labels cannot be judged, choose another"
        )
    if nb_classes is None and high >= _MOST_CLASSES:
        raise DataError(
            f"{where} holds the label {high} at sample {int(y.argmax())}: no class index; correct the labels"
        )
    if nb_classes is not None and high >= nb_classes:
        raise DataError(
            f"{where} holds the label {high} at sample {int(y.argmax())}, expected 0 to {nb_classes - 1} "
            f"for {nb_classes} classes; correct the labels or choose a model with more outputs"
        )


def sample_ids(ids: np.ndarray | Sequence[int], count: int, where: str) -> np.ndarray:
    """Return sample ids as int64 (n,), each in [0, count); they may repeat and stand in any order."""
    array = np.asarray(ids)
    if array.size == 0:
        return np.empty(0, np.int64)
    if array.ndim != 1 or array.dtype.kind not in "iu":
        raise DataError(f"ids have to be whole numbers of shape (n,), not {array.dtype} of shape {array.shape}")
    outside = (array < 0) | (array >= count)
    if outside.any():
        raise DataError(f"{where} has {count} samples, ids 0 to {count - 1}; there is no sample {array[outside][0]}")
    return array.astype(np.int64)


def split(name: str, known: Sequence[str], where: str) -> str:
    """Return the name of a split that the data set has."""
    if name not in known:
        hint = nearest(str(name), tuple(known)) or ";"
        raise DataError(f"{where} has no split {name!r}{hint} it has: {', '.join(map(repr, known)) or 'none'}")
    return name


def existing(path: str | Path, where: str, error: type[UserError] = DataError) -> Path:
    """Return the path of a file or folder that exists; otherwise the nearest names beside it are shown.

    :param error: what to raise: a :class:`~art_weakrobust.errors.ModelError` for weights, say.
    """
    if not str(path).strip():
        raise error(f"{where} needs the path of a file or folder, none was given")
    try:
        found = Path(path).expanduser()
        if found.exists():
            return found
        beside = sorted(item.name for item in found.parent.iterdir()) if found.parent.is_dir() else None
    except (OSError, ValueError, RuntimeError) as cause:
        raise error(f"{where}: {str(path)!r} cannot be read: {getattr(cause, 'strerror', cause)}") from cause
    if beside is None:
        raise error(f"{where}: there is no folder {str(found.parent)!r} to hold {found.name!r}; correct the path")
    raise error(f"{where}: {str(path)!r} does not exist{nearest(found.name, beside) or '; correct the path'}")
