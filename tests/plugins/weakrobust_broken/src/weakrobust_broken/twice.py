"""Registers one name twice."""

from art_weakrobust import Spec, hookimpl


@hookimpl
def weakrobust_register_attacks():
    return [Spec("again", "Once", "a:b"), Spec("again", "Twice", "a:b")]
