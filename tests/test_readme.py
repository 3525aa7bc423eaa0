"""What the README says is so: its commands, options and modules are those of the package, its scripts run."""

from __future__ import annotations

import re
import subprocess
import sys
import types
import warnings
from dataclasses import fields
from pathlib import Path

import typer

from art_weakrobust.cli.app import build
from art_weakrobust.pipeline.options import Options, flag

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "src" / "art_weakrobust"


def section(title: str) -> str:
    """Return the text below a heading, as far as the next of its level."""
    return re.split(rf"^## {re.escape(title)}$", README, flags=re.M)[1].split("\n## ")[0]


def code(title: str, language: str = "python") -> str:
    """Return the first block of code of a section."""
    found = re.search(rf"^```{language}\n(.*?)^```$", section(title), re.M | re.S)
    assert found, f"no {language} block below {title!r}"
    return found[1]


def rows(title: str) -> list[list[str]]:
    """Return the cells of the tables of a section, without their heads."""
    lines = [line for line in section(title).splitlines() if line.startswith("| `")]
    return [[cell.strip().replace(r"\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines]


def commands():
    """Return the commands of the command line, by name."""
    return typer.main.get_command(build()).commands


def test_the_two_commands_stand_on_a_line_each():
    lines = [line.strip() for line in README.splitlines()]
    assert "pip install . && art-weakrobust demo" in lines
    assert "pip install -e '.[test]' && pytest" in lines


def test_the_table_holds_every_option_with_its_default_and_meaning():
    expected = []
    for option in commands()["run"].params:
        meaning, _, default = (option.help or "").partition(" Default: ")
        expected.append([f"`{option.opts[0]}`", f"`{default.rstrip('.')}`" if default else "–", meaning])
    expected = [row for row in expected if row[0] != "`--help`"]
    assert {f"`--{flag(field.name)}`" for field in fields(Options)} <= {row[0] for row in expected}
    wanted = "\n".join("| " + " | ".join(cell.replace("|", r"\|") for cell in row) + " |" for row in expected)
    assert rows("Options") == expected, f"the table should read:\n{wanted}"


def test_every_command_is_explained():
    assert {row[0] for row in rows("Command line")} == {f"`{name}`" for name in commands()}


def test_every_module_is_in_the_table():
    modules = {path.name for path in PACKAGE.iterdir() if (path / "__init__.py").is_file()}
    modules |= {path.stem for path in PACKAGE.glob("*.py") if path.stem != "__init__"}
    assert {name.strip("` ") for row in rows("Modules") for name in row[0].split(",")} == modules


def test_every_file_it_links_to_is_there():
    for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", README) + re.findall(r'src="(?!https?:)([^"]+)"', README):
        assert (ROOT / target).exists(), target
    assert (ROOT / ".github" / "report.png").stat().st_size < 400_000


def test_the_script_is_ten_lines_and_runs(tmp_path, monkeypatch, capsys, own_cache):
    script = code("In Python")
    statements = [line for line in script.splitlines() if line and not line.startswith(("from ", "import "))]
    assert len(statements) == 10
    monkeypatch.chdir(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # no guard part was handed in, as the README explains
        exec(compile(script, "README.md", "exec"), {"__name__": "readme"})
    assert "Robust accuracy" in capsys.readouterr().out
    assert (tmp_path / "report.html").exists()


def test_the_plugin_is_ten_lines_and_is_found(tmp_path):
    plugin = code("Plugins")
    assert len([line for line in plugin.splitlines() if line]) <= 10
    (tmp_path / "my_plugin.py").write_text(plugin, encoding="utf-8")
    command = [sys.executable, "-m", "art_weakrobust.cli", "plugins", "--plugin", "my_plugin", "--check"]
    result = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert re.search(r"^corruption +dim +my_plugin", result.stdout, re.M)


def test_the_plugin_s_corruption_is_used(own_cache):
    from torch import nn

    from art_weakrobust import FastPyTorchClassifier, WeakRobustValidator
    from art_weakrobust.datasets.digits import digits
    from art_weakrobust.models.digits_cnn import digits_cnn

    plugin = types.ModuleType("my_plugin")
    exec(compile(code("Plugins"), "my_plugin.py", "exec"), plugin.__dict__)
    classifier = FastPyTorchClassifier(digits_cnn()[0], nn.CrossEntropyLoss(), (1, 8, 8), 10, clip_values=(0, 1))
    validator = WeakRobustValidator(
        classifier, radius=0.4, neighbors=5, attacks=[], corruptions=["dim"], plugins=[plugin], verbose=False
    )
    assert "dim" in set(validator.evaluate(digits(split="test")).tables["validation"]["type"])


def test_examples_of_the_command_line_name_real_options():
    known = {name for command in commands().values() for option in command.params for name in option.opts}
    shell = "\n".join(re.findall(r"^```console\n(.*?)^```$", README, re.M | re.S))
    used = set(re.findall(r"(?<=\s)--[a-z][a-z0-9-]*", shell))
    assert used, "the README shows no command with an option"
    assert used <= known, sorted(used - known)
