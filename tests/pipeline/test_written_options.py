"""Options as a shell takes them, and back."""

from __future__ import annotations

import shlex

import pytest

from art_weakrobust.pipeline.options import Options, written


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("fill", True, ["--fill"]),
        ("fill", False, ["--no-fill"]),
        ("attacks", "", ["--attacks", ""]),
        ("dataset", "npz:my file.npz", ["--dataset", "npz:my file.npz"]),
        ("radius_norm", 2.0, ["--radius-norm", "2"]),
        ("neighbors", 7, ["--neighbors", "7"]),
    ],
)
def test_an_option_is_written_as_the_command_line_takes_it(name, value, words):
    assert shlex.split(" ".join(written({name: value}))) == words


@pytest.mark.parametrize("eps", ["8/255", 0.1, 1e-7, 2])
def test_the_command_of_a_run_holds_its_budget_to_the_last_digit(eps):
    options = Options(eps=eps)
    name, value = shlex.split(options.command())[2:]
    assert (name, Options(eps=value)) == ("--eps", options)


def test_the_command_of_a_run_names_what_differs_from_the_defaults_alone():
    assert Options().command() == "art-weakrobust run"
    assert Options(test_limit=9).command("my run") == "art-weakrobust run --test-limit 9 --out 'my run'"
