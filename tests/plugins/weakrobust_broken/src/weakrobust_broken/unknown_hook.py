"""Misspells a hook."""

from art_weakrobust import hookimpl


@hookimpl
def weakrobust_register_scorer():
    return []
