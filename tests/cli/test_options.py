"""Options: their names and defaults, the config file, what is printed, and the exit status."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from art_weakrobust.cli.app import build
from art_weakrobust.store import Run

DEFAULTS = {
    "model": "digits-cnn",
    "weights": "none",
    "mean": "none",
    "std": "none",
    "dataset": "digits",
    "split": "train",
    "limit": "none",
    "test-limit": "none",
    "estimator": "fast",
    "scorer": "neighborhood",
    "radius": "8/255",
    "radius-norm": "inf",
    "neighbors": "50",
    "fraction": "0.1",
    "attacks": "fgm,pgd,pgd@2",
    "eps": "2/255",
    "eps-l2": "0.5",
    "corruptions": "gaussian_noise,shot_noise,brightness,contrast,defocus_blur,pixelate",
    "severities": "1,2,3,4,5",
    "validator": "weakrobust",
    "trainer": "weakrobust",
    "reporter": "html",
    "nb-epochs": "3",
    "weak-weight": "2",
    "clean-budget": "none",
    "batch-size": "128",
    "device": "none",
    "seed": "0",
    "out": "run",
}
"""The names that scripts rely on -> their defaults."""
SWITCHES = ("force", "plugin", "no-plugins", "config", "quiet", "json", "debug")
COMMANDS = ("demo", "run", "score", "select", "validate", "finetune", "report", "plugins")


@pytest.fixture(scope="module")
def described():
    """Every option of ``run --help`` -> its text, on one line."""
    import contextlib
    import io

    with contextlib.redirect_stdout(io.StringIO()) as shown, pytest.raises(SystemExit):
        build()(["run", "--help"])
    pieces = re.split(r"\n  --", shown.getvalue())[1:]
    return {re.match(r"[\w-]+", piece)[0]: " ".join(piece.split()) for piece in pieces}


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items(), ids=DEFAULTS)
def test_help_shows_every_option_with_its_default(name, default, described):
    assert described[name].endswith(f"Default: {default.replace(',', ', ') if len(default) > 40 else default}.")


@pytest.mark.parametrize("name", SWITCHES)
def test_help_shows_every_switch(name, described):
    assert len(described[name]) > len(name) + 10


def test_no_default_of_the_list_is_another_than_the_one_that_runs():
    from art_weakrobust.pipeline.options import Options

    written = {name.replace("-", "_"): None if text == "none" else text for name, text in DEFAULTS.items()}
    written.pop("out")
    numbers = {
        "neighbors": int,
        "fraction": float,
        "nb_epochs": int,
        "weak_weight": float,
        "batch_size": int,
        "seed": int,
    }
    assert (
        Options().with_({name: numbers.get(name, lambda v: v)(value) for name, value in written.items()}) == Options()
    )


def test_the_help_of_every_command_loads_neither_torch_nor_art_nor_numpy():
    code = (
        "import sys\nfrom art_weakrobust.cli.app import build\n"
        "for command in ([], *([name] for name in sys.argv[1:])):\n"
        "    try: build()([*command, '--help'])\n"
        "    except SystemExit as left: assert not left.code, command\n"
        "print([name for name in ('torch', 'art', 'numpy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code, *COMMANDS], capture_output=True, text=True, check=True)
    assert result.stdout.strip().splitlines()[-1] == "[]"


def test_without_a_command_the_help_is_shown(cli):
    answer = cli()
    assert answer.status == 2
    assert all(f"\n  {command} " in answer.out for command in COMMANDS)


def test_the_version_is_shown(cli):
    from art_weakrobust import __version__

    assert cli("--version").out == f"art-weakrobust {__version__}\n"


@pytest.mark.parametrize(
    ("words", "fragment"),
    [
        (["rnu"], "Did you mean 'run'?"),
        (["run", "--limi", "3"], "--limi"),
        (["run", "--limit", "few"], "--limit 'few' has to be a whole number"),
        (["run", "--fraction", "half"], "--fraction 'half' has to be a number"),
        (["run", "--limit"], "--limit"),
        (["run", "stray"], "stray"),
    ],
)
def test_what_cannot_be_read_is_one_line_and_status_2(words, fragment, cli):
    answer = cli(*words)
    assert answer.status == 2
    assert answer.err == f"{answer.error}\n"
    assert fragment in answer.error
    assert "--help" in answer.error or fragment.startswith("--")


# --- the config file


def arguments(out):
    with Run.open(out, write=False) as run:
        return run.manifest["arguments"]


def test_a_config_file_takes_options_by_their_long_names_and_flags_win(cli, tmp_path):
    config = tmp_path / "my.toml"
    config.write_text(
        f'radius = "0.2"\nneighbors = 2\nlimit = 30\nout = "{tmp_path / "run"}"\nquiet = true\nno-plugins = true\n'
        'nb_epochs = 9\nattacks = ["fgm", "pgd@2"]\n'  # for other commands
    )
    answer = cli("score", "--config", config, "--neighbors", "3")
    assert (answer.status, answer.out, answer.err) == (0, "", "")
    told = arguments(tmp_path / "run")
    assert (told["radius"], told["neighbors"], told["limit"]) == (0.2, 3, 30)


def test_lists_in_a_config_file_are_what_commas_are_on_the_command_line(cli, copied, tmp_path):
    config = tmp_path / "my.toml"
    config.write_text('eps_l2 = 0.5\nattacks = ["pgd:max_iter=3"]\nseverities = [5, 1]\ncorruptions = ["contrast"]\n')
    assert cli("validate", "--config", config, "--out", copied).status == 0


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("radios = 0.2", "unknown key 'radios', did you mean 'radius'"),
        ("eps-l3 = 0.2", "unknown key 'eps-l3', did you mean 'eps-l2'"),
        ("[finetune]\nnb-epochs = 2", "unknown key 'finetune'"),
        ("limit = 2.5", "'limit' is 2.5, expected int"),
        ('limit = "many"', "'limit' is 'many', expected int"),
        ('fraction = "half"', "'fraction' is 'half', expected a number"),
        ("fill = 1", "'fill' is 1, expected bool"),
        ("out = 3", "out is 3, expected text"),
        ("plugin = 3", "plugin is 3, expected text or a list of texts"),
        ('quiet = "yes"', "quiet is 'yes', expected true or false"),
        ("radius = ", "is not TOML"),
        ("severities = [1, 9]", "--severities"),
    ],
)
def test_a_config_file_that_is_wrong_says_where(text, fragment, cli, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "my.toml").write_text(text)
    answer = cli("run", "--config", "my.toml")
    assert answer.status == 2
    assert fragment in answer.error
    assert [path.name for path in tmp_path.iterdir()] == ["my.toml"]


def test_a_config_file_that_is_missing_is_an_error(cli, tmp_path):
    answer = cli("run", "--config", tmp_path / "none.toml")
    assert answer.status == 2
    assert answer.error == f"error: --config {tmp_path / 'none.toml'} cannot be read: No such file or directory"


# --- what is printed


JSON = {
    "demo": ("--limit", "60", "--neighbors", "2", "--attacks", "", "--corruptions", ""),
    "run": "small",
    "score": ("--radius", "0.3", "--neighbors", "6", "--limit", "400"),
    "select": (),
    "validate": (),
    "finetune": (),
    "report": (),
    "plugins": None,
}


@pytest.mark.parametrize("command", COMMANDS)
def test_json_is_all_that_is_printed(command, cli, small, copied, tmp_path):
    words = small if JSON[command] == "small" else JSON[command]
    out = () if words is None else ("--out", tmp_path / "demo" if command == "demo" else copied)
    answer = cli(command, *(words or ()), *out, "--no-plugins", "--json")
    assert answer.status == 0
    told = json.loads(answer.out)
    assert set(told) == {"things", "broken"} if command == "plugins" else "tables" in told


@pytest.mark.parametrize("command", ["run", "validate", "select", "finetune", "report"])
def test_quiet_prints_nothing(command, cli, small, copied):
    (copied / "report.html").unlink()
    answer = cli(command, *(small if command == "run" else ("--quiet",)), "--out", copied)
    assert (answer.status, answer.out, answer.err) == (0, "", "")


def test_quiet_prints_errors_all_the_same(cli, tmp_path):
    answer = cli("report", "--quiet", "--out", tmp_path / "none")
    assert answer.status == 1
    assert answer.err == f"{answer.error}\n"


def test_text_tells_what_a_person_wants_to_know(cli, copied):
    selected, reported = cli("select", "--out", copied), cli("report", "--out", copied)
    assert selected.out.startswith("400 samples scored, ")
    assert "9 weak samples: 5 to tune on, 4 held out, 4 control" in selected.out
    assert "Robust accuracy" in reported.out
    assert f"report: {copied / 'report.html'}" in reported.out


@pytest.mark.parametrize(("words", "status"), [(["report"], 1), (["run", "--radius", "0"], 2)])
def test_debug_shows_the_traceback_and_keeps_the_status(words, status, cli, tmp_path):
    answer = cli(*words, "--debug", "--out", tmp_path / "none")
    assert answer.status == status
    assert "Traceback (most recent call last)" in answer.err
    assert answer.err.splitlines()[-1].startswith("error: ")


def test_a_defect_of_ours_is_one_line_that_names_the_way_to_the_traceback(cli, copied, monkeypatch):
    def broken(*args, **kwargs):
        raise ZeroDivisionError("one\ntwo")

    monkeypatch.setattr("art_weakrobust.pipeline.reporting.write_report", broken)
    answer = cli("report", "--out", copied)
    assert answer.status == 1
    assert answer.err == "error: ZeroDivisionError: one two (--debug shows where)\n"


def test_an_interrupted_command_says_how_to_go_on(cli, copied, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("art_weakrobust.pipeline.reporting.write_report", interrupted)
    answer = cli("report", "--out", copied)
    assert answer.status == 130
    assert "goes on" in answer.error


def test_plugins_shows_one_thing_with_its_options_and_facts(cli):
    shown = cli("plugins", "pgd", "--no-plugins")
    assert shown.status == 0
    assert "attack pgd: options = norm, eps_step, decay, max_iter" in " ".join(shown.out.split())
    assert "source = https://arxiv.org/abs/1706.06083" in shown.out


@pytest.mark.parametrize("kind", ["fast", "parquet", "python", "contrast", "neighborhood", "weakrobust", "html"])
def test_plugins_shows_every_kind_of_thing(kind, cli):
    assert cli("plugins", kind, "--no-plugins").status == 0


def test_plugins_names_the_nearest_of_an_unknown_name(cli):
    answer = cli("plugins", "pdg")
    assert answer.status == 2
    assert "did you mean 'pgd'" in answer.error
