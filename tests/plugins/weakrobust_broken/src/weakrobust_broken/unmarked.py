"""Forgets the marker."""


def weakrobust_register_scorers():
    return []
