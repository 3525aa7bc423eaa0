"""What exactly ran: versions, fingerprints, and how to say it in a report. No host names, no user names."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from hashlib import blake2b
from importlib.metadata import PackageNotFoundError, version
from operator import itemgetter
from typing import Any

import torch

from ..estimators.judge import module_of
from ..protocols import Dataset, Estimator

_PACKAGES = ("art-weakrobust", "adversarial-robustness-toolbox", "torch", "torchvision", "numpy", "pyarrow", "scipy")


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that decide the figures."""
    found = {"python": platform.python_version()}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def model_fingerprint(estimator: Estimator) -> str:
    """Return a hash of the weights and buffers, or the name of the class for a black box."""
    module = module_of(estimator)
    if module is None:
        return type(estimator).__name__
    state = blake2b(digest_size=16)
    for name, tensor in sorted([*module.named_parameters(), *module.named_buffers()], key=itemgetter(0)):
        values = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        state.update(f"{name}{tensor.dtype}{tuple(tensor.shape)}".encode())
        state.update(values.numpy().tobytes())
    return state.hexdigest()


def data_fingerprint(data: Dataset) -> str:
    """Return the data set's own fingerprint, or its length where it has none."""
    fingerprint = getattr(data, "fingerprint", None)
    return str(fingerprint()) if callable(fingerprint) else f"{type(data).__name__} of {len(data)}"


def plan_of(estimator: Estimator) -> dict[str, Any]:
    """Return the execution plan that the estimator follows; results are bitwise the same for the same plan."""
    plan: Mapping[str, Any] = getattr(estimator, "plan", {})
    return dict(plan)


def follow(estimator: Any, plan: Mapping[str, Any]) -> None:
    """Let an estimator follow an execution plan that was recorded; a black box records none and has none to follow."""
    if plan_of(estimator) != plan:
        estimator.plan = dict(plan)
