"""Named arrays as safetensors: weights, optimizer and generator state; never a pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from ..errors import RunError


def to_safetensors(tensors: Mapping[str, np.ndarray], metadata: Mapping[str, str] | None = None) -> bytes:
    """Return the bytes of a safetensors file.

    :param tensors: name -> array of any shape, scalars included, in any memory order.
    :param metadata: text beside them.
    """
    arrays = {name: np.asarray(array, order="C") for name, array in tensors.items()}
    return bytes(safetensors.numpy.save(arrays, dict(metadata) if metadata else None))


def read_safetensors(path: str | Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return the arrays of a safetensors file and the text beside them.

    :raises RunError: where the file is missing or damaged.
    """
    try:
        data = Path(path).read_bytes()
        arrays = dict(safetensors.numpy.load(data))
    except FileNotFoundError:
        raise RunError(f"{path} is missing: the stage that writes it has to run first") from None
    except (OSError, safetensors.SafetensorError) as error:
        raise RunError(f"{path} is damaged ({error}); delete it and redo its stage with --force") from error
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])  # its length stands in the first eight bytes
    return arrays, dict(header.get("__metadata__", {}))
