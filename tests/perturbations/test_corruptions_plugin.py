"""The corruptions are registered with the facts that are shown of them."""

from __future__ import annotations

import pytest

from art_weakrobust.perturbations.corruptions.constants import CONSTANTS
from art_weakrobust.plugins.manager import Manager


@pytest.fixture(scope="module")
def manager() -> Manager:
    return Manager(third_party=False)


def test_all_six_are_registered(manager):
    assert set(CONSTANTS) <= set(manager.names("corruption"))


@pytest.mark.parametrize("name", CONSTANTS)
def test_each_says_its_group_source_constants_and_least_size(manager, name):
    facts = manager.find("corruption", name).spec.facts
    assert facts["group"] in {"noise", "blur", "weather", "digital"}
    assert "1903.12261" in facts["source"]
    assert len(facts["constants"]["32 px"]) == len(facts["constants"]["224 px"]) == 5
    assert facts["min_size"] == 8


@pytest.mark.parametrize("name", CONSTANTS)
def test_each_name_gives_the_function_of_that_name(manager, name):
    assert manager.make("corruption", name).__name__ == name
