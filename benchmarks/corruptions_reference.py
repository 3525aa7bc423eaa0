"""What the shipped ResNet-20 makes of our corruptions and of the tests' references, with the same draws.

The references are those of ``tests/perturbations/corruptions``: each fidelity test hands its corruption, its reference
and what both draw to a fixture ``agree``, and here that fixture is ours.
"""

from __future__ import annotations

import importlib.util
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import torch
from shipped import resnet20
from torch import Tensor

TESTS = Path(__file__).parent.parent / "tests" / "perturbations" / "corruptions"


def measure(images: tuple[np.ndarray, np.ndarray]) -> None:
    """Print both errors, type by type and severity by severity; images are uint8 (n, h, w, 3) and labels (n,)."""
    levels, labels = images
    x, ids = torch.from_numpy(levels).permute(0, 3, 1, 2).float().div(255).contiguous(), torch.arange(len(levels)) * 7
    network, y, worst = resnet20(), torch.from_numpy(labels), 0.0

    def compare(corruption: Any, reference: Callable[..., Any], _size: int, severity: int, draw: Any = None) -> None:
        nonlocal worst
        fields = [field.numpy() for field in draw(ids, 3)] if draw else []
        made = [reference(image, *(field[n] for field in fields)) for n, image in enumerate(levels)]
        theirs = torch.from_numpy(np.stack(made)).permute(0, 3, 1, 2).float().div(255)
        errors = [error(network, z, y) for z in (theirs, corruption(x, ids, severity, 3))]
        worst = max(worst, abs(errors[1] - errors[0]))
        name = f"{corruption.__name__} {severity}"
        print(f"{name:20} reference {errors[0]:6.2%}, ours {errors[1]:6.2%}", flush=True)

    for module in modules():
        fixtures = {"agree": compare, "size": 32}
        for test in fidelity_tests(module):
            for severity in range(1, 6):
                wanted = inspect.signature(test).parameters
                offered = fixtures | {"severity": severity}
                test(**{name: offered[name] if name in offered else fixture(module, name) for name in wanted})
    print(f"largest difference {100 * worst:.2f} points (goal: at most 0.3)")


def modules() -> Iterator[ModuleType]:
    for path in sorted(TESTS.glob("test_*_fidelity.py")):
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        yield module


def fidelity_tests(module: ModuleType) -> list[Callable[..., None]]:
    found = [thing for name, thing in vars(module).items() if name.startswith("test_")]
    return [test for test in found if {"agree", "size", "severity"} <= set(inspect.signature(test).parameters)]


def fixture(module: ModuleType, name: str) -> Any:
    return vars(module)[name].__wrapped__()


@torch.inference_mode()
def error(network: torch.nn.Module, x: Tensor, y: Tensor) -> float:
    return float(torch.cat([network(part).argmax(1) for part in x.split(500)]).ne(y).double().mean())
