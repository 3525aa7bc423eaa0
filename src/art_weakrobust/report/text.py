"""The comparison as plain text: what ``print(comparison)`` and the end of a run show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .sections import HEADS, SETS, spoken
from .sides import as_paired, figure, measured
from .typography import brackets, change_span, count, known, p_value, percent, points, type_name
from .wording import FLAGS, fine_tuned

Row = Mapping[str, Any]
Line = Sequence[str]


def summary_text(summary: Mapping[str, Any]) -> str:
    """Return the verdict, the headline measures and the types of each set, before and after, as aligned columns."""
    tuned = fine_tuned(summary)
    blocks = [f"{summary['stance']}. {summary['headline']}"]
    if summary["tables"]["headline"]:
        blocks.append(_aligned(_measures(summary, tuned)))
    blocks += [_aligned(lines) for lines in (_paired(summary) if tuned else _types(summary))]
    roles = summary["weak_set"]
    if roles is not None:
        weak = roles["tune"] + roles["held_out"]
        scored = f" of {count(summary['scored'])} scored" if summary["scored"] is not None else ""
        blocks.append(
            f"{count(weak)} weak samples{scored}: {count(roles['tune'])} to tune on, "
            f"{count(roles['held_out'])} held out, {count(roles['control'])} control."
        )
    return "\n\n".join(blocks)


def _measures(summary: Mapping[str, Any], tuned: bool) -> list[Line]:
    lines: list[Line] = [_header("test set", tuned)]
    for row in summary["tables"]["headline"]:
        name = HEADS[row["metric"]]
        if not known(row["before"]):
            lines.append((name, "–", f"not run ({FLAGS[row['metric']]} runs it)"))
            continue
        lines.append((name, count(row["n"]), figure(measured(row)[0]), *(_after(as_paired(row)) if tuned else ())))
    return lines


def _paired(summary: Mapping[str, Any]) -> list[list[Line]]:
    tables = []
    for name, title in SETS.items():
        rows = [row for row in summary["tables"]["paired"] if row["set"] == name and row["family"] != "clean"]
        if rows:
            lines = [(_marked(row), count(row["n"]), percent(row["before"]), *_after(row)) for row in rows]
            tables.append([_header(title.lower(), True), *lines])
    if tables and any(row["trained"] for row in summary["tables"]["paired"]):
        tables.append([("* training drew this type",)])
    return tables


def _types(summary: Mapping[str, Any]) -> list[list[Line]]:
    tables = []
    for name, title in SETS.items():
        rows = [row for row in summary["tables"]["validation"] if row["set"] == name and row["family"] != "clean"]
        if rows:
            lines: list[Line] = [
                (
                    type_name(row["type"]),
                    count(row["n"]),
                    f"{percent(row['accuracy'])} {brackets(row['lower'], row['upper'])}",
                    spoken(row["verdict"]),
                )
                for row in rows
            ]
            tables.append([(*_header(title.lower(), False), ""), *lines])
    return tables


def _header(title: str, tuned: bool) -> Line:
    return (title, "n", *(("before", "after", "change, pt", "", "p (Holm)", "") if tuned else ("right",)))


def _after(row: Row) -> Line:
    change = (points(row["change"]), change_span(row), p_value(row["p_holm"]))
    return (percent(row["after"]), *change, spoken(row["verdict"]))


def _marked(row: Row) -> str:
    return type_name(row["type"]) + (" *" if row["trained"] else "")


def _aligned(lines: Sequence[Line]) -> str:
    """Return rows of cells as columns: the first to the left, the last, words, too, the others to the right."""
    columns = max(len(line) for line in lines)
    padded = [(*line, *[""] * (columns - len(line))) for line in lines]
    widths = [max(len(line[at]) for line in padded) for at in range(columns)]
    texts = []
    for short, line in zip(lines, padded, strict=True):
        cells = [line[0].ljust(widths[0])]
        for at, cell in enumerate(line[1:], 1):
            left = at == columns - 1 > 2 or at == len(short) - 1 < columns - 1
            cells.append(cell.ljust(widths[at]) if left else cell.rjust(widths[at]))
        texts.append("  ".join(cells).rstrip())
    return "\n".join(texts)
