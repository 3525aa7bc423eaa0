"""Claims a name that its sibling claims as well."""

from art_weakrobust import Spec, hookimpl


@hookimpl
def weakrobust_register_attacks():
    return [Spec("contested", "Claimed by two", "weakrobust_good.things:Darken")]
