"""``--tune``: measured once, written into the manifest, followed by whoever goes on. Nothing is timed here."""

from __future__ import annotations

import json

import pytest
import torch

from art_weakrobust.cli.app import build
from art_weakrobust.errors import UsageError
from art_weakrobust.estimators import tuning
from art_weakrobust.pipeline.measuring import tune
from art_weakrobust.pipeline.options import Options

SMALL = ("--limit", "60", "--neighbors", "2", "--radius", "0.3", "--quiet")


@pytest.fixture
def measured(monkeypatch):
    """Plans that were measured; a contiguous batch of 64 is the fastest."""
    plans = []

    class Table:
        compiled = 1.0

        def __init__(self, estimator, x, clock, gradients=True, searches=False):
            assert len(x) == 60

        def __call__(self, plan, seconds):
            plans.append(plan)
            cost = 1 - 0.3 * (plan["batch_size"] == 64) - 0.3 * (plan["memory_format"] == "contiguous")
            return cost * (self.compiled if plan["compile"] else 1)

    monkeypatch.setattr(tuning, "Stopwatch", Table)
    return plans


@pytest.fixture
def work(own_cache, capsys, tmp_path, monkeypatch):
    """Return a function that runs a command on one run directory, and gives its status and standard error."""
    monkeypatch.setenv("ART_WEAKROBUST_CACHE", str(tmp_path / "cache"))

    def run(*words):
        with pytest.raises(SystemExit) as left:
            build()([*words, "--out", str(tmp_path / "run")])
        return left.value.code or 0, capsys.readouterr().err

    return run


@pytest.fixture
def manifest(tmp_path):
    """Return a function that reads the manifest."""
    return lambda: json.loads((tmp_path / "run" / "manifest.json").read_text())


def forget(tmp_path):
    """Remove every plan that is kept outside of the run directory."""
    for file in (tmp_path / "cache").glob("plan-*.json"):
        file.unlink()


def test_without_the_flag_nothing_is_measured(work, measured, manifest):
    assert work("score", *SMALL) == (0, "")
    assert not measured
    assert manifest()["plan"]["batch_size"] == 128


def test_the_plan_is_in_the_manifest_and_a_resumed_run_never_measures(work, measured, manifest, tmp_path):
    assert work("score", *SMALL, "--tune") == (0, "")
    assert measured
    plan = manifest()["plan"]
    assert (plan["batch_size"], plan["memory_format"]) == (64, "contiguous")

    forget(tmp_path)
    measured.clear()
    assert work("score", *SMALL, "--tune") == (0, "")
    assert work("select", "--top-k", "4", "--fill")[0] == 0
    small = ("--test-limit", "20", "--attacks", "fgm", "--corruptions", "", "--eps", "0.1", "--quiet")
    assert work("validate", *small) == (0, "")
    assert not measured
    stages = manifest()["stages"]
    assert stages["score"]["options"]["plan"] == stages["before"]["options"]["plan"] == plan


def test_a_run_is_not_gone_on_with_under_another_plan(work, measured, manifest):
    assert work("score", *SMALL)[0] == 0
    status, error = work("score", *SMALL, "--tune")
    assert status == 1
    assert "plan:" in error
    assert manifest()["plan"]["batch_size"] == 128
    assert work("score", *SMALL, "--tune", "--force") == (0, "")
    assert manifest()["plan"]["batch_size"] == 64


def test_other_work_in_the_same_directory_is_measured_for_itself(work, measured, tmp_path):
    assert work("score", *SMALL, "--tune")[0] == 0
    forget(tmp_path)
    measured.clear()
    assert work("score", *SMALL, "--tune", "--batch-size", "16", "--force") == (0, "")
    assert measured


@pytest.mark.parametrize("faster", [True, False])
def test_what_is_compiled_is_measured_only_where_it_is_asked_for(
    work, measured, manifest, monkeypatch, tmp_path, faster
):
    monkeypatch.setattr(tuning.Stopwatch, "compiled", 0.5 if faster else 2.0)
    monkeypatch.setattr(torch, "compile", lambda network, **_options: network)
    assert work("score", *SMALL, "--tune") == (0, "")
    assert not any(plan["compile"] for plan in measured)

    assert work("score", *SMALL, "--tune", "--compile", "--force") == (0, "")
    assert any(plan["compile"] for plan in measured)
    assert manifest()["plan"]["compile"] is faster

    forget(tmp_path)
    measured.clear()
    assert work("score", *SMALL, "--tune", "--compile") == (0, "")  # gone on with
    assert not measured
    assert manifest()["plan"]["compile"] is faster


def test_compiling_without_measuring_is_refused(work, measured):
    status, error = work("score", *SMALL, "--compile")
    assert status == 2
    assert "--compile needs --tune" in error


def test_an_estimator_without_a_plan_is_refused(work, measured):
    status, error = work("score", *SMALL, "--tune", "--estimator", "stock")
    assert status == 2
    assert "--estimator fast" in error


class TunesAlone:
    """Somebody's estimator, which knows nothing of compiled code."""

    def tune(self, images):
        self.asked = images, False


class TunesAnything:
    """Somebody's estimator, which hands on what it is given."""

    def tune(self, images, **asked):
        self.asked = images, asked["compile"]


def test_a_plugin_that_cannot_compile_measures_without_and_says_so_where_it_is_asked_to():
    estimator, images = TunesAlone(), object()
    tune(estimator, images, Options(tune=True, estimator="theirs"))
    assert estimator.asked == (images, False)
    with pytest.raises(UsageError, match="that of estimator 'theirs' takes no compile="):
        tune(estimator, images, Options(tune=True, compile=True, estimator="theirs"))


def test_a_plugin_that_compiles_is_asked_to():
    estimator, images = TunesAnything(), object()
    tune(estimator, images, Options(tune=True, compile=True, estimator="theirs"))
    assert estimator.asked == (images, True)
