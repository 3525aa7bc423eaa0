"""Models of the user's own: ``python:MODULE:FACTORY``, imported because the user named it, and only then."""

from __future__ import annotations

import importlib
import inspect
import os
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from ..errors import ModelError, UsageError, nearest
from ..protocols import ModelInfo
from .drawing import own_generator
from .normalise import inner, normalised
from .weights import load_weights


def python(
    argument: str,
    *,
    weights: str | Path | None = None,
    mean: Sequence[float] | str | None = None,
    std: Sequence[float] | str | None = None,
    allow_unsafe: bool = False,
) -> tuple[Any, ModelInfo]:
    """Return what a factory without arguments returns: an ``nn.Module`` in eval mode, or a callable, a black box.

    The current directory is on the path. The factory runs with torch's CPU generator at a fixed seed, and the global
    one is left as it was, so that a network without weights is the same each time.

    :param argument: ``MODULE:FACTORY``, as in ``mypackage.nets:resnet``.
    :param weights: file to load into the module, see :func:`~art_weakrobust.models.weights.load_weights`.
    :param mean: values a channel that are put inside the model, with ``std``.
    :param allow_unsafe: read weights that need unpickling, which runs code that they hold.
    :raises ModelError: where module or factory are missing or fail, or what is returned is neither.
    :raises UsageError: for an argument, mean or std of another form.
    """
    module = _made(_factory(argument), argument)
    if not isinstance(module, nn.Module):
        if (weights, mean, std) != (None, None, None):
            raise UsageError(f"model 'python:{argument}' is a black box: weights, mean and std cannot be put into it")
        return module, ModelInfo(name=f"python:{argument}", gradients=False)
    if weights is not None:
        load_weights(inner(module), weights, allow_unsafe=allow_unsafe)
    return normalised(module, mean, std).eval(), ModelInfo(name=f"python:{argument}")


def _factory(argument: str) -> Any:
    module_name, _, path = argument.partition(":")
    if module_name.endswith(".py") or "/" in module_name:
        name = Path(module_name).with_suffix("").as_posix().strip("./").replace("/", ".")
        raise UsageError(f"model 'python:{argument}' names a file; name the module: python:{name}:{path or 'FACTORY'}")
    if not all(part.isidentifier() for part in [*module_name.split("."), *path.split(".")]):
        raise UsageError(f"model 'python:{argument}' has to read python:MODULE:FACTORY, as in python:mynets:resnet")
    value: Any = _imported(module_name)
    for part in path.split("."):
        if not hasattr(value, part):
            known = [name for name in dir(value) if not name.startswith("_")]
            hint = nearest(part, known) or f"; it has: {', '.join(known[:8]) or 'nothing public'}"
            raise ModelError(f"model 'python:{argument}': {module_name} has no {part!r}{hint}")
        value = getattr(value, part)
    return value


def _imported(name: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    importlib.invalidate_caches()
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and f"{name}.".startswith(f"{error.name}."):
            raise ModelError(
                f"model: there is no module {error.name!r} here or among the installed ones"
                f"{nearest(error.name, _beside(error.name)) or '; run from the folder that holds it'}"
            ) from error
        raise ModelError(f"model: module {name!r} needs {error.name!r}, which is not installed; install it") from error
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # a module may raise anything at import, SystemExit included; it is told, not hidden
        raise ModelError(f"model: import of {name!r} failed: {_line(error)}") from error


def _beside(name: str) -> list[str]:
    """Return full names of the modules that could have been meant: those of the parent package, or of this folder."""
    parent, _, _ = name.rpartition(".")
    paths = list(getattr(sys.modules.get(parent), "__path__", [])) if parent else [os.getcwd()]
    return [f"{parent}.{module.name}" if parent else module.name for module in pkgutil.iter_modules(paths)]


def _made(factory: Any, argument: str) -> Any:
    if not callable(factory) or (isinstance(factory, nn.Module)):
        kind = "a module already" if isinstance(factory, nn.Module) else f"a {type(factory).__name__}"
        raise ModelError(f"model 'python:{argument}' is {kind}, expected a function that returns an nn.Module")
    required = _required_arguments(factory)
    if required:
        raise ModelError(
            f"model 'python:{argument}' needs the arguments {', '.join(required)}; name a function without any, "
            "which calls it with the ones you want"
        )
    try:
        with own_generator():
            made = factory()
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # as at import: the user's own code failed, and the cause is shown
        raise ModelError(f"model 'python:{argument}' failed: {_line(error)}") from error
    if not callable(made) or isinstance(made, type):
        raise ModelError(
            f"model 'python:{argument}' returned a {type(made).__name__}, expected an nn.Module (or, for --estimator "
            "black-box, a callable)"
        )
    return made


def _required_arguments(factory: Any) -> list[str]:
    try:
        parameters = inspect.signature(factory).parameters.values()
    except (TypeError, ValueError):
        return []  # some callables written in C tell nothing; calling them will
    variadic = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    return [p.name for p in parameters if p.default is p.empty and p.kind not in variadic]


def _line(error: BaseException) -> str:
    text = str(error).strip().split("\n")[0]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
