"""The verdicts as JUnit XML, which build servers show as tests: what got significantly worse fails.

A weakness fails nothing: it is a type below the mean of its own family, and every model has some. What fails is a loss
that the corrected test confirms, an error of the doctor, and a stage that failed; what did not run is skipped.
"""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Mapping
from typing import Any

from .sections import HEADS
from .sides import Side, as_paired, figure, measured, two_sides
from .typography import brackets, change_span, count, known, p_sign, percent, points, shown, type_name
from .wording import FLAGS

Summary = Mapping[str, Any]
Row = Mapping[str, Any]
Case = tuple[str, str, str, str]
"""Name, outcome (passed | failure | error | skipped), message, figures."""

_PACKAGE = "art_weakrobust"


def junit(summary: Summary) -> bytes:
    """Return one suite for the headline, one a validated set, one for the doctor and one for the stages, as XML.

    :param summary: a report's, or that of a comparison, whose other run then is the one before.
    """
    tables = summary["tables"]
    names = summary.get("names", {"other": "before", "this": "after"})
    sides = two_sides(summary)
    suites = {"headline": [_measure(row, names) for row in tables["headline"]]}
    for row in tables["paired"] or tables.get("validation", ()):
        if row["family"] != "clean":
            suites.setdefault(row["set"], []).append(
                _paired(row, names, sides(row)) if tables["paired"] else _judged(row)
            )
    suites["doctor"] = [_finding(finding) for finding in summary.get("findings", ())]
    stages = summary.get("provenance", {}).get("stages", {})
    suites["stages"] = [_stage(name, facts) for name, facts in stages.items()]
    root = ET.Element("testsuites", name=_text(summary["title"]))
    cases = [case for suite in suites.values() for case in suite]
    root.attrib |= _counts(cases)
    for name, suite in suites.items():
        if suite:
            _written(root, name, suite)
    ET.indent(root, " ")
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _written(root: ET.Element, name: str, cases: list[Case]) -> None:
    node = ET.SubElement(root, "testsuite", name=_text(name))
    node.attrib |= _counts(cases)
    for title, outcome, message, figures in cases:
        case = ET.SubElement(node, "testcase", classname=f"{_PACKAGE}.{_text(name)}", name=_text(title))
        if outcome != "passed":
            ET.SubElement(case, outcome, message=_text(message))
        if figures:
            ET.SubElement(case, "system-out").text = _text(figures)


def _counts(cases: Iterable[Case]) -> dict[str, str]:
    outcomes = [outcome for _, outcome, *_ in cases]
    named = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    return {"tests": str(len(outcomes))} | {key: str(outcomes.count(outcome)) for key, outcome in named.items()}


def _measure(row: Row, names: Row) -> Case:
    name = HEADS[row["metric"]]
    if not known(row["before"]):
        return name, "skipped", f"not run; {FLAGS[row['metric']]} runs it", ""
    before, after = map(figure, measured(row))
    if not known(row["after"]):
        return name, "passed", "", f"{before}, n = {count(row['n'])}"
    sides = f"{names['other']} {before}, {names['this']} {after}"
    if not known(row["change"]):
        return name, "skipped", "not tested: the two have no test images in common", sides
    change = _change(as_paired(row))
    return (name, *_outcome(row["verdict"], change), f"{sides}; {change}")


def _paired(row: Row, names: Row, sides: tuple[Side, Side]) -> Case:
    name = type_name(row["type"]) + (" (trained)" if row["trained"] else "")
    if not known(row["before"]):
        return name, "skipped", "no image has a verdict on both sides", ""
    change = _change(row)
    return (
        name,
        *_outcome(row["verdict"], change),
        f"{names['other']} {figure(sides[0])}, {names['this']} {figure(sides[1])}; {change}",
    )


def _judged(row: Row) -> Case:
    name = type_name(row["type"])
    if not known(row["accuracy"]):
        return name, "skipped", "no image has a verdict", ""
    verdict = f", {row['verdict']}" if row["verdict"] in ("weakness", "strength") else ""
    figures = f"{percent(row['accuracy'])} {brackets(row['lower'], row['upper'])}, n = {count(row['n'])}{verdict}"
    return name, "passed", "", figures


def _outcome(verdict: str, change: str) -> tuple[str, str]:
    return ("failure", f"worse: {change}") if verdict == "worse" else ("passed", "")


def _change(row: Row) -> str:
    figures = f"{points(row['change'])} points {change_span(row)}".strip()
    p = f", p {p_sign(row['p_holm'])} (Holm)" if known(row["p_holm"]) else ""
    return f"{figures}{p}, n = {count(row['n'])}"


def _finding(finding: Row) -> Case:
    seen = f"{finding.get('seen', '')} {finding.get('do', '')}".strip()
    severity = str(finding.get("severity", "note")).lower()
    outcome, told = ("error", seen) if severity == "error" else ("passed", "")
    return str(finding.get("code", "finding")), outcome, told, f"{severity}: {seen}"


def _stage(name: str, facts: Row) -> Case:
    status, reason = str(facts["status"]), str(facts["reason"] or facts["status"])
    if status.startswith("failed"):
        return name, "error", reason, ""
    return (name, "passed", "", "") if status in ("done", "resumed") else (name, "skipped", reason, "")


def _text(value: Any) -> str:
    """Return text that XML 1.0 may hold: control characters as visible escapes, no characters as question marks."""
    return "".join("?" if ord(char) & 0xFFFE == 0xFFFE else char for char in shown(value))
