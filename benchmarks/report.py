"""The report of a large run: seconds and megabytes, each as a share of its limit.

    python benchmarks/report.py [--scored 50000] [--tested 10000]

Writes a run directory of synthetic rows (no model runs), then rebuilds its report in a fresh process, as
``art-weakrobust report --out RUN`` does. The limit is 10 s for 50,000 scored samples, without torch.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa

import art_weakrobust
from art_weakrobust.results import PerturbationType
from art_weakrobust.store import Run

LIMIT_SECONDS = 10.0
ATTACKS = ("fgm-linf", "pgd-linf", "pgd-l2")
CORRUPTIONS = ("gaussian_noise", "shot_noise", "brightness", "contrast", "defocus_blur", "pixelate")
REBUILD = """
import sys, time
start = time.perf_counter()
from art_weakrobust.cli.app import build
try:
    build()(["report", "--out", sys.argv[1], "--no-plugins", "--quiet"])
except SystemExit as left:
    assert not left.code
print(time.perf_counter() - start, time.process_time(), bool({"torch", "art"} & set(sys.modules)))
"""


def types() -> list[PerturbationType]:
    """Return what a run with its default options validates under."""
    attacks = [
        PerturbationType(t, "attacks", "gradient", norm="2" if t.endswith("l2") else "inf", eps=2 / 255)
        for t in ATTACKS
    ]
    corruptions = [PerturbationType(name, "corruptions", "noise") for name in CORRUPTIONS]
    return [PerturbationType("clean", "clean"), *attacks, *corruptions]


def write(folder: Path, scored: int, tested: int) -> None:
    """Write a run directory with a row a sample and verdicts of both phases."""
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 10, scored)
    score = np.where(rng.random(scored) < 0.6, 0.0, rng.random(scored))
    weak = np.argsort(-score)[: scored // 10]
    control = rng.choice(np.setdiff1d(np.arange(scored), weak), len(weak) // 2, replace=False)
    sets = {
        "held_out": (weak[1::2], labels),
        "control": (control, labels),
        "test": (np.arange(tested), rng.integers(0, 10, tested)),
    }
    with Run.open(folder, create=True) as run:
        run.update(title="synthetic", arguments={"eps": 2 / 255}, class_names=[f"class {k}" for k in range(10)])
        run.begin("score", {})
        run.write_table("scores", _scores(score, labels, rng))
        run.finish("score")
        run.begin("select", {})
        run.write_table("weak_set", _weak_set(weak, control))
        run.finish("select")
        for phase in ("before", "after"):
            run.begin(phase, {})
            run.write_table("validation", _validation(sets, phase, rng))
            if phase == "before":
                run.write_table("types", pa.Table.from_pylist([vars(kind) for kind in types()]))
                run.write_table("samples", _samples(weak[:200], rng))
            run.finish(phase)


def _scores(score: np.ndarray, labels: np.ndarray, rng: np.random.Generator) -> pa.Table:
    n = len(score)
    return pa.table(
        {
            "index": np.arange(n),
            "label": labels,
            "prediction": labels,
            "correct": np.ones(n, bool),
            "status": ["ok"] * n,
            "scorer": ["neighborhood"] * n,
            "score": score,
            "misprediction_score": score,
            "margin": rng.random(n, np.float32),
            "found": score > 0,
        }
    )


def _weak_set(weak: np.ndarray, control: np.ndarray) -> pa.Table:
    roles = ["tune"] * len(weak[::2]) + ["held_out"] * len(weak[1::2]) + ["control"] * len(control)
    reasons = ["score"] * len(weak) + ["control"] * len(control)
    ids = np.concatenate([weak[::2], weak[1::2], control])
    return pa.table({"index": ids, "role": roles, "reason": reasons, "weight": np.ones(len(ids), np.float32)})


def _validation(sets: dict[str, tuple[np.ndarray, np.ndarray]], phase: str, rng: np.random.Generator) -> pa.Table:
    parts = []
    for kind in types():
        for severity in range(1, 6) if kind.family == "corruptions" else (None,):
            for name, (ids, labels) in sets.items():
                n, label = len(ids), labels[ids]
                right = rng.random(n) < (0.7 if phase == "before" else 0.75)
                columns = {"index": ids, "label": label, "prediction": np.where(right, label, (label + 1) % 10)}
                texts = {"set": name, "phase": phase, "type": kind.type, "status": "ok"}
                parts.append(
                    pa.table(
                        columns
                        | {"correct": right, "severity": pa.array([severity] * n, pa.int8())}
                        | {key: pa.array([text] * n).dictionary_encode() for key, text in texts.items()}
                    )
                )
    return pa.concat_tables(parts)


def _samples(ids: np.ndarray, rng: np.random.Generator) -> pa.Table:
    images = rng.integers(0, 256, (len(ids), 3, 32, 32), np.uint8)
    chances = rng.dirichlet(np.ones(10), (4, len(ids))).astype(np.float32)
    names = ("p_original_before", "p_neighbor_before", "p_original_after", "p_neighbor_after")
    return pa.table(
        {
            "index": ids,
            "rank": np.arange(1, len(ids) + 1, dtype=np.int32),
            "shape": [[3, 32, 32]] * len(ids),
            "original": [image.tobytes() for image in images],
            "neighbor": [np.clip(image.astype(int) + 4, 0, 255).astype(np.uint8).tobytes() for image in images],
            **{name: chances[at].tolist() for at, name in enumerate(names)},
        }
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scored", type=int, default=50_000)
    parser.add_argument("--tested", type=int, default=10_000)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        write(run, chosen.scored, chosen.tested)
        told = subprocess.run([sys.executable, "-c", REBUILD, str(run)], capture_output=True, text=True, check=True)
        wall, cpu, heavy = told.stdout.split()
        size = (run / "report.html").stat().st_size / 1e6
    print(f"art-weakrobust {art_weakrobust.__version__}, Python {platform.python_version()}, {os.cpu_count()} cores")
    print(f"{chosen.scored:,} scored, {chosen.tested:,} tested, {len(types())} types; torch or art loaded: {heavy}")
    share = float(wall) / LIMIT_SECONDS
    print(
        f"rebuilt in {float(wall):.1f} s ({float(cpu):.1f} s of CPU), {share:.2f} of the limit of {LIMIT_SECONDS:g} s"
    )
    print(f"report.html {size:.2f} MB (random pixels do not compress: real images are smaller)")


if __name__ == "__main__":
    main()
