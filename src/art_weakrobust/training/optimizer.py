"""The optimizer of fine-tuning: the classifier's own where it has one, otherwise the recipe's; and its rate."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import SGD, Optimizer

from ..errors import TrainingError
from .recipe import Recipe


def optimizer_of(classifier: Any, module: nn.Module, recipe: Recipe) -> Optimizer:
    """Return the classifier's optimizer, or SGD as the recipe says, with decay on weights alone.

    :param classifier: an ART ``PyTorchClassifier``; its optimizer's class, groups and rates are used as they are.
    :param module: the network to be trained.
    :raises TrainingError: where there is nothing to train, or the optimizer belongs to another network.
    """
    trained = [weight for weight in module.parameters() if weight.requires_grad]
    if not trained:
        raise TrainingError("classifier: no weight of the model requires a gradient; call model.requires_grad_(True)")
    given: Optimizer | None = classifier.optimizer
    if given is None:
        groups = [
            {"params": [w for w in trained if w.dim() > 1], "weight_decay": recipe.weight_decay},
            {"params": [w for w in trained if w.dim() <= 1], "weight_decay": 0.0},
        ]
        groups = [group for group in groups if group["params"]]
        return SGD(groups, lr=recipe.learning_rate, momentum=recipe.momentum, nesterov=recipe.momentum > 0)
    known = {id(weight) for weight in module.parameters()}
    if not any(id(weight) in known for group in given.param_groups for weight in group["params"]):
        raise TrainingError(
            f"classifier: its optimizer ({type(given).__name__}) holds no weight of its model; make it "
            "from model.parameters()"
        )
    return given


def describe(optimizer: Optimizer) -> dict[str, Any]:
    """Return the class of an optimizer and the plain settings of its groups, for the record of a run."""
    groups = [
        {key: value for key, value in group.items() if isinstance(value, bool | int | float | str | tuple | None)}
        | {"weights": len(group["params"])}
        for group in optimizer.param_groups
    ]
    return {"class": type(optimizer).__name__, "groups": groups}


@contextmanager
def lent(optimizer: Optimizer) -> Iterator[list[float]]:
    """Lend an optimizer to a block, which gets the rate of each group; settings and state are put back after it.

    The weights that remain are averaged and interpolated, so that the state of the last step is none of theirs.
    """
    before = copy.deepcopy(optimizer.state_dict())
    try:
        yield [float(group["lr"]) for group in optimizer.param_groups]
    finally:
        optimizer.zero_grad(set_to_none=True)
        optimizer.load_state_dict(before)


def set_rate(optimizer: Optimizer, peaks: list[float], share: float) -> float:
    """Set every group to ``share`` of its peak rate, and return that of the first."""
    for group, peak in zip(optimizer.param_groups, peaks, strict=True):
        group["lr"] = peak * share
    return peaks[0] * share


def state_tensors(optimizer: Optimizer) -> dict[str, Tensor]:
    """Return the state as tensors named ``NUMBER.NAME``, on the CPU; numbers become tensors without a dimension.

    :raises TrainingError: for state of another kind, which no safetensors file can hold.
    """
    tensors: dict[str, Tensor] = {}
    for number, state in optimizer.state_dict()["state"].items():
        for name, value in state.items():
            if value is None:
                continue
            if not isinstance(value, Tensor | int | float):
                raise TrainingError(
                    f"classifier: its optimizer ({type(optimizer).__name__}) keeps {name!r} as {type(value).__name__}, "
                    "which cannot be stored; leave checkpoint_dir out or use another optimizer"
                )
            tensors[f"{number}.{name}"] = torch.as_tensor(value).detach().to("cpu", copy=True).contiguous()
    return tensors


def load_state(optimizer: Optimizer, tensors: dict[str, Tensor]) -> None:
    """Put back what :func:`state_tensors` gave."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
