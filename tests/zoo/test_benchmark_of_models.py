"""Many models, one table: rows, the failed among them, weak core, rankings, files, resuming."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from art_weakrobust.cli.app import build
from art_weakrobust.errors import UsageError
from art_weakrobust.statistics import kendall
from art_weakrobust.zoo.entries import entries

NAMES = ["first", "second", "third", "broken"]
OPTIONS = ["--limit", "300", "--test-limit", "120", "--neighbors", "8", "--radius", "0.3", "--eps", "0.1"]
OPTIONS += ["--attacks", "fgm", "--corruptions", "contrast,brightness", "--severities", "3", "--no-plugins", "--quiet"]


def run(*words) -> int:
    with pytest.raises(SystemExit) as left:
        build()([str(word) for word in words])
    return left.value.code or 0


@pytest.fixture(scope="module")
def zoo(tmp_path_factory) -> Path:
    """A finished benchmark of three models that work and one that does not; not to be altered."""
    out = tmp_path_factory.mktemp("zoo")
    shutil.copy(Path(__file__).with_name("zoo_models.py"), out)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(out)
        models = ",".join(f"python:zoo_models:{name}" for name in NAMES)
        assert run("benchmark", "--models", models, *OPTIONS, "--out", out / "bench") == 0
    return out / "bench"


@pytest.fixture(scope="module")
def summary(zoo) -> dict:
    return json.loads((zoo / "benchmark.json").read_text())


def test_every_model_is_a_row_in_the_order_in_which_it_was_named(summary):
    assert [row["name"].rsplit(":", 1)[1] for row in summary["rows"]] == NAMES


def test_a_model_that_fails_is_a_row_with_its_reason_and_the_rest_goes_on(summary):
    *done, failed = summary["rows"]
    assert {row["status"] for row in done} == {"done"}
    assert (failed["status"], failed["robust"], failed["corruptions"]) == ("failed", None, {})
    assert "no such luck" in failed["reason"]


def test_every_accuracy_has_its_n_and_interval(summary):
    for row in summary["rows"][:3]:
        for metric in ("clean", "weak", "robust", "corruption"):
            assert row[f"{metric}_n"] > 0
            assert row[f"{metric}_lower"] <= row[metric] <= row[f"{metric}_upper"]
        assert row["robust_attacks"] == ["fgm-linf"]
        assert set(row["corruptions"]) == {"contrast", "brightness"}
    assert summary["rows"][0]["clean"] > summary["rows"][2]["clean"]


def test_a_row_says_what_the_model_s_own_run_says(zoo, summary):
    row = summary["rows"][0]
    own = json.loads((zoo / "python-zoo_models-first" / "summary.json").read_text())
    headline = {line["metric"]: line for line in own["tables"]["headline"]}
    for metric in ("clean", "robust", "corruption"):
        assert row[metric] == headline[metric]["before"]
        assert row[f"{metric}_n"] == headline[metric]["n"]


def test_the_weak_core_names_every_weak_sample_and_for_whom(zoo, summary):
    weak = {}
    for name in NAMES[:3]:
        table = pq.read_table(zoo / f"python-zoo_models-{name}" / "weak_set.parquet").to_pylist()
        weak[f"python:zoo_models:{name}"] = {row["index"] for row in table if row["role"] in ("tune", "held_out")}
    core = pq.read_table(zoo / "weak_core.parquet").to_pylist()
    assert {row["index"] for row in core} == set.union(*weak.values())
    for row in core:
        assert set(row["weak_for"]) == {name for name, ids in weak.items() if row["index"] in ids}
        assert row["models"] == len(row["weak_for"])
    every = set.intersection(*weak.values())
    assert summary["shared"] == {
        "models": 3,
        "any": len(core),
        "every": len(every),
        "one": sum(row["models"] == 1 for row in core),
    }


def test_agreement_is_counted_among_samples_that_both_classify_correctly(zoo, summary):
    assert len(summary["agreement"]) == 3
    for pair in summary["agreement"]:
        either = pair["first_weak"] + pair["second_weak"] - pair["both"]
        assert pair["jaccard"] == pytest.approx(pair["both"] / either)
        assert 0 <= pair["expected"] <= 1
        assert max(pair["first_weak"], pair["second_weak"]) <= pair["n"] <= 300


def test_the_rankings_are_compared_with_an_interval(summary):
    ranks = summary["rankings"]
    assert ranks["n"] == 3
    assert -1 <= ranks["lower"] <= ranks["tau"] <= ranks["upper"] <= 1


def test_the_files_hold_the_same_table(zoo, summary):
    rows = list(csv.DictReader((zoo / "benchmark.csv").open()))
    assert [float(row["robust"]) for row in rows[:3]] == [row["robust"] for row in summary["rows"][:3]]
    assert rows[3]["status"] == "failed"
    for name in ("contrast", "brightness"):
        own = summary["rows"][0]["corruptions"][name]
        told = [float(rows[0][f"{name}{end}"]) for end in ("", "_lower", "_upper", "_n")]
        assert told == [own["accuracy"], own["lower"], own["upper"], own["n"]]
    text = (zoo / "benchmark.md").read_text()
    assert text.count("| python:zoo_models:") == 4 + 3  # corruptions are told of those that ran
    assert text.count("fgm-linf") == 3
    assert "| model | contrast | brightness |" in text
    page = (zoo / "benchmark.html").read_text()
    for name in NAMES:
        assert f"python:zoo_models:{name}" in page
    assert "<script" not in page
    assert (zoo / "python-zoo_models-first" / "report.html").exists()


def test_a_benchmark_goes_on_where_it_stopped(zoo, summary, tmp_path, monkeypatch):
    copy = tmp_path / "bench"
    shutil.copytree(zoo, copy)
    shutil.rmtree(copy / "python-zoo_models-second")
    kept = (copy / "python-zoo_models-first" / "scores").stat().st_mtime_ns
    shutil.copy(Path(__file__).with_name("zoo_models.py"), tmp_path)
    monkeypatch.chdir(tmp_path)
    models = ",".join(f"python:zoo_models:{name}" for name in NAMES)
    assert run("benchmark", "--models", models, *OPTIONS, "--out", copy) == 0
    again = json.loads((copy / "benchmark.json").read_text())
    assert again["rows"] == summary["rows"]
    assert (copy / "python-zoo_models-first" / "scores").stat().st_mtime_ns == kept


def test_where_no_model_ran_the_command_fails_with_the_first_reason(capsys, tmp_path):
    missing = tmp_path / "none.npz"
    assert run("benchmark", "--models", "digits-cnn", "--dataset", f"npz:{missing}", "--out", tmp_path / "x") == 1
    assert "none of the 1 models ran" in capsys.readouterr().err
    assert json.loads((tmp_path / "x" / "benchmark.json").read_text())["rows"][0]["status"] == "failed"


def test_one_model_s_options_are_refused(capsys, tmp_path):
    assert run("benchmark", "--model", "digits-cnn", "--out", tmp_path / "x") == 2
    assert "--models A,B" in capsys.readouterr().err


@pytest.mark.parametrize("metric", ["clean", "weak", "robust", "corruption"])
def test_a_model_without_a_figure_stands_beside_those_that_have_one(summary, metric):
    """A model at chance has no weak samples, and so no accuracy on them."""
    from art_weakrobust.report.benchmark import benchmark_files

    first, *others = summary["rows"]
    empty = first | dict.fromkeys((metric, f"{metric}_lower", f"{metric}_upper", f"{metric}_n"))
    files = benchmark_files({**summary, "rows": [empty, *others]})
    assert all(files.values())
    assert next(csv.DictReader(files["benchmark.csv"].decode().splitlines()))[metric] == ""


def test_names_with_markup_are_shown_and_not_run(zoo, summary):
    from art_weakrobust.report.benchmark import page, table

    hostile = {**summary, "rows": [{**summary["rows"][3], "name": "=<img src=x onerror=alert(1)>"}]}
    assert "<img" not in page(hostile)
    assert "'=<img" in table(hostile)


def test_a_file_lists_models_with_their_options(tmp_path):
    file = tmp_path / "models.toml"
    file.write_text('[[model]]\nmodel = "python:a:b"\nweights = "w/x.pt"\nmean = [0.5, 0.4]\n[[model]]\nmodel = "c"\n')
    first, second = entries(file=file)
    assert first.options == {"model": "python:a:b", "weights": "w/x.pt", "mean": "0.5,0.4"}
    assert (first.name, second.name) == ("python:a:b x", "c")


def test_a_folder_of_checkpoints_is_a_list_of_zoo_entries(tmp_path):
    for path in (
        "cifar10/Linf/A.pt",
        "cifar10/Linf/B.pt_m0.pt",
        "cifar10/Linf/B.pt_m1.pt",
        "imagenet/L2/C.pt",
        "x/D.pt",
    ):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    names = [entry.name for entry in entries(folder=tmp_path)]
    assert names == [f"robustbench:{name}" for name in ("cifar10/Linf/A", "cifar10/Linf/B", "imagenet/L2/C")]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1", r"\[\[model\]\] tables"),
        ("[[model]]\nweights = 'a'", "has no 'model'"),
        ("[[model]]\nmodell = 'a'", "did you mean 'model'"),
        ("[[model]]\nmodel = 1", "expected text"),
        ("[[model]", "is not TOML"),
        ("[[model]]\nmodel = 'a'\n[[model]]\nmodel = 'a'", "called 'a'"),
    ],
)
def test_a_file_that_is_wrong_says_where(tmp_path, text, words):
    file = tmp_path / "models.toml"
    file.write_text(text)
    with pytest.raises(UsageError, match=words):
        entries(file=file)


def test_nobody_named_is_said():
    with pytest.raises(UsageError, match="--models A,B"):
        entries()


def test_kendall_s_tau_of_clear_orders_is_one_and_of_opposite_ones_minus_one():
    generator = np.random.default_rng(0)
    weak = [(generator.random(400) < share).astype(float) for share in (0.1, 0.4, 0.7, 0.95)]
    robust = np.array([(generator.random(300) < share).astype(float) for share in (0.2, 0.5, 0.7, 0.95)])
    assert kendall(weak, robust, 0) == (1.0, 1.0, 1.0)
    assert kendall(weak, robust[::-1], 0)[0] == -1.0


def test_kendall_s_interval_is_wide_where_accuracies_are_close():
    generator = np.random.default_rng(0)
    weak = [(generator.random(30) < 0.5).astype(float) for _ in range(4)]
    robust = np.array([(generator.random(30) < 0.5).astype(float) for _ in range(4)])
    _, lower, upper = kendall(weak, robust, 0)
    assert upper - lower > 0.8


def test_a_flat_ranking_has_no_tau():
    assert np.isnan(kendall([np.ones(5)] * 3, np.eye(3, 9), 0)[0])
