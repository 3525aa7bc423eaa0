"""The whole street on CIFAR-10 with the shipped ResNet-20, by the command line: what changed on the test images.

    ART_WEAKROBUST_DATA=DIR python benchmarks/whole_loop.py                # 10,000 training samples, three seeds
    ART_WEAKROBUST_DATA=DIR python benchmarks/whole_loop.py --all          # all 50,000, --clean-budget 2, one seed

Prints a row a seed and the medians, and what a recipe written by hand reached; versions and machine at the top.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

CORRUPTIONS = ("gaussian_noise", "shot_noise", "brightness", "contrast", "defocus_blur", "pixelate")
BY_HAND = {
    False: "by hand, medians of three seeds: clean -5.7, PGD-20 51.6 %, six +12.5, brightness -5.9",
    True: "by hand, one seed: clean -1.2 to -2.0, PGD-20 50 %, six +16.8, training 8 minutes",
}


def main() -> None:
    """Run, read, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="all 50,000 samples, 10 neighbors, --clean-budget 2")
    parser.add_argument("--seeds", default=None, help="comma-separated; 0,1,2, or 0 with --all")
    parser.add_argument("--out", type=Path, default=None, help="keep the runs in this folder; killed ones go on")
    arguments = parser.parse_args()
    seeds = [int(seed) for seed in (arguments.seeds or ("0" if arguments.all else "0,1,2")).split(",")]
    data = Path(os.environ["ART_WEAKROBUST_DATA"])
    versions = ", ".join(f"{name} {version(name)}" for name in ("art-weakrobust", "torch"))
    print(f"{versions}, {platform.machine()}, {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.out or Path(temporary)
        rows = [run(data, seed, arguments.all, folder / f"seed-{seed}") for seed in seeds]
    for seed, row in zip(seeds, rows, strict=True):
        print(f"seed {seed}: {shown(row)}")
    print(f"median: {shown({name: statistics.median(row[name] for row in rows) for name in rows[0]})}")
    print(BY_HAND[arguments.all])


def run(data: Path, seed: int, whole: bool, out: Path) -> dict[str, float]:
    """Run the command line once and return what changed, in points and minutes."""
    size = ["--neighbors", "10", "--clean-budget", "2"] if whole else ["--limit", "10000", "--neighbors", "50"]
    command = [
        *(sys.executable, "-m", "art_weakrobust.cli", "run"),
        *("--model", "python:art_weakrobust.testing.networks:resnet20_cifar10"),
        *("--weights", str(data / "models" / "resnet20_cifar10.safetensors")),
        *("--mean", "0.485,0.456,0.406", "--std", "0.229,0.224,0.225"),
        *("--dataset", f"parquet:{data / 'cifar10'}", "--test-limit", "1000"),
        *("--radius", "8/255", "--eps", "2/255", "--nb-epochs", "3", *size),
        *("--seed", str(seed), "--out", str(out), "--quiet"),
    ]
    start = time.monotonic()
    subprocess.run(command, check=True)
    minutes = (time.monotonic() - start) / 60
    return figures(json.loads((out / "summary.json").read_text())) | {"minutes": minutes}


def figures(summary: dict) -> dict[str, float]:
    """Return the changes on the test set."""
    paired = {row["type"]: row for row in summary["tables"]["paired"] if row["set"] == "test"}
    change = {name: 100 * (paired[name]["after"] - paired[name]["before"]) for name in CORRUPTIONS}
    clean = next(row for row in summary["tables"]["headline"] if row["metric"] == "clean")
    return {
        "clean before": 100 * clean["before"],
        "clean": 100 * (clean["after"] - clean["before"]),
        "PGD-20 before": 100 * paired["pgd-linf"]["before"],
        "PGD-20 after": 100 * paired["pgd-linf"]["after"],
        "six before": statistics.mean(100 * paired[name]["before"] for name in CORRUPTIONS),
        "six": statistics.mean(change.values()),
        **change,
        "alpha": summary["finetuning"]["alpha"],
        "training minutes": summary["provenance"]["stages"]["finetune"]["seconds"] / 60,
    }


def shown(row: dict[str, float]) -> str:
    """Return a row as text."""
    return ", ".join(f"{name} {value:.2f}" for name, value in row.items())


if __name__ == "__main__":
    main()
