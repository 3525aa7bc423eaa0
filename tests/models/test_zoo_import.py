"""robustbench imports where ``import robustbench`` fails, and nothing that stood in for it stays."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

from art_weakrobust.errors import ModelError
from art_weakrobust.models import importing

HIDDEN = """
    import importlib.abc, sys
    class Hidden(importlib.abc.MetaPathFinder):
        def find_spec(self, name, path=None, target=None):
            if name.split(".")[0] in ("pkg_resources", "setuptools", "autoattack"):
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)
    import importlib.util
    real = importlib.util.find_spec
    names = ("pkg_resources", "autoattack")
    importlib.util.find_spec = lambda name, package=None: None if name in names else real(name, package)
    sys.meta_path.insert(0, Hidden())
"""


def child(code):
    return subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], capture_output=True, text=True)


def test_it_imports_without_setuptools_and_without_its_git_dependency():
    result = child(
        HIDDEN
        + """
    try:
        import robustbench
    except ModuleNotFoundError as error:
        print("plain import:", error.name)
    for name in [name for name in sys.modules if name.startswith("robustbench")]:
        del sys.modules[name]
    from art_weakrobust.models.robustbench import import_robustbench
    zoo = import_robustbench()
    print(zoo is sys.modules["robustbench"], len(zoo.model_zoo.model_dicts))
    print([name for name in ("pkg_resources", "autoattack", "autoattack.state") if name in sys.modules])
    from robustbench.eval import AutoAttack
    from robustbench.loaders import make_custom_dataset
    print(AutoAttack.__module__)
    """
    )
    assert result.stdout.splitlines() == [
        "plain import: pkg_resources",
        "True 3",
        "[]",
        "art_weakrobust.models.importing",
    ], result.stderr


def test_a_second_import_is_the_first(zoo):
    assert importing.import_robustbench() is zoo


def test_modules_that_are_really_there_are_used(zoo, monkeypatch):
    real = importing._module("autoattack", AutoAttack=object)
    monkeypatch.setitem(sys.modules, "autoattack", real)
    monkeypatch.setitem(sys.modules, "pkg_resources", importing._module("pkg_resources"))
    with importing._standing_in():
        assert sys.modules["autoattack"] is real
    assert sys.modules["autoattack"] is real


def test_benchmarks_autoattack_runs_under_the_arguments_that_it_is_given():
    import torch

    linear = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(12, 12, bias=False)).requires_grad_(False)
    linear[1].weight.copy_(torch.eye(12))
    x, y = torch.full((2, 3, 2, 2), 0.5), torch.tensor([0, 1])
    x[0, 0, 0, 0] = x[1, 0, 0, 1] = 0.9
    with torch.random.fork_rng(devices=[]):
        attack = importing.AutoAttack(
            linear, norm="Linf", eps=0.25, version="standard", device="cpu", log_path=None, seed=0
        )
        moved = attack.run_standard_evaluation(x, y, bs=2)
    assert moved.shape == x.shape
    assert (moved - x).abs().max() <= 0.25 + 1e-6
    assert (linear(moved).argmax(1) != y).all()  # 0.9 − 0.25 is below 0.5 + 0.25


@pytest.fixture
def another(tmp_path, monkeypatch):
    """Put a package of the name robustbench first on the path of a child, and return what ours says of it."""

    def said(files, before=""):
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        result = child(
            f"""
    import sys
    sys.path.insert(0, {str(tmp_path)!r})
    {before}
    from art_weakrobust.models.robustbench import import_robustbench
    try:
        import_robustbench()
    except Exception as error:
        print(type(error).__name__, error)
    print([name for name in sys.modules if name.split(".")[0] in ("robustbench", "pkg_resources", "autoattack")])
    """
        )
        return result.stdout + result.stderr

    return said


def test_the_copy_that_torchattacks_brings_is_recognised_before_it_is_run(another):
    said = another(
        {
            "robustbench/__init__.py": "raise SystemExit('it was run')",
            "robustbench/model_zoo/__init__.py": "",
            "robustbench/model_zoo/enums.py": "class ThreatModel:\n    corruptions = 'corruptions'\n",
        }
    )
    assert said.startswith("ModelError robustbench in ")
    assert "torchattacks" in said
    assert "pip install --force-reinstall --no-deps robustbench" in said
    assert said.splitlines()[-1] == "[]"


def test_a_timm_that_robustbench_was_not_made_for_is_named_with_the_one_that_it_was(another):
    said = another(
        {
            "robustbench/__init__.py": "from timm.models.registry import register_model_of_old",
            "robustbench/model_zoo/__init__.py": "",
            "robustbench/model_zoo/enums.py": "corruptions_3d = 1",
        },
        before="from importlib import metadata; real = metadata.version\n"
        "    metadata.version = lambda name: '1.0.20' if name == 'timm' else real(name)",
    )
    assert "it was made for timm 1.0.9, and 1.0.20 is installed: pip install timm==1.0.9" in said
    assert said.splitlines()[-1] == "[]"


def test_an_installation_without_it_is_told_how_to_get_it(monkeypatch):
    monkeypatch.delitem(sys.modules, "robustbench", raising=False)
    monkeypatch.setattr(importing, "find_spec", lambda name: None)
    with pytest.raises(ModelError, match="pip install robustbench"):
        importing.import_robustbench()
