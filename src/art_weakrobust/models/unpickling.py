"""``torch.load`` without running what a file holds; with the user's word, a few named classes first, then anything."""

from __future__ import annotations

import argparse
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from ..errors import ModelError

_DAMAGED = (
    *(RuntimeError, OSError, EOFError, ValueError, KeyError, IndexError, AttributeError, TypeError),
    *(AssertionError, OverflowError, MemoryError, ImportError),
)
"""What torch.load raises for files that are cut short or altered."""

_CORES = ("numpy.core.multiarray", "numpy._core.multiarray")
_SCALAR: Any = np.float64(0).__reduce__()[0]
_ARRAY: Any = np.zeros(1).__reduce__()[0]
"""What pickles call to restore a number and an array of NumPy's; its module was renamed in NumPy 2."""

HARMLESS: tuple[Callable[..., Any] | tuple[Callable[..., Any], str], ...] = (
    argparse.Namespace,
    np.dtype,
    np.ndarray,
    *((restore, f"{core}.{restore.__name__}") for restore in (_SCALAR, _ARRAY) for core in _CORES),
    *(type(np.dtype(kind)) for kind in ("float64", "float32", "int64", "int32", "uint8", "bool")),
)
"""What checkpoints most often hold beside tensors: arguments of a training script, and numbers of NumPy's."""


def torch_content(file: Path, *, allow_unsafe: bool = False) -> Any:
    """Return what ``torch.save`` wrote, on the CPU.

    :param allow_unsafe: read also what needs more than tensors: with :data:`HARMLESS` alone where that is enough, and
        otherwise by unpickling, which runs what the file says.
    :raises ModelError: for a damaged file, and for one that needs unpickling, unless that is allowed.
    """
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not allow_unsafe:
            raise ModelError(
                f"weights {str(file)!r} need unpickling, which would run code from the file, and are not read; save "
                "the state dict alone (safetensors.torch.save_file(model.state_dict(), 'weights.safetensors')), or, "
                "where you trust its authors, pass --allow-unsafe-checkpoint (allow_unsafe=True)"
            ) from error
    except _DAMAGED as error:
        raise _damaged(file, error) from error
    return _unsafe(file)


def _unsafe(file: Path) -> Any:
    try:
        with torch.serialization.safe_globals(list(HARMLESS)):
            return torch.load(file, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, *_DAMAGED):
        pass  # it needs more than the harmless few: the user has allowed that
    try:
        return torch.load(file, map_location="cpu", weights_only=False)
    except (pickle.UnpicklingError, *_DAMAGED) as error:
        raise _damaged(file, error) from error


def _damaged(file: Path, error: BaseException) -> ModelError:
    line = (str(error).strip() or type(error).__name__).split("\n")[0].rstrip(".")
    return ModelError(f"weights {str(file)!r} are damaged or cut short: {line}; download them again")
