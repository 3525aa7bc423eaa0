"""Whether a module is still what it was: its tensors by identity and version, its settings, and its very bits."""

from __future__ import annotations

import zlib
from argparse import Namespace
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, is_dataclass
from itertools import chain
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
_GLOBAL_HOOKS = (
    "_global_forward_hooks",
    "_global_forward_pre_hooks",
    "_global_backward_hooks",
    "_global_backward_pre_hooks",
)
_OF_EVERY_MODULE = frozenset(vars(nn.Module()))
_FLAT = frozenset((bool, int, float, complex, str, bytes, type(None)))
_NOTED_BYTES, _NOTED_DEPTH = 1 << 20, 4
_PLAIN = (bool, int, float, complex, str, bytes, type(None), torch.dtype, torch.device, tuple)
_INTEGERS = {1: torch.int8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.int64}


@dataclass(frozen=True)
class Glance:
    """What is seen of a module at every use: its parameters and buffers, where they are, and how often written.

    The tensors themselves are held, so that another one cannot take the place of theirs in memory.
    """

    tensors: list[Tensor]
    writes: list[tuple[int, int]]

    @classmethod
    def at(cls, module: nn.Module) -> Glance | None:
        """Return a glance at ``module``; None where hooks watch or change it, or where PyTorch counts no writes."""
        tensors: list[Tensor] = []
        seen: set[nn.Module] = set()
        waiting: list[nn.Module] = [module]
        while waiting:
            part = waiting.pop()
            if part in seen:
                continue
            seen.add(part)
            state = part.__dict__
            if any(state.get(hooks) for hooks in _HOOKS):
                return None
            tensors.extend(tensor for tensor in state["_parameters"].values() if tensor is not None)
            tensors.extend(tensor for tensor in state["_buffers"].values() if tensor is not None)
            waiting.extend(child for child in state["_modules"].values() if child is not None)
        if any(getattr(nn.modules.module, hooks, None) for hooks in _GLOBAL_HOOKS):
            return None
        if any(tensor.is_inference() or tensor.layout != torch.strided for tensor in tensors):
            return None
        return cls(tensors, [(tensor._version, tensor.data_ptr()) for tensor in tensors])

    def same(self, other: Glance) -> bool:
        """Return whether nothing was written or replaced between two glances."""
        return (
            self.writes == other.writes
            and len(self.tensors) == len(other.tensors)
            and all(a is b for a, b in zip(self.tensors, other.tensors, strict=True))
        )


class Settings:
    """Everything about a module but the values of its parameters and buffers: structure, shapes, attributes.

    Of containers, configurations and arrays in attributes it is what they hold that counts.
    """

    def __init__(self, module: nn.Module) -> None:
        self._held: list[Any] = [module]
        for name, part in module.named_modules():
            noted = ((key, _noted(value)) for key, value in attributes(part))
            self._held += [name, type(part), *chain.from_iterable(noted)]
        for tensor in (*module.parameters(), *module.buffers()):
            self._held += [tuple(tensor.shape), tensor.dtype, tensor.device]

    def same(self, other: Settings) -> bool:
        """Return whether nothing but values has changed; other objects in attributes count as themselves."""
        return len(self._held) == len(other._held) and all(map(_alike, self._held, other._held))


def attributes(part: nn.Module) -> Iterator[tuple[str, Any]]:
    """Yield what somebody has put into one module, beside parameters, buffers, children and hooks."""
    return ((name, value) for name, value in vars(part).items() if name not in _OF_EVERY_MODULE)


def configuration(value: Any) -> dict[str, Any] | None:
    """Return what a namespace or a dataclass holds; None for anything else."""
    held = isinstance(value, SimpleNamespace | Namespace) or (is_dataclass(value) and not isinstance(value, type))
    return getattr(value, "__dict__", {}) if held else None


def _noted(value: Any, depth: int = 0) -> Any:
    """Return what of a value can be compared with what it is later; other objects count as themselves."""
    if isinstance(value, Tensor):
        return value, None if value.is_inference() else value._version
    if isinstance(value, np.ndarray) and value.nbytes <= _NOTED_BYTES and value.dtype != object:
        return value, zlib.crc32(np.ascontiguousarray(value).data)
    if depth == _NOTED_DEPTH:
        return value
    if isinstance(value, dict) and {*map(type, value.values())} <= _FLAT:
        return value, _Flat(value), _Flat(value.values())
    if isinstance(value, list | tuple | set | frozenset | deque) and {*map(type, value)} <= _FLAT:
        return type(value), _Flat(value)
    if isinstance(value, dict):
        return value, tuple((key, _noted(held, depth + 1)) for key, held in value.items())
    if isinstance(value, list | tuple | set | frozenset | deque):
        return type(value), tuple(_noted(held, depth + 1) for held in value)
    held = configuration(value)
    return value if held is None else (value, _noted(held, depth + 1))


class _Flat(tuple[Any, ...]):
    """Numbers and texts, as many as there are: compared at once."""


def _alike(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if type(a) is type(b) is _Flat:
        return tuple.__eq__(a, b)
    return type(a) is type(b) and type(a) in _PLAIN and _equal(a, b)


def _equal(a: Any, b: Any) -> bool:
    if isinstance(a, tuple):
        return len(a) == len(b) and all(map(_alike, a, b))
    return bool(a == b)


@torch.no_grad()
def checksum(tensors: Iterable[Tensor]) -> list[int]:
    """Return a number for the bits of each tensor: writes through ``.data`` pass by the counters of versions.

    A change of 32 bits in one place is never missed: by a cyclic redundancy check on a CPU; elsewhere bits are weighed
    by their position with odd numbers, modulo a power of two.
    """
    flat = [tensor.detach().contiguous().reshape(-1) for tensor in tensors if tensor.numel()]
    near = [zlib.crc32(part.view(torch.uint8).numpy().data) for part in flat if part.device.type == "cpu"]
    far = [_weighed(part) for part in flat if part.device.type != "cpu"]
    return near + (torch.stack(far).tolist() if far else [])  # one wait for the device, for all of them


def _weighed(flat: Tensor) -> Tensor:
    bits = flat.view(_INTEGERS[flat.element_size()])
    return (bits * torch.arange(1, 2 * len(bits), 2, device=bits.device)).sum()
