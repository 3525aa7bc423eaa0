"""Where and how a model is run: the execution plan that follows from device and model, never from a timing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError
from .folding import may_fold
from .modes import twin_of
from .precision import precision_on

_log = logging.getLogger(__name__)

BATCH_SIZE = 128
"""Images a forward pass where nobody says otherwise; ART's own default."""

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}

CHOICES: dict[str, tuple[Any, ...]] = {
    "memory_format": tuple(FORMATS),
    "precision": ("float32", "bfloat16"),
    "folding": ("none", "conv-bn"),
    "compile": (False, True),
}
"""What the keys of a plan may be, those that count something apart."""

_COUNTS = ("batch_size", "streams")


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


def plan_for(
    device: torch.device, model: nn.Module, batch_size: int = BATCH_SIZE, precision: str = "float32"
) -> dict[str, Any]:
    """Return the execution plan: memory format, precision, batch size, folding, ``compile`` and ``streams``.

    ``streams``: forward passes without gradients, of more than one batch, cut each into so many parts with a thread of
    their own; above 1 by ``tune()`` alone, and of use on a CPU alone.
    Results are bitwise the same for the same plan on the same device. On a CPU, networks with 2-d convolutions take
    their images channels last. What the plan asks for and a model does not allow is left out without a word.

    :param precision: of the search: ``float32``, ``bfloat16`` or ``auto``.
    """
    convolutions = any(isinstance(part, nn.Conv2d) for part in model.modules())
    channels_last = device.type == "cpu" and convolutions
    return {
        "memory_format": "channels_last" if channels_last else "contiguous",
        "precision": precision_on(device, precision),
        "batch_size": batch_size,
        "folding": "conv-bn" if may_fold(model) else "none",
        "compile": False,
        "streams": 1,
    }


def checked(plan: Mapping[str, Any]) -> dict[str, Any]:
    """Return a plan in which every key has a value that is known.

    :raises ModelError: where that is not so; it names the key, the value and what is possible.
    """
    possible = {**CHOICES, **dict.fromkeys(_COUNTS, "a whole number from 1")}
    for key, value in plan.items():
        if key not in possible:
            raise ModelError(f"plan key {key!r} is not known; the keys are {', '.join(possible)}")
        if key in _COUNTS:
            right = isinstance(value, int) and not isinstance(value, bool) and value >= 1
        else:
            right = any(value is choice or (value == choice and type(value) is str) for choice in CHOICES[key])
        if not right:
            expected = possible[key]
            words = expected if isinstance(expected, str) else " or ".join(repr(choice) for choice in expected)
            raise ModelError(f"plan {key}={value!r} is not possible; use {words}")
    return dict(plan)


def wants_contiguous(error: Exception) -> bool:
    """Return whether a model failed since it views a tensor (``x.view(len(x), -1)``) that is not laid out for that."""
    return isinstance(error, RuntimeError) and "view size is not compatible" in str(error)


def views(module: nn.Module, ask: Callable[[nn.Module], Any]) -> bool:
    """Return whether a module can be asked contiguous alone, as a twin of it shows that is asked channels last.

    :param ask: gives the twin images laid out channels last.
    """
    try:
        with torch.no_grad():
            ask(twin_of(module))
    except Exception as error:  # copying and asking run the module's own code, which may raise anything
        if wants_contiguous(error):
            return True
        _log.warning("%s is asked channels last unseen, its twin failed: %s", type(module).__name__, error)
    return False


def arranged(x: Tensor, plan: dict[str, Any]) -> Tensor:
    """Return ``x`` in the memory format of the plan, itself where it has it already."""
    memory_format = FORMATS[plan["memory_format"]] if x.ndim == 4 else torch.contiguous_format
    return x.contiguous(memory_format=memory_format)
