"""Batch norms folded into the convolutions before them: one affine map instead of two, the same answers in eval mode.

In evaluation mode a batch norm multiplies by ``g = gamma / sqrt(var + eps)`` and adds ``beta - g * mean``, channel by
channel, which the weights of the convolution before it can take over (Jacob et al. 2018, section 3.2,
https://arxiv.org/abs/1712.05877).
"""

from __future__ import annotations

import copy
import logging
from collections import Counter
from itertools import chain
from typing import Any

import torch
from torch import Tensor, fx, nn

_log = logging.getLogger(__name__)

# Exact types: a subclass may compute something else.
_CONVOLUTIONS: tuple[type[nn.Module], ...] = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_NORMS: tuple[type[nn.Module], ...] = (nn.BatchNorm1d, nn.BatchNorm2d, nn.BatchNorm3d)

Pair = tuple[str, str]
"""Names of a convolution and of the batch norm that its output goes into, and nothing else does."""


def may_fold(module: nn.Module) -> bool:
    """Return whether a module has convolutions and batch norms at all."""
    kinds = {type(part) for part in module.modules()}
    return bool(kinds.intersection(_CONVOLUTIONS)) and bool(kinds.intersection(_NORMS))


def pairs(module: nn.Module, example: Tensor) -> list[Pair]:
    """Return what can be folded: as ``torch.fx`` traces it, or else as one forward pass shows it.

    The module itself is not called. Tracing serves to find the pairs alone: the folded module keeps its own
    ``forward``, with whatever depends on shapes or values in it. A pair seen in a forward pass may have a second reader
    that no hook sees, so that the result has to be checked against the original.

    :param module: any, in any mode.
    :param example: images that it takes.
    """
    if not may_fold(module):
        return []
    parts = dict(module.named_modules())
    try:
        graph = fx.Tracer().trace(_shell(module))
    except Exception as error:  # tracing runs the model's own code on stand-ins, on which anything may be raised
        _log.debug("%s is not traced (%s); its pairs are looked for in a forward pass", type(module).__name__, error)
        found = _observed(module, example)
    else:
        found = _traced(graph, parts)
    return [(conv, norm) for conv, norm in found if _keeps_statistics(parts[norm])]


def _keeps_statistics(norm: Any) -> bool:
    return norm.running_mean is not None and norm.running_var is not None


def _shell(module: nn.Module) -> nn.Module:
    """Return a copy in evaluation mode that shares the tensors, for what may leave traces in attributes."""
    tensors = {id(tensor): tensor for tensor in chain(module.parameters(), module.buffers())}
    return copy.deepcopy(module, tensors).eval()


def _traced(graph: fx.Graph, parts: dict[str, nn.Module]) -> list[Pair]:
    calls = [node for node in graph.nodes if node.op == "call_module"]
    times = Counter(str(node.target) for node in calls)
    read = {str(node.target).rpartition(".")[0] for node in graph.nodes if node.op == "get_attr"}
    found = []
    for node in calls:
        before = node.args[0] if node.args else None
        if type(parts[node.target]) not in _NORMS or not isinstance(before, fx.Node) or before.op != "call_module":
            continue
        names = str(before.target), str(node.target)
        once = all(times[name] == 1 and name not in read for name in names)
        if type(parts[names[0]]) in _CONVOLUTIONS and len(before.users) == 1 and once:
            found.append(names)
    return found


def _observed(module: nn.Module, example: Tensor) -> list[Pair]:
    seen = copy.deepcopy(module).eval()
    written: dict[int, tuple[str, Tensor, int]] = {}
    times: Counter[str] = Counter()
    found: list[Pair] = []

    def wrote(name: str, output: Tensor) -> None:
        times[name] += 1
        written[id(output)] = name, output, output._version

    def reads(name: str, value: Tensor) -> None:
        times[name] += 1
        conv, output, version = written.get(id(value), ("", value, -1))
        if output._version == version:  # unless something has worked on it in place
            found.append((conv, name))

    for name, part in seen.named_modules():
        if type(part) in _CONVOLUTIONS:
            part.register_forward_hook(lambda _part, _inputs, output, name=name: wrote(name, output))
        elif type(part) in _NORMS:
            part.register_forward_pre_hook(lambda _part, inputs, name=name: reads(name, inputs[0]))
    with torch.no_grad():
        seen(example)
    return [(conv, norm) for conv, norm in found if times[conv] == times[norm] == 1]


def folded(module: nn.Module, found: list[Pair]) -> nn.Module:
    """Return a copy of a module in evaluation mode, its parameters frozen, with batch norms folded away.

    :param found: see :func:`pairs`; without any it is a plain copy.
    """
    twin = copy.deepcopy(module).eval().requires_grad_(False)
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
    values = dict(chain(module.named_parameters(), module.named_buffers()))
    affine = {f"{conv}.{name}": value for conv, norm in found for name, value in _merged(module, conv, norm).items()}
    for name, tensor in chain(twin.named_parameters(), twin.named_buffers()):
        tensor.copy_(affine[name] if name in affine else values[name])


def _merged(module: nn.Module, conv_name: str, norm_name: str) -> dict[str, Tensor]:
    """Return weight and bias of a convolution that does the work of its batch norm as well, in float64 if there is."""
    conv: Any = module.get_submodule(conv_name)
    norm: Any = module.get_submodule(norm_name)
    precise = torch.float32 if conv.weight.device.type == "mps" else torch.float64
    mean, variance = norm.running_mean.to(precise), norm.running_var.to(precise)
    scale = torch.rsqrt(variance + norm.eps)
    if norm.weight is not None:
        scale = scale * norm.weight
    offset = 0 if conv.bias is None else conv.bias
    bias = (offset - mean) * scale + (0 if norm.bias is None else norm.bias)
    return {"weight": conv.weight * scale.reshape(-1, *(1,) * (conv.weight.ndim - 1)), "bias": bias}
