"""``corruptions.json``: what a corrupted set that this package wrote was made of, so that it can be paired again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from ....errors import DataError, RunError
from ....store.atomic import atomic_write
from ....store.manifest import as_json

FILE = "corruptions.json"
TOOL, SCHEMA = "art-weakrobust", "art-weakrobust/corruptions/1"
ARRAYS, FOLDERS = "arrays", "folders"


@dataclass(frozen=True)
class SetManifest:
    """What a set was made of; everything but ``corruptions`` is the same for as long as the set grows.

    :param layout: ``arrays`` (CIFAR-C) or ``folders`` (ImageNet-C).
    :param dataset: as the user wrote it, without the path; ``split`` likewise.
    :param fingerprint: of the clean images: with the same ones, ids are positions in both.
    :param samples: images a severity.
    :param shape: (c, h, w) of each.
    :param severities: those that were written, sorted.
    :param seed: of every draw.
    :param quality: of JPEG, for ``folders``.
    :param classes: name of the folder of each label, for ``folders``.
    :param named_by: ``path`` where files are named as the clean ones, ``id`` where by their ids.
    :param corruptions: name -> what wrote it: ``versions`` of packages; only those that are whole.
    """

    layout: str
    dataset: str
    split: str
    fingerprint: str
    samples: int
    shape: tuple[int, int, int]
    severities: tuple[int, ...]
    seed: int
    quality: int | None = None
    classes: tuple[str, ...] = ()
    named_by: str = "id"
    corruptions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    def save(self, root: Path) -> None:
        """Write it into the set's folder, atomically."""
        atomic_write(root / FILE, as_json({"tool": TOOL, "schema": SCHEMA, **asdict(self)}))

    def refuse_other(self, wanted: SetManifest, root: Path) -> None:
        """Refuse to add to a set what was made in another way.

        :raises RunError: with both values of what differs.
        """
        names = [f.name for f in fields(self) if f.name != "corruptions"]
        differ = [name for name in names if getattr(self, name) != getattr(wanted, name)]
        if differ:
            listed = "; ".join(f"{n}: {getattr(self, n)!r} there, {getattr(wanted, n)!r} now" for n in differ)
            raise RunError(f"{root} holds a set made in another way ({listed}); choose another --out")


def read(root: Path) -> SetManifest | None:
    """Return the manifest of a set, or None where somebody else wrote it.

    :raises DataError: where it is damaged, or of another version.
    """
    path = root / FILE
    if not path.is_file():
        return None
    try:
        record = json.loads(path.read_bytes())
        if record["schema"] != SCHEMA:
            raise DataError(
                f"{path} has schema {record['schema']!r}, expected {SCHEMA!r}: use the version that wrote it"
            )
        values = {f.name: record[f.name] for f in fields(SetManifest)}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path} is damaged ({error}); delete the set and write it again") from error
    for name in ("shape", "severities", "classes"):
        values[name] = tuple(values[name])
    return SetManifest(**values)
