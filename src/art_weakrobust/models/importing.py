"""``import robustbench`` on a plain ``pip install``: what it asks for and nobody installs stands in for the while.

robustbench 1.1.1 imports ``pkg_resources``, which setuptools no longer has, for one path, and ``autoattack``, which is
not on PyPI, for ``benchmark``. Where the real modules are installed, they are used.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from threading import RLock
from types import ModuleType
from typing import Any

import torch

from ..errors import ModelError

_PINNED = "1.0.9"
"""The timm that robustbench 1.1.1 asks for."""

_ONE_AT_A_TIME = RLock()


def import_robustbench() -> ModuleType:
    """Return robustbench, imported, also where ``import robustbench`` fails; nothing of the stand-ins is left behind.

    :raises ModelError: where it is not installed, another package has overwritten it, or a timm that it was not made
        for breaks it: with the command that mends it.
    """
    with _ONE_AT_A_TIME:
        if "robustbench" not in sys.modules:
            _refuse_overwritten()
            with _standing_in(), torch.random.fork_rng(devices=[]), warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of old names in timm and torch, which its user cannot change
                _import()
        return sys.modules["robustbench"]


def _import() -> None:
    try:
        import robustbench.model_zoo.enums  # noqa: F401
    except (ImportError, AttributeError, TypeError) as error:
        for name in [name for name in sys.modules if name.split(".")[0] == "robustbench"]:
            del sys.modules[name]
        raise ModelError(f"robustbench cannot be imported: {_line(error)}{_timm_hint()}") from error


def _timm_hint() -> str:
    try:
        installed = version("timm")
    except PackageNotFoundError:
        return "; timm is not installed: pip install timm==" + _PINNED
    if installed == _PINNED:
        return "; install it again: pip install --force-reinstall --no-deps robustbench"
    return f"; it was made for timm {_PINNED}, and {installed} is installed: pip install timm=={_PINNED}"


def _refuse_overwritten() -> None:
    """torchattacks ships a robustbench of 2022 under the same name; the newer one's dist-info stays, and says nothing.

    Its list of threat models, read as text, gives it away before anything of it is run.
    """
    found = find_spec("robustbench")
    if found is None or not found.submodule_search_locations:
        raise ModelError("robustbench is not installed; pip install robustbench")
    folder = Path(next(iter(found.submodule_search_locations)))
    enums = folder / "model_zoo" / "enums.py"
    if not enums.is_file() or "corruptions_3d" not in enums.read_text(encoding="utf-8"):
        raise ModelError(
            f"robustbench in {str(folder)!r} is not the one that was installed: torchattacks brings an old copy that "
            "overwrites it; pip uninstall -y torchattacks, then pip install --force-reinstall --no-deps robustbench"
        )


@contextmanager
def _standing_in() -> Iterator[None]:
    stubs: dict[str, ModuleType] = {}
    if "pkg_resources" not in sys.modules and find_spec("pkg_resources") is None:
        stubs["pkg_resources"] = _module("pkg_resources", resource_filename=_beside)
    if "autoattack" not in sys.modules and find_spec("autoattack") is None:
        from pyautoattack import state

        stubs["autoattack.state"] = state
        stubs["autoattack"] = _module("autoattack", AutoAttack=AutoAttack, state=state, __path__=[])
    sys.modules.update(stubs)
    try:
        yield
    finally:
        for name in stubs:
            sys.modules.pop(name, None)  # robustbench has its own references


def _module(name: str, **attributes: Any) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(attributes)
    return module


def _beside(module: str, name: str) -> str:
    """Return the path of a file beside a module, as ``pkg_resources.resource_filename`` does."""
    return str(Path(str(sys.modules[module].__file__)).parent / name)


class AutoAttack:
    """pyautoattack's AutoAttack under the names of arguments that ``robustbench.benchmark`` uses.

    :param model: pixels in, logits out.
    :param kwargs: ``norm, eps, seed, version, device``; ``log_path`` and ``verbose`` have nothing to say here.
    """

    def __init__(self, model: Any, **kwargs: Any) -> None:
        from pyautoattack import AutoAttack as Original

        taken = {name: kwargs[name] for name in ("norm", "eps", "seed", "version", "device") if name in kwargs}
        self._attack: Any = Original(model, **taken)

    def run_standard_evaluation(self, x: Any, y: Any, bs: int = 250, state_path: Any = None) -> Any:
        """Return the adversarial images alone."""
        return self._attack.run_standard_evaluation(x, y, batch_size=bs, state_path=state_path)[0]


def _line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0].rstrip(".")
