"""The page in a real browser: no sideways scroll at any width, no script needed, nothing executed from names."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from art_weakrobust.report.html import html_report
from art_weakrobust.results import Records

pytestmark = pytest.mark.browser

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--allow-file-access-from-files",
    "--virtual-time-budget=4000",
)
WIDTHS = (320, 390, 768, 1000, 1280)
PROBE = """<!doctype html><title>probe</title><body>{frames}<script>
addEventListener("load", () => {{ const out = [];
  for (const f of document.querySelectorAll("iframe")) {{
    const w = f.contentWindow, d = w.document;
    d.querySelectorAll("details").forEach(e => e.open = true);
    const seen = e => +(w.getComputedStyle(e).display !== "none");
    const views = [...d.querySelectorAll("#weak-spots .view")].map(seen).join("");
    out.push(`${{f.width}}:${{d.documentElement.scrollWidth}}:${{w.innerWidth}}:${{+!!w.pwned}}:${{views}}`);
  }}
  document.title = out.join(" ");
}});</script>"""


@pytest.fixture(scope="module")
def chromium() -> str:
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        pytest.skip("no Chromium on this machine")
    return found


def measured(chromium: str, folder: Path, records: Records) -> dict[int, tuple[int, int, int, str]]:
    """Return width -> scroll width, inner width, whether a name ran as a script, and which views are shown."""
    (folder / "report.html").write_bytes(html_report()(records)["report.html"])
    frames = "".join(f'<iframe src="report.html" width="{width}" height="900"></iframe>' for width in WIDTHS)
    (folder / "probe.html").write_text(PROBE.format(frames=frames))
    command = [
        chromium,
        *FLAGS,
        f"--user-data-dir={folder / 'profile'}",
        "--dump-dom",
        (folder / "probe.html").as_uri(),
    ]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    title = re.search(r"<title>(.*?)</title>", dom)[1]
    parts = [part.split(":") for part in title.split()]
    assert len(parts) == len(WIDTHS), dom[:500]
    return {int(width): (int(scroll), int(inner), int(ran), views) for width, scroll, inner, ran, views in parts}


def test_no_width_scrolls_sideways(chromium: str, tmp_path: Path, records: Records) -> None:
    for width, (scroll, inner, _, views) in measured(chromium, tmp_path, records).items():
        assert scroll <= inner, f"{scroll} px of content in a window of {width} px"
        assert views == "10", "of before and after, the radio switch shows one"


def test_hostile_names_neither_run_nor_widen_the_page(
    chromium: str, tmp_path: Path, make_records: Callable[..., Records]
) -> None:
    bad = '"><img src=x onerror="window.pwned=1"><script>window.pwned=1</script>'
    names = (bad, "x" * 3000, "very long name of a class " * 9, *(f"{bad}{k}" for k in range(7)))
    records = make_records().with_(class_names=names)
    facts = {"title": bad * 3, "arguments": {"y" * 300: "z" * 900}, "command": "w" * 900, "stages": {"s" * 200: {}}}
    for width, (scroll, inner, ran, _) in measured(chromium, tmp_path, records.with_(provenance=facts)).items():
        assert scroll <= inner, f"{scroll} px of content in a window of {width} px"
        assert not ran
