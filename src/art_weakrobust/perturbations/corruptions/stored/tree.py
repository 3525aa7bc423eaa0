"""The files of a set in the layout of ImageNet-C: ``CORRUPTION/SEVERITY/CLASS/*.JPEG``, and what has to hold of them.

Sources: Hendrycks and Dietterich, https://arxiv.org/abs/1903.12261; Kar et al., https://arxiv.org/abs/2203.01441.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

from ....datasets.folders import SUFFIXES
from ....errors import DataError

Key = tuple[str, str]
"""Class folder and name of an image without its suffix: what the clean and the corrupted image have in common."""

_LIST = "helper_files/imagenet_test_image_ids.txt"


def corruptions(root: Path, where: str) -> dict[str, tuple[int, ...]]:
    """Return corruption -> the severities that it has folders of, sorted.

    :raises DataError: where there are none.
    """
    found = {folder.name: _severities(folder) for folder in _folders(root, where)}
    if not any(found.values()):
        raise DataError(f"{where} holds no CORRUPTION/SEVERITY/CLASS/*.JPEG; name the folder of the corruptions")
    return {name: severities for name, severities in sorted(found.items()) if severities}


def check_whole(root: Path, found: dict[str, tuple[int, ...]], severities: Iterable[int], where: str) -> None:
    """Refuse a tree in which a corruption lacks a severity, or a severity a class that another one has.

    :param severities: that every corruption has to have.
    :raises DataError: naming the first one that is missing.
    """
    wanted = tuple(severities)
    for name, there in found.items():
        missing = [severity for severity in wanted if severity not in there]
        if missing:
            raise DataError(
                f"{where}: {name!r} has no severity {missing[0]}; fetch {root / name / str(missing[0])} again"
            )
    classes = {
        (name, severity): {folder.name for folder in _folders(root / name / str(severity), where)}
        for name in found
        for severity in wanted
    }
    every = set().union(*classes.values())
    for (name, severity), some in classes.items():
        if lacking := sorted(every - some):
            raise DataError(
                f"{where}: {name!r} lacks the class {lacking[0]!r} at severity {severity} "
                f"({len(lacking)} of {len(every)} classes missing); fetch {root / name / str(severity)} again"
            )


def images(folder: Path, where: str) -> dict[Key, Path]:
    """Return the images of one corruption and severity, sorted by class and name.

    :raises DataError: for a class without one, and for two of one name.
    """
    found: dict[Key, Path] = {}
    for kind in _folders(folder, where):
        names = sorted(file.name for file in os.scandir(kind) if file.name.lower().endswith(SUFFIXES))
        names = [name for name in names if not name.startswith(".")]
        if not names:
            raise DataError(f"{where}: the class folder {str(kind)!r} holds no {', '.join(SUFFIXES)}; fetch it again")
        for name in names:
            key = (kind.name, Path(name).stem)
            if key in found:
                raise DataError(f"{where}: {str(kind / name)!r} and {found[key].name!r} have one name; remove one")
            found[key] = kind / name
    return found


def robustbench_subset() -> tuple[Key, ...]:
    """Return the 5,000 images of ImageNet's validation set that RobustBench evaluates on, in its order.

    :raises DataError: where robustbench is not installed as it was published.
    """
    spec = find_spec("robustbench")  # finds its files without running its imports
    places = list(spec.submodule_search_locations or ()) if spec is not None else []
    for place in places:
        if (file := Path(place) / _LIST).is_file():
            lines = file.read_text(encoding="ascii").split()
            return tuple((line.split("/")[0], Path(line).stem) for line in lines)
    raise DataError(f"subset=robustbench needs {_LIST} of the package robustbench 1.1: install it again")


def _severities(folder: Path) -> tuple[int, ...]:
    return tuple(severity for severity in range(1, 6) if (folder / str(severity)).is_dir())


def _folders(folder: Path, where: str) -> list[Path]:
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(e.path) for e in entries if not e.name.startswith(".") and e.is_dir())
    except OSError as error:
        raise DataError(f"{where}: the folder {str(folder)!r} cannot be read: {error.strerror or error}") from error
