"""``art-weakrobust models``: RobustBench's zoo, its published figures, and which models are on this machine."""

from __future__ import annotations

from typing import Any

import typer

from ..pipeline.options import Options
from .console import print_json, print_table, told

_HEADERS = ("model", "clean %", "robust %", "architecture", "files")


def models(
    dataset: str | None = typer.Option(None, "--dataset", help="Only those for cifar10, cifar100 or imagenet."),
    threat: str | None = typer.Option(None, "--threat", help="Only those against Linf, L2 or corruptions."),
    model_dir: str = typer.Option(Options.model_dir, "--model-dir", help="Folder that holds the weights."),
    json: bool = typer.Option(False, "--json", help="Print the listing as JSON."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """List the 206 models of RobustBench's zoo with the clean and robust accuracy that the project publishes.

    Robust is AutoAttack's figure, or a stronger attack's (Linf, L2), or the mean over the common corruptions. Files:
    "here" where all weights are in --model-dir; --download on the command that uses a model fetches them. Other models
    are named torchvision:NAME, timm:NAME, python:MODULE:FACTORY.
    """
    with told(debug=debug):
        from ..models.registry import entries

        rows = [_row(entry, model_dir) for entry in entries(dataset, threat)]
        if json:
            print_json({"models": rows})
        else:
            print_table(_HEADERS, map(_shown, rows), whole=_HEADERS[:1])


def _row(entry: Any, model_dir: str) -> dict[str, Any]:
    remotes = entry.files(model_dir)
    return {
        "model": f"robustbench:{entry.argument}",
        "dataset": entry.dataset,
        "threat": entry.threat,
        "name": entry.name,
        "architecture": entry.architecture,
        "clean": entry.clean,
        "robust": entry.robust,
        "input_shape": list(entry.info.input_shape),
        "files": [{"path": str(r.path), "url": r.url, "here": r.path.is_file()} for r in remotes],
    }


def _shown(row: dict[str, Any]) -> tuple[str, ...]:
    figures = ("–" if row[key] is None else f"{row[key]:.2f}" for key in ("clean", "robust"))
    here = "here" if all(file["here"] for file in row["files"]) else "–"
    return (row["model"], *figures, row["architecture"], here)
