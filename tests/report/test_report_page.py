"""The page: whole without a script or a network, true to the summary, and whole where something is absent."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping
from html.parser import HTMLParser
from typing import Any

import pyarrow as pa
import pytest

from art_weakrobust.report.html import compact_html, html_report, script
from art_weakrobust.report.typography import percent, points, shown
from art_weakrobust.results import WEAK_SET, Records, WeakSet

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "safe\u202egnp.exe",
    "bell\x07\u200bzero",
    "</title></style><b>",
    "' onmouseover='x",
    "&lt;i&gt;",
    "\u2028line",
    "x" * 5000,
)


class Page(HTMLParser):
    """Tags with their attributes, ids, and the text outside style sheets."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text: list[str] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in self.open:
            del self.open[len(self.open) - 1 - self.open[::-1].index(tag) :]

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.text.append(data)

    @property
    def ids(self) -> list[str]:
        return [value for _, attrs in self.tags if (value := attrs.get("id"))]

    @property
    def words(self) -> str:
        return " ".join("".join(self.text).split())


def page_of(records: Records) -> str:
    return html_report()(records)["report.html"].decode()


@pytest.fixture(scope="module")
def html(files: Mapping[str, bytes]) -> str:
    return files["report.html"].decode()


@pytest.fixture(scope="module")
def page(html: str) -> Page:
    return Page(html)


def test_the_same_records_give_the_same_two_files(records: Records, files: Mapping[str, bytes]) -> None:
    assert set(files) == {"report.html", "summary.json"}
    assert html_report()(records) == files


def test_sections_come_in_the_order_of_their_questions(page: Page) -> None:
    order = ["verdict", "weak-spots", "changed", "severity", "scores", "samples", "classes", "doctor", "provenance"]
    order.append("downloads")
    assert [name for name in page.ids if name in order] == order


def test_ids_are_unique_and_every_link_and_symbol_has_its_target(page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    targets = {attrs["href"][1:] for tag, attrs in page.tags if tag in ("a", "use") and attrs["href"].startswith("#")}
    assert targets <= set(page.ids)


def test_nothing_is_loaded_and_one_script_runs(html: str, page: Page) -> None:
    assert not [tag for tag, _ in page.tags if tag in ("link", "iframe", "object", "embed", "img", "base")]
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on") or name == "style"]
    sources = [attrs.get("href") or "" for _, attrs in page.tags] + [attrs.get("src") or "" for _, attrs in page.tags]
    assert all(source.startswith(("#", "data:image/webp;base64,")) for source in sources if source)
    assert [attrs.get("type") for tag, attrs in page.tags if tag == "script"] == ["application/json", None]
    assert "url(" not in html
    assert "@import" not in html


def test_the_policy_forbids_all_but_data_images_the_one_stylesheet_and_the_one_script(html: str) -> None:
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', html)[1].replace("&#39;", "'")
    style = digest(re.search(r"<style>(.*?)</style>", html, re.DOTALL)[1])
    script = digest(re.search(r"<script>(.*?)</script>", html, re.DOTALL)[1])
    assert policy == (
        f"default-src 'none'; img-src data:; style-src 'sha256-{style}'; script-src 'sha256-{script}'; "
        "base-uri 'none'; form-action 'none'"
    )


def digest(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def test_the_script_writes_no_markup_and_loads_nothing() -> None:
    for forbidden in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "fetch(", "import("):
        assert forbidden not in script()
    assert "</script" not in script()


def test_the_page_holds_the_summary_as_it_is(html: str, summary: dict[str, Any]) -> None:
    text = re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1]
    data = json.loads(text)
    tables = {
        name: [dict(zip(t["columns"], row, strict=True)) for row in t["rows"]] for name, t in data["tables"].items()
    }
    assert tables["paired"][0].keys() == summary["tables"]["paired"][0].keys()
    for name, rows in summary["tables"].items():
        assert tables[name] == [five_digits(row) for row in rows]
    assert {key: value for key, value in data.items() if key != "tables"} == five_digits(
        {key: value for key, value in summary.items() if key != "tables"}
    )
    assert not set("<>&") & set(text)


def five_digits(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: five_digits(item) for key, item in value.items()}
    if isinstance(value, list):
        return [five_digits(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def test_headline_figures_are_those_of_the_summary(page: Page, summary: dict[str, Any]) -> None:
    assert summary["headline"] in page.words
    for row in summary["tables"]["headline"]:
        for phase in ("before", "after"):
            assert f"{phase} {100 * row[phase]:.1f}%" in page.words
        assert f"{points(row['change'])} pt" in page.words


def test_every_type_shows_the_summary_s_accuracy_and_interval(html: str, summary: dict[str, Any]) -> None:
    rows = [row for row in summary["tables"]["validation"] if row["family"] != "clean"]
    for row in rows:
        name = {"held_out": "weak, held out", "control": "control", "test": "test"}[row["set"]]
        figure = f"{name} {percent(row['accuracy'])} [{100 * row['lower']:.1f}, {100 * row['upper']:.1f}]"
        assert figure in html


def test_after_figures_of_types_that_training_drew_are_marked(page: Page, html: str) -> None:
    views = html.split('<div class="view ')
    before, after, paired = views[1], views[2], views[3]
    assert "trained</span>" not in before
    for part in (after, paired):
        rows = re.findall(r'<th scope="row">([^<]*?)( <span class="trained">trained</span>)?<', part)
        marked = {name.strip() for name, mark in rows if mark}
        assert marked == {"FGM L∞", "PGD L∞", "gaussian noise", "contrast"}


def test_marks_are_hollow_before_and_solid_after(html: str) -> None:
    views = html.split('<div class="view ')
    assert 'class="mk held_out before' in views[1]
    assert 'class="mk held_out after' not in views[1]
    assert 'class="mk held_out after' in views[2]
    assert 'class="mk held_out before' not in views[2]


def test_samples_are_original_and_neighbor_side_by_side(html: str, page: Page) -> None:
    assert html.count('<div class="thumb"') == 60
    assert {"sheet-original", "sheet-neighbor", "sheet-flips"} <= set(page.ids)
    assert html.count("data:image/webp;base64,") == 3


def test_the_dial_s_curve_has_its_intervals_and_the_choice(html: str, summary: dict[str, Any]) -> None:
    dial = html.split("The dial as a table")[1].split("</table>")[0]
    assert dial.count("<tr>") == 1 + 7
    assert dial.count("chosen") == 1
    for point in summary["finetuning"]["curve"]:
        for name in ("clean", "robust"):
            interval = f"{100 * point[f'{name}_lower']:.1f}–{100 * point[f'{name}_upper']:.1f}"
            assert f'{100 * point[name]:.1f} <span class="ci">{interval}</span>' in dial


def test_a_failed_stage_keeps_its_reason(page: Page) -> None:
    assert "failed: out of memory" in page.words


def test_changed_arguments_come_before_defaults(page: Page) -> None:
    words = page.words
    assert words.index("radius40/255out") < words.index("at their default") < words.index("neighbors50eps")


@pytest.mark.parametrize("side", [8, 224])
def test_hostile_names_are_text_and_never_markup(make_records: Callable[..., Records], side: int) -> None:
    channels = 1 if side == 8 else 3
    records = make_records(side=side, channels=channels, shown=12).with_(class_names=HOSTILE)
    provenance = {"title": HOSTILE[5], "command": HOSTILE[0], "arguments": {HOSTILE[1]: HOSTILE[0]}, "stages": {}}
    finding = {"severity": HOSTILE[6], "code": HOSTILE[1], "seen": HOSTILE[0], "do": HOSTILE[3]}
    html = page_of(records.with_(provenance=provenance, findings=(finding,)))
    page = Page(html)
    assert [tag for tag, _ in page.tags if tag in ("script", "img")] == ["script"] * 2
    assert not [name for _, attrs in page.tags for name in attrs if name.startswith("on")]
    assert "<script>" in page.words
    assert "{{ 7 * 7 }}" in page.words
    assert "49" not in re.findall(r"<bdi[^>]*>([^<]*)</bdi>", html)
    for forbidden in "\u202e\u200b\u2028\x07":
        assert forbidden not in html
    assert "safe\\u{202e}gnp.exe" in page.words


def test_class_names_stand_in_isolation(html: str) -> None:
    names = re.findall(r"(<bdi[^>]*>)?digit \d(?=<)", html)
    assert names
    assert all(names)


def test_compact_html_escapes_as_the_page_does(summary: dict[str, Any]) -> None:
    text = compact_html(summary)
    assert "Improved" in text
    assert "<script" not in text
    assert f"{percent(0.525)}" in text


class TestAbsent:
    def test_without_fine_tuning_there_is_no_arrow_and_nothing_changed(
        self, make_records: Callable[..., Records]
    ) -> None:
        html = page_of(make_records(after=False))
        page = Page(html)
        assert "Diagnosis" in page.words
        assert 'id="changed"' not in html
        assert "#changed" not in html
        verdict = html.split('id="verdict"')[1].split("</section>")[0]
        assert "→" not in verdict
        assert "After, %" not in page.words
        assert "Change, pt" not in page.words

    def test_an_empty_weak_set_is_a_sentence_without_a_grid(self, make_records: Callable[..., Records]) -> None:
        records = make_records(after=False).with_(weak_set=WeakSet(WEAK_SET.empty_table()), samples=None)
        html = page_of(records)
        assert "No sample qualified" in html
        assert '<div class="thumb"' not in html
        assert "Score with a larger radius." in html

    def test_one_family_leaves_the_other_head_out(self, make_records: Callable[..., Records]) -> None:
        html = page_of(make_records(types=5))
        heads = re.findall(r'scope="rowgroup">([^<]*)<', html)
        assert set(heads) == {"Attacks", "Random noise"}
        assert 'id="severity"' not in html
        assert "not run" in html
        assert "--corruptions" in html

    def test_fewer_than_three_types_get_no_mean_and_no_verdict(self, make_records: Callable[..., Records]) -> None:
        html = page_of(make_records(types=4))
        assert "too few types or images for a mean" in html
        assert 'class="mean" x1="' not in html.split('id="weak-spots"')[1].split("</section>")[0].split("<table")[1]

    def test_more_than_thirty_classes_show_fifteen_and_five(self, make_records: Callable[..., Records]) -> None:
        html = page_of(make_records(nb_classes=120))
        table = html.split('<table class="pt cls" data-sortable>')[1].split("</table>")[0]
        assert table.count('<th scope="row">') == 20
        assert "100 between them" in html

    def test_an_error_of_the_doctor_stands_above_the_headline(self, records: Records) -> None:
        html = page_of(records.with_(findings=({"severity": "error", "code": "c", "seen": "s", "do": "d"},)))
        assert html.index("The doctor found an error") < html.index('class="headline"')
        assert "Not comparable" in html

    def test_verdicts_that_are_all_unknown_read_unknown_never_zero(self, make_records: Callable[..., Records]) -> None:
        records = make_records(after=False)
        table = records.before.table
        at = table.column_names.index("correct")
        table = table.set_column(at, "correct", pa.nulls(table.num_rows, pa.bool_()))
        at = table.column_names.index("status")
        table = table.set_column(at, "status", pa.array(["error: crashed"] * table.num_rows))
        html = page_of(records.with_(before=type(records.before)(table, records.before.types)))
        page = Page(html)
        assert page.words.count("not run") >= 3
        assert "unknown" in page.words
        assert "0.0%" not in page.words.split("How weak are the training samples")[0]

    def test_samples_that_are_no_images_are_a_table_alone(self, records: Records) -> None:
        table = records.samples
        shape = pa.array([[2, 4, 8]] * table.num_rows)
        html = page_of(records.with_(samples=table.set_column(table.column_names.index("shape"), "shape", shape)))
        assert '<div class="thumb"' not in html
        assert "as a table" in html

    def test_scores_alone_make_a_page(self, records: Records) -> None:
        html = page_of(Records(scores=records.scores))
        assert "the weak samples are found; nothing was validated yet" in html.lower()

    def test_no_records_at_all_make_a_page(self) -> None:
        assert "Nothing was recorded about this run." in page_of(Records())


@pytest.mark.parametrize(("side", "limit"), [(32, 1.5e6), (224, 3e6)])
def test_a_page_stays_small_with_a_hundred_samples(
    make_records: Callable[..., Records], side: int, limit: float
) -> None:
    files = html_report()(make_records(side=side, channels=3, shown=100))
    html = files["report.html"].decode()
    assert len(files["report.html"]) < limit
    assert html.count('<div class="thumb"') == 100


def test_of_more_samples_a_hundred_are_shown(make_records: Callable[..., Records]) -> None:
    html = page_of(make_records(shown=130))
    assert html.count('<div class="thumb"') == 100
    assert "130 weakest as a table" in html


def test_names_reach_the_page_with_invisible_characters_made_visible() -> None:
    assert shown("a\u202eb\x00") == "a\\u{202e}b\\u{0}"
