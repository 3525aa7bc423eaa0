"""Sentences made from the summary by rules: the stance, the headline, each section's answer, what to do next.

A sentence says what a verdict says and no more: without evidence it says "no evidence", and it carries no bare rate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ..validation import comparison
from .typography import brackets, capital, count, isolated, known, listing, percent, type_name

Summary = Mapping[str, Any]
_GAINS = {"robust": "attacks", "corruption": "corruptions"}
NOUNS = {"clean": "clean accuracy", "robust": "robustness to attacks", "corruption": "robustness to corruptions"}
"""Headline measure -> how a sentence calls it."""
FEW = 20
"""A class with fewer samples is drawn grey and never spoken of."""
FLAGS = {"clean": "--test-limit", "robust": "--attacks", "corruption": "--corruptions"}
"""The option that makes a headline measure run."""


def _verdicts(summary: Summary) -> dict[str, str]:
    rows = summary["tables"]["headline"]
    return {row["metric"]: row["verdict"] for row in rows if known(row.get("before")) and known(row.get("after"))}


def fine_tuned(summary: Summary) -> bool:
    """Say whether there is an after to compare with."""
    return any(known(row.get("after")) for row in summary["tables"]["headline"]) or bool(summary["tables"]["paired"])


def stance(summary: Summary) -> str:
    """Return one of six words, from the headline verdicts alone, unless the doctor found an error."""
    if has_errors(summary):
        return comparison.NOT_COMPARABLE
    if not fine_tuned(summary):
        return comparison.DIAGNOSIS
    return comparison.stance(summary["tables"]["headline"])


def _severities(summary: Summary) -> list[str]:
    return [str(finding.get("severity", "note")).lower() for finding in summary["findings"]]


def has_errors(summary: Summary) -> bool:
    """Say whether the doctor found an error that the run went on with."""
    return "error" in _severities(summary)


def to_read(summary: Summary) -> int:
    """Return how many findings are more than a note."""
    return sum(severity in ("error", "warning") for severity in _severities(summary))


def _size(change: float) -> str:
    return "small" if change < 0.03 else "marked" if change < 0.08 else "large"


def headline(summary: Summary) -> str:
    """Return the verdict in one plain sentence."""
    if not fine_tuned(summary):
        return _diagnosis(summary)
    rows = {row["metric"]: row for row in summary["tables"]["headline"]}
    verdicts = _verdicts(summary)
    better = [metric for metric in verdicts if verdicts[metric] == "better"]
    worse = [metric for metric in verdicts if verdicts[metric] == "worse"]
    if not better and not worse:
        return "No evidence that fine-tuning changed the accuracy on images it was never tuned on."
    if not better:
        return f"Fine-tuning cost {listing([NOUNS[metric] for metric in worse])}, and gained nothing that shows."
    robust = [metric for metric in better if metric in _GAINS]
    most = max((rows[metric]["change"] for metric in robust), default=0.0)
    far = "far more" if most >= 0.2 else "more" if most >= 0.05 else "slightly more"
    gain = f"{far} robust to {listing([_GAINS[metric] for metric in robust])}" if robust else ""
    if "clean" in better:
        gain = f"{gain} and more accurate when clean" if gain else "more accurate on clean images"
    if worse:
        costs = [f"a {_size(-rows[metric]['change'])} loss of {NOUNS[metric]}" for metric in worse]
        price = f", for {listing(costs)}"
    else:
        price = (
            ", with no evidence of a loss of clean accuracy" if "clean" in verdicts and "clean" not in better else ""
        )
    return capital(f"{gain} on images it was never tuned on{price}.")


def _diagnosis(summary: Summary) -> str:
    rows = {row["metric"]: row.get("before") for row in summary["tables"]["headline"]}
    parts = []
    for metric, noun in (("robust", "under attack"), ("corruption", "under corruption")):
        value = rows.get(metric)
        if value is not None and known(value):
            word = ("almost all", "most", "many", "some", "few")[sum(value >= edge for edge in (0.1, 0.5, 0.7, 0.9))]
            parts.append(f"on {word} test images {noun}")
    if parts:
        return f"The model errs {listing(parts)}."
    return "The weak samples are found; nothing was validated yet."


def sub_headline(summary: Summary) -> str:
    """Return what stands below the headline: which changes are significant, or what was measured."""
    verdicts = _verdicts(summary)
    if not fine_tuned(summary):
        return "Before any fine-tuning: where the model stands, and which samples and perturbations are its weakest."
    sure = [metric for metric, verdict in verdicts.items() if verdict in ("better", "worse")]
    total = len(verdicts)
    words = ("None", "One", "Two", "All three")
    number = words[len(sure)] if len(sure) < total or total == 3 else "Both" if total == 2 else "The"
    rest = "" if len(sure) == total else f" of the {('', 'one', 'two', 'three')[total]}"
    noun = "change is" if len(sure) == 1 else "changes are"
    noun = noun.replace("change is", "changes is") if rest else noun
    text = f"{number}{rest} {noun} significant on test images (paired, Holm-corrected)."
    losers = sum(row["set"] == "test" and row["verdict"] == "worse" for row in summary["tables"]["paired"])
    return f"{text} {losers} perturbation type{'s' if losers > 1 else ''} got worse." if losers else text


def weak_spots(summary: Summary) -> str:
    """Return where the model is weak and strong, by the verdicts on the held-out weak half."""
    rows = [row for row in summary["tables"]["validation"] if row["set"] == "held_out"]
    if not rows:
        return "No weak samples were held out, so no type could be judged."

    def named(phase: str, verdict: str) -> list[str]:
        return [type_name(row["type"]) for row in rows if row["phase"] == phase and row["verdict"] == verdict]

    def sentence(phase: str) -> str:
        weak, strong = named(phase, "weakness"), named(phase, "strength")
        said = [f"weak on {listing(weak)}"] if weak else []
        said += [f"strong on {listing(strong)}"] if strong else []
        return ", ".join(said)

    before, after = sentence("before"), sentence("after")
    text = f"{capital(before)}." if before else "No type stands out from its family."
    if fine_tuned(summary):
        text += f" After fine-tuning {after}." if after else " After fine-tuning no type stands out from its family."
    return text


def changed(summary: Summary) -> str:
    """Return how many types are better and worse on the test images."""
    rows = [row for row in summary["tables"]["paired"] if row["set"] == "test" and row["family"] != "clean"]
    rows = [row for row in rows if row["verdict"] not in ("not run", "see headline")]
    better = [row for row in rows if row["verdict"] == "better"]
    worse = sorted((row for row in rows if row["verdict"] == "worse"), key=lambda row: row["change"])
    if not rows:
        return "No type has a test of its own: the verdict has them, or no test images were validated twice."
    start = f"On the test images {len(better)} of {len(rows)} types are better"
    if not worse:
        return f"{start}, with no evidence that one is worse."
    verb = "is" if len(worse) == 1 else "are"
    return f"{start}, {len(worse)} {verb} worse: {listing([type_name(row['type']) for row in worse])}."


def severity(summary: Summary) -> str:
    """Return the corruption and severity at which least is right."""
    rows = [row for row in summary["tables"]["severity"] if row["set"] == "test"]
    last = "after" if any(row["phase"] == "after" for row in rows) else "before"
    rows = [row for row in rows if row["phase"] == last and known(row["accuracy"])]
    if not rows:
        return "No accuracy is known at any severity."
    least = min(rows, key=lambda row: row["accuracy"])
    when = " after fine-tuning" if last == "after" else ""
    figure = f"{percent(least['accuracy'])} {brackets(least['lower'], least['upper'])}"
    return f"{capital(type_name(least['type']))} at severity {least['severity']} is the floor: {figure}{when}."


def scores(summary: Summary) -> str:
    """Return how many of the scored samples have an error close by."""
    facts = summary["score_histogram"]
    if not facts or not facts["n"]:
        return "No sample has a known score."
    if facts.get("n_screened"):
        left = f"{count(facts['n_screened'])} were left out by screening"
        return f"An error was found close to {count(facts['found'])} of the {count(facts['n'])} scored in full; {left}."
    calm = facts["n"] - facts["found"]
    start = "Most have none" if calm > facts["n"] / 2 else "Most have one"
    return f"{start}: an error was found close to {count(facts['found'])} of {count(facts['n'])} samples."


def samples(summary: Summary) -> str:
    """Return what the weakest samples have in common."""
    rows = summary["tables"]["samples"]
    if not rows:
        return "No sample qualified: no error was found near any correctly classified sample."
    pairs: dict[tuple[str, str], int] = {}
    for row in rows:
        if row["label"] is not None and row["neighbor_prediction"] not in (None, row["label"]):
            pair = (row["label"], row["neighbor_prediction"])
            pairs[pair] = pairs.get(pair, 0) + 1
    kinds = Counter(row["kind"] for row in rows if row["kind"] is not None)
    if kinds:
        return _kinds(kinds, len(rows))
    if not pairs:
        return f"The {len(rows)} weakest samples."
    (own, other), number = max(pairs.items(), key=lambda item: item[1])
    if len(rows) == 1:
        return f"The weakest is {_class(own)} read as {_class(other)}."
    if number == 1:
        return f"The {len(rows)} weakest samples, no two of them confused alike."
    return f"{number} of the {len(rows)} weakest are {_class(own)} read as {_class(other)}."


def _kinds(kinds: Counter[str], total: int) -> str:
    """Return which kind of weakness is the commonest; a label is doubted, never called wrong."""
    doubtful = kinds.pop("mislabelled", 0)
    them = "it" if doubtful == 1 else "them"
    label = f"{doubtful} may carry a wrong label and should be looked at before training on {them}"
    if not kinds:
        return f"Of the {total} weakest {label}."
    kind, number = max(kinds.items(), key=lambda item: (item[1], item[0]))
    most = f"{number} of the {total} weakest {'is' if number == 1 else 'are'} {isolated(kind)}"
    return f"{most}; {label}." if doubtful else f"{most}."


def _class(name: str) -> str:
    return f"class {isolated(name)}" if name.isdigit() else isolated(name)


def classes(summary: Summary) -> str:
    """Return which class has the largest share of weak samples; classes are not tested, so none is judged."""
    rows = [row for row in summary["tables"]["classes"] if row["n_scored"] >= FEW and row["n_weak"]]
    if not rows:
        return "No class has weak samples enough to speak of."
    most = max(rows, key=lambda row: row["weak_share"])
    share = f"{percent(most['weak_share'])} {brackets(most['weak_lower'], most['weak_upper'])}"
    return f"The largest share of weak samples is in {_class(most['name'])}: {share} of {count(most['n_scored'])}."


def doctor(summary: Summary) -> str:
    """Return whether the findings leave the figures standing."""
    severities = _severities(summary)
    errors, warnings = severities.count("error"), severities.count("warning")
    if errors:
        return f"No: {errors} error{'s' if errors > 1 else ''} stand{'' if errors > 1 else 's'} against the figures."
    if warnings:
        return f"Read {warnings} warning{'s' if warnings > 1 else ''} first; no error was found."
    checks = summary.get("checks") or {"passed": [], "not_run": []}
    if checks["not_run"] and not checks["passed"]:
        return "Unknown: no check could be made."
    return "Yes: nothing was found that would void a number."


def provenance(summary: Summary) -> str:
    """Return what ran, in one sentence."""
    facts = summary["provenance"]
    stages = facts["stages"]
    forwards = sum(stage["forwards"] or 0 for stage in stages.values())
    parts = [f"{len(stages)} stage{'s' if len(stages) != 1 else ''}"] if stages else []
    parts += [f"{count(forwards)} forward passes"] if forwards else []
    seeds = facts["seeds"]
    parts += [f"seed {isolated(next(iter(seeds.values())))}"] if len(seeds) == 1 else []
    return f"{capital(', '.join(parts))}." if parts else "Nothing was recorded about this run."
