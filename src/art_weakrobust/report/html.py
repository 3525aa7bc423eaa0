"""The report as one page: every section of the summary, drawn, and one script that filters, sorts and opens."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import jinja2

from ..protocols import Reporter
from ..results import Records
from . import advice, curves, flipped, gallery, palette, sections, severities, svg, typography, wording
from .images import Gallery, Sheet, drawable
from .images import gallery as sheets
from .summary import summarise

MAX_SHOWN = 100
FIRST_SHOWN = 36
_SHEETS = ("page", "figures", "gallery", "narrow")
_SCRIPTS = ("page", "tables", "samples", "lightbox")
_NAMES = ("brackets", "change_span", "count", "decimal", "duration", "known", "p_value", "percent", "points", "rate")


def html_report(max_samples: int = MAX_SHOWN) -> Reporter:
    """Return a reporter that makes ``report.html`` and ``summary.json``, from the same summary.

    :param max_samples: how many of the weakest samples are shown as images, at most 100.
    """

    def report(records: Records) -> Mapping[str, bytes]:
        summary = summarise(records)
        weakest = weakest_images(records, min(max_samples, MAX_SHOWN))
        page = render(summary, weakest, flipped.flipped_images(records) if max_samples else None)
        return {"report.html": page.encode(), "summary.json": as_json(summary)}

    return report


def as_json(summary: Mapping[str, Any]) -> bytes:
    """Return a summary as the file that programs read."""
    return (json.dumps(summary, indent=1, allow_nan=False) + "\n").encode()


def render(summary: Mapping[str, Any], images: Gallery | None = None, flips: Sheet | None = None) -> str:
    """Return the page of a summary; without images the weakest samples are a table alone.

    :param flips: images of the table ``flipped``; without them it is told in words alone.
    """
    return rendered(
        "report.html.j2",
        summary=summary,
        tables=summary["tables"],
        images=images,
        flipped_sheet=flips,
        first_shown=FIRST_SHOWN,
        script=script(),
        data=embedded(summary),
        fine_tuned=wording.fine_tuned(summary),
    )


def compact_html(summary: Mapping[str, Any]) -> str:
    """Return a small table, before and after, for ``_repr_html_`` in a notebook: no images, inline colours only."""
    return rendered(
        "compact.html.j2",
        summary=summary,
        tables=summary["tables"],
        measures=sections.measures(summary),
        fine_tuned=wording.fine_tuned(summary),
        colours=palette.LIGHT,
    )


def rendered(template: str, **values: Any) -> str:
    """Return a template, filled."""
    return environment().get_template(template).render(values)


def weakest_images(records: Records, number: int = MAX_SHOWN) -> Gallery | None:
    """Return the sheets of the weakest samples; None where there are none, or they are no images of one shape."""
    if records.samples is None or not records.samples.num_rows or number < 1:
        return None
    rows = records.samples.sort_by("rank").slice(0, number).to_pylist()
    shape = rows[0]["shape"]
    whole = all(row["shape"] == shape and row["original"] is not None for row in rows)
    if not whole or not drawable(shape):
        return None
    near = [row.get("neighbor") or row.get("adversarial") for row in rows]
    return sheets(shape, [row["original"] for row in rows], near)


@cache
def environment() -> jinja2.Environment:
    """Return the templates' environment: escaping on, unknown names errors, typography as filters."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("art_weakrobust.report"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {name: getattr(typography, name) for name in _NAMES}
    environment.filters |= {"shown": typography.shown, "listing": typography.listing, "type_name": typography.type_name}
    environment.filters |= {"setting": typography.setting, "p_sign": typography.p_sign}
    environment.filters |= {"judgement": sections.judgement, "spoken": sections.spoken, "split": sections.split}
    makers = (advice, curves, gallery, sections, severities, svg, wording)
    environment.globals |= {module.__name__.rpartition(".")[2]: module for module in makers}
    environment.globals |= {"span": typography.span, "brackets": typography.brackets}
    environment.globals |= {"stylesheet": stylesheet, "sealed": sealed}
    return environment


@cache
def stylesheet() -> str:
    """Return the one stylesheet of all pages."""
    return palette.css() + "\n" + _sources("{}.css", _SHEETS)


def _sources(pattern: str, names: Sequence[str]) -> str:
    loader = environment().loader
    assert loader is not None
    return "".join(loader.get_source(environment(), pattern.format(name))[0] for name in names)


@cache
def script() -> str:
    """Return the one script of the page; its parts share one scope and leave no name behind."""
    return f'(() => {{\n"use strict";\n{_sources("script/{}.js", _SCRIPTS)}}})();'


def embedded(summary: Mapping[str, Any]) -> str:
    """Return the summary as JSON that may stand in a page, each table as its columns and rows.

    ``<``, ``>``, ``&`` and everything beyond ASCII, line separators among it, are escaped: nothing ends the element.
    Numbers have five digits, more than any of them means; ``summary.json`` has them all.
    """
    tables = {name: _columns(rows) for name, rows in summary["tables"].items()}
    text = json.dumps(_rounded({**summary, "tables": tables}), allow_nan=False, separators=(",", ":"))
    return text.translate({ord(char): f"\\u{ord(char):04x}" for char in "<>&"})


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_rounded(item) for item in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return {"columns": columns, "rows": [[row.get(name) for name in columns] for row in rows]}


def sealed(text: str) -> str:
    """Return a source of a content security policy: the one thing that may be inline."""
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
