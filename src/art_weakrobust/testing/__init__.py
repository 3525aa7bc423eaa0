"""For plugin authors and for us: small networks, and contract checks of what a plugin offers.

>>> from art_weakrobust.testing import check_attack
>>> check_attack(my_spec)  # AssertionError, with a sentence, where the contract does not hold
"""

from __future__ import annotations

from .attacks import check_attack
from .estimators import check_estimator

__all__ = ["check_attack", "check_estimator"]
