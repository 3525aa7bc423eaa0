"""Many models in one table: as a page in the report's manner, as CSV, JSON and Markdown, all from one summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .exports import csv_text
from .html import as_json, rendered
from .markdown import escaped, grid
from .typography import brackets, count, isolated, known, percent

Row = Mapping[str, Any]
FEW = 10
"""A model with fewer samples of a set is not spoken of as the best on it."""
METRICS = {"clean": "Clean", "weak": "Weak set", "robust": "Robust", "corruption": "Corruptions"}
"""Measure -> how tables call it."""
ENDS = ("", "_lower", "_upper", "_n")
"""What is told of an accuracy: itself, its interval, and of how many samples it is."""


def benchmark_files(summary: Mapping[str, Any]) -> Mapping[str, bytes]:
    """Return ``benchmark.html``, ``.json``, ``.csv`` and ``.md``.

    :param summary: ``title, command, rows, agreement, shared, rankings, versions``; rows and pairs as
        :mod:`art_weakrobust.zoo.table` makes them.
    """
    return {
        "benchmark.html": page(summary).encode(),
        "benchmark.json": as_json(summary),
        "benchmark.csv": table(summary).encode(),
        "benchmark.md": markdown(summary).encode(),
    }


def page(summary: Mapping[str, Any]) -> str:
    """Return the page: every model with its measures, agreement of weak sets, agreement of rankings, failures."""
    return rendered(
        "benchmark.html.j2",
        summary=summary,
        done=_done(summary),
        failed=[row for row in summary["rows"] if row["status"] == "failed"],
        metrics=METRICS,
        corruptions=_corruptions(summary),
        answers=answers(summary),
    )


def answers(summary: Mapping[str, Any]) -> dict[str, str]:
    """Return the sentence of each section, made from the figures alone."""
    done, shared, ranks = _done(summary), summary["shared"], summary["rankings"]
    return {"models": _models(done), "agreement": _agreement(shared), "rankings": _rankings(ranks)}


def table(summary: Mapping[str, Any]) -> str:
    """Return one line a model with every figure."""
    names = _corruptions(summary)
    measured = [f"{metric}{end}" for metric in METRICS for end in ENDS]
    facts = ["name", "status", "reason", "published_clean", "published_robust", "n_scored", "n_weak"]
    head = [*facts, *measured, "robust_attacks", *(f"{name}{end}" for name in names for end in ENDS)]
    lines = []
    for row in summary["rows"]:
        told = [row["corruptions"].get(name, {}) for name in names]
        cells = [*(row[name] for name in (*facts, *measured)), " ".join(row["robust_attacks"])]
        cells += [cell.get(key) for cell in told for key in ("accuracy", "lower", "upper", "n")]
        lines.append(cells)
    return csv_text(head, lines)


def markdown(summary: Mapping[str, Any]) -> str:
    """Return both tables as Markdown, measures and corruptions: per cent, with 95 % intervals and n."""
    models, names = summary["rows"], _corruptions(summary)
    head = ["model", *METRICS.values(), "attacks", "published: clean, robust"]
    parts = [grid(head, [_line(row) for row in models], most=len(models))]
    if names:
        rows = [[escaped(row["name"]), *(_corrupted(row, name) for name in names)] for row in _done(summary)]
        parts.append(grid(["model", *map(escaped, names)], rows, most=len(rows)))
    return "\n\n".join([*parts, *map(escaped, answers(summary).values())]) + "\n"


def _line(row: Row) -> list[str]:
    if row["status"] == "failed":
        return [escaped(row["name"]), *["–"] * (len(METRICS) + 1), f"failed: {escaped(row['reason'])}"]
    published = [percent(row[key]) if known(row[key]) else "–" for key in ("published_clean", "published_robust")]
    attacks = ", ".join(map(escaped, row["robust_attacks"])) or "–"
    return [escaped(row["name"]), *(_counted(row, metric) for metric in METRICS), attacks, ", ".join(published)]


def _counted(row: Row, metric: str) -> str:
    measured = _measured(row, metric)
    return measured if measured == "–" else f"{measured}, n {count(row[f'{metric}_n'])}"


def _corrupted(row: Row, name: str) -> str:
    cell = row["corruptions"].get(name, {})
    return _counted({name: cell.get("accuracy"), **{f"{name}_{key}": cell.get(key) for key in cell}}, name)


def _done(summary: Mapping[str, Any]) -> list[Row]:
    return [row for row in summary["rows"] if row["status"] == "done"]


def _corruptions(summary: Mapping[str, Any]) -> list[str]:
    return list(dict.fromkeys(name for row in summary["rows"] for name in row["corruptions"]))


def _models(done: Sequence[Row]) -> str:
    best = []
    for metric, where in (("robust", "against the attacks"), ("weak", "on its own weak samples")):
        ranked = [row for row in done if known(row[metric]) and row[f"{metric}_n"] >= FEW]
        if len(ranked) > 1:
            top = max(ranked, key=lambda row: row[metric])
            best.append(f"{isolated(top['name'])} stands best {where} ({_measured(top, metric)})")
    if not best:
        return f"{count(len(done))} model{'s' if len(done) != 1 else ''} ran; a ranking needs two."
    return f"Of {count(len(done))} models {' and '.join(best)}."


def _agreement(shared: Row) -> str:
    if shared["models"] < 2:
        return "One model alone has nobody to agree with."
    return (
        f"Of {count(shared['any'])} samples that are weak for some model, {count(shared['every'])} are weak for all "
        f"{count(shared['models'])}, and {count(shared['one'])} for one alone."
    )


def _rankings(ranks: Row) -> str:
    if ranks["tau"] is None:
        return "Too few models, or too little between them, to compare the ranking on weak sets with that under attack."
    low, high = ranks["lower"], ranks["upper"]
    if low is not None and low > 0:
        word = "follows"
    elif high is not None and high < 0:
        word = "runs against"
    else:
        word = "cannot be told from chance to follow"
    figure = f"Kendall's tau {ranks['tau']:.2f} [{low:.2f}, {high:.2f}]" if low is not None else "Kendall's tau unknown"
    return f"The ranking by weak-set accuracy {word} the ranking by robust accuracy: {figure}, {ranks['n']} models."


def _measured(row: Row, metric: str) -> str:
    if not known(row[metric]):
        return "–"
    return f"{percent(row[metric])} {brackets(row[f'{metric}_lower'], row[f'{metric}_upper'])}"
