"""A convolution, the addition and the ReLU after it in one pass over memory: the same numbers, on a CPU.

Between the layers of a small network, reading and writing images takes as long as some of the layers. oneDNN adds and
clips while the output of a convolution is still in the cache; ``torch.compile`` has it do so as well, after compiling.
Such a pass records no graph, so that under gradients one step follows the other, in place where nobody else can see it.
"""

from __future__ import annotations

import inspect
import operator
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import Graph, GraphModule, Node, Tracer
from torch.nn import functional

_ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
_RELUS = (torch.relu, torch.relu_, functional.relu, functional.relu_, "relu", "relu_")
_IN_PLACE = {vars(operator)[name] for name in vars(operator) if name.startswith("i") and name[1:] in vars(operator)}
_IN_PLACE |= {operator.setitem, operator.delitem}


@dataclass(frozen=True)
class _Step:
    """A convolution, what is added to its output, and the ReLU that follows: nodes of a graph that become one."""

    convolution: Node
    addition: Node | None
    relu: Node | None

    @property
    def other(self) -> Any:
        """What is added, as the graph has it now."""
        return self.addition and next(added for added in self.addition.args if added is not self.convolution)

    @property
    def last(self) -> Node:
        return self.relu or self.addition or self.convolution

    @property
    def nodes(self) -> tuple[Node | None, ...]:
        return self.relu, self.addition, self.convolution


def fused(module: nn.Module) -> nn.Module:
    """Return a module that computes what ``module`` does in fewer passes over memory; taken apart where that helps.

    Python code runs once, while it is traced, and what writes in place is taken for what does not, so that the result
    has to be checked against the original. Where a module cannot be traced, its children are.

    :param module: in evaluation mode, its parameters frozen; not to be used any more.
    """
    if not kinds():
        return module
    graph = _trace(module)
    if graph is None:
        for name, child in module.named_children():
            setattr(module, name, fused(child))
        return module
    _leave_out_identities(graph, module)
    steps = list(_steps(graph, module))
    for step in steps:
        _replace(graph, step, module)
    return GraphModule(module, graph).eval() if steps else module


def _trace(module: nn.Module) -> Graph | None:
    """Return what a forward pass does; None where it cannot be traced, or takes more than images."""
    graph: Graph | None = None
    with torch.random.fork_rng([]), torch.no_grad(), suppress(Exception):  # anybody's code, which may raise anything
        if len(inspect.signature(module.forward).parameters) == 1:
            graph = Tracer().trace(module)
    if graph is None or any("_tensor_constant" in str(node.target) for node in graph.nodes):
        return None  # a tensor that was made from nothing may have been drawn
    return graph


def _leave_out_identities(graph: Graph, module: nn.Module) -> None:
    """Take away what batch norms leave behind when they are folded."""
    for node in list(graph.nodes):
        if node.op == "call_module" and type(module.get_submodule(str(node.target))) is nn.Identity:
            node.replace_all_uses_with(node.args[0])
            graph.erase_node(node)


def _steps(graph: Graph, module: nn.Module) -> Iterator[_Step]:
    """Yield what can become one, from the end: of two convolutions that are added, the later one adds the other."""
    nodes, added = list(graph.nodes), set()
    for at, node in reversed([*enumerate(nodes)]):
        if not _is_plain_convolution(node, module):
            continue
        step = _step(node, module)
        if step.last is node or step.addition in added:
            continue
        between = nodes[at + 1 : nodes.index(step.last)]  # the convolution waits for these
        if not any(_may_write(other, module) for other in between if other not in step.nodes):
            added |= {step.addition} - {None}
            yield step


def _step(convolution: Node, module: nn.Module) -> _Step:
    addition, reader = None, _only_reader(convolution)
    if reader is not None and reader.target in _ADDITIONS and len(reader.args) == 2 and not reader.kwargs:
        first, second = reader.args
        writes_elsewhere = first is not convolution and _may_write(reader, module)
        added = second if first is convolution else first
        if isinstance(added, Node) and added is not convolution and not writes_elsewhere:
            addition, reader = reader, _only_reader(reader)
    relu = reader if reader is not None and _is_relu(reader, module) else None
    return _Step(convolution, addition, relu)


def _is_plain_convolution(node: Node, module: nn.Module) -> bool:
    """Return whether a node calls a convolution whose arguments oneDNN takes as they are."""
    if node.op != "call_module" or len(node.args) != 1 or node.kwargs:
        return False
    part = module.get_submodule(str(node.target))
    return type(part) is nn.Conv2d and part.padding_mode == "zeros" and not isinstance(part.padding, str)


def _only_reader(node: Node) -> Node | None:
    return next(iter(node.users)) if len(node.users) == 1 else None


def _is_relu(node: Node, module: nn.Module) -> bool:
    if node.op == "call_module":
        return type(module.get_submodule(str(node.target))) is nn.ReLU
    return node.target in _RELUS and len(node.all_input_nodes) == 1


def _may_write(node: Node, module: nn.Module) -> bool:
    """Return whether a node may write into what others read."""
    if node.op == "call_module":
        return getattr(module.get_submodule(str(node.target)), "inplace", False) is not False
    name = node.target if isinstance(node.target, str) else getattr(node.target, "__name__", "_")
    told = "out" in node.kwargs or node.kwargs.get("inplace", False) is not False or True in node.args
    return node.op != "get_attr" and (told or node.target in _IN_PLACE or name.endswith("_"))


def _replace(graph: Graph, step: _Step, module: nn.Module) -> None:
    """Let one node do the work of a step's, in the place of the last of them."""
    name = str(step.convolution.target)
    part: Any = module.get_submodule(name)
    with graph.inserting_before(step.last):
        weight = graph.get_attr(f"{name}.weight")
        bias = None if part.bias is None else graph.get_attr(f"{name}.bias")
        how = (part.padding, part.stride, part.dilation, part.groups)
        arguments = (step.convolution.args[0], step.other, weight, bias, how, step.relu is not None)
        step.last.replace_all_uses_with(graph.call_function(convolved, arguments))
    for node in step.nodes:
        if node is not None:
            graph.erase_node(node)


@cache
def kinds() -> tuple[torch.dtype, ...]:
    """Return the types of tensors that are fused on this processor."""
    if not torch._C._has_mkldnn:
        return ()
    supported: bool = torch.ops.mkldnn._is_mkldnn_bf16_supported()
    return (torch.float32, torch.bfloat16) if supported else (torch.float32,)


How = tuple[tuple[int, int], tuple[int, int], tuple[int, int], int]
"""Padding, stride, dilation and groups of a convolution."""


def convolved(x: Tensor, other: Any, weight: Tensor, bias: Tensor | None, how: How, relu: bool) -> Tensor:
    """Return a convolution of ``x`` plus ``other`` (None: nothing), negative values at 0 where a ReLU follows.

    Inside ``autocast`` in the type that it asks for; as part of a graph where one is recorded.
    """
    kind = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else x.dtype
    if not _is_for_onednn(x, other, weight, how, kind):
        return _one_after_the_other(x, other, weight, bias, how, relu)
    x, weight = x.to(kind), weight.to(kind)
    other, bias = (None if tensor is None else tensor.to(kind) for tensor in (other, bias))
    operation: Any = torch.ops.mkldnn._convolution_pointwise
    if other is None:
        result: Tensor = operation(x, weight, bias, *how, "relu", [], None)
    else:
        result = operation.binary(x, other, weight, bias, *how, "add", 1.0, "relu" if relu else None, [], None)
    return result


def _is_for_onednn(x: Tensor, other: Any, weight: Tensor, how: How, kind: torch.dtype) -> bool:
    """Return whether oneDNN takes these: channels last, of a type and shape that fit, and part of no graph."""
    present = [x, weight] if other is None else [x, weight, other]
    if kind not in kinds() or not all(map(_is_laid_out, present)) or x.is_contiguous():
        return False  # a single channel or pixel lies either way, and PyTorch may then leave oneDNN out
    if torch.is_grad_enabled() and any(one.requires_grad for one in present):
        return False
    if not torch.is_autocast_enabled("cpu") and any(one.dtype != kind for one in present):
        return False
    if other is None or how[3] != 1:  # PyTorch adds to groups of channels in a pass of its own
        return other is None
    sizes = zip(x.shape[2:], weight.shape[2:], *how[:3], strict=True)
    image = [(size + 2 * pad - apart * (kernel - 1) - 1) // step + 1 for size, kernel, pad, step, apart in sizes]
    return list(other.shape) == [len(x), len(weight), *image]


def _is_laid_out(value: Any) -> bool:
    """Return whether a value is a tensor in memory, channels last."""
    is_image = isinstance(value, Tensor) and value.ndim == 4 and value.device.type == "cpu"
    return is_image and value.is_contiguous(memory_format=torch.channels_last)


def _one_after_the_other(x: Tensor, other: Any, weight: Tensor, bias: Tensor | None, how: How, relu: bool) -> Tensor:
    padding, stride, dilation, groups = how
    output = functional.conv2d(x, weight, bias, stride, padding, dilation, groups)
    if other is not None:
        alike = isinstance(other, Tensor) and (output.dtype, output.shape) == (other.dtype, other.shape)
        output = output.add_(other) if alike else output + other
    return output.relu_() if relu else output
