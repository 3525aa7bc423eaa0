"""Weights from a file into a module, without running code that the file holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import safetensors
import safetensors.torch
from torch import Tensor, nn

from ..datasets.checks import existing
from ..datasets.downloads import mistaken_for
from ..errors import ModelError
from .unpickling import torch_content

_NESTED = ("state_dict", "model_state_dict", "model")
_PREFIXES = ("module.", "_orig_mod.")  # of DataParallel and torch.compile
_ZIP = b"PK\x03\x04"
_SHOWN = 3


def load_weights(module: nn.Module, path: str | Path, *, allow_unsafe: bool = False) -> None:
    """Copy the weights of a file into a module: every name and shape has to fit.

    :param module: the network itself, without normalisation around it.
    :param path: safetensors, or what ``torch.save`` made of a state dict; see :func:`read_weights`.
    :param allow_unsafe: as for :func:`~art_weakrobust.models.unpickling.torch_content`.
    :raises ModelError: where the file cannot be read, or its names, shapes or values do not fit; the module is then
        as it was.
    """
    fit_weights(module, read_weights(path, allow_unsafe=allow_unsafe), path)


def fit_weights(module: nn.Module, found: Mapping[str, Tensor], path: str | Path) -> None:
    """Copy weights that were read into a module, as :func:`load_weights` does.

    :param path: where they came from, for messages.
    :raises ModelError: where names, shapes or values do not fit.
    """
    wanted = module.state_dict()
    wrong = _misfit(found, wanted)
    if wrong:
        raise ModelError(f"weights {str(path)!r} do not fit {type(module).__name__}: {wrong}")
    broken = [name for name, value in found.items() if value.is_floating_point() and not bool(value.isfinite().all())]
    if broken:
        raise ModelError(f"weights {str(path)!r} hold NaN or infinity in {_first(broken)}; take another checkpoint")
    module.load_state_dict(found, strict=False)


def _misfit(found: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> str:
    # checkpoints older than this buffer lack it; batch norm then starts to count anew
    missing = [name for name in wanted if name not in found and not name.endswith("num_batches_tracked")]
    unexpected = [name for name in found if name not in wanted]
    names = [f"{what} {_first(some)}" for what, some in (("missing", missing), ("unexpected", unexpected)) if some]
    if names:
        return f"{'; '.join(names)}; choose the network they were saved from"
    shapes = [
        f"{name} is {tuple(value.shape)}, expected {tuple(wanted[name].shape)}"
        for name, value in found.items()
        if value.shape != wanted[name].shape
    ]
    return f"{_first(shapes)}; check the number of classes and the widths" if shapes else ""


def read_weights(path: str | Path, *, allow_unsafe: bool = False) -> dict[str, Tensor]:
    """Return the state dict of a file, on the CPU: nested under ``state_dict`` or ``model`` or not, prefixes stripped.

    :param allow_unsafe: as for :func:`~art_weakrobust.models.unpickling.torch_content`; of a whole module the state
        dict is taken.
    :raises ModelError: for a missing, empty or damaged file, an HTML page, a file that holds no state dict, and a
        checkpoint that only unpickling could read, unless that is allowed.
    """
    file = existing(path, "weights", ModelError)
    if file.is_dir():
        raise ModelError(f"weights {str(path)!r} is a folder; name the file in it")
    try:
        if mistake := mistaken_for(file):
            raise ModelError(f"weights {str(path)!r} {mistake}")
        with file.open("rb") as opened:
            head = opened.read(9)
    except OSError as error:
        raise ModelError(f"weights {str(path)!r} cannot be read: {error.strerror or error}") from error
    # the header of safetensors is JSON, behind its length in eight bytes
    return _state_dict(_safetensors(file) if head[8:9] == b"{" else _torch(file, head, allow_unsafe), path)


def _safetensors(file: Path) -> Any:
    try:
        return safetensors.torch.load_file(file)
    except (safetensors.SafetensorError, OSError, ValueError) as error:
        raise ModelError(
            f"weights {str(file)!r} are damaged safetensors: {_line(error)}; download them again"
        ) from error


def _torch(file: Path, head: bytes, allow_unsafe: bool) -> Any:
    if not head.startswith((_ZIP, b"\x80")):
        raise ModelError(
            f"weights {str(file)!r} are neither safetensors nor made by torch.save (they start with {head!r})"
        )
    return torch_content(file, allow_unsafe=allow_unsafe)


def _state_dict(content: Any, path: str | Path) -> dict[str, Tensor]:
    if isinstance(content, nn.Module):
        content = content.state_dict()
    while isinstance(content, Mapping) and (key := next((key for key in _NESTED if key in content), None)):
        if not isinstance(content[key], Mapping):
            break  # a parameter may well be called "model"
        content = content[key]
    if not isinstance(content, Mapping) or not content:
        raise ModelError(f"weights {str(path)!r} hold {_described(content)}, expected a state dict: name -> tensor")
    others = [str(name) for name, value in content.items() if not isinstance(value, Tensor)]
    if others:
        raise ModelError(f"weights {str(path)!r} hold what is no tensor: {_first(others)}; save the state dict alone")
    state = {str(name): value for name, value in content.items()}
    while prefix := next((prefix for prefix in _PREFIXES if all(name.startswith(prefix) for name in state)), None):
        state = {name.removeprefix(prefix): value for name, value in state.items()}
    return state


def _described(content: Any) -> str:
    return "nothing" if isinstance(content, Mapping) else f"a {type(content).__name__}"


def _first(names: Iterable[str]) -> str:
    names = [name if name.isprintable() else repr(name) for name in names]
    rest = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + rest


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0].rstrip(".")
