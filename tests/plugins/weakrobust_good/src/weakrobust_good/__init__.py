"""What a plugin author writes: specs that name where the things are."""

from art_weakrobust import Spec, hookimpl

ART_WEAKROBUST_API = 1


@hookimpl
def weakrobust_register_attacks():
    return [Spec("my_attack", "Darken every pixel by eps", "weakrobust_good.things:Darken", needs=("decisions",))]


@hookimpl
def weakrobust_register_corruptions():
    return [
        Spec(
            "my_corruption",
            "Multiply by a grey filter",
            "weakrobust_good.things:grey_filter",
            facts={"group": "digital", "source": "this test", "min_size": 1},
        )
    ]


@hookimpl
def weakrobust_register_scorers():
    return [Spec("my_scorer", "One minus the top probability", "weakrobust_good.things:unsure", needs=("scores",))]


@hookimpl
def weakrobust_register_validators():
    return [Spec("my_validator", "Clean accuracy alone", "weakrobust_good.things:CleanOnly")]
