"""How fast samples come from parquet, and how much memory that takes.

    python benchmarks/loading.py            # CIFAR-10's 50,000 PNGs, below ART_WEAKROBUST_DATA
    python benchmarks/loading.py --only speed | memory

Speed is iterating the training split without a model, against two bare threads that only decode the same bytes (with
Pillow, and with torchvision, which does not survive a damaged PNG), five interleaved rounds, medians. Memory is the
peak of a process of its own that iterates 5,000 or all 50,000 images, medians of three, ``MALLOC_ARENA_MAX=2``.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import PIL
from PIL import Image

from art_weakrobust.datasets.parquet import parquet

ROUNDS, FEW, CHUNK = 5, 5000, 512


def main() -> None:
    """Print both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["speed", "memory"])
    parser.add_argument("--iterate", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.iterate:
        iterate(arguments.iterate)
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (1 if sys.platform == "linux" else 1024))
        return
    print(f"Pillow {PIL.__version__}, {os.cpu_count()} cores")
    if arguments.only != "memory":
        speed()
    if arguments.only != "speed":
        memory()


def root() -> str:
    """Return where the parquet files are."""
    return str(Path(os.environ["ART_WEAKROBUST_DATA"]) / "cifar10")


def iterate(limit: int | None = None) -> int:
    """Iterate over the first images of the training split, and return how many there were."""
    data = parquet(root())
    ids = None if limit is None else np.arange(min(limit, len(data)))
    return sum(len(samples) for samples in data.chunks(CHUNK, ids))


def by_pillow(data: bytes) -> None:
    """Decode with Pillow."""
    Image.open(BytesIO(data)).load()


def by_torchvision() -> Callable[[bytes], None]:
    """Return a function that decodes with torchvision, imported here: its memory is not ours."""
    import torch
    from torchvision.io import ImageReadMode, decode_png

    warnings.simplefilter("ignore", DeprecationWarning)

    def decode(data: bytes) -> None:
        decode_png(torch.frombuffer(bytearray(data), dtype=torch.uint8), ImageReadMode.RGB)

    return decode


def in_two_threads(decode: Callable[[bytes], None], data: list[bytes]) -> None:
    """Decode everything in two threads, and keep nothing."""
    threads = [threading.Thread(target=lambda part=data[i::2]: [decode(item) for item in part]) for i in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def speed() -> None:
    """Print images a second, ours and of bare threads."""
    whole, torchvision = parquet(root()), by_torchvision()
    data = whole._encoded(np.arange(len(whole)))
    candidates: dict[str, Callable[[], object]] = {
        "ours, to float32 batches": iterate,
        "two bare threads, Pillow": lambda: in_two_threads(by_pillow, data),
        "two bare threads, torchvision": lambda: in_two_threads(torchvision, data),
    }
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(ROUNDS):
        for name, work in candidates.items():
            start = time.perf_counter()
            work()
            seconds[name].append(time.perf_counter() - start)
    ours = seconds["ours, to float32 batches"]
    for name, taken in seconds.items():
        ratio = statistics.median(other / own for other, own in zip(taken, ours, strict=True))
        print(f"{name:32} {len(whole) / statistics.median(taken):8.0f} images/s   ours / this: {ratio:.2f}")


def memory() -> None:
    """Print the peak memory of processes that iterate over few and over all images."""
    peaks = {}
    for limit in (FEW, 50_000):
        command = [sys.executable, __file__, "--iterate", str(limit)]
        environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
        runs = [subprocess.run(command, env=environment, capture_output=True, text=True, check=True) for _ in range(3)]
        peaks[limit] = statistics.median(int(run.stdout) for run in runs)
        print(f"{limit:6d} images: peak {peaks[limit] / 1024:.0f} MiB")
    print(f"ratio {peaks[50_000] / peaks[FEW]:.2f}")


if __name__ == "__main__":
    main()
