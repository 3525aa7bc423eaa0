"""REVa's own six, with the parameters of its reference code (https://github.com/arnuhu08/REVa).

All are Linf: FGSM, BIM, R+FGSM and MI-FGSM at 4/255 (ten steps of 1/255 where there are steps), PGD at 4/255 with forty
steps, the universal perturbation at 0.1. Two slips of that code are not repeated: its PGD steps by 1/225, and its
universal perturbation descends the loss that it should climb, on the very images that it is scored on.
"""

from __future__ import annotations

from dataclasses import replace

from .gradient import BOUNDED
from .row import Row

_FGM, _BIM, _MIM, _PGD = BOUNDED[:4]
_OURS = "art_weakrobust.perturbations.attacks.reva"
_EPS = 4 / 255

REVA = (
    replace(_BIM, name="reva-bim", eps=_EPS, defaults={"max_iter": 10}, summary="REVa's BIM: ten steps of 1/255"),
    replace(_FGM, name="reva-fgsm", eps=_EPS, norms=_BIM.norms, summary="REVa's FGSM: one step of 4/255"),
    replace(
        _PGD,
        name="reva-pgd",
        eps=_EPS,
        norms=_BIM.norms,
        defaults={"max_iter": 40, "num_random_init": 1},
        summary="REVa's PGD: forty steps of 1/255, random start",
    ),
    Row(
        name="reva-rfgsm",
        kind=f"{_OURS}:RandomisedFGSM",
        summary="REVa's R+FGSM: a random signed step of 1/255, then ten along the gradient",
        source="https://arxiv.org/abs/1705.07204",
        group="gradient",
        draws=True,
        eps=_EPS,
        step=0.25,
    ),
    Row(
        name="reva-uap",
        kind=f"{_OURS}:AdamUniversal",
        summary="REVa's UAP: one perturbation by Adam, crafted on training samples of their own",
        source="https://arxiv.org/abs/2509.19197",
        group="universal",
        cost="medium",
        targeted=None,
        batch_size=100,
        draws=True,
        couples=True,
        crafts=True,
        eps=0.1,
    ),
    replace(
        _MIM,
        name="reva-mifgsm",
        eps=_EPS,
        norms=_BIM.norms,
        defaults={"max_iter": 10, "decay": 1.0},
        summary="REVa's MI-FGSM: ten steps of 1/255, momentum of decay 1",
    ),
)
"""In the order of REVa's list of attacks."""
