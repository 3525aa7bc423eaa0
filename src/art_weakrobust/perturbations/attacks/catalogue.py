"""What is known of the attacks, in one table: rows/ holds it, and here it is looked up. Imports neither torch nor art.

To add an attack, add a :class:`~.rows.row.Row`: it is registered by its name (plugin.py), built with our defaults
(build.py), and a ready-made object of its class can be rebound to another estimator (binding.py).
``tests/perturbations/test_attacks_catalogue.py`` holds every row against the installed ART.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from .rows.black_box import DECISION, SCORE
from .rows.gradient import BOUNDED, SMALLEST
from .rows.original import ORIGINAL
from .rows.reva import REVA
from .rows.row import ART, Row
from .rows.universal import ENSEMBLE, UNIVERSAL

ROWS: tuple[Row, ...] = (*BOUNDED, *SMALLEST, *SCORE, *DECISION, *UNIVERSAL, *ENSEMBLE, *ORIGINAL, *REVA)
"""Every attack with a name, as ``art-weakrobust attacks`` lists them."""

CATALOGUE: Mapping[str, Row] = MappingProxyType({kind: row for row in ROWS[::-1] for kind in (row.kind, *row.also)})
"""Class (its name in ``art.attacks.evasion``, or ``module:Class`` of ours) -> the first row that has it."""


def row_of(kind: type) -> Row | None:
    """Return the row of a class of ART's or of ours; None for any other: a subclass of one may do other things."""
    name = f"{kind.__module__}:{kind.__qualname__}"
    return CATALOGUE.get(kind.__qualname__ if kind.__module__.startswith(f"{ART}.") else name)


def name_of(kind: type) -> str:
    """Return the catalogue's name of a class, otherwise the class's own in snake case."""
    row = row_of(kind)
    return row.name if row else re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", kind.__name__).lower()
