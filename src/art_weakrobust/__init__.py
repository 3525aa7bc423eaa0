"""Find, validate and mend the weak robust samples of a classifier: a plugin to the Adversarial Robustness Toolbox.

Public names resolve lazily: importing this package loads neither torch, ART nor numpy.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

_PUBLIC = {
    "CorruptionPreprocessor": "perturbations.corruptions.preprocessor",
    "CorruptionTransform": "perturbations.corruptions.transform",
    "FastPyTorchClassifier": "estimators.pytorch",
    "RandomCorruption": "perturbations.corruptions.random_corruption",
    "WeakRobustValidator": "validator",
    "WeakRobustEvaluation": "validator",
    "WeakRobustTrainer": "trainer",
    "Spec": "plugins.spec",
    "hookimpl": "plugins.hookspecs",
    "ThreatModel": "threat",
    "early_stopping": "perturbations.attacks.stopping",
    "diagnose": "doctor.examine",
    "suggest_radius": "analysis.radius",
    "triage": "analysis.triage",
    "weak_segments": "analysis.segments",
}

__all__ = [
    "CorruptionPreprocessor",
    "CorruptionTransform",
    "FastPyTorchClassifier",
    "RandomCorruption",
    "Spec",
    "ThreatModel",
    "WeakRobustEvaluation",
    "WeakRobustTrainer",
    "WeakRobustValidator",
    "__version__",
    "diagnose",
    "early_stopping",
    "hookimpl",
    "suggest_radius",
    "triage",
    "weak_segments",
]

if TYPE_CHECKING:
    from .analysis.radius import suggest_radius
    from .analysis.segments import weak_segments
    from .analysis.triage import triage
    from .doctor.examine import diagnose
    from .estimators.pytorch import FastPyTorchClassifier
    from .perturbations.attacks.stopping import early_stopping
    from .perturbations.corruptions.preprocessor import CorruptionPreprocessor
    from .perturbations.corruptions.random_corruption import RandomCorruption
    from .perturbations.corruptions.transform import CorruptionTransform
    from .plugins.hookspecs import hookimpl
    from .plugins.spec import Spec
    from .threat import ThreatModel
    from .trainer import WeakRobustTrainer
    from .validator import WeakRobustEvaluation, WeakRobustValidator
else:

    def __getattr__(name: str):
        if name not in _PUBLIC:
            raise AttributeError(f"module 'art_weakrobust' has no attribute {name!r}")
        from importlib import import_module

        return getattr(import_module(f".{_PUBLIC[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
