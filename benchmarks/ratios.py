"""How the benchmarks compare: peer and ours in turn, in one process, and the median of the ratios."""

from __future__ import annotations

import gc
import os
import platform
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch


@dataclass(frozen=True)
class Ratio:
    """How many times faster ours is than its peer.

    :param pairs: peer's seconds over ours, one a pair.
    :param peer: median seconds of the peer.
    :param ours: median seconds of ours.
    """

    pairs: tuple[float, ...]
    peer: float
    ours: float

    @property
    def median(self) -> float:
        """The middle one of the pairs' ratios."""
        return statistics.median(self.pairs)

    def __str__(self) -> str:
        return f"{self.median:.2f} ({min(self.pairs):.2f} to {max(self.pairs):.2f})"


def interleaved(peer: Callable[[], Any], ours: Callable[[], Any], pairs: int = 5) -> Ratio:
    """Time both in turn, the first one changing from pair to pair, after one call of each that does not count."""
    peer(), ours()
    times: list[tuple[float, float]] = []
    for number in range(pairs):
        if number % 2:
            mine = seconds(ours)
            times.append((seconds(peer), mine))
        else:
            times.append((seconds(peer), seconds(ours)))
    return Ratio(
        tuple(theirs / mine for theirs, mine in times),
        statistics.median(theirs for theirs, _ in times),
        statistics.median(mine for _, mine in times),
    )


def seconds(work: Callable[[], Any]) -> float:
    """Return how long a call takes, the device's work included."""
    gc.collect()
    synchronise()
    start = time.perf_counter()
    work()
    synchronise()
    return time.perf_counter() - start


def synchronise() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def machine(device: str, *packages: str) -> str:
    """Return versions, the machine, and what it makes of bfloat16, on which every figure in bfloat16 depends."""
    versions = [f"{name} {version(name)}" for name in ("art-weakrobust", "adversarial-robustness-toolbox", *packages)]
    where = f"{platform.machine()}, {torch.get_num_threads()} threads on {os.cpu_count()} cores"
    if torch.device(device).type == "cuda":
        where = f"{torch.cuda.get_device_name()}, {where}"
        abilities = [f"bfloat16 on the GPU: {'yes' if torch.cuda.is_bf16_supported() else 'no'}"]
    else:
        abilities = [f"{name}: {'yes' if able() else 'no'}" for name, able in cpu_abilities().items()]
    lines = [", ".join([*versions, f"torch {torch.__version__}", f"Python {platform.python_version()}"])]
    return "\n".join([*lines, f"{where}; {torch.backends.cpu.get_cpu_capability()}; {', '.join(abilities)}"])


def cpu_abilities() -> dict[str, Callable[[], bool]]:
    """Return the instructions for bfloat16 -> whether this CPU has them."""
    cpu: Any = torch.cpu  # underscored there, and the only place that knows
    asked = {"avx512_bf16": "_is_avx512_bf16_supported", "amx": "_is_amx_tile_supported"}
    return {name: getattr(cpu, function, lambda: False) for name, function in asked.items()}
