"""Returns text in place of a spec."""

from art_weakrobust import hookimpl


@hookimpl
def weakrobust_register_scorers():
    return ["my_scorer"]
