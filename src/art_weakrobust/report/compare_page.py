"""A comparison as a page in the report's manner and as Markdown, from one summary of :mod:`.compare`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from . import svg
from .compare import Side, compared
from .html import as_json, rendered
from .markdown import escaped, grid
from .sections import HEADS, SETS, judgement, spoken, worst_first
from .sides import as_paired, figure, measured, two_sides
from .typography import change_span, count, known, listing, p_value, percent, points, type_name

Summary = Mapping[str, Any]
Row = dict[str, Any]


def compare_files(other: Side, this: Side) -> Mapping[str, bytes]:
    """Return ``compare.html`` and ``compare.json``, from the same numbers."""
    summary = compared(other, this)
    return {"compare.html": page(summary).encode(), "compare.json": as_json(summary)}


def page(summary: Summary) -> str:
    """Return the page: three measures, every type on the same images, the rest side by side, what differs."""
    tables = summary["tables"]
    return rendered(
        "compare.html.j2",
        summary=summary,
        names=summary["names"],
        tables=tables,
        titles=SETS,
        measures=[_measure(row, summary["names"]) for row in tables["headline"]],
        views=_views(tables["paired"]),
        sides=two_sides(summary),
        beside=_beside(tables),
        answer=answer(summary),
        differs=_differs(tables["settings"]),
    )


def answer(summary: Summary) -> str:
    """Return on how many types this run is better and worse, on the test images where they are paired."""
    rows = [row for row in summary["tables"]["paired"] if row["verdict"] in ("better", "worse", "no_evidence")]
    name = "test" if any(row["set"] == "test" for row in rows) else "held_out"
    rows = [row for row in rows if row["set"] == name]
    if not rows:
        return "No type has a verdict on the same images."
    better, worse = ([type_name(r["type"]) for r in rows if r["verdict"] == word] for word in ("better", "worse"))
    told = [f"better on {len(better)}: {listing(better)}"] if better else []
    told += [f"worse on {len(worse)}: {listing(worse)}"] if worse else []
    said = "; ".join(told) or "no evidence of a difference on any"
    return f"Of {len(rows)} types on {'test images' if name == 'test' else 'weak samples'}: {said}."


def comparison_markdown(summary: Summary) -> str:
    """Return the comparison as Markdown, for the comment of a build: verdict, measures, types, what differs."""
    names = {side: escaped(name) for side, name in summary["names"].items()}
    parts = [f"## {names['this']} against {names['other']}", f"**{summary['stance']}.** {escaped(summary['headline'])}"]
    tables, sides = summary["tables"], two_sides(summary)
    header = ["Test set", names["other"], names["this"], "difference, pt", "p (Holm)", "verdict"]
    if tables["headline"]:
        parts.append(grid(header, [_line(row) for row in tables["headline"]]))
    for view in _views(tables["paired"]):
        rows = [
            [escaped(type_name(r["type"])), count(r["n"]), *map(figure, sides(r)), *_change(r)] for r in view["rows"]
        ]
        parts += [f"<details><summary>{view['title']}: every type</summary>"]
        parts += [grid(["type", "n", *header[1:]], rows), "</details>"]
    parts += [
        f"{SETS[name]}: not paired, since {escaped(f['why'])}." for name, f in summary["paired"].items() if f["why"]
    ]
    if tables["settings"]:
        rows = [[escaped(row[key]) for key in ("name", "other", "this")] for row in tables["settings"]]
        parts.append(grid(["setting", names["other"], names["this"]], rows))
    return "\n\n".join(parts) + "\n"


def comparison_text(summary: Summary) -> str:
    """Return verdict and measures as lines for a terminal."""
    lines = [f"{summary['stance']}. {summary['headline']}"]
    names = summary["names"]
    for row in summary["tables"]["headline"]:
        cells = _line(row)
        lines.append(
            f"{cells[0]}: {names['other']} {cells[1]}, {names['this']} {cells[2]}; {' '.join(cells[3:])}".strip()
        )
    return "\n".join(lines)


def _line(row: Row) -> list[str]:
    sides = [
        f"{figure(side)}, n = {count(row[n])}" if known(side["value"]) else "not run"
        for side, n in zip(measured(row), ("n_before", "n_after"), strict=True)
    ]
    return [HEADS[row["metric"]], *sides, *_change(as_paired(row))]


def _change(row: Mapping[str, Any]) -> list[str]:
    if not known(row["change"]):
        return ["", "", spoken(row["verdict"])]
    interval = change_span(row).replace("changed", "differs")
    return [f"{points(row['change'])} {interval}".strip(), p_value(row["p_holm"]), spoken(row["verdict"])]


def _measure(row: Row, names: Mapping[str, str]) -> Row:
    label = (
        f"{HEADS[row['metric']]}: {names['other']} {percent(row['before'])}, {names['this']} {percent(row['after'])}"
    )
    colour = judgement(row["verdict"])
    drawn = known(row["before"]) or known(row["after"])
    return row | {
        "name": HEADS[row["metric"]],
        "judgement": colour,
        "plot": svg.measure(row, colour, label) if drawn else "",
    }


def _views(table: Sequence[Row]) -> list[Row]:
    """Return one view a paired set, the worst difference first."""
    views = []
    for name, title in SETS.items():
        rows = [row for row in table if row["set"] == name]
        scale = svg.Scale.around(row[end] for row in rows for end in ("lower", "upper", "change"))
        rows = [
            row | {"plot": svg.change(row, scale, judgement(row["verdict"]), name)}
            for row in worst_first(rows, "change")
        ]
        if rows:
            n = max(row["n"] for row in rows)
            drawn = {"axis": svg.axis(scale, signed=True), "grid": svg.grid(scale, name)}
            views.append({"set": name, "title": title, "rows": rows, "n": n, **drawn})
    return views


def _beside(tables: Mapping[str, Sequence[Row]]) -> list[Row]:
    """Return, for every set, the types that are not paired there: each run's own figure, and why."""
    paired = {(row["set"], row["type"]) for row in tables["paired"]}
    why = {row["type"]: row["why"] for row in tables["left_out"]}
    views = []
    for name, title in SETS.items():
        own = {(row["run"], row["type"]): row for row in tables["types"] if row["set"] == name}
        kinds = list(dict.fromkeys(kind for _, kind in own if (name, kind) not in paired))
        kinds = [kind for kind in kinds if not _is_clean(own, kind)]
        rows = [
            {"type": kind, "sides": [own.get((run, kind)) for run in ("other", "this")], "why": why.get(kind, "")}
            for kind in kinds
        ]
        if rows:
            views.append({"title": title, "rows": rows})
    return views


def _is_clean(own: Mapping[tuple[str, str], Row], kind: str) -> bool:
    return any(row["family"] == "clean" for (_, name), row in own.items() if name == kind)


def _differs(rows: Sequence[Row]) -> str:
    if not rows:
        return "No option, seed or version differs."
    names = [row["name"].replace("_", "-") for row in rows]
    return f"{len(rows)} setting{'s' if len(rows) != 1 else ''}: {listing(names)}."
