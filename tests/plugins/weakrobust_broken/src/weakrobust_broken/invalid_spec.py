"""Its spec has an impossible name."""

from art_weakrobust import Spec, hookimpl


@hookimpl
def weakrobust_register_scorers():
    return [Spec("Not A Name", "A bad name", "a:b")]
