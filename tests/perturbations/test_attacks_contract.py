"""Every attack of our own catalogue keeps the contract that we hold plugins to."""

from __future__ import annotations

import pytest

from art_weakrobust.perturbations.attacks.catalogue import ROWS
from art_weakrobust.plugins.manager import Manager
from art_weakrobust.testing import check_attack

MANAGER = Manager(third_party=False)
HELD = [row for row in ROWS if row.package != "numba"]  # compiling takes longer than all others together


@pytest.mark.parametrize("row", HELD, ids=lambda row: row.name)
def test_an_attack_of_the_catalogue_keeps_the_contract(row, few_steps):
    in_l1 = {"eps": 8.0} if row.norms[0] == 1 else {}
    easy = {"eps": 4.8} if row.group == "ensemble" else {}  # its second budget is the usual one: less takes a minute
    check_attack(MANAGER.find("attack", row.name).spec, options={**few_steps.get(row.name, {}), **in_l1}, **easy)
