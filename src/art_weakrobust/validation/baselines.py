"""Models that corruption errors are normalised by: a name for each, so that no mCE stands without one.

Errors are kept by the name of the corruption, never by its place in a list: one list sorted otherwise, and every
quotient is of two different corruptions.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from ..errors import UsageError, nearest


@dataclass(frozen=True)
class Baseline:
    """What a model gets wrong.

    :param name: of the model and its row.
    :param errors: corruption -> mean error over the severities 1 to 5, in (0, 1].
    :param clean: error on clean images, for relative mCE; None where unknown.
    :param classes: number of classes of the data that it was measured on; None where that is left to the user.
    :param source: where the numbers are from.
    """

    name: str
    errors: Mapping[str, float]
    clean: float | None = None
    classes: int | None = None
    source: str = ""

    def check_classes(self, nb_classes: int | None) -> None:
        """Refuse to normalise errors on data of another number of classes, which are errors of another task.

        :param nb_classes: of the data at hand.
        :raises UsageError: where it is another number, or not known.
        """
        if self.classes is not None and nb_classes != self.classes:
            raise UsageError(
                f"baseline {self.name!r} is a row of {self.classes:,} classes, the data have "
                f"{'an unknown number' if nb_classes is None else nb_classes}: mCE would compare two tasks; "
                "take the plain mean, or a baseline measured on these data (a JSON file)"
            )

    def to_json(self) -> dict[str, Any]:
        """Return the row as :meth:`from_json` reads it."""
        return {
            "name": self.name,
            "errors": dict(self.errors),
            "clean": self.clean,
            "classes": self.classes,
            "source": self.source,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any], where: str = "baseline") -> Baseline:
        """Return a row from ``name``, ``errors`` (by name of the corruption), and optionally ``clean``, ``classes``.

        :raises UsageError: where a value is none.
        """
        errors = record.get("errors")
        if not isinstance(errors, Mapping) or not errors:
            raise UsageError(f"{where}: 'errors' is {errors!r}, expected corruption -> mean error, as in 'fog': 0.82")
        clean, classes = record.get("clean"), record.get("classes")
        for kind, error in {**errors, **({} if clean is None else {"clean": clean})}.items():
            if isinstance(error, bool) or not isinstance(error, int | float) or not 0 < error <= 1:
                raise UsageError(f"{where}: the error of {kind!r} is {error!r}, expected a share above 0 and at most 1")
        if classes is not None and (isinstance(classes, bool) or not isinstance(classes, int) or classes < 2):
            raise UsageError(f"{where}: 'classes' is {classes!r}, expected their number, or none")
        return cls(str(record.get("name") or where), dict(errors), clean, classes, str(record.get("source", "")))


def _alexnet(name: str, source: str, clean: float, **errors: float) -> Baseline:
    return Baseline(name, MappingProxyType(errors), clean, 1000, source)


BASELINES: Mapping[str, Baseline] = MappingProxyType(
    {
        baseline.name: baseline
        for baseline in (
            _alexnet(
                "alexnet",
                "AlexNet on ImageNet-C, 50,000 images: Hendrycks and Dietterich 2019 (arXiv 1903.12261), digits as in "
                "https://github.com/google-research/augmix/blob/master/imagenet.py",
                0.435,
                gaussian_noise=0.886428,
                shot_noise=0.894468,
                impulse_noise=0.922640,
                defocus_blur=0.819880,
                glass_blur=0.826268,
                motion_blur=0.785948,
                zoom_blur=0.798360,
                snow=0.866816,
                frost=0.826572,
                fog=0.819324,
                brightness=0.564592,
                contrast=0.853204,
                elastic_transform=0.646056,
                pixelate=0.717840,
                jpeg_compression=0.606500,
            ),
            _alexnet(
                "alexnet-robustbench",
                "AlexNet on RobustBench's 5,000 images of ImageNet-C, resized to 224: robustbench, model_info",
                0.4376,
                gaussian_noise=0.8816,
                shot_noise=0.8883,
                impulse_noise=0.9172,
                defocus_blur=0.8220,
                glass_blur=0.8308,
                motion_blur=0.7872,
                zoom_blur=0.7957,
                snow=0.8680,
                frost=0.8315,
                fog=0.8236,
                brightness=0.5585,
                contrast=0.8543,
                elastic_transform=0.6480,
                pixelate=0.7186,
                jpeg_compression=0.6068,
            ),
            _alexnet(
                "alexnet-robustbench-3dcc",
                "AlexNet on RobustBench's 5,000 images of ImageNet-3DCC: robustbench, model_info",
                0.4376,
                near_focus=0.6107,
                far_focus=0.6515,
                bit_error=0.6834,
                color_quant=0.5962,
                flash=0.8012,
                fog_3d=0.7736,
                h265_abr=0.5674,
                h265_crf=0.5252,
                iso_noise=0.9315,
                low_light=0.8225,
                xy_motion_blur=0.8248,
                z_motion_blur=0.7959,
            ),
        )
    }
)
"""Name -> published row."""


def baseline(name: str | Baseline) -> Baseline:
    """Return a baseline by its name, or a user's own from a JSON file (:meth:`Baseline.from_json`).

    :param name: of :data:`BASELINES`, or a path that ends in ``.json``.
    :raises UsageError: for an unknown name, and for a file that holds none.
    """
    if isinstance(name, Baseline):
        return name
    if name in BASELINES:
        return BASELINES[name]
    if not name.lower().endswith(".json"):
        hint = nearest(name, tuple(BASELINES)) or ";"
        raise UsageError(f"baseline {name!r} is not known{hint} known: {', '.join(BASELINES)}, or a .json file")
    try:
        record = json.loads(Path(name).read_bytes())
    except (OSError, ValueError) as error:
        raise UsageError(f"baseline {name!r} cannot be read as JSON: {error}") from error
    if not isinstance(record, dict):
        raise UsageError(f"baseline {name!r} holds no JSON object with 'name' and 'errors'")
    return Baseline.from_json(record, f"baseline {name!r}")
