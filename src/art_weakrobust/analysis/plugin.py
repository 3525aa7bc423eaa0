"""The scorers that come with the package."""

from __future__ import annotations

from ..plugins import Spec, hookimpl

_PAPER = "Nuhu et al., arXiv 2509.19197"


@hookimpl
def weakrobust_register_scorers() -> list[Spec]:
    """Return the built-in scorers."""
    return [
        Spec(
            "neighborhood",
            "mean misprediction score over random neighbors: REVa's per-input resilient analysis",
            "art_weakrobust.analysis.neighborhood:neighborhood",
            needs=("decisions", "labels"),
            facts={"source": _PAPER, "score": "mean over neighbors; of a black box that gives labels, its flip rate"},
        ),
        Spec(
            "attack",
            "misprediction score of the adversarial that an evasion attack finds: attack:attack=pgd",
            "art_weakrobust.analysis.attack:attack",
            needs=("decisions", "labels"),
            options=("attack", "eps", "eps_l2", "norm", "seed", "batch_size", "craft"),
            facts={"source": _PAPER, "score": "of the verified adversarial, 0 where none was found"},
        ),
        Spec(
            "boundary",
            "adversarial distance: the smallest verified perturbation, by gradients or boundary:attack=NAME",
            "art_weakrobust.analysis.boundary:boundary",
            needs=("decisions", "labels"),
            options=("distance_norm", "eps_max", "budget", "attack", "seed", "batch_size", "craft"),
            facts={
                "source": "FMN arXiv 2102.12827, DDN arXiv 1811.09600, APGD arXiv 2003.01690, FAB arXiv 1907.02044",
                "score": "minus the distance, or minus eps_max where nothing was found within it",
            },
        ),
    ]
