"""``report``: another file, exports, two runs side by side; all from run directories alone."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import webbrowser
import xml.etree.ElementTree as ET

import pytest


@pytest.fixture
def other(finished, tmp_path):
    """A second run directory: the same run, whose fine-tuning is said to have been another."""
    path = tmp_path / "other"
    shutil.copytree(finished, path)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest["arguments"]["weak_weight"] = 7.0
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


def test_html_writes_the_page_elsewhere_and_leaves_the_run_as_it_is(cli, copied, tree, tmp_path):
    before, page = tree(copied), tmp_path / "deep" / "page.html"
    answer = cli("report", "--out", copied, "--html", page, "--no-plugins")
    assert answer.status == 0
    assert page.read_bytes() == (copied / "report.html").read_bytes()
    assert f"report: {page}" in answer.out
    assert str(copied / "report.html") not in answer.out
    assert tree(copied) == before


def test_max_samples_bounds_the_images_and_nothing_else(cli, copied, tmp_path):
    pages = [tmp_path / f"{number}.html" for number in (0, 3)]
    for page in pages:
        assert cli("report", "--out", copied, "--html", page, "--max-samples", page.stem, "--quiet").status == 0
    none, three = (page.read_text(encoding="utf-8") for page in pages)
    assert "data:image/webp" not in none
    assert "data:image/webp" in three
    assert len(three) < len((copied / "report.html").read_text(encoding="utf-8"))


@pytest.mark.parametrize("number", ["-1", "101"])
def test_max_samples_out_of_range_is_refused(number, cli, copied):
    answer = cli("report", "--out", copied, f"--max-samples={number}")
    assert answer.status == 2
    assert answer.error == f"error: --max-samples {number} has to be from 0 to 100: a page has its limits"


def test_exports_are_written_where_they_were_asked_for(cli, copied, tmp_path):
    words = ("--csv", tmp_path / "csv", "--junit", tmp_path / "j.xml", "--markdown", tmp_path / "r.md")
    answer = cli("report", "--out", copied, *words, "--figures", tmp_path / "figures", "--no-plugins")
    assert answer.status == 0
    summary = json.loads((copied / "summary.json").read_text())
    written = {path.stem for path in (tmp_path / "csv").iterdir()}
    assert written == {name for name, rows in summary["tables"].items() if rows}
    assert ET.parse(tmp_path / "j.xml").getroot().tag == "testsuites"
    assert summary["stance"] in (tmp_path / "r.md").read_text(encoding="utf-8")
    assert (tmp_path / "figures" / "comparison.svg").exists()
    for path in (tmp_path / "csv", tmp_path / "j.xml", tmp_path / "r.md", tmp_path / "figures"):
        assert f"written: {path}" in answer.out.splitlines()


def test_an_export_that_cannot_be_written_is_one_line(cli, copied, tmp_path):
    (tmp_path / "file").write_text("")
    answer = cli("report", "--out", copied, "--csv", tmp_path / "file")
    assert answer.status == 1
    assert str(tmp_path / "file") in answer.error


def test_open_shows_the_page_that_was_written(cli, copied, tmp_path, monkeypatch):
    opened = []
    monkeypatch.setattr(webbrowser, "open", opened.append)
    assert cli("report", "--out", copied, "--html", tmp_path / "a b.html", "--open", "--quiet").status == 0
    assert cli("report", "--out", copied, "--quiet").status == 0
    assert opened == [(tmp_path / "a b.html").resolve().as_uri()]


def test_two_runs_on_the_same_test_images_are_paired(cli, copied, other, tree):
    untouched = tree(other)
    answer = cli("report", "--out", copied, "--compare", other, "--json")
    assert answer.status == 0
    told = json.loads(answer.out)
    assert told["names"] == {"other": "other", "this": "run"}
    assert told["paired"]["test"]["why"] is None
    assert told["stance"] == "No evidence of a difference"
    assert [row["name"] for row in told["tables"]["settings"]] == ["weak_weight"]
    assert json.loads((copied / "compare.json").read_text()) == told
    assert "No evidence" in (copied / "compare.html").read_text(encoding="utf-8")
    assert tree(other) == untouched


def test_a_comparison_survives_the_next_report_and_is_written_again(cli, copied, other):
    for _ in range(2):
        assert cli("report", "--out", copied, "--compare", other, "--quiet").status == 0
        assert cli("report", "--out", copied, "--quiet").status == 0
    assert (copied / "compare.html").exists()


def test_a_comparison_has_csv_junit_and_markdown(cli, copied, other, tmp_path):
    words = ("--csv", tmp_path / "csv", "--junit", tmp_path / "j.xml", "--markdown", tmp_path / "c.md")
    page = tmp_path / "c.html"
    answer = cli("report", "--out", copied, "--compare", other, "--html", page, *words)
    assert answer.status == 0
    assert f"comparison: {page}" in answer.out
    assert not (copied / "compare.html").exists()
    assert (tmp_path / "csv" / "settings.csv").exists()
    assert "run against other" in (tmp_path / "c.md").read_text(encoding="utf-8")
    assert ET.parse(tmp_path / "j.xml").getroot().get("name") == "run against other"


@pytest.mark.parametrize(("flag", "value"), [("figures", "f"), ("max-samples", "5")])
def test_what_a_comparison_does_not_have_is_refused(flag, value, cli, copied, other):
    answer = cli("report", "--out", copied, "--compare", other, f"--{flag}", value)
    assert answer.status == 2
    assert answer.error == f"error: --{flag} is of one run; leave out --compare, or --{flag}"


def test_a_run_is_not_compared_with_itself_or_with_no_run(cli, copied, tmp_path):
    itself = cli("report", "--out", copied, "--compare", copied / ".." / "run")
    assert itself.status == 2
    assert "is the run itself" in itself.error
    missing = cli("report", "--out", copied, "--compare", tmp_path / "none")
    assert missing.status == 1
    assert str(tmp_path / "none") in missing.error


def test_comparison_and_exports_need_neither_torch_nor_art(copied, other, tmp_path):
    code = (
        "import sys; from art_weakrobust.cli.app import build\n"
        "for more in (['--compare', sys.argv[2]], ['--csv', sys.argv[3], '--junit', sys.argv[3] + '/j.xml']):\n"
        "    try: build()(['report', '--out', sys.argv[1], *more, '--no-plugins', '--quiet'])\n"
        "    except SystemExit as left: assert not left.code\n"
        "print(sorted({'torch', 'art'} & set(sys.modules)))"
    )
    words = [sys.executable, "-c", code, str(copied), str(other), str(tmp_path / "csv")]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
