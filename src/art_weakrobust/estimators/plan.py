"""Where and how a model is run: the execution plan that follows from device and model, never from a timing."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError

BATCH_SIZE = 128
"""Images a forward pass where nobody says otherwise; ART's own default."""

_FORMATS = {"channels_last": torch.channels_last, "contiguous": torch.contiguous_format}


def device_for(device_type: str | torch.device) -> torch.device:
    """Return the device that ``device_type`` names.

    :param device_type: ``"cpu"``; ``"gpu"``, the current CUDA device or, as in ART, the CPU where there is none; or a
        device as PyTorch writes it, such as ``"cuda:1"`` or ``"mps"``.
    :raises ModelError: where no such device is known or present.
    """
    name = str(device_type).lower()
    if name == "gpu":
        return torch.device("cuda", torch.cuda.current_device()) if torch.cuda.is_available() else torch.device("cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise ModelError(f"device {name!r} is not known; use 'cpu', 'gpu', 'cuda:0' or 'mps'") from None
    if device.type == "cuda":
        present = torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count()
        if present and device.index is None:
            return torch.device("cuda", torch.cuda.current_device())
    else:
        present = device.type != "mps" or torch.backends.mps.is_available()
    if not present:
        raise ModelError(
            f"device {name!r} is not present on this machine; use 'gpu' for a GPU if there is one, or 'cpu'"
        )
    return device


def plan_for(device: torch.device, model: nn.Module, batch_size: int = BATCH_SIZE) -> dict[str, Any]:
    """Return the execution plan: ``memory_format``, ``precision``, ``batch_size`` and ``folding``.

    Results are bitwise the same for the same plan on the same device. On a CPU, networks with 2-d convolutions take
    their images channels last; their weights stay as they are.
    """
    convolutions = any(isinstance(part, nn.Conv2d) for part in model.modules())
    channels_last = device.type == "cpu" and convolutions
    return {
        "memory_format": "channels_last" if channels_last else "contiguous",
        "precision": "float32",
        "batch_size": batch_size,
        "folding": "none",
    }


def arranged(x: Tensor, plan: dict[str, Any]) -> Tensor:
    """Return ``x`` in the memory format of the plan, itself where it has it already."""
    memory_format = _FORMATS[plan["memory_format"]] if x.ndim == 4 else torch.contiguous_format
    return x.contiguous(memory_format=memory_format)
