"""The report as Markdown, for the comment or the job summary of a build: verdict, measures, types, findings."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from . import wording
from .sections import HEADS, SETS, spoken, worst_first
from .sides import as_paired, figure, measured, two_sides
from .typography import brackets, change_span, count, known, p_value, percent, points, shown, type_name

Summary = Mapping[str, Any]
Row = Mapping[str, Any]
MOST = 40
"""Rows of one table: a comment on GitHub holds 65,536 characters."""
_ISOLATES = re.compile("[\u2068\u2069]")
_SPECIAL = re.compile(r"([\\`*{}\[\]<>()#+!|~@&$]|(?<![^\W_])_|_(?![^\W_]))")  # an underscore within a word is text


def markdown(summary: Summary) -> str:
    """Return the verdict, the headline measures, the types of the test and the weak set, and the doctor's findings.

    Every share has its n and interval; text from data is escaped, so that it neither formats nor mentions.
    """
    tuned = wording.fine_tuned(summary)
    parts = [f"## {escaped(summary['title'])}", f"**{summary['stance']}.** {escaped(summary['headline'])}"]
    if summary["tables"]["headline"]:
        parts.append(_measures(summary["tables"]["headline"], tuned))
    for name in ("test", "held_out"):
        parts += (_paired if tuned else _types)(summary, name)
    parts.append(escaped(wording.weak_spots(summary)) if summary["tables"]["validation"] else "")
    parts += _findings(summary["findings"])
    return "\n\n".join(part for part in parts if part) + "\n"


def escaped(text: Any) -> str:
    """Return a text as one line that Markdown shows as it is; isolates, which a sentence puts around names, go."""
    return _SPECIAL.sub(r"\\\1", shown(_ISOLATES.sub("", " ".join(str(text).split()))))


def grid(header: Sequence[str], rows: Sequence[Sequence[str]], most: int = MOST) -> str:
    """Return a Markdown table: the first column to the left, the others to the right; of many rows the first alone."""
    lines = [f"| {' | '.join(line)} |" for line in (header, *rows[:most])]
    lines.insert(1, f"|---|{'--:|' * (len(header) - 1)}")
    left = len(rows) - most
    return "\n".join(lines) + (f"\n\n{left} more stand in the report." if left > 0 else "")


def _measures(table: Sequence[Row], tuned: bool) -> str:
    rows = []
    for row in table:
        name = HEADS[row["metric"]]
        if not known(row["before"]):
            rows.append([name, "–", f"not run, `{wording.FLAGS[row['metric']]}` runs it", *([""] * 4 if tuned else ())])
            continue
        before, after = map(figure, measured(row))
        rows.append([name, count(row["n"]), before, *((after, *_change(as_paired(row))) if tuned else ())])
    return grid(["Test set", "n", *_columns(tuned)], rows)


def _columns(tuned: bool) -> list[str]:
    return ["before", "after", "change, pt", "p (Holm)", "verdict"] if tuned else ["right"]


def _paired(summary: Summary, name: str) -> list[str]:
    table = [row for row in summary["tables"]["paired"] if row["set"] == name and row["family"] != "clean"]
    if not table:
        return []
    sides = two_sides(summary)
    rows = [
        [_type(row), count(row["n"]), *map(figure, sides(row)), *_change(row)] for row in worst_first(table, "change")
    ]
    return _folded(f"{SETS[name]}: change of every type, the worst first", ["type", "n", *_columns(True)], rows)


def _types(summary: Summary, name: str) -> list[str]:
    table = [row for row in summary["tables"]["validation"] if row["set"] == name and row["family"] != "clean"]
    if not table:
        return []
    rows = [
        [
            _type(row),
            count(row["n"]),
            f"{percent(row['accuracy'])} {brackets(row['lower'], row['upper'])}",
            spoken(row["verdict"]),
        ]
        for row in worst_first(table, "accuracy")
    ]
    return _folded(f"{SETS[name]}: every type, the weakest first", ["type", "n", "right", "verdict"], rows)


def _folded(title: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    return [f"<details><summary>{title}</summary>", grid(header, rows), "</details>"]


def _type(row: Row) -> str:
    return escaped(type_name(row["type"])) + (" (trained)" if row.get("trained") else "")


def _change(row: Row) -> list[str]:
    return [f"{points(row['change'])} {change_span(row)}".strip(), p_value(row["p_holm"]), spoken(row["verdict"])]


def _findings(findings: Sequence[Row]) -> list[str]:
    lines = [
        f"- **{escaped(finding.get('severity', 'note'))}** {escaped(finding.get('code', ''))}: "
        f"{escaped(finding.get('seen', ''))} {escaped(finding.get('do', ''))}"
        for finding in findings
    ]
    return ["\n".join(lines)] if lines else []
