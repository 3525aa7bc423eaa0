"""The precision of arithmetic: exactly float32 for whoever judges, and bfloat16 where a search may be approximate."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from ..errors import ModelError

PRECISIONS = ("float32", "bfloat16", "auto")

_AUTOCAST_DEVICES = ("cpu", "cuda")


def native_precision(device: torch.device) -> str:
    """Return ``bfloat16`` where the processor multiplies it natively, else ``float32``.

    That is AVX512-BF16 or AMX on a CPU, and compute capability 8.0 on a GPU.
    """
    if device.type == "cuda":
        return "bfloat16" if torch.cuda.get_device_capability(device) >= (8, 0) else "float32"
    if device.type != "cpu":
        return "float32"
    # private names of torch.cpu, missing in some versions: then nothing is known, and float32 is right everywhere
    known = (getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"))
    return "bfloat16" if any(asked is not None and asked() for asked in known) else "float32"


def precision_on(device: torch.device, precision: str) -> str:
    """Return ``float32`` or ``bfloat16`` for what was asked for.

    :param precision: one of these, or ``"auto"``, see :func:`native_precision`.
    :raises ModelError: for anything else.
    """
    if precision not in PRECISIONS:
        raise ModelError(f"precision {precision!r} is not known; use one of {', '.join(PRECISIONS)}")
    return native_precision(device) if precision == "auto" else precision


def _fine_switches() -> list[Any]:
    """Return the owners of PyTorch's ``fp32_precision`` (since 2.9) that its older switches stand for."""
    backends: Any = torch.backends
    if not hasattr(backends.cuda.matmul, "fp32_precision"):
        return []
    of_gpu = [backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn]
    return [*of_gpu, backends.mkldnn.matmul, backends.mkldnn.conv, backends.mkldnn.rnn]


def _coarse_switches() -> tuple[str, bool] | None:
    """Return the older switches, or None where the user set the newer ones, which PyTorch then forbids to mix."""
    try:
        return torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    except RuntimeError:
        return None


def _set_coarse_switches(matmul: str, cudnn: bool) -> None:
    torch.set_float32_matmul_precision(matmul)
    torch.backends.cudnn.allow_tf32 = cudnn


@contextmanager
def _full_precision() -> Iterator[None]:
    fine = _fine_switches()
    values = [owner.fp32_precision for owner in fine]
    coarse = _coarse_switches()
    try:
        if coarse is not None:
            _set_coarse_switches("highest", False)
        for owner in fine:
            if owner.fp32_precision not in ("none", "ieee"):
                owner.fp32_precision = "ieee"
        yield
    finally:
        if coarse is not None:
            _set_coarse_switches(*coarse)
        for owner, value in zip(fine, values, strict=True):
            if owner.fp32_precision != value:
                owner.fp32_precision = value


@contextmanager
def exact_float32() -> Iterator[None]:
    """Compute float32 in float32: autocast, TF32 and bfloat16 matrix products are off inside, restored afterwards."""
    with ExitStack() as stack:
        for device in _AUTOCAST_DEVICES:
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(_full_precision())
        yield
