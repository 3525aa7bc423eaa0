"""Which state of a model something was made on."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any

from torch import nn

from ...datasets.base import digest
from ...estimators.judge import module_of
from ...estimators.watching import settings_of
from ...protocols import Estimator


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
    return digest(*arrays, repr([*state]), repr(module), repr(list(_plain(module))))


def _plain(module: nn.Module) -> Iterator[Any]:
    for name, part in module.named_modules():
        yield name, type(part).__qualname__, settings_of(part)
