"""Which state of a model something was made on."""

from __future__ import annotations

import logging
import re
from itertools import chain
from typing import Any

import numpy as np
import torch
from torch import nn

from ...datasets.base import digest
from ...estimators.judge import module_of
from ...estimators.modes import generators_kept, twin_of
from ...estimators.search import example_images
from ...estimators.watching import attributes, configuration
from ...protocols import Estimator

_log = logging.getLogger(__name__)

_TEXTS = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device)
_UNWRITTEN, _DEPTH = "...", 4
_ADDRESS = re.compile(r" at 0x[0-9a-f]+")


def weights_digest(estimator: Estimator) -> str:
    """Return a digest of all that a model answers by; empty for a black box, which may change unseen.

    Parameters and buffers, also those that are in no state dict (a mean and a deviation, say), and the layers with
    their plain attributes.
    """
    module = module_of(estimator)
    if module is None:
        return ""
    named = chain(module.named_parameters(remove_duplicate=False), module.named_buffers(remove_duplicate=False))
    state = {name: value.detach().cpu() for name, value in named}
    arrays = (value.float().numpy() if value.is_floating_point() else value.numpy() for value in state.values())
    layers = _ADDRESS.sub("", repr(module))
    return digest(*arrays, repr([*state]), layers, repr(_lasting(module, estimator)))


def _lasting(module: nn.Module, estimator: Estimator) -> list[Any]:
    """Return plain attributes of all layers, but for those that a call changes: what counts calls says nothing."""
    try:
        twin = twin_of(module)
        before = _plain(twin)
        with torch.no_grad(), generators_kept(torch.device(getattr(estimator, "device", "cpu"))):
            images = example_images(estimator.input_shape, estimator.clip_values)[:2]
            twin(images.to(next(twin.parameters(), images)))
    except Exception as error:  # copying and asking run the model's own code, which may raise anything
        _log.warning("%s is known by all of its attributes, its twin failed: %s", type(module).__name__, error)
        return _plain(module)
    return [value for value, after in zip(before, _plain(twin), strict=False) if value == after]


def _plain(module: nn.Module) -> list[Any]:
    return [
        (name, type(part).__qualname__, key, written)
        for name, part in module.named_modules()
        for key, value in attributes(part)
        if (written := _written(value)) != _UNWRITTEN
    ]


def _written(value: Any, depth: int = 0) -> Any:
    """Return numbers, texts, arrays and containers of these as what can be written down; "..." for anything else.

    Tensors are left out: what a module keeps as one beside its buffers, it has mostly computed.
    """
    if isinstance(value, np.ndarray) and value.dtype != object:
        return digest(value)
    if depth == _DEPTH:
        return _UNWRITTEN
    held = value if isinstance(value, dict) else configuration(value)
    if held is not None:
        return [(_written(key, depth + 1), _written(inside, depth + 1)) for key, inside in held.items()]
    if isinstance(value, list | tuple):
        return [_written(inside, depth + 1) for inside in value]
    return value if type(value) in _TEXTS else _UNWRITTEN
