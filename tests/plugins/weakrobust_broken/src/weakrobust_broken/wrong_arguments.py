"""Its hook asks for an argument."""

from art_weakrobust import hookimpl


@hookimpl
def weakrobust_register_scorers(estimator):
    return []
