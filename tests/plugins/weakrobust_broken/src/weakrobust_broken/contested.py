"""Sound in itself, but claims a name that its sibling claims."""

from art_weakrobust import Spec, hookimpl


@hookimpl
def weakrobust_register_attacks():
    return [Spec("contested", "Claimed by two", "weakrobust_broken.nothing:here")]
