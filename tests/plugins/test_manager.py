"""The door: what is registered is found by name, called in one way, and broken things harm nobody."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from types import SimpleNamespace

import pytest

from art_weakrobust import Spec, hookimpl
from art_weakrobust.errors import PluginError, UsageError
from art_weakrobust.plugins import KINDS, hookspecs
from art_weakrobust.plugins.manager import AttackFactory, Manager
from art_weakrobust.plugins.reference import Reference

HOOKS = [name for name in vars(hookspecs) if name.startswith("weakrobust_")]


def offering(kind, *specs):
    """Return a plugin object with one hook that offers these specs."""

    def hook():
        return list(specs)

    hook.__name__ = f"weakrobust_register_{kind}s"
    return SimpleNamespace(**{hook.__name__: hookimpl(hook), "__name__": f"offering_{kind}"})


def manager_with(kind, *specs):
    return Manager([offering(kind, *specs)], third_party=False)


def record(*args, **kwargs):
    return args, kwargs


def test_weakrobust_register_estimators():
    manager = manager_with("estimator", Spec("mine", "Mine", record, options=("device",)))
    assert manager.make("estimator", "mine", "model", "info", offered={"device": "cpu", "seed": 0}) == (
        ("model", "info"),
        {"device": "cpu"},
    )


def test_weakrobust_register_models():
    manager = manager_with("model", Spec("mine", "Mine", record, options=("weights",)))
    assert manager.make("model", "mine", "a:b", written={"weights": "w"}) == (("a:b",), {"weights": "w"})


def test_weakrobust_register_datasets():
    manager = manager_with("dataset", Spec("mine", "Mine", record, options=("split",)))
    assert manager.make("dataset", "mine", "/data", offered={"split": "test"}) == (("/data",), {"split": "test"})


def test_weakrobust_register_scorers():
    manager = manager_with("scorer", Spec("mine", "Mine", record, options=("radius", "neighbors")))
    _, options = manager.make("scorer", "mine", written={"neighbors": 3}, offered={"radius": 0.1, "neighbors": 50})
    assert options == {"radius": 0.1, "neighbors": 3}  # what a user wrote comes first


def test_weakrobust_register_attacks():
    def attack(estimator, norm, eps, max_iter=10):
        return estimator, norm, eps, max_iter

    manager = manager_with("attack", Spec("mine", "Mine", attack))
    factory = AttackFactory(manager, Reference.parse("mine@2:max_iter=3"), {"eps": 0.1, "eps_l2": 0.5})
    assert factory("estimator") == ("estimator", 2.0, 0.5, 3)


def test_weakrobust_register_corruptions():
    def corruption(x, ids, severity, seed):
        return x

    manager = manager_with("corruption", Spec("mine", "Mine", corruption))
    assert manager.make("corruption", "mine") is corruption
    many = manager_with("corruption", Spec("set", "Many", lambda root: {f"{root}/fog": corruption}, many=True))
    assert many.make("corruption", "set", "c") == {"c/fog": corruption}


def test_weakrobust_register_validators():
    manager = manager_with("validator", Spec("mine", "Mine", record, options=("attacks",)))
    assert manager.make("validator", "mine", "classifier", offered={"attacks": []}) == (
        ("classifier",),
        {"attacks": []},
    )


def test_weakrobust_register_trainers():
    manager = manager_with("trainer", Spec("mine", "Mine", record, options=("eps",)))
    assert manager.make("trainer", "mine", "classifier", offered={"eps": 0.1}) == (("classifier",), {"eps": 0.1})


def test_weakrobust_register_reporters():
    manager = manager_with("reporter", Spec("mine", "Mine", lambda: lambda records: {"a.txt": b"x"}))
    assert manager.make("reporter", "mine")(None) == {"a.txt": b"x"}


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_a_docstring_to_work_from_and_a_test(hook):
    document = inspect.getdoc(getattr(hookspecs, hook))
    assert document is not None
    assert len(document) > 200
    assert "target" in document
    tests = {
        node.name
        for path in Path(__file__).parents[1].rglob("test_*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    }
    assert f"test_{hook}" in tests


def test_there_is_one_hook_for_every_kind():
    assert sorted(HOOKS) == sorted(f"weakrobust_register_{kind}s" for kind in KINDS)


def test_our_own_parts_come_through_the_same_door():
    manager = Manager(third_party=False)
    assert {thing.kind for thing in manager.things() if thing.built_in} == set(KINDS)
    assert manager.find("validator", "weakrobust").built_in
    assert manager.find("trainer", "weakrobust").built_in


def test_every_built_in_target_can_be_imported():
    assert Manager(third_party=False).check() == []


def test_an_unknown_name_lists_the_known_ones_and_the_nearest():
    with pytest.raises(PluginError, match=r"unknown attack 'pdg', did you mean 'pgd'\?.*known: .*fgm"):
        Manager(third_party=False).find("attack", "pdg")


def test_a_name_that_two_claim_is_an_error_only_when_asked_for_and_names_both():
    one, two = (offering("scorer", Spec("mine", "Mine", record)) for _ in range(2))
    one.__name__, two.__name__ = "first_owner", "second_owner"
    manager = Manager([one, two], third_party=False)
    assert manager.find("scorer", "neighborhood").built_in
    with pytest.raises(PluginError, match="first_owner and second_owner"):
        manager.find("scorer", "mine")


def test_an_option_that_the_target_does_not_know_lists_those_it_does():
    manager = manager_with("scorer", Spec("mine", "Mine", lambda radius=1, neighbors=2: None))
    with pytest.raises(PluginError, match=r"no option 'neighbours', did you mean 'neighbors'.*radius, neighbors"):
        manager.make("scorer", "mine", written={"neighbours": 3})


def test_a_plugin_that_the_user_named_and_that_is_broken_is_an_error_that_says_why():
    bad = SimpleNamespace(__name__="bad", weakrobust_register_scorer=lambda: [])
    manager = Manager([bad], third_party=False)
    assert "weakrobust_register_scorers" in manager.broken[0].cause
    with pytest.raises(PluginError, match="bad"):
        Manager.of([bad])


def test_a_plugin_may_not_take_a_name_of_ours():
    manager = manager_with("attack", Spec("pgd", "Mine", record))
    assert "built-in" in manager.broken[0].cause
    assert manager.find("attack", "pgd").built_in


def test_two_managers_share_nothing():
    with_plugin, without = manager_with("scorer", Spec("mine", "Mine", record)), Manager(third_party=False)
    assert "mine" in with_plugin.names("scorer")
    assert "mine" not in without.names("scorer")


def test_what_a_thing_needs_is_refused_in_one_sentence():
    manager = manager_with("scorer", Spec("mine", "Mine", record, needs=("gradients", "labels")))
    thing = manager.find("scorer", "mine")
    manager.require(thing, {"gradients", "labels"})
    with pytest.raises(PluginError, match="scorer 'mine' needs gradients"):
        manager.require(thing, {"labels", "scores"})


def test_an_extra_that_is_not_installed_is_named():
    manager = manager_with("scorer", Spec("mine", "Mine", record, needs=("no-such-extra",)))
    with pytest.raises(PluginError, match="no-such-extra"):
        manager.require(manager.find("scorer", "mine"), ())


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("pgd", Reference("pgd")),
        ("pgd@2:max_iter=50:eps=0.5", Reference("pgd", 2.0, {"max_iter": 50, "eps": 0.5})),
        ("pgd@inf:eps=8/255:label=strong", Reference("pgd", float("inf"), {"eps": 8 / 255}, "strong")),
        ("attack:attack=pgd", Reference("attack", None, {"attack": "pgd"})),
        ("a:flag=true:text=none", Reference("a", None, {"flag": True, "text": None})),
    ],
)
def test_references_are_read_as_users_write_them(text, expected):
    assert Reference.parse(text) == expected


@pytest.mark.parametrize("text", ["pgd@3", "pgd:eps", ":eps=1", "pgd:a b=1"])
def test_what_cannot_be_read_is_a_usage_error(text):
    with pytest.raises(UsageError):
        Reference.parse(text)


def test_an_l1_attack_asks_for_a_budget():
    manager = manager_with("attack", Spec("mine", "Mine", record))
    with pytest.raises(UsageError, match="mine@1:eps="):
        _ = AttackFactory(manager, Reference.parse("mine@1"), {"eps": 0.1, "eps_l2": 0.5}).eps


@pytest.mark.parametrize(
    "fields", [{"name": "Upper"}, {"summary": ""}, {"target": "no colon"}, {"target": 3}], ids=lambda f: next(iter(f))
)
def test_a_spec_without_its_form_is_refused(fields):
    with pytest.raises(PluginError):
        Spec(**{"name": "ok", "summary": "Fine", "target": "a.b:c", **fields})
