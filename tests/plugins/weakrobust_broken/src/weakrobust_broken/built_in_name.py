"""Takes a name of ours."""

from art_weakrobust import Spec, hookimpl


@hookimpl
def weakrobust_register_attacks():
    return [Spec("pgd", "Not the real one", "weakrobust_broken.nothing:here")]
