"""Two distributions, installed: one brings things of its own, its sibling is broken in every way and harms nobody."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from art_weakrobust.results import column
from art_weakrobust.store import Run

CAUSES = {
    "main": "import of 'weakrobust_broken.no_such_module' failed: ModuleNotFoundError",
    "exits": "SystemExit: a plugin must not decide this",
    "missing_import": "No module named 'a_package_that_nobody_has'",
    "hook_raises": "weakrobust_register_scorers failed: RuntimeError: no scorers today",
    "invalid_spec": "Spec name 'Not A Name' has to be lower case",
    "not_a_spec": "a list that holds 'my_scorer', expected a list of Spec",
    "unknown_hook": "'weakrobust_register_scorer', which is no hook, did you mean 'weakrobust_register_scorers'",
    "unmarked": "'weakrobust_register_scorers' without @hookimpl",
    "wrong_api": "99",
    "wrong_arguments": "estimator",
    "built_in_name": "attack 'pgd': a built-in has that name",
    "twice": "attack 'again': registers it twice",
}
"""Entry point of the broken distribution -> what has to be said of it."""

MINE = """
from art_weakrobust import Spec, hookimpl
from art_weakrobust.results import Scores

def by_index():
    import pyarrow as pa
    def chunk(estimator, samples):
        return pa.table({"index": samples.ids, "score": samples.ids.astype(float)})
    return lambda estimator, data, over: Scores(over("by_index", chunk, estimator, data))

@hookimpl
def weakrobust_register_scorers():
    return [Spec("by_index", "The later the weaker", "mine_here:by_index")]
"""


@pytest.fixture(scope="session")
def installed(tmp_path_factory):
    """A folder in which pip has installed both distributions, from copies, so that nothing is built in the checkout."""
    here, target = Path(__file__).parent, tmp_path_factory.mktemp("installed")
    copies = [
        str(shutil.copytree(here / name, tmp_path_factory.mktemp("sources") / name))
        for name in ("weakrobust_good", "weakrobust_broken")
    ]
    offline = ["--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check", "--quiet"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *offline, "--target", str(target), *copies],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, f"pip and hatchling (extra 'test') have to be there: {done.stderr}"
    return target


@pytest.fixture
def weakrobust(installed, tmp_path):
    """Return a function that runs the command line in a process that finds both distributions."""

    def run(*words, **environment):
        path = os.pathsep.join(filter(None, [str(installed), os.environ.get("PYTHONPATH")]))
        return subprocess.run(
            [sys.executable, "-m", "art_weakrobust.cli", *map(str, words)],
            env={**os.environ, "PYTHONPATH": path, **{name: str(value) for name, value in environment.items()}},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )

    return run


@pytest.fixture(scope="session")
def listing(installed, own_cache):
    """What ``plugins --json`` tells with both distributions there."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-m", "art_weakrobust.cli", "plugins", "--json"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def of(things, owner):
    return {(thing["kind"], thing["name"]) for thing in things if thing["owner"] == owner}


def test_a_sound_plugin_is_listed_with_its_distribution_and_version(listing):
    assert of(listing["things"], "weakrobust-good") == {
        ("scorer", "my_scorer"),
        ("attack", "my_attack"),
        ("attack", "contested"),
        ("corruption", "my_corruption"),
        ("validator", "my_validator"),
    }
    (mine,) = (thing for thing in listing["things"] if thing["name"] == "my_corruption")
    assert (mine["version"], mine["summary"]) == ("1.2.3", "Multiply by a grey filter")
    assert mine["facts"]["source"] == "this test"


@pytest.mark.parametrize("entry", CAUSES)
def test_a_broken_plugin_is_listed_with_its_cause(entry, listing):
    (broken,) = (broken for broken in listing["broken"] if broken["plugin"] == f"weakrobust-broken:{entry}")
    assert (broken["owner"], broken["version"]) == ("weakrobust-broken", "0.0.1")
    assert CAUSES[entry] in broken["cause"]
    assert "\n" not in broken["cause"]


def test_every_broken_entry_is_told_and_nothing_else_is_missing(listing):
    from art_weakrobust.plugins.manager import Manager

    declared = (Path(__file__).parent / "weakrobust_broken" / "pyproject.toml").read_text(encoding="utf-8")
    entries = {line.split(" = ")[0] for line in declared.split("entry-points.art_weakrobust]")[1].split("\n") if line}
    entries -= {"]", ""}
    assert entries - {"contested"} == set(CAUSES)
    assert {broken["plugin"] for broken in listing["broken"]} == {f"weakrobust-broken:{entry}" for entry in CAUSES}
    assert of(listing["things"], "weakrobust-broken") == {("attack", "contested")}
    ours = {(thing.kind, thing.spec.name) for thing in Manager(third_party=False).things()}
    assert of(listing["things"], "art-weakrobust") == ours


def test_the_listing_for_people_names_the_broken_ones_too(weakrobust):
    shown = weakrobust("plugins")
    assert shown.returncode == 0
    text = " ".join(shown.stdout.split())
    assert "weakrobust-good 1.2.3" in text
    assert "broken: weakrobust-broken 0.0.1 (weakrobust-broken:hook_raises):" in text


def test_check_fails_where_something_is_broken_and_names_targets_that_cannot_be_imported(weakrobust):
    checked = weakrobust("plugins", "--check")
    assert checked.returncode == 2
    assert "broken target: attack contested of weakrobust-broken 0.0.1" in " ".join(checked.stdout.split())
    assert checked.stderr == "error: 1 targets and 12 plugins are broken\n"


def test_a_run_uses_an_attack_a_scorer_and_a_corruption_of_a_third_party(weakrobust, tmp_path):
    chosen = ["--attacks", "my_attack", "--scorer", "my_scorer", "--corruptions", "my_corruption,contrast"]
    small = ["--limit", "100", "--test-limit", "400", "--severities", "1,5", "--nb-epochs", "1", "--eps", "0.1"]
    done = weakrobust("run", *chosen, *small, "--quiet", "--out", "run")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    with Run.open(tmp_path / "run", write=False) as run:
        scores, types, validation = (run.read_table(name) for name in ("scores", "types", "validation"))
        weak_set = run.records().weak_set
    names = {"clean", "uniform_noise", "my_attack-linf", "my_corruption", "contrast"}
    assert set(types.column("type").to_pylist()) == names
    assert set(column(validation, "type")) == names
    assert set(scores.column("scorer").to_pylist()) == {"my_scorer"}
    assert len(weak_set) == 10
    (mine,) = (row for row in types.to_pylist() if row["type"] == "my_corruption")
    assert (mine["group"], mine["source"]) == ("digital", "this test")
    (mine,) = (row for row in types.to_pylist() if row["type"] == "my_attack-linf")
    assert (mine["norm"], mine["eps"]) == ("inf", 0.1)


def test_a_name_that_two_claim_is_an_error_that_names_both_once_somebody_asks_for_it(weakrobust, tmp_path):
    done = weakrobust("run", "--attacks", "contested", "--out", "run")
    assert done.returncode == 2
    assert "'contested' is claimed by weakrobust-broken 0.0.1 and weakrobust-good 1.2.3" in done.stderr
    assert done.stderr.count("\n") == 1
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("how", ["--no-plugins", "ART_WEAKROBUST_NO_PLUGINS"])
def test_third_parties_can_be_left_out(how, weakrobust):
    words, environment = ([how], {}) if how.startswith("-") else ([], {how: "1"})
    listed = json.loads(weakrobust("plugins", "--json", *words, **environment).stdout)
    assert listed["broken"] == []
    assert {thing["owner"] for thing in listed["things"]} == {"art-weakrobust"}


def test_a_module_in_the_current_directory_is_a_plugin_without_packaging(weakrobust, tmp_path):
    (tmp_path / "mine_here.py").write_text(MINE)
    words = ["--plugin", "mine_here", "--scorer", "by_index", "--limit", "20", "--no-plugins", "--quiet"]
    done = weakrobust("score", *words, "--out", "run")
    assert (done.returncode, done.stderr) == (0, "")
    with Run.open(tmp_path / "run", write=False) as run:
        scores = run.read_table("scores")
    assert column(scores, "score").tolist() == list(range(20))


def test_a_third_partys_validator_that_is_killed_resumes_without_code_of_its_own(weakrobust, tmp_path):
    from art_weakrobust.pipeline.run import execute

    given = {"radius": 0.3, "neighbors": 6, "limit": 400}
    execute(tmp_path / "straight", ("score", "select"), given, resume=False, third_party=False)
    shutil.copytree(tmp_path / "straight", tmp_path / "killed")
    validate = ("validate", "--validator", "my_validator", "--quiet", "--out")

    def log(name):
        return (tmp_path / name).read_text().split()

    killed = weakrobust(*validate, "killed", DIE_AT_CHUNK=3, CHUNK_LOG=tmp_path / "first")
    assert killed.returncode == -signal.SIGKILL
    assert len(log("first")) == 2

    resumed = weakrobust(*validate, "killed", CHUNK_LOG=tmp_path / "second")
    straight = weakrobust(*validate, "straight", CHUNK_LOG=tmp_path / "whole")
    assert (resumed.returncode, straight.returncode) == (0, 0), resumed.stderr + straight.stderr
    assert log("first") + log("second") == log("whole")
    assert len(log("whole")) == 4
    tables = []
    for out in ("killed", "straight"):
        with Run.open(tmp_path / out, write=False) as run:
            tables.append(run.read_table("validation"))
    assert tables[0].equals(tables[1])
    assert tables[0].num_rows > 400
