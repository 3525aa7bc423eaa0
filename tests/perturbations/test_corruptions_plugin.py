"""The corruptions are registered with the facts that are shown of them."""

from __future__ import annotations

from collections import Counter

import pytest

from art_weakrobust.perturbations.corruptions.constants import CONSTANTS
from art_weakrobust.plugins.manager import Manager

FROM_8_PX = {"gaussian_noise", "shot_noise", "brightness", "contrast", "defocus_blur", "pixelate"}


@pytest.fixture(scope="module")
def manager() -> Manager:
    return Manager(third_party=False)


def test_the_paper_s_15_and_its_4_extra_ones_are_registered(manager):
    assert set(CONSTANTS) == {n for n in manager.names("corruption") if not manager.find("corruption", n).spec.many}
    groups = Counter(manager.find("corruption", name).spec.facts["group"] for name in CONSTANTS)
    assert groups == {"noise": 3, "blur": 4, "weather": 4, "digital": 4, "extra": 4}


@pytest.mark.parametrize("name", CONSTANTS)
def test_each_says_its_source_constants_and_least_size(manager, name):
    facts = manager.find("corruption", name).spec.facts
    assert "1903.12261" in facts["source"]
    assert len(facts["constants"]["32 px"]) == len(facts["constants"]["224 px"]) == 5
    assert facts["min_size"] == (8 if name in FROM_8_PX else 28)


@pytest.mark.parametrize("name", CONSTANTS)
def test_each_name_gives_the_function_of_that_name(manager, name):
    assert manager.make("corruption", name).__name__ == name


def test_the_sets_on_disk_are_registered_as_many(manager):
    many = {name for name in manager.names("corruption") if manager.find("corruption", name).spec.many}
    assert many == {"cifar10-c", "cifar100-c", "imagenet-c", "imagenet-3dcc"}
