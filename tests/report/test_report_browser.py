"""The page in a real browser: it loads nothing, executes nothing from names, and every interaction works."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from art_weakrobust.report.html import html_report
from art_weakrobust.results import Records, Validation

sync_api = pytest.importorskip("playwright.sync_api", reason="the extra test-browser is not installed")
pytestmark = pytest.mark.browser

BAD = '"><img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
SECTIONS = (
    "Where is it weak?",
    "What did fine-tuning change?",
    "How bad does it get with severity?",
    "How weak are the training samples?",
    "Which samples are the weakest?",
    "Which classes carry it?",
    "Can these numbers be trusted?",
    "What exactly ran?",
    "Take the numbers with you",
)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        pytest.skip("no Chromium on this machine")
    with sync_api.sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def written(records: Records, tmp_path_factory: pytest.TempPathFactory) -> str:
    return write(records, tmp_path_factory.mktemp("page"))


def write(records: Records, folder: Path) -> str:
    path = folder / "report.html"
    path.write_bytes(html_report()(records)["report.html"])
    return path.as_uri()


@pytest.fixture
def visit(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open an address; at the end no script has failed, and nothing but the file itself was asked for."""
    pages, errors, asked = [], [], []

    def opened(address: str, **context: Any) -> Any:
        page = browser.new_page(**{"viewport": {"width": 1280, "height": 800}, **context})
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda told: errors.append(told.text) if told.type == "error" else None)
        page.on("request", lambda request: asked.append(request.url))
        page.goto(address)
        pages.append(page)
        return page

    yield opened
    for page in pages:
        page.close()
    assert not errors
    assert not [url for url in asked if not url.startswith(("file:", "data:", "blob:"))]


def ranks(page: Any) -> list[int]:
    """The ranks of the samples that are shown, in the order in which they stand."""
    return page.evaluate(
        "[...document.querySelectorAll('#thumbs .thumb:not([hidden])')].map(thumb => +thumb.dataset.at + 1)"
    )


def told(summary: dict[str, Any], **wanted: Any) -> list[int]:
    """The ranks of the samples of the summary that have these values."""
    rows = summary["tables"]["samples"]
    return [row["rank"] for row in rows if all(row[name] == value for name, value in wanted.items())]


def filtered(page: Any, **fields: str) -> list[int]:
    for name, value in fields.items():
        field = page.locator(f"#filters [name={name}]")
        field.fill(value) if name in ("low", "high") else field.select_option(value)
    if page.locator("#more").is_visible():
        page.locator("#more").click()
    return ranks(page)


def test_filters_combine(visit: Callable[..., Any], written: str, summary: dict[str, Any]) -> None:
    page = visit(written)
    assert len(ranks(page)) == 36
    assert filtered(page, **{"class": "3"}) == told(summary, **{"class": 3})
    assert filtered(page, after="f") == told(summary, outcome="f", **{"class": 3})
    assert page.locator("#count").inner_text().endswith("of 60")
    page.locator("#clear").click()
    assert len(ranks(page)) == 36


def test_a_type_asks_for_what_became_of_a_sample_under_it(
    visit: Callable[..., Any], written: str, summary: dict[str, Any]
) -> None:
    at = summary["outcome_types"].index("gaussian_noise")
    page = visit(written)
    for code in "fbrw":
        expected = [row["rank"] for row in summary["tables"]["samples"] if row["outcomes"][at] == code]
        assert filtered(page, type="gaussian_noise", after=code) == expected


def test_samples_sort_and_the_unknown_comes_last(
    visit: Callable[..., Any], written: str, summary: dict[str, Any]
) -> None:
    rows = sorted(summary["tables"]["samples"], key=lambda row: (row["margin"], row["rank"]))
    assert filtered(visit(written), sort="margin") == [row["rank"] for row in rows]


def test_a_view_can_be_mailed(visit: Callable[..., Any], written: str) -> None:
    first = visit(written)
    shown = filtered(first, **{"class": "3"}, sort="margin", low="0.1")
    second = visit(first.url)
    assert "class=3" in first.url
    assert ranks(second) == shown
    assert second.locator("#filters [name=sort]").input_value() == "margin"


def brushed(page: Any) -> tuple[float, float]:
    """Drag across the middle of the histogram and return the scores that the filter then holds."""
    page.locator("#histogram").scroll_into_view_if_needed()
    box = page.locator("#histogram").bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 60, steps=4)
    page.mouse.up()
    low, high = (float(page.locator(f"#filters [name={name}]").input_value()) for name in ("low", "high"))
    return low, high


def test_brushing_the_histogram_filters_the_gallery(
    visit: Callable[..., Any], written: str, summary: dict[str, Any]
) -> None:
    page = visit(written)
    low, high = brushed(page)
    edges = summary["score_histogram"]["edges"]
    width = edges[-1] - edges[0]
    assert low == pytest.approx(edges[0] + 0.5 * width, abs=0.01 * width)
    assert high == pytest.approx(edges[0] + 0.8 * width, abs=0.01 * width)
    expected = [row["rank"] for row in summary["tables"]["samples"] if low <= row["score"] <= high]
    assert 0 < len(expected) < 60
    assert filtered(page) == expected
    assert f"{len(expected)} of the 60" in page.locator("#brush-note").inner_text()


def test_a_line_of_the_confusions_opens_its_samples(
    visit: Callable[..., Any], written: str, summary: dict[str, Any]
) -> None:
    page = visit(written)
    link = page.locator(".pairs a").first
    own = int(link.locator("bdi").first.inner_text().removeprefix("digit "))
    link.click()
    expected = told(summary, **{"class": own}, neighbor_class=(own + 1) % 10)
    assert ranks(page) == expected
    assert expected
    page.wait_for_function("location.hash.includes('read=')")


def test_a_cell_of_the_flips_opens_its_samples(
    visit: Callable[..., Any], written: str, summary: dict[str, Any]
) -> None:
    page = visit(written)
    page.locator("#changed .seg input[value=b]").check()
    page.locator("#changed .view.b .flips summary").click()
    link = page.locator("#changed .view.b .flips tbody tr", has_text="pixelate").locator("a").first
    number = int(link.inner_text())
    link.click()
    at = summary["outcome_types"].index("pixelate")
    expected = [row["rank"] for row in summary["tables"]["samples"] if row["outcomes"][at] == "f"]
    assert ranks(page) == expected
    assert len(expected) == number, "all 60 weak samples are shown"


def test_a_cell_of_the_test_set_opens_the_samples_that_were_fixed(visit: Callable[..., Any], written: str) -> None:
    page = visit(written)
    page.locator("#changed .view.a .flips > summary").click()
    link = page.locator("#changed .view.a .flips tbody tr", has_text="pixelate").locator("a").first
    number = int(link.inner_text())
    link.click()
    strips = page.locator("#changed .view.a .strip:visible")
    assert strips.count() == 1
    assert "pixelate" in strips.inner_text().lower()
    assert strips.locator("li svg").count() == min(6, number)
    assert strips.locator("li svg").first.bounding_box()["width"] > 30
    strips.locator("a", has_text="all types").click()
    assert strips.count() > 1


def test_an_address_that_was_mailed_opens_the_samples_of_another_set(visit: Callable[..., Any], written: str) -> None:
    page = visit(written)
    address = page.locator("#changed .view.c .flips tbody a").first.get_attribute("href")
    page = visit(f"{written}{address}")
    assert page.locator("#changed .seg input[value=c]").is_checked()
    assert page.locator(address).is_visible()


def test_a_cell_opens_its_samples_though_one_type_ran_and_all_were_right(
    visit: Callable[..., Any], make_records: Callable[..., Records], tmp_path: Path
) -> None:
    address = write(always_right(make_records(types=2), "uniform_noise"), tmp_path)
    page = visit(address)
    page.locator("#changed .seg input[value=b]").check()
    page.locator("#changed .view.b .flips summary").click()
    link = page.locator("#changed .view.b .flips tbody a")
    number = int(link.inner_text())
    link.click()
    assert page.locator("#filters [name=type]").input_value() == "uniform_noise"
    assert len(ranks(page)) == number == 30


def always_right(records: Records, kind: str) -> Records:
    """The same records with every verdict under a type right, before and after."""

    def right(validation: Validation) -> Validation:
        table = validation.table
        sure = pc.or_(table["correct"], pc.equal(table["type"].cast(pa.string()), kind))
        return Validation(table.set_column(table.column_names.index("correct"), "correct", sure), validation.types)

    assert records.before is not None
    assert records.after is not None
    return records.with_(before=right(records.before), after=right(records.after))


def test_brushing_reaches_scores_that_are_small_distances(
    visit: Callable[..., Any], records: Records, tmp_path: Path
) -> None:
    table = records.scores.table
    small = pc.multiply(pc.subtract(table["score"], 1.0), 1e-3)  # minus a distance
    scores = type(records.scores)(table.set_column(table.column_names.index("score"), "score", small))
    page = visit(write(records.with_(scores=scores), tmp_path))
    low, high = brushed(page)
    assert -1e-3 < low < high < 0
    assert 0 < len(ranks(page)) < 60


def test_the_keyboard_reaches_opens_and_leaves_a_sample(visit: Callable[..., Any], written: str) -> None:
    page = visit(written)
    page.locator("#filters [name=sort]").focus()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.dataset.at") == "0", "the grid is one tab stop"
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    assert page.locator("#sample").get_attribute("open") is not None
    assert page.locator("#d-place").inner_text() == "2 of 60"
    page.locator("#d-title").click()
    page.keyboard.press("ArrowRight")
    assert page.locator("#d-place").inner_text() == "3 of 60"
    page.keyboard.press("Escape")
    assert page.locator("#sample").get_attribute("open") is None
    page.locator("[data-at='2']:focus").wait_for()  # back to the sample; a dialog tells late
    page.keyboard.press("End")
    page.keyboard.press("Home")
    assert page.evaluate("document.activeElement.dataset.at") == "0"


def test_a_deep_link_opens_its_sample_with_its_figures(
    visit: Callable[..., Any], written: str, summary: dict[str, Any]
) -> None:
    row = next(row for row in summary["tables"]["samples"] if row["role"] == "held_out")
    page = visit(f"{written}#sample-{row['index']}")
    box = page.locator("#sample")
    assert box.get_attribute("open") is not None
    text = box.inner_text()
    assert f"sample {row['index']}" in text
    assert f"{row['flips']} of {row['neighbors']} neighbors" in text
    assert f"{round(255 * row['change_linf'])}/255" in text
    assert page.locator("#d-command code").inner_text() == (
        f"art-weakrobust sample --out runs/digits --index {row['index']}"
    )
    first = page.locator("#d-chances tr").first.locator("td")
    assert [float(cell) for cell in first.all_inner_texts()] == pytest.approx(row["chances"][0]["p"], abs=0.006)


def test_the_difference_is_exact(visit: Callable[..., Any], written: str, records: Records) -> None:
    row = records.samples.sort_by("rank").slice(1, 1).to_pylist()[0]
    page = visit(f"{written}#sample-{row['index']}")
    page.locator("#d-amplify").select_option("2")
    page.locator("[data-view=difference] canvas[width='8']").first.wait_for()
    shown = page.evaluate(
        "[...document.querySelector('[data-view=difference] canvas').getContext('2d').getImageData(0, 0, 8, 8).data]"
    )
    expected = [min(255, max(0, 128 + near - own)) for own, near in zip(row["original"], row["neighbor"], strict=True)]
    assert shown[::4] == expected, "half of twice the difference, around grey"


def test_tables_sort_by_their_headers(visit: Callable[..., Any], written: str) -> None:
    page = visit(written)
    header = page.locator("#changed .view.a .paired th", has_text="Change, pt")
    for direction, reverse in (("ascending", False), ("descending", True)):
        header.locator("button").click()
        assert header.get_attribute("aria-sort") == direction
        values = [
            float(text.replace("−", "-")) for text in page.locator("#changed .view.a .paired .ch b").all_inner_texts()
        ]
        assert values == sorted(values, reverse=reverse)


def test_tables_are_saved_and_formulas_disarmed(visit: Callable[..., Any], records: Records, tmp_path: Path) -> None:
    page = visit(write(records.with_(class_names=("=1+1", *map(str, range(9)))), tmp_path))
    with page.expect_download() as download:
        page.locator("[data-save=classes]").click()
    text = Path(download.value.path()).read_text(encoding="utf-8")
    assert text.splitlines()[0].startswith("label,name,n_scored")
    assert len(text.splitlines()) == 11
    assert ",'=1+1," in text


def test_hostile_names_execute_nothing_and_widen_nothing(
    visit: Callable[..., Any], make_records: Callable[..., Records], tmp_path: Path
) -> None:
    names = (BAD, "x" * 3000, "very long name of a class " * 9, *(f"{BAD}{k}" for k in range(7)))
    records = make_records().with_(class_names=names)
    paths = pa.array([f"{BAD}/{k}.png" for k in range(len(records.scores))])
    scores = type(records.scores)(records.scores.table.append_column("path", paths))
    facts = {
        "title": BAD * 3,
        "arguments": {"y" * 300: "z" * 900, "seed": BAD},
        "command": "w" * 900,
        "stages": {"s" * 200: {}},
    }
    address = write(records.with_(provenance=facts, scores=scores), tmp_path)
    for width in (320, 390, 768, 1000, 1280):
        page = visit(address, viewport={"width": width, "height": 800})
        page.locator(".thumb").first.click()
        assert "png" in page.locator("#d-facts").inner_text()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Escape")
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
        assert not page.evaluate("window.pwned")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width


@pytest.mark.parametrize("width", [320, 390, 768, 1000, 1280])
def test_no_width_scrolls_sideways(visit: Callable[..., Any], written: str, width: int) -> None:
    page = visit(written, viewport={"width": width, "height": 800})
    page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
    assert page.evaluate("document.documentElement.scrollWidth") <= width


def test_without_scripts_all_tables_charts_and_samples_are_there(visit: Callable[..., Any], written: str) -> None:
    page = visit(written, java_script_enabled=False)
    for title in SECTIONS:
        assert page.get_by_role("heading", name=title).is_visible()
    assert page.locator("#thumbs .thumb").first.is_visible()
    assert page.locator("#severity .heat td").first.is_visible()
    assert page.locator("#scores svg.plot").first.is_visible()
    assert not page.locator("#filters").is_visible()
    assert not page.locator("[data-save]").first.is_visible()
    page.locator("#rest summary").click()
    assert page.locator(".thumb").last.is_visible()
    page.locator("#weak-spots .seg input[value=b]").check()
    assert page.locator("#weak-spots .view.b").is_visible()
    assert not page.locator("#weak-spots .view.a").is_visible()


def test_print_has_every_section_all_views_and_all_samples(visit: Callable[..., Any], written: str) -> None:
    page = visit(written)
    assert page.pdf(format="A4").startswith(b"%PDF")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    for title in SECTIONS:
        assert page.get_by_role("heading", name=title).is_visible()
    assert all(view.is_visible() for view in page.locator(".view").all())
    assert all(thumb.is_visible() for thumb in page.locator(".thumb").all())
    assert page.evaluate("[...document.querySelectorAll('details')].every(one => one.open)")
    assert not page.locator("#filters").is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_axe_finds_no_serious_issue(visit: Callable[..., Any], written: str, scheme: str, width: int) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="the extra test-browser is not installed")
    page = visit(written, color_scheme=scheme, viewport={"width": width, "height": 800})
    for opened in (False, True):
        if opened:
            page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true; })")
            page.locator(".thumb").first.click()
        found = axe.Axe().run(page).response["violations"]
        serious = [issue for issue in found if issue["impact"] in ("serious", "critical")]
        assert not [(issue["id"], [node["target"] for node in issue["nodes"]][:3]) for issue in serious]


def test_the_verdict_fits_one_screen(visit: Callable[..., Any], written: str) -> None:
    page = visit(written)
    box = page.locator("#verdict").bounding_box()
    assert box["y"] + box["height"] <= 800
