"""AutoAttack and its parts as their authors wrote them, by way of pyautoattack."""

from __future__ import annotations

from math import inf

from .row import Row

_HERE = "art_weakrobust.perturbations.attacks.autoattack.attack"

ORIGINAL = (
    Row(
        name="apgd-ce",
        kind=f"{_HERE}:AutoPGDCrossEntropy",
        target=f"{_HERE}:AutoPGDCrossEntropy",
        summary="AutoAttack's APGD-CE: 100 steps on the cross-entropy, no step size to choose",
        source="https://arxiv.org/abs/2003.01690",
        group="gradient",
        norms=(inf, 2.0, 1.0),
        targeted=None,
        batch_size=256,
        draws=True,
    ),
    Row(
        name="apgd-t",
        kind=f"{_HERE}:AutoPGDTargeted",
        target=f"{_HERE}:AutoPGDTargeted",
        summary="AutoAttack's APGD-T: 100 steps towards each of nine classes; all but AutoAttack's strength",
        source="https://arxiv.org/abs/2003.01690",
        group="gradient",
        norms=(inf, 2.0, 1.0),
        cost="medium",
        targeted=None,
        batch_size=256,
        draws=True,
    ),
    Row(
        name="autoattack",
        kind=f"{_HERE}:AutoAttack",
        target=f"{_HERE}:AutoAttack",
        summary="AutoAttack by the original's code: APGD-CE, APGD-T, FAB-T, Square; says which broke a sample",
        source="https://arxiv.org/abs/2003.01690",
        group="ensemble",
        norms=(inf, 2.0, 1.0),
        cost="expensive",
        targeted=None,
        batch_size=256,
        draws=True,
        couples=True,  # Square draws one square a batch
    ),
)
