"""What is known of RobustBench's zoo without importing it: names, published figures, files, and where they come from.

The figures are those of the project's own tables, see ``source`` in ``robustbench_zoo.json``; a test holds names, files
and figures against the robustbench that is installed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import ModelError, nearest
from ..protocols import ModelInfo
from .fetching import Remote

CLASSES = {"cifar10": 10, "cifar100": 100, "imagenet": 1000}
THREATS = ("Linf", "L2", "corruptions")


@dataclass(frozen=True)
class Entry:
    """One model of the zoo.

    :param dataset: ``cifar10``, ``cifar100`` or ``imagenet``.
    :param threat: ``Linf``, ``L2`` or ``corruptions``.
    :param name: as RobustBench spells it.
    :param architecture: as its table says.
    :param clean: published clean accuracy in percent.
    :param robust: published robust accuracy in percent: on AutoAttack or a stronger attack, or the mean over the common
        corruptions.
    :param sources: ``gdrive:ID`` or a URL, one a file.
    :param timm: the name under which robustbench registers it in timm, or None.
    :param ensemble: whether its files are numbered.
    :param gpu: whether robustbench builds it on a GPU only.
    :param fit: pixels of resize and crop, and the interpolation; None for images as they are.
    """

    dataset: str
    threat: str
    name: str
    architecture: str
    clean: float | None
    robust: float | None
    sources: tuple[str, ...]
    timm: str | None = None
    ensemble: bool = False
    gpu: bool = False
    fit: tuple[int | None, int, str] | None = None

    @property
    def argument(self) -> str:
        """What is written behind ``robustbench:``."""
        return f"{self.dataset}/{self.threat}/{self.name}"

    @property
    def info(self) -> ModelInfo:
        """What a caller has to know before the first forward pass."""
        resize, crop, interpolation = self.fit or (None, 32, None)
        return ModelInfo(
            nb_classes=CLASSES[self.dataset],
            input_shape=(3, crop, crop),
            name=f"robustbench:{self.argument}",
            resize=resize,
            crop=crop if self.fit else None,
            interpolation=interpolation,
            squash=interpolation == "bilinear" and resize == crop,  # RobustBench's Res224; timm's are bicubic
            published=None if self.clean is None else round(self.clean / 100, 4),
        )

    def files(self, model_dir: str | Path) -> tuple[Remote, ...]:
        """Return its files in the layout that robustbench keeps them in."""
        folder, stem = Path(model_dir).expanduser(), f"{self.argument}.pt"
        names = [f"{stem}_m{i}.pt" for i in range(len(self.sources))] if self.ensemble else [stem]
        return tuple(Remote(folder / name, source) for name, source in zip(names, self.sources, strict=True))


def entries(dataset: str | None = None, threat: str | None = None) -> list[Entry]:
    """Return the 206 models of robustbench 1.1.1, or those of a data set and a threat model.

    :raises ModelError: for a data set or threat model that the zoo does not have.
    """
    if dataset is not None and dataset not in CLASSES:
        raise ModelError(f"dataset {dataset!r} has no zoo; RobustBench has {', '.join(CLASSES)}")
    wanted = None if threat is None else _threat(threat)
    return [e for e in _zoo() if dataset in (None, e.dataset) and wanted in (None, e.threat)]


def entry(dataset: str | Enum, threat: str | Enum, name: str) -> Entry:
    """Return one model.

    :param dataset: a word, or RobustBench's ``BenchmarkDataset``.
    :param threat: a word, or RobustBench's ``ThreatModel``; ``corruptions_3d`` shares the models of ``corruptions``.
    :raises ModelError: for a name that is not in the zoo, with the nearest ones.
    """
    dataset, threat = (str(getattr(word, "value", word)) for word in (dataset, threat))
    known = {e.name: e for e in entries(dataset, threat)}
    if name not in known:
        listing = f"art-weakrobust models --dataset {dataset} --threat {_threat(threat)}"
        raise ModelError(
            f"robustbench has no model {name!r} for {dataset}/{threat}{nearest(name, list(known))}; `{listing}` lists "
            f"the {len(known)} it has"
        )
    return known[name]


def parse(argument: str) -> Entry:
    """Return the model of ``DATASET/THREAT/NAME``.

    :raises ModelError: for another form, or a model that is not there.
    """
    parts = argument.split("/")
    if len(parts) != 3 or not all(parts):
        raise ModelError(
            f"model 'robustbench:{argument}' has to read robustbench:DATASET/THREAT/NAME, as in "
            "robustbench:cifar10/Linf/Standard"
        )
    return entry(*parts)


def published_figures(model: str) -> dict[str, float]:
    """Return ``clean`` and ``robust`` accuracy in [0, 1] as RobustBench publishes them; of other models nothing.

    :param model: as ``--model`` takes it.
    """
    known = next((e for e in _zoo() if model == f"robustbench:{e.argument}"), None)
    figures = {} if known is None else {"clean": known.clean, "robust": known.robust}
    return {name: round(value / 100, 4) for name, value in figures.items() if value is not None}


def _threat(threat: str) -> str:
    name = threat.removesuffix("_3d")
    if name not in THREATS:
        raise ModelError(f"threat model {threat!r} has no zoo; RobustBench has {', '.join(THREATS)} and corruptions_3d")
    return name


@cache
def _zoo() -> tuple[Entry, ...]:
    content = json.loads(Path(__file__).with_name("robustbench_zoo.json").read_text(encoding="utf-8"))
    return tuple(_entry(row) for row in content["entries"])


def _entry(row: dict[str, Any]) -> Entry:
    fit = row.get("fit")
    return Entry(**{**row, "sources": tuple(row["sources"]), "fit": tuple(fit) if fit else None})
