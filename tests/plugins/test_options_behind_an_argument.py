"""``NAME:ARGUMENT[:key=value...]``: which colons belong to the argument."""

from __future__ import annotations

import pytest

from art_weakrobust.plugins.reference import split_options


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("/sets/CIFAR-10-C", ("/sets/CIFAR-10-C", {})),
        ("/sets/CIFAR-10-C:md5=true", ("/sets/CIFAR-10-C", {"md5": True})),
        ("D:/sets/a:b", ("D:/sets/a:b", {})),
        ("D:/sets:crop=224:subset=robustbench", ("D:/sets", {"crop": 224, "subset": "robustbench"})),
        ("/odd/a=b", ("/odd/a=b", {})),
        ("/odd:a b=c", ("/odd:a b=c", {})),
        ("", ("", {})),
    ],
)
def test_options_are_read_from_the_end_and_paths_keep_their_colons(text, wanted):
    assert split_options(text) == wanted
