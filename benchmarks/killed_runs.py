"""Kill the command line with ``kill -9`` at random instants, start it again, and compare the rows with an unkilled run.

    python benchmarks/killed_runs.py --trials 10 --seed 0

Works on the embedded digits with the options of a small run. Prints where each trial was killed and whether scores,
weak set, verdicts and weights came out the same; leaves with 1 where one did not.
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


def main() -> int:
    """Kill, resume, compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10)
    parser.add_argument("--kills", type=int, default=2, help="kills in each trial")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    draw, failures = random.Random(arguments.seed), 0
    with tempfile.TemporaryDirectory() as folder:
        reference = Path(folder) / "reference"
        start = time.monotonic()
        subprocess.run(command(reference), check=True)
        seconds = time.monotonic() - start
        print(f"unkilled: {seconds:.1f} s")
        for trial in range(arguments.trials):
            out = Path(folder) / f"trial-{trial}"
            stages = [killed(out, draw.uniform(0.2, 0.95) * seconds) for _ in range(arguments.kills)]
            subprocess.run(command(out), check=True)
            same = rows(out) == rows(reference)
            failures += not same
            print(f"trial {trial}: killed in {', then '.join(stages)}: {'the same rows' if same else 'OTHER ROWS'}")
    print(f"{arguments.trials} trials, {failures} with other rows")
    return 1 if failures else 0


def command(out: Path) -> list[str]:
    """Return the command of the run."""
    return [sys.executable, "-m", "art_weakrobust.cli", "run", *OPTIONS, "--out", str(out)]


def killed(out: Path, after: float) -> str:
    """Start the run, kill it after some seconds, and return the stage it was in."""
    with subprocess.Popen(command(out)) as process:
        try:
            process.wait(timeout=after)
        except subprocess.TimeoutExpired:
            process.kill()
    manifest = out / "manifest.json"
    stages = json.loads(manifest.read_text())["stages"] if manifest.exists() else {}
    running = [name for name, stage in stages.items() if stage["status"] == "running"]
    return running[0] if running else "between stages"


def rows(out: Path) -> str:
    """Return everything that has to be the same, as text."""
    with Run.open(out, write=False) as run:
        tables = [run.read_table(name).to_pylist() for name in ("scores", "weak_set", "validation", "types")]
    weights = read_safetensors(out / "model.safetensors")[0]
    return repr([tables, {name: np.ascontiguousarray(value).tobytes() for name, value in sorted(weights.items())}])


if __name__ == "__main__":
    sys.exit(main())
