"""Contexts that put a module in the state a question needs, and leave it exactly as it was."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def set_mode(module: nn.Module, training: bool) -> None:
    """Put ``module`` in training or evaluation mode; walks it without writing where it is there already."""
    if any(part.training != training for part in module.modules()):
        module.train(training)


@contextmanager
def evaluating(module: nn.Module) -> Iterator[None]:
    """Evaluate in eval mode; afterwards every submodule has the training flag that it had.

    ``module.eval()`` is called rather than the flags set, since some modules do work there (merged adapters, say).
    """
    flags = [(part, part.training) for part in module.modules()]
    if not any(training for _, training in flags):
        yield
        return
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        if was_training:
            module.train()
        for part, training in flags:
            part.training = training


def twin_of(module: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode to try something out on, without hooks; it shares nothing with the module.

    :raises Exception: whatever copying raises; some modules cannot be.
    """
    twin = copy.deepcopy(module).eval()
    for part in twin.modules():
        for hooks in (part._forward_hooks, part._forward_pre_hooks, part._backward_hooks, part._backward_pre_hooks):
            hooks.clear()
    return twin


@contextmanager
def frozen(module: nn.Module) -> Iterator[None]:
    """Spare the gradients of the parameters: none requires one inside, the same ones require one afterwards."""
    parameters = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in parameters:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@contextmanager
def generators_kept(device: torch.device) -> Iterator[None]:
    """Put the global generators of PyTorch back afterwards, CPU's and device's: a module may draw when it is called."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        yield
