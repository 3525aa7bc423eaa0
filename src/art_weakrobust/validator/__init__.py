"""Local robustness analysis and validation on the weak samples, as an evaluation of ART's."""

from __future__ import annotations

from .evaluation import WeakRobustComparison, WeakRobustEvaluation
from .validator import WeakRobustValidator

__all__ = ["WeakRobustComparison", "WeakRobustEvaluation", "WeakRobustValidator"]
