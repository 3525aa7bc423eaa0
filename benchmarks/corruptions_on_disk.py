"""CIFAR-10-C written to disk, by ``corrupt`` and by two processes of imagecorruptions, each in processes of its own.

    python benchmarks/corruptions_on_disk.py ours|peer COUNT OUT       # what ``corruptions.py --only disk`` runs

Both get the peer's constants, those for 224 px: the same work.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import imagecorruptions
import numpy as np

SEVERITIES, PROCESSES, ALL = (1, 2, 3, 4, 5), 2, 10_000


def measure(names: list[str], count: int, whole: bool) -> None:
    """Print the time of both for the first test images, and our peak memory there or on all of them."""
    with tempfile.TemporaryDirectory() as folder:
        times = {who: child(who, count, Path(folder) / who, names)[0] for who in ("peer", "ours")}
        ratio = times["peer"] / times["ours"]
        print(f"{count} images: peer {times['peer']:.1f} s, ours {times['ours']:.1f} s: {ratio:.2f}", flush=True)
        took, peak = child("ours", ALL if whole else 5 * count, Path(folder) / "memory", names)
        print(f"{ALL if whole else 5 * count} images, ours: {took:.0f} s, peak memory {peak / 1e6:.2f} GB", flush=True)


def child(who: str, count: int, out: Path, names: list[str]) -> tuple[float, float]:
    """Return the seconds that reading and writing took, the package's imports included, and the peak memory in kB."""
    done = subprocess.run(
        [sys.executable, __file__, who, str(count), str(out), *names], check=True, capture_output=True, text=True
    )
    took, peak = done.stdout.split()[-2:]
    return float(took), float(peak)


def ours(count: int, out: Path, names: list[str]) -> None:
    from art_weakrobust.datasets.parquet import parquet
    from art_weakrobust.perturbations.corruptions.stored.writing import write_set
    from art_weakrobust.plugins.manager import Manager

    with_constants_of_224_px()
    manager = Manager(third_party=False)
    data = parquet(str(cifar()), split="test", limit=count)
    write_set(data, out, {name: manager.make("corruption", name) for name in names})


def with_constants_of_224_px() -> None:
    """Let images of any size have the constants that the peer has."""
    from art_weakrobust.perturbations.corruptions import constants

    large = {name: dict.fromkeys(sets, sets[constants.LARGE]) for name, sets in constants.CONSTANTS.items()}
    constants.CONSTANTS = large  # type: ignore[assignment]


def peer(count: int, out: Path, names: list[str]) -> None:
    from art_weakrobust.datasets.parquet import parquet

    samples = parquet(str(cifar()), split="test").take(np.arange(count))
    levels = np.round(samples.x.transpose(0, 2, 3, 1) * 255).astype(np.uint8)
    out.mkdir()
    with ProcessPoolExecutor(PROCESSES) as pool:
        for name in names:
            parts = [(part, severity, name) for severity in SEVERITIES for part in np.array_split(levels, PROCESSES)]
            np.save(out / f"{name}.npy", np.concatenate(list(pool.map(corrupted, parts))))
    np.save(out / "labels.npy", np.tile(samples.y, len(SEVERITIES)))


def corrupted(work: tuple[np.ndarray, int, str]) -> np.ndarray:
    levels, severity, name = work
    return np.stack([imagecorruptions.corrupt(image, severity, name) for image in levels])


def cifar() -> Path:
    return Path(os.environ["ART_WEAKROBUST_DATA"]) / "cifar10"


if __name__ == "__main__":
    who, count, out, *names = sys.argv[1:]
    start = time.perf_counter()
    {"ours": ours, "peer": peer}[who](int(count), Path(out), names)
    took = time.perf_counter() - start
    print(took, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
