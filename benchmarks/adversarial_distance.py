"""Adversarial distances by ``boundary`` against ART's and Foolbox's searches, and against the best that is known.

    ART_WEAKROBUST_DATA=DIR python benchmarks/adversarial_distance.py --checkpoint robust --norm inf --reference FOLDER

Mean optimality is the mean over images of the reference's distance over a search's: 1 is as near as anybody came, 0 is
nothing found. The reference is fixed and computed once, image by image the smallest of APGD-T (9 targets x 100
iterations, bisected), FMN and in L2 DDN with 1,000 steps, and ours at ten times its budget; it is kept in the folder
``--reference`` as parquet. Gradients are counted where they are made, one an image a backward pass. All distances are
those of points that the model itself gets wrong, in float32. "At equal time": the largest budget of ours that took no
longer than the peer.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from math import inf
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from art.attacks.evasion import DeepFool, ProjectedGradientDescent
from ratios import machine
from shipped import resnet20
from torch import Tensor, nn

from art_weakrobust.analysis.boundary_attack import AttackEngine
from art_weakrobust.analysis.boundary_engine import verified
from art_weakrobust.analysis.boundary_search import MinimumNormSearch, margins
from art_weakrobust.datasets.parquet import parquet
from art_weakrobust.estimators.judge import exact_float32
from art_weakrobust.estimators.pytorch import FastPyTorchClassifier
from art_weakrobust.kernels.apgd import apgd
from art_weakrobust.kernels.closest import Closest
from art_weakrobust.kernels.minimum_norm import ddn, fmn
from art_weakrobust.results import Samples

CHECKPOINTS = {"standard": "resnet20_cifar10", "robust": "resnet20_cifar10_robust"}
BUDGETS = (20, 40, 60, 100, 300, 1000)
GOALS = {300: 0.90, 1000: 0.95}
STEPS, TARGETS, APGD_STEPS, BISECTIONS = 1000, 9, 100, 7


@dataclass(frozen=True)
class Outcome:
    """What a search came to: distances (NaN: nothing found), gradients an image, and seconds."""

    name: str
    distance: np.ndarray
    gradients: float
    seconds: float


class Bench:
    """The first images of the test set that a checkpoint gets right."""

    def __init__(self, checkpoint: str, norm: float, images: int) -> None:
        self.norm = norm
        self.model = FastPyTorchClassifier(
            resnet20(CHECKPOINTS[checkpoint]),
            nn.CrossEntropyLoss(),
            input_shape=(3, 32, 32),
            nb_classes=10,
            clip_values=(0, 1),
            device_type="cpu",
        )
        data = parquet(str(Path(os.environ["ART_WEAKROBUST_DATA"]) / "cifar10"), split="test")
        samples = data.take(np.arange(2 * images))
        right = np.flatnonzero(self.model.predict(samples.x).argmax(1) == samples.y)[:images]
        self.samples: Samples = samples[right]
        self.x, self.y = torch.from_numpy(self.samples.x), torch.from_numpy(self.samples.y)

    def outcome(self, name: str, search: Callable[[], np.ndarray | Tensor], counted: Callable[[], int]) -> Outcome:
        """Run a search that returns points, and have them judged; the judge's time is not the search's."""
        before, start = counted(), time.perf_counter()
        with exact_float32():
            points = search()
        seconds, gradients = time.perf_counter() - start, counted() - before
        points = points.numpy() if isinstance(points, Tensor) else points
        _, distance = verified(self.model, self.samples, np.asarray(points, np.float32), self.norm, 128)
        return Outcome(name, distance, gradients / len(self.samples), seconds)

    def ours(self, budget: int) -> Outcome:
        """Return what the built-in search comes to."""
        search = MinimumNormSearch(norm=self.norm, budget=budget, batch_size=128)
        return self.outcome(
            f"ours, budget {budget}", lambda: search(self.model, self.samples, inf).points, lambda: self.model.gradients
        )

    def kernel(self, name: str, search: Callable[[], Closest]) -> Outcome:
        """Return what a search of the reference comes to."""

        def searched() -> Tensor:
            with self.model.searching("float32"):
                return search().points

        return self.outcome(name, searched, lambda: self.model.gradients)

    def reference(self) -> dict[str, Callable[[], Outcome]]:
        """Return the searches of the reference, name -> what runs it."""
        ask, unknown = margins(self.model, self.y), Closest.unknown(self.x, self.norm)
        searches = {f"FMN, {STEPS} steps": lambda: fmn(ask, unknown, STEPS)}
        if self.norm == 2:
            searches[f"DDN, {STEPS} steps"] = lambda: ddn(ask, unknown, STEPS)
        searches[f"APGD-T, {TARGETS} x {APGD_STEPS}, bisected"] = self._apgd
        parts: dict[str, Callable[[], Outcome]] = {
            name: partial(self.kernel, name, search) for name, search in searches.items()
        }
        return {**parts, f"ours, budget {10 * BUDGETS[-1]}": partial(self.ours, 10 * BUDGETS[-1])}

    def _apgd(self) -> Closest:
        """Bisect the budget of every image, from twice what a short FMN finds; whoever is fooled by a target leaves."""
        closest = fmn(margins(self.model, self.y), Closest.unknown(self.x, self.norm), 100)
        closest = replace(closest, distance=closest.distance.nan_to_num(posinf=1.0))
        failed, fooled = torch.zeros(len(self.y)), 2 * closest.distance
        likeliest = self.model.predict_tensor(self.x).scatter(1, self.y[:, None], -inf).argsort(1, descending=True)
        best = Closest.unknown(self.x, self.norm)
        for _ in range(BISECTIONS):
            eps, rows = (failed + fooled) / 2, torch.arange(len(self.y))
            for target in range(TARGETS):
                if len(rows):
                    ask = margins(self.model, self.y[rows], likeliest[rows, target])
                    hit = apgd(ask, Closest.unknown(self.x[rows], self.norm), eps[rows], APGD_STEPS, self.x[rows])
                    best, rows = best.joined(rows, hit), rows[~hit.found]
            missed = torch.zeros(len(self.y), dtype=torch.bool)
            missed[rows] = True
            failed, fooled = eps.where(missed, failed), eps.where(~missed, torch.minimum(fooled, best.distance))
        return best

    def peers(self) -> list[Outcome]:
        """Return ART's and Foolbox's searches, on the same fast classifier and on the same module."""
        norm = {inf: np.inf, 2.0: 2}[self.norm]
        pgd = partial(ProjectedGradientDescent, norm=norm, max_iter=20, verbose=False)
        offered = {"seed": 0, "batch_size": 128}
        found = [self._art("ART PGD-20, bisected", AttackEngine.of(pgd, offered, self.model))]
        if self.norm == 2:
            found.append(self._art("ART DeepFool", AttackEngine.of(DeepFool, offered, self.model)))
        return [*found, *(self._foolbox(name, attack) for name, attack in foolbox_attacks(self.norm).items())]

    def _art(self, name: str, engine: AttackEngine) -> Outcome:
        eps_max = 1.0 if self.norm == inf else 10.0
        return self.outcome(
            name, lambda: engine(self.model, self.samples, eps_max).points, lambda: self.model.gradients
        )

    def _foolbox(self, name: str, attack: object) -> Outcome:
        import foolbox

        counted = Counting(self.model.model).eval()
        model = foolbox.PyTorchModel(counted, bounds=(0, 1), device="cpu")
        return self.outcome(
            f"Foolbox {name}", lambda: attack(model, self.x, self.y, epsilons=None)[0], lambda: counted.backward_images
        )


class Counting(nn.Module):
    """Counts the images whose gradient is asked for."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module, self.backward_images = module, 0

    def forward(self, x: Tensor) -> Tensor:
        """Return the module's answer."""
        if x.requires_grad:
            x.register_hook(lambda gradient: setattr(self, "backward_images", self.backward_images + len(gradient)))
        return self.module(x)


def foolbox_attacks(norm: float) -> dict[str, object]:
    from foolbox import attacks

    if norm == inf:
        return {
            "FMN, 100 steps": attacks.LInfFMNAttack(steps=100),
            "FMN, 1,000 steps": attacks.LInfFMNAttack(steps=STEPS),
            "DeepFool": attacks.LinfDeepFoolAttack(),
        }
    return {
        "FMN, 100 steps": attacks.L2FMNAttack(steps=100),
        "DDN, 100 steps": attacks.DDNAttack(steps=100),
        "DDN, 1,000 steps": attacks.DDNAttack(steps=STEPS),
        "DeepFool": attacks.L2DeepFoolAttack(),
    }


def optimality(found: Outcome, reference: np.ndarray) -> float:
    """Return the mean over images of reference over distance, 0 where nothing was found."""
    return float(np.nan_to_num(reference / found.distance).mean())


def kept(bench: Bench, path: Path) -> np.ndarray:
    """Return the reference; each of its searches is run once and kept as soon as it has ended."""
    table = pq.read_table(path) if path.exists() else pa.table({"index": bench.samples.ids})
    assert table.column("index").to_pylist() == bench.samples.ids.tolist(), f"{path} is of other images"
    parts = bench.reference()
    for name, run in parts.items():
        if name not in table.column_names:
            part = run()
            print(f"reference: {name}: {part.gradients:.0f} gradients an image, {part.seconds:.0f} s", flush=True)
            table = table.append_column(name, pa.array(part.distance))
            path.parent.mkdir(parents=True, exist_ok=True)
            pq.write_table(table, path)
    distances = {name: table.column(name).to_numpy() for name in parts}
    best = np.nanmin(np.stack(list(distances.values())), axis=0)
    for name, distance in distances.items():
        print(f"reference: {name}: mean optimality {float(np.nan_to_num(best / distance).mean()):.3f}")
    return best


def main() -> None:
    """Measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", choices=tuple(CHECKPOINTS), default="standard")
    parser.add_argument("--norm", choices=("inf", "2"), default="inf")
    parser.add_argument("--images", type=int, default=50)
    parser.add_argument("--reference", type=Path, required=True, help="folder in which the reference is kept")
    parser.add_argument("--only-reference", action="store_true")
    arguments = parser.parse_args()
    print(machine("cpu", "foolbox"))
    bench = Bench(arguments.checkpoint, float(arguments.norm), arguments.images)
    path = arguments.reference / f"{arguments.checkpoint}-{arguments.norm}-{arguments.images}.parquet"
    reference = kept(bench, path)
    if arguments.only_reference:
        return
    bench.ours(BUDGETS[0])  # the copy that searches is made once
    ours = [bench.ours(budget) for budget in BUDGETS]
    print("| search | mean optimality | gradients an image | seconds | ours at equal time | goal |")
    print("|---|---|---|---|---|---|")
    for budget, found in zip(BUDGETS, ours, strict=True):
        goal = f"at least {GOALS[budget]:.2f}" if budget in GOALS else ""
        print(f"| {told(found, reference)} | | {goal} |", flush=True)
    for peer in bench.peers():
        mine = [found for found in ours if found.seconds <= peer.seconds]
        equal = f"{optimality(mine[-1], reference):.3f} ({mine[-1].name})" if mine else "slower at every budget"
        print(f"| {told(peer, reference)} | {equal} | ours better |", flush=True)


def told(found: Outcome, reference: np.ndarray) -> str:
    return f"{found.name} | {optimality(found, reference):.3f} | {found.gradients:.0f} | {found.seconds:.1f}"


if __name__ == "__main__":
    main()
