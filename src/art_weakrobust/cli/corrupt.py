"""``art-weakrobust corrupt``: write a corrupted copy of a data set."""

from __future__ import annotations

from pathlib import Path

import typer

from .console import print_json, print_text, progress_bars, told


def corrupt(
    dataset: str = typer.Option(..., help="Data, as NAME or NAME:ARGUMENT, e.g. cifar10:ROOT, folder:ROOT."),
    out: Path = typer.Option(..., help="Folder of the set: new, empty, or one that this command wrote."),
    split: str = typer.Option("test", help="Split to corrupt; training sets too."),
    corruptions: str | None = typer.Option(None, help="Corruptions, as a,b; all that fit the images, if not given."),
    severities: str = typer.Option("1-5", help="Severities, as 1,3,5 or 1-5."),
    layout: str | None = typer.Option(
        None, help="arrays (CIFAR-C) or folders (ImageNet-C); folders for class folders and images above 64 pixels."
    ),
    seed: int = typer.Option(0, min=0, help="Seed of every draw."),
    device: str | None = typer.Option(None, help="Where corruptions are computed. Default: cpu."),
    workers: int | None = typer.Option(None, min=1, help="Threads. Default: one a processor, at most 8."),
    resize: int | None = typer.Option(None, min=1, help="Pixels that the shorter side of every image gets."),
    crop: int | None = typer.Option(None, min=1, help="Pixels of the square cut from the middle of every image."),
    label_column: str | None = typer.Option(None, help="Column of the labels, where the data set has several."),
    download: bool = typer.Option(False, "--download", help="Let the data set be fetched where it is not there."),
    plugin: list[str] = typer.Option([], "--plugin", help="Module with hooks; repeatable."),
    no_plugins: bool = typer.Option(False, "--no-plugins", help="Load no installed plugins but our own."),
    quiet: bool = typer.Option(False, "--quiet", help="Print nothing but errors."),
    json: bool = typer.Option(False, "--json", help="Print the set's manifest as JSON."),
    debug: bool = typer.Option(False, "--debug", help="Show the traceback of an error."),
) -> None:
    """Write a data set in the layout of CIFAR-C or ImageNet-C; the same command goes on where it stopped."""
    with told(debug=debug):
        from dataclasses import asdict

        from ..pipeline.corrupt import corrupt as write

        options = {"resize": resize, "crop": crop, "label_column": label_column}
        with progress_bars(quiet=quiet) as progress:
            made = write(
                dataset,
                out,
                split=split,
                corruptions=corruptions,
                severities=severities,
                layout=layout,
                seed=seed,
                device=device,
                workers=workers,
                download=download,
                written={name: value for name, value in options.items() if value is not None},
                plugins=plugin,
                third_party=not no_plugins,
                progress=progress,
            )
        if json:
            print_json(asdict(made))
            return
        each = f"{made.samples} images at severity {', '.join(map(str, made.severities))}"
        print_text(f"{out}: {len(made.corruptions)} corruptions ({made.layout}) of {each}", quiet=quiet)
