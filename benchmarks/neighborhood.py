"""Neighborhood scoring against the plain forward pass, REVa's loop, and itself in full.

    ART_WEAKROBUST_DATA=DIR python benchmarks/neighborhood.py                 # all: about an hour on two cores
    ART_WEAKROBUST_DATA=DIR python benchmarks/neighborhood.py --only speed --quick
    ART_WEAKROBUST_DATA=DIR python benchmarks/neighborhood.py --only sets --keep FOLDER
    ART_WEAKROBUST_DATA=DIR python benchmarks/neighborhood.py --only sets --samples 50000 --way "both screens"

``speed`` prints ratios, medians of interleaved pairs: exhaustive scoring against a bare forward pass of the same
network in the same format, precision and batch size, in one process; exhaustive and screened scoring against a loop
over instances as REVa's reference code has it (Nuhu et al., arXiv 2509.19197), in a process of its own, new for every
pair, since ours keeps freed memory for the whole process, which would make the loop faster. ``sets`` screens CIFAR-10's
first training images at m = 50 and radius 8/255, on the standard and the robust checkpoint, and holds the weak set
against that of the exhaustive float32 run; forwards are counted exactly. With ``--keep`` rows are kept in a folder, so
that a run that is stopped goes on; seconds are then of the last part alone. The loop is timed on a few samples right
before and after, and scaled. Needs the CIFAR-10 parquet files, and the checkpoints in ``DIR/models``.
"""

from __future__ import annotations

import argparse
import os
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ratios import Ratio, Side, apart, interleaved, machine, seconds, serve
from shipped import resnet20
from torch import Tensor, nn
from torchvision.transforms.functional import normalize, to_tensor

from art_weakrobust.analysis.neighborhood import neighborhood
from art_weakrobust.analysis.neighborhood_draws import NeighborRows
from art_weakrobust.analysis.neighborhood_source import Uniform
from art_weakrobust.datasets.parquet import parquet
from art_weakrobust.datasets.subset import part
from art_weakrobust.estimators.judge import exact_float32
from art_weakrobust.estimators.plan import arranged
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.execution.serial import SerialMap
from art_weakrobust.models.normalise import inner
from art_weakrobust.protocols import Dataset
from art_weakrobust.results import SCORES, Samples, Scores
from art_weakrobust.selection import select
from art_weakrobust.store import Parts

STANDARD, ROBUST = "resnet20_cifar10", "resnet20_cifar10_robust"
RADIUS, NEIGHBORS, BATCH, LOOPED = 8 / 255, 50, 128, 256
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
WAYS = {"exhaustive": "float32", "in bfloat16": "bfloat16", "candidates": "float32", "both screens": "bfloat16"}
PLANS: dict[str, dict[str, Any]] = {
    "default": {"streams": 1, "compile": False},
    "streams": {"streams": torch.get_num_threads(), "compile": False},
    "compiled": {"streams": 1, "compile": True},
}
"""What follows from device and model; what ``tune()`` may find faster; what it may find with ``compile=True``."""


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=("speed", "sets"), help="may be repeated; both by default")
    parser.add_argument("--checkpoint", action="append", choices=(STANDARD, ROBUST), help="both by default")
    parser.add_argument("--samples", type=int, default=10_000, help="of the sets")
    parser.add_argument("--neighbors", type=int, default=NEIGHBORS, help="of each sample of the sets")
    parser.add_argument(
        "--way", action="append", choices=tuple(WAYS), help="of the sets; may be repeated; all by default"
    )
    parser.add_argument(
        "--plan", action="append", choices=tuple(PLANS), help="may be repeated; of the speed all by default"
    )
    parser.add_argument("--quick", action="store_true", help="1,000 samples in the sets, one pair a ratio")
    parser.add_argument("--keep", type=Path, help="folder of rows that were scored")
    parser.add_argument("--loop", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    data = parquet(os.environ["ART_WEAKROBUST_DATA"] + "/cifar10", split="train")
    if arguments.loop:
        loop = partial(per_instance, inner(resnet20(STANDARD)), data.take(np.arange(arguments.loop)))
        serve({"ready": bool, "loop": loop, "kept": bool})
        return
    print(machine("cpu"))
    if "speed" in (arguments.only or ("speed",)):
        samples = data.take(np.arange(128 if arguments.quick else 512))
        speed(samples, arguments.plan or [*PLANS], pairs=1 if arguments.quick else 3)
    if "sets" in (arguments.only or ("sets",)):
        some = part(data, limit=1_000 if arguments.quick else arguments.samples)
        for checkpoint in arguments.checkpoint or (STANDARD, ROBUST):
            for plan in arguments.plan or ("default",):
                sets(checkpoint, some, arguments.neighbors, arguments.way or [*WAYS], plan, arguments.keep)


def classifier(checkpoint: str) -> FastPyTorchClassifier:
    return FastPyTorchClassifier(
        model=resnet20(checkpoint),
        loss=nn.CrossEntropyLoss(),
        input_shape=(3, 32, 32),
        nb_classes=10,
        clip_values=(0, 1),
        device_type="cpu",
    )


def speed(samples: Samples, plans: list[str], pairs: int) -> None:
    """Print how fast neighbors are drawn and judged."""
    estimator = classifier(STANDARD)
    print(f"{len(samples)} images x {NEIGHBORS} neighbors, batches of {BATCH}")
    print("| what | against | ratio | goal | neighbors a second, peer and ours |\n|---|---|---|---|---|")
    for plan in plans:
        estimator.set_plan(**PLANS[plan])
        for way, precision, goal in (("exhaustive", "float32", 2.7), ("screened in bfloat16", "bfloat16", 4.5)):
            what = f"{way}, {plan}"
            rows = NeighborRows(source=Uniform(radius=RADIUS), last=NEIGHBORS, batch_size=BATCH, precision=precision)
            ours = partial(rows, estimator, samples)
            plain = interleaved(partial(forward, estimator, samples, precision), ours, pairs)
            told(what, f"plain forward, {precision}", plain, len(samples), 0.95 if precision == "float32" else None)
            loop = apart([__file__, f"--loop={len(samples)}"], "loop", ours, pairs)
            told(what, "REVa's loop", loop, len(samples), goal)


def told(what: str, peer: str, ratio: Ratio, samples: int, goal: float | None) -> None:
    count = samples * NEIGHBORS
    rates = f"{count / ratio.peer:,.0f}, {count / ratio.ours:,.0f}"
    print(f"| {what} | {peer} | {ratio} | {goal or ''} | {rates} |", flush=True)


def forward(estimator: FastPyTorchClassifier, samples: Samples, precision: str) -> None:
    """Ask about as many images as there are neighbors, made beforehand: nothing but the network."""
    x = arranged(torch.from_numpy(samples.x[:BATCH]), estimator.plan)
    with exact_float32(), torch.no_grad():
        count = len(samples) * NEIGHBORS
        estimator.each(lambda part: estimator.predict_tensor(x[: part.stop - part.start], precision), count, BATCH)


class Neighborhoods(torch.utils.data.Dataset[tuple[Tensor, int]]):
    """What the workers of REVa's reference make of a sample: 50 neighbors, one by one through uint8."""

    def __init__(self, samples: Samples) -> None:
        self.x, self.y = torch.from_numpy(samples.x), samples.y.tolist()

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        x, stack = self.x[index], torch.empty(NEIGHBORS, *self.x.shape[1:])
        for number in range(NEIGHBORS):
            moved = (x + torch.empty_like(x).uniform_(-RADIUS, RADIUS)).clamp_(0, 1)
            stack[number] = normalize(to_tensor((moved.permute(1, 2, 0).numpy() * 255).astype(np.uint8)), MEAN, STD)
        return stack, self.y[index]


def per_instance(network: nn.Module, samples: Samples) -> list[float]:
    """Score as REVa's reference does: neighbors by four workers, 64 images at a time, one forward pass an image."""
    scores, loader = [], torch.utils.data.DataLoader(Neighborhoods(samples), batch_size=64, num_workers=4)
    with torch.no_grad():
        for stacks, labels in loader:
            for stack, label in zip(stacks, labels, strict=True):
                total = 0.0
                for row in network(stack).softmax(1):
                    confidence, prediction = row.max(0)
                    total += 0.0 if prediction.item() == label.item() else confidence.item()
                scores.append(total / NEIGHBORS)
    return scores


def loop_seconds(samples: int) -> float:
    """Return how long REVa's loop takes for one sample, in a process of its own, its first call apart."""
    peer = Side(__file__, f"--loop={samples}")
    peer("ready"), peer("loop")
    taken = seconds(lambda: peer("loop"))
    peer.close()
    return taken / samples


def sets(checkpoint: str, data: Dataset, neighbors: int, ways: list[str], plan: str, keep: Path | None) -> None:
    """Print what each way of scoring spends, how long it takes, and how its weak set agrees with the exhaustive one."""
    estimator = classifier(checkpoint)
    estimator.set_plan(**PLANS[plan])
    print(f"\n{checkpoint}, {len(data):,} samples x {neighbors}, radius 8/255, plan {plan}")
    print(
        "| way | forwards, share of all | seconds | REVa's loop | looks | bound on missed | Jaccard | flips left out |"
    )
    print("|---|---|---|---|---|---|---|---|")
    whole: Scores | None = None
    for way in (way for way in WAYS if way in ways):
        precision = WAYS[way]
        screen = way in ("candidates", "both screens")
        scorer = neighborhood(RADIUS, neighbors=neighbors, precision=precision, first_order=False, screen=screen)
        folder = None if keep is None else keep / f"{checkpoint}-{len(data)}x{neighbors}-{plan}-{way.replace(' ', '-')}"
        over = SerialMap(None if folder is None else Parts(folder, "score", SCORES))
        before = loop_seconds(LOOPED)
        start = time.perf_counter()
        scores = scorer(estimator, data, over)
        taken = time.perf_counter() - start
        loop = (before + loop_seconds(LOOPED)) / 2 * len(data) * neighbors / NEIGHBORS
        whole = scores if way == "exhaustive" else whole
        screening = scores.facts.get("screening", {})
        share = screening.get("share_drawn", 1.0)
        missed = scores.facts.get("missed_bound", {}).get("upper", 0.0)
        cells = [
            way,
            f"{share:.3f}",
            f"{taken:.0f}",
            f"{loop:.0f}, {loop / taken:.2f} times",
            screening.get("looks", ""),
            f"{missed:.4f}",
        ]
        cells += [f"{jaccard(scores, whole):.4f}", flips_left_out(scores, whole)] if whole is not None else ["–", "–"]
        print(f"| {' | '.join(map(str, cells))} |", flush=True)


def members(scores: Scores) -> np.ndarray:
    chosen = select(scores, fill=True)
    return np.union1d(chosen.tune, chosen.held_out)


def jaccard(one: Scores, two: Scores) -> float:
    a, b = members(one), members(two)
    return len(np.intersect1d(a, b)) / max(1, len(np.union1d(a, b)))


def flips_left_out(scores: Scores, whole: Scores) -> Any:
    """Return how many samples that flip are not in the set; where they are more than it holds, that says nothing."""
    flipping = whole["index"][np.nan_to_num(whole["flips"].astype(float)) > 0]
    chosen = members(scores)
    return len(np.setdiff1d(flipping, chosen)) if len(flipping) <= len(chosen) else "–"


if __name__ == "__main__":
    main()
