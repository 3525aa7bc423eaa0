"""Its hook fails."""

from art_weakrobust import hookimpl


@hookimpl
def weakrobust_register_scorers():
    raise RuntimeError("no scorers today")
