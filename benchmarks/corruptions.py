"""Our corruptions against ``imagecorruptions-imaug`` (extra ``bench``), and against their own references.

    ART_WEAKROBUST_DATA=DIR python benchmarks/corruptions.py                   # everything: about an hour
    ART_WEAKROBUST_DATA=DIR python benchmarks/corruptions.py --only small large

- ``small``, ``large``: 15 types x 5 severities on 500 images of 32 px, and on 32 of 224 px. The peer has the constants
  for 224 px alone; ours gets the same ones here.
- ``training``: what a random corruption adds to a training step of ResNet-20 on 128 images of 32 px.
- ``disk``: CIFAR-10-C written, against two processes of the peer on the same images (``--images``), with the peak
  memory of ours.
- ``error``: the error of the shipped ResNet-20 under our corruptions and under the references of the tests, with the
  same draws.
- ``change``: how far our corruptions and the peer's move pixels at 224 px, and how much that varies.

Ratios are medians of interleaved pairs in one process.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import corruptions_on_disk
import corruptions_reference
import imagecorruptions
import numpy as np
import torch
from corruptions_on_disk import SEVERITIES
from ratios import interleaved, machine, seconds
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from art_weakrobust.datasets.folders import folder
from art_weakrobust.datasets.parquet import parquet
from art_weakrobust.perturbations.corruptions.random_corruption import RandomCorruption
from art_weakrobust.plugins.manager import Manager
from art_weakrobust.testing.networks import resnet20_cifar10

_DRAWS = 25  # random corruptions timed at a time
NAMES = imagecorruptions.get_corruption_names("common")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(ROWS), default=list(ROWS))
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--images", type=int, help="instead of 500, 32, 200 (disk) and 2,000 (error)")
    parser.add_argument("--whole", action="store_true", help="measure memory on all 10,000 images (disk)")
    parser.add_argument("--types", nargs="+", default=NAMES)
    arguments = parser.parse_args()
    print(machine("cpu", "imagecorruptions-imaug"))
    for row in arguments.only:
        print(f"\n{row}")
        ROWS[row](arguments)


def small(arguments: argparse.Namespace) -> None:
    speed(cifar(arguments.images or 500), arguments)


def large(arguments: argparse.Namespace) -> None:
    speed(imagenet(arguments.images or 32), arguments)


def speed(levels: np.ndarray, arguments: argparse.Namespace) -> None:
    """Print how many times faster ours is, type by type and in all; ``levels`` are uint8 (n, h, w, 3)."""
    x, ids = tensor(levels), torch.arange(len(levels))
    corruptions_on_disk.with_constants_of_224_px()
    total = np.zeros(2)
    for name, corruption in ours(arguments.types).items():
        ratio = interleaved(
            lambda name=name: [imagecorruptions.corrupt(image, s, name) for s in SEVERITIES for image in levels],
            lambda corruption=corruption: [corruption(x, ids, s, 0) for s in SEVERITIES],
            arguments.pairs,
        )
        total += ratio.peer, ratio.ours
        each = 1000 / len(levels) / len(SEVERITIES)
        print(f"{name:18} {ratio!s:24} {ratio.peer * each:8.3f} ms {ratio.ours * each:8.3f} ms an image", flush=True)
    print(f"{'overall':18} {total[0] / total[1]:.2f}", flush=True)


def training(arguments: argparse.Namespace) -> None:
    x, y = tensor(cifar(128)), torch.arange(128) % 10
    network = resnet20_cifar10().train()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)

    def step() -> None:
        optimizer.zero_grad()
        cross_entropy(network(x), y).backward()
        optimizer.step()

    for per_image in (False, True):
        augment = RandomCorruption(arguments.types, per_image=per_image).train()
        draws = iter(range(10**6))
        for _ in range(25):  # tables are made once
            augment(x, torch.arange(128), next(draws))
        pairs = [(seconds(lambda: [step() for _ in range(5)]), augmented(augment, x, draws)) for _ in range(9)]
        share = np.median([5 * theirs / (_DRAWS * mine) for mine, theirs in pairs])
        what = "for every image" if per_image else "for a batch"
        print(f"a corruption drawn {what}: {share:.1%} of a training step", flush=True)


def augmented(augment: nn.Module, x: Tensor, draws: Iterator[int]) -> float:
    return seconds(lambda: [augment(x, torch.arange(128), next(draws)) for _ in range(_DRAWS)])


def disk(arguments: argparse.Namespace) -> None:
    corruptions_on_disk.measure(arguments.types, arguments.images or 200, whole=arguments.whole)


def error(arguments: argparse.Namespace) -> None:
    corruptions_reference.measure(cifar_with_labels(arguments.images or 2000))


def change(arguments: argparse.Namespace) -> None:
    levels = imagenet(arguments.images or 32)
    x, ids = tensor(levels), torch.arange(len(levels))
    print(f"{'':18} mean of |change| in levels: peer, ours; deviation between pixels: peer, ours (severities 1, 3, 5)")
    for name, corruption in ours(imagecorruptions.get_corruption_names("all")).items():
        cells = []
        for severity in (1, 3, 5):
            made = corruption(x, ids, severity, 0).mul(255).round().permute(0, 2, 3, 1).numpy()
            theirs = np.stack([imagecorruptions.corrupt(image, severity, name) for image in levels])
            moved = [result.astype(float) - levels for result in (theirs, made)]
            cells += [f"{np.abs(m).mean():6.1f}" for m in moved] + [f"({m.std():5.1f})" for m in moved]
        print(f"{name:18} {' '.join(cells)}", flush=True)


def ours(names: list[str]) -> dict[str, Callable[..., Tensor]]:
    manager = Manager(third_party=False)
    return {name: manager.make("corruption", name) for name in names}


def tensor(levels: np.ndarray) -> Tensor:
    return torch.from_numpy(levels).permute(0, 3, 1, 2).float().div(255).contiguous()


def cifar(count: int) -> np.ndarray:
    return cifar_with_labels(count)[0]


def cifar_with_labels(count: int) -> tuple[np.ndarray, np.ndarray]:
    samples = parquet(str(data() / "cifar10"), split="test").take(np.arange(count))
    return np.round(samples.x.transpose(0, 2, 3, 1) * 255).astype(np.uint8), np.asarray(samples.y)


def imagenet(count: int) -> np.ndarray:
    samples = folder(str(data() / "imagenet-sample" / "val"), split="all", crop=224).take(np.arange(count) * 31 % 1000)
    return np.round(samples.x.transpose(0, 2, 3, 1) * 255).astype(np.uint8)


def data() -> Path:
    return Path(os.environ["ART_WEAKROBUST_DATA"])


ROWS = {
    "small": small,
    "large": large,
    "training": training,
    "disk": disk,
    "error": error,
    "change": change,
}

if __name__ == "__main__":
    main()
