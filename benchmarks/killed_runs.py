"""Kill the command line with ``kill -9`` at random instants, start it again, and compare the rows with an unkilled run.

    python benchmarks/killed_runs.py --trials 10 --seed 0
    python benchmarks/killed_runs.py --screen --trials 10       # the screened scorer alone, twenty kills
    python benchmarks/killed_runs.py --distances --trials 10    # adversarial distances, as scores and refined

Works on the embedded digits with the options of a small run. Prints where each trial was killed and whether scores,
weak set, distances, verdicts and weights came out the same; leaves with 1 where one did not.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from art_weakrobust.store import Run, read_safetensors

OPTIONS = (
    *("--radius", "0.3", "--eps", "0.1", "--neighbors", "20", "--test-limit", "200", "--nb-epochs", "3"),
    *("--attacks", "fgm,pgd:max_iter=5", "--corruptions", "contrast,gaussian_noise", "--quiet"),
)
DISTANCES = (
    *("--scorer", "boundary", "--distances", "inf,2", "--batch-size", "64", "--nb-epochs", "1"),
    *("--test-limit", "100", "--eps", "0.1", "--attacks", "fgm", "--corruptions", "contrast", "--quiet"),
)
SCREENED = ("--radius", "0.3", "--neighbors", "200", "--screen", "--max-missed", "0.1", "--quiet")


def main() -> int:
    """Kill, resume, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--kills", type=int, default=2, help="kills in each trial")
    parser.add_argument("--seed", type=int, default=0)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--screen", action="store_true", help="score alone, by rounds and audits")
    which.add_argument("--distances", action="store_true", help="a run whose time goes into adversarial distances")
    arguments = parser.parse_args()
    draw, failures, what = random.Random(arguments.seed), 0, command(arguments)
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "reference"
        start = time.monotonic()
        subprocess.run([*what, str(reference)], check=True)
        seconds = time.monotonic() - start
        print(f"unkilled: {seconds:.1f} s")
        for trial in range(arguments.trials):
            out = Path(folder) / f"trial-{trial}"
            again = [*what, str(out)]
            stages = [killed(again, out, draw.uniform(0.2, 0.95) * seconds) for _ in range(arguments.kills)]
            subprocess.run(again, check=True)
            same = rows(out) == rows(reference)
            failures += not same
            print(f"trial {trial}: killed in {', then '.join(stages)}: {'the same rows' if same else 'OTHER ROWS'}")
    print(f"{arguments.trials} trials, {failures} with other rows")
    return 1 if failures else 0


def command(arguments: argparse.Namespace) -> list[str]:
    """Return the command of the run, up to the folder that it writes to."""
    what = ("score", *SCREENED) if arguments.screen else ("run", *(DISTANCES if arguments.distances else OPTIONS))
    return [sys.executable, "-m", "art_weakrobust.cli", *what, "--out"]


def killed(again: list[str], out: Path, after: float) -> str:
    """Start the run, kill it after some seconds, and return where it was: its stage, and how many parts it had."""
    with subprocess.Popen(again) as process:
        try:
            process.wait(timeout=after)
        except subprocess.TimeoutExpired:
            process.kill()
    manifest = out / "manifest.json"
    stages = json.loads(manifest.read_text())["stages"] if manifest.exists() else {}
    running = [name for name, stage in stages.items() if stage["status"] == "running"]
    parts = {"scores": "score.*.parquet", "distances": "*.distance-*.parquet"}
    counts = [f"{len(list((out / name).glob(pattern)))} parts of {name}" for name, pattern in parts.items()]
    return f"{running[0]} ({', '.join(counts)})" if running else "between stages"


def rows(out: Path) -> str:
    """Return everything that has to be the same, as text."""
    names = [name for name in ("scores", "weak_set", "distances", "validation", "types") if [*out.glob(f"{name}*")]]
    with Run.open(out, write=False) as run:
        tables = [run.read_table(name).to_pylist() for name in names]
    tuned = out / "model.safetensors"
    weights = read_safetensors(tuned)[0] if tuned.exists() else {}
    return repr([tables, {name: np.ascontiguousarray(value).tobytes() for name, value in sorted(weights.items())}])


if __name__ == "__main__":
    sys.exit(main())
