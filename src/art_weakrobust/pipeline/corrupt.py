"""From names to a corrupted set on disk: data set and corruptions are made, and written."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..errors import DataError, UsageError
from ..perturbations.corruptions.stored.manifest import SetManifest
from ..perturbations.corruptions.stored.writing import shape_of, write_set
from ..plugins.manager import Manager
from ..plugins.reference import split_argument, split_list
from ..protocols import Dataset
from .options import severity_numbers
from .progress import Progress
from .provenance import versions


def corrupt(
    dataset: str,
    out: Path,
    *,
    split: str = "test",
    corruptions: str | None = None,
    severities: str = "1-5",
    layout: str | None = None,
    seed: int = 0,
    device: str | None = None,
    workers: int | None = None,
    download: bool = False,
    written: Mapping[str, Any] | None = None,
    plugins: Sequence[Any] = (),
    third_party: bool = True,
    progress: Progress | None = None,
) -> SetManifest:
    """Write a corrupted copy of a split, or go on with it.

    Other parameters: :func:`~art_weakrobust.perturbations.corruptions.stored.writing.write_set`.

    :param dataset: ``NAME`` or ``NAME:ARGUMENT``.
    :param corruptions: names; None for every registered one that the images are large enough for.
    :param written: options of the data set that a user wrote: ``resize``, ``crop``, ``label_column``.
    :raises UserError: for anything that the user can mend.
    """
    manager = Manager(plugins, third_party=third_party)
    manager.refuse_broken()
    name, argument = split_argument(dataset)
    numbers = severity_numbers(severities)
    wanted = None if corruptions is None else _named(manager, split_list(corruptions))
    offered = {"split": split, "seed": seed, "download": download}
    data: Dataset = manager.make("dataset", name, argument, written=written, offered=offered)
    return write_set(
        data,
        out,
        _large_enough(manager, data) if wanted is None else wanted,
        severities=numbers,
        seed=seed,
        layout=layout,
        dataset=name,
        split=split,
        workers=workers,
        device=device or "cpu",
        versions=versions(),
        progress=progress,
    )


def _named(manager: Manager, names: Sequence[str]) -> dict[str, Any]:
    if not names:
        raise UsageError("--corruptions names none; leave it out for all, `art-weakrobust plugins` lists them")
    for name in names:
        if manager.find("corruption", name).spec.many:
            raise UsageError(f"--corruptions {name!r} is a set on disk already; name corruptions to be computed")
    return {name: manager.make("corruption", name) for name in names}


def _large_enough(manager: Manager, data: Dataset) -> dict[str, Any]:
    size = min(shape_of(data)[1:])
    specs = [manager.find("corruption", name).spec for name in manager.names("corruption")]
    found = [spec.name for spec in specs if not spec.many and spec.facts.get("min_size", 1) <= size]
    if not found:
        raise DataError(f"images of {size} pixels are too small for every corruption; enlarge them with --resize")
    return _named(manager, found)
