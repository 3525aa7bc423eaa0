"""What the contract checks of all kinds share: things by their spec, generators watched, and what an assertion says."""

from __future__ import annotations

import pickle
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from ..plugins import Spec, hookimpl
from ..plugins.manager import Manager

CHECKED = "checked"
"""Name under which the thing is registered while it is checked: a built-in may have its own name."""

CLASSES, SHAPE = 4, (1, 8, 8)
"""Of the small network that everything is checked on."""


def host(kind: str, spec: Spec) -> Manager:
    """Return a plugin host that knows the thing under the name :data:`CHECKED`."""

    def register() -> list[Spec]:
        return [replace(spec, name=CHECKED)]

    register.__name__ = f"weakrobust_register_{kind}s"
    plugin = type("CheckedPlugin", (), {register.__name__: staticmethod(hookimpl(register))})
    return Manager([plugin()], third_party=False)


def claim(true: bool, sentence: str) -> None:
    """Raise an assertion with a sentence for the author of a plugin, whatever Python's ``-O`` says."""
    if not true:
        raise AssertionError(sentence)


def check_picklable(spec: Spec, kind: str) -> None:
    """Hold a spec to survive a pickle: workers are handed specs, and build the thing themselves."""
    try:
        again = pickle.loads(pickle.dumps(spec))
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise AssertionError(
            f"{kind} {spec.name!r} cannot be pickled ({error}): make its target a function or class of a module, or "
            f"write 'package.module:attribute'"
        ) from error
    claim(again.name == spec.name, f"{kind} {spec.name!r} is another thing after a pickle")


def generators() -> dict[str, bytes]:
    """Return the state of the global generators, by name."""
    return {
        "random": repr(random.getstate()).encode(),
        "numpy.random": pickle.dumps(np.random.get_state()),
        "torch": torch.get_rng_state().numpy().tobytes(),
    }


@contextmanager
def untouched_generators(who: str) -> Iterator[None]:
    """Hold a block to leave the global generators as they were."""
    before = generators()
    yield
    for name, state in generators().items():
        claim(
            state == before[name],
            f"{who} changes the global state of {name}: draw from a generator of its own, made from its seed",
        )


def images(n: int, seed: int = 0) -> np.ndarray:
    """Return float32 (n, 1, 8, 8) in [0, 1]."""
    return np.random.default_rng(seed).random((n, *SHAPE), np.float32)


def state_of(module: Any) -> dict[str, Any]:
    """Return copies of weights and buffers, the training flags, and which weights are frozen."""
    flags = {f"training of {name or 'the model'}": part.training for name, part in module.named_modules()}
    flags |= {f"requires_grad of {name}": weight.requires_grad for name, weight in module.named_parameters()}
    return {**{name: value.clone() for name, value in module.state_dict().items()}, **flags}


def same_state(a: dict[str, Any], b: dict[str, Any]) -> str | None:
    """Return the first name that differs, or None."""
    for name, value in a.items():
        other = b.get(name)
        equal = torch.equal(value, other) if isinstance(value, torch.Tensor) and other is not None else value == other
        if not equal:
            return name
    return None
