"""Batch norms folded into the convolutions before them: one affine map instead of two, the same answers in eval mode.

In evaluation mode a batch norm multiplies by ``g = gamma / sqrt(var + eps)`` and adds ``beta - g * mean``, channel by
channel, which the weights of the convolution before it can take over (Jacob et al. 2018, section 3.2,
https://arxiv.org/abs/1712.05877).
"""

from __future__ import annotations

from collections import Counter
from functools import partial
from itertools import chain
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from ..kernels.norms import wide
from .border import LogitsOnly
from .modes import generators_kept, twin_of

# Exact types: a subclass may compute something else.
_CONVOLUTIONS: tuple[type[nn.Module], ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS: tuple[type[nn.Module], ...] = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

# What a tensor is asked besides its values: its shape, type and place stay when a batch norm is folded away.
_FACTS = (bool, int, torch.Size, torch.dtype, torch.device, torch.layout)

Pair = tuple[str, str]
"""Names of a convolution and of the batch norm that its output goes into, and nothing else does."""


def may_fold(module: nn.Module) -> bool:
    """Return whether a module has convolutions and batch norms at all."""
    kinds = {type(part) for part in module.modules()}
    return bool(kinds.intersection(_CONVOLUTIONS)) and bool(kinds.intersection(_NORMS))


def pairs(module: nn.Module, example: Tensor) -> list[Pair]:
    """Return what can be folded, as a forward pass of a copy in evaluation mode shows it.

    A reader that PyTorch's own functions do not show (compiled code, another way taken for other images) is missed, so
    that the result has to be checked against the original.

    :param module: any, in any mode.
    :param example: images that it takes; the pass keeps the output of every convolution in memory.
    """
    if not may_fold(module):
        return []
    seen = LogitsOnly(twin_of(module))
    readers = _Readers(seen._model)
    with generators_kept(example.device), torch.no_grad(), readers:
        seen(example)
    return readers.pairs()


class _Readers(TorchFunctionMode):
    """Notes who reads the outputs of convolutions, and the weights of these and of batch norms.

    A reader is the name of the convolution or batch norm in whose call it happens, or "" for anything else. The module
    holds this by its hooks, and so this does not hold the module: both go at once, with all the outputs.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._inside = ""
        self._calls: Counter[str] = Counter()
        self._outputs: dict[str, Tensor] = {}  # kept, so that no other tensor takes the identity of one
        self._readers: dict[int, set[str]] = {}
        self._tensors: dict[str, list[int]] = {}
        self._norms: set[str] = set()
        for name, part in module.named_modules():
            if type(part) in _CONVOLUTIONS + _NORMS:
                self._tensors[name] = [id(tensor) for tensor in chain(part.parameters(), part.buffers())]
                self._readers |= {key: set() for key in self._tensors[name]}
                part.register_forward_pre_hook(partial(self._enter, name))
                part.register_forward_hook(partial(self._leave, name))
            if type(part) in _NORMS and _keeps_statistics(part):
                self._norms.add(name)

    def _enter(self, name: str, *_call: Any) -> None:
        self._calls[name] += 1
        self._inside = name

    def _leave(self, name: str, part: nn.Module, _inputs: Any, output: Tensor) -> None:
        self._inside = ""
        if type(part) in _CONVOLUTIONS:
            self._outputs[name], self._readers[id(output)] = output, set()

    def __torch_function__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = function(*args, **(kwargs or {}))
        if not isinstance(result, _FACTS):
            for value in tree_leaves((args, kwargs)):
                if id(value) in self._readers:
                    self._readers[id(value)].add(self._inside)
        return result

    def pairs(self) -> list[Pair]:
        """Return the convolutions that a batch norm alone reads, both called once and read by nobody else."""
        read = ((conv, self._readers[id(output)]) for conv, output in self._outputs.items())
        alone = [(conv, norm) for conv, readers in read if len(readers) == 1 for norm in readers]
        return [pair for pair in alone if pair[1] in self._norms and all(map(self._serves_once, pair))]

    def _serves_once(self, name: str) -> bool:
        return self._calls[name] == 1 and not any("" in self._readers[key] for key in self._tensors[name])


def _keeps_statistics(norm: Any) -> bool:
    return norm.running_mean is not None and norm.running_var is not None


def folded(module: nn.Module, found: list[Pair]) -> nn.Module:
    """Return a copy of a module in evaluation mode, its parameters frozen, with batch norms folded away.

    :param found: see :func:`pairs`; without any it is a plain copy.
    """
    twin = twin_of(module).requires_grad_(False)
    for conv_name, norm_name in found:
        conv: Any = twin.get_submodule(conv_name)
        conv.weight = nn.Parameter(conv.weight.detach().clone(), requires_grad=False)  # its own, where weights are tied
        conv.bias = nn.Parameter(conv.weight.new_zeros(conv.out_channels), requires_grad=False)
        parent, _, child = norm_name.rpartition(".")
        setattr(twin.get_submodule(parent), child, nn.Identity())
    refill(twin, module, found)
    return twin


@torch.no_grad()
def refill(twin: nn.Module, module: nn.Module, found: list[Pair]) -> None:
    """Write the values that ``module`` has now into the copy that was folded from it, in place."""
    values = dict(chain(module.named_parameters(remove_duplicate=False), module.named_buffers(remove_duplicate=False)))
    affine = {f"{conv}.{name}": value for conv, norm in found for name, value in _merged(module, conv, norm).items()}
    for name, tensor in chain(twin.named_parameters(), twin.named_buffers()):
        tensor.copy_(affine[name] if name in affine else values[name])


def _merged(module: nn.Module, conv_name: str, norm_name: str) -> dict[str, Tensor]:
    """Return weight and bias of a convolution that does the work of its batch norm as well, in float64 if there is."""
    conv: Any = module.get_submodule(conv_name)
    norm: Any = module.get_submodule(norm_name)
    precise = wide(conv.weight.device)
    mean, variance = norm.running_mean.to(precise), norm.running_var.to(precise)
    scale = torch.rsqrt(variance + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight
    offset = 0 if conv.bias is None else conv.bias
    bias = (offset - mean) * scale + (0 if norm.bias is None else norm.bias)
    return {"weight": conv.weight * scale.reshape(-1, *(1,) * (conv.weight.ndim - 1)), "bias": bias}
