"""What to do next, and how the verdict was found: short lists made from the summary by rules."""

from __future__ import annotations

import shlex

from ..errors import UsageError
from ..threat import parse_eps
from .typography import brackets, capital, count, listing, points, setting, type_name
from .wording import Summary, fine_tuned, has_errors

_EXAMINED = (
    *("model", "weights", "mean", "std", "model_dir"),
    *("dataset", "split", "label_column", "resize", "crop", "limit", "seed", "eps", "eps_l2", "attacks"),
)
"""Arguments by which the doctor finds model and data, and the budgets that it looks at."""


def trail(summary: Summary) -> list[tuple[str, str]]:
    """Return how the verdict was found: (what stands in bold, the rest) a step."""
    steps: list[tuple[str, str]] = []
    scored, roles = summary["scored"], summary["weak_set"]
    if scored:
        steps.append((count(scored), "training samples scored"))
    if roles is not None:
        weak = roles["tune"] + roles["held_out"]
        steps.append(
            (count(weak), f"weakest taken: {count(roles['tune'])} to tune on, {count(roles['held_out'])} held out")
        )
    types = {row["type"] for row in summary["tables"]["validation"]}
    if types:
        sets = {row["set"] for row in summary["tables"]["validation"]}
        steps.append(
            (str(len(types)), f"perturbation types validated, on {len(sets)} set{'s' if len(sets) > 1 else ''}")
        )
    tuned = summary["finetuning"]
    if tuned is not None:
        epochs = len(tuned["history"])
        bold = f"{epochs} epoch{'s' if epochs != 1 else ''}" if epochs else "Fine-tuning"
        steps.append((bold, f"of fine-tuning, {len(tuned['drawn'])} types drawn" if epochs else "of the weights"))
    if fine_tuned(summary):
        steps.append(("Again", "the same samples, seeds and perturbations"))
    return steps


def _command(summary: Summary, *words: str) -> str:
    facts = summary["provenance"]
    out = facts["arguments"].get("out") or ("RUN" if facts["command"] else "")
    return shlex.join(["art-weakrobust", words[0], "--out", str(out), *words[1:]]) if out else ""


def _with_model(summary: Summary, *words: str) -> str:
    """Return a command that calls the model: a factory runs code, so it is named every time."""
    model = str(summary["provenance"]["arguments"].get("model", ""))
    return _command(summary, *words, *(("--model", model) if model.startswith("python:") else ()))


def redial(summary: Summary, clean_budget: int = 1) -> str:
    """Return the command that chooses another point of the dial; empty where no directory is known.

    :param clean_budget: points of clean accuracy that may be lost.
    """
    return _with_model(summary, "finetune", "--clean-budget", str(clean_budget))


def reproduce(summary: Summary) -> str:
    """Return the command that scores the sample ``INDEX`` again from its seed; empty where no directory is known."""
    return _with_model(summary, "sample", "--index", "INDEX")


def _examine(summary: Summary) -> str:
    """Return the command that asks the doctor again; the data, too, may be mended by then, so it has no run."""
    given = summary["provenance"]["arguments"]
    chosen = [("--" + name.replace("_", "-"), str(given[name])) for name in _EXAMINED if given.get(name) is not None]
    known = "model" in given and "dataset" in given
    return shlex.join(["art-weakrobust", "doctor", *(word for pair in chosen for word in pair)]) if known else ""


def actions(summary: Summary) -> list[dict[str, str]]:
    """Return at most three things to do next.

    Each has a ``title``, a ``text``, a ``command``, a ``link`` (a section's id) and a ``filter`` that the link sets in
    the gallery; the last three may be empty.
    """
    found: list[dict[str, str]] = []

    def add(title: str, text: str, command: str = "", link: str = "", filters: str = "") -> None:
        found.append({"title": title, "text": text, "command": command, "link": link, "filter": filters})

    rows = {row["metric"]: row for row in summary["tables"]["headline"]}
    if has_errors(summary):
        text = "Until then before and after cannot be compared; the doctor says in seconds whether it is mended."
        add("Mend what the doctor found.", text, _examine(summary), link="doctor")
    clean = rows.get("clean", {})
    if clean.get("verdict") == "worse":
        loss = f"{points(clean['change'])} pt {brackets(clean['change_lower'], clean['change_upper'], signed=True)}"
        text = f"Clean accuracy changes by {loss}. Interpolating towards the old weights gives part of it back."
        add("Decide on the clean cost.", text, redial(summary))
    worse = [row["type"] for row in summary["tables"]["paired"] if row["set"] == "test" and row["verdict"] == "worse"]
    worse = [name for name in worse if name != "clean"]
    if worse:
        lost = f"{capital(listing([type_name(name) for name in worse]))} lost accuracy."
        text = f"{lost} Nearer to the old weights less is lost, and less is gained."
        add("Weigh what got worse.", text, redial(summary, 0), link="changed")
    found += _steps_of_a_diagnosis(summary)
    doubtful = sum(row["kind"] == "mislabelled" for row in summary["tables"]["samples"])
    if doubtful:
        add(
            "Check labels before training again.",
            f"{doubtful} of the weakest may be mislabelled; their files are listed in samples.csv.",
            _command(summary, "report", "--csv", "tables"),
            "samples",
            "kind=mislabelled",
        )
    return found[:3]


def _steps_of_a_diagnosis(summary: Summary) -> list[dict[str, str]]:
    roles = summary["weak_set"]
    empty = roles is not None and not roles["tune"] + roles["held_out"]
    if empty:
        text = "No error was found near any sample, so there is nothing weak to tune on. A larger radius tests more."
        command = _larger(summary)
        return [
            {"title": "Score with a larger radius.", "text": text, "command": command, "link": "scores", "filter": ""}
        ]
    if roles is not None and not fine_tuned(summary) and summary["tables"]["validation"]:
        text = "The weak half that is set aside for it and the weak types above guide the fine-tuning."
        command = _with_model(summary, "finetune")
        return [{"title": "Fine-tune where it is weak.", "text": text, "command": command, "link": "", "filter": ""}]
    return []


def _larger(summary: Summary) -> str:
    """Return the command that scores anew, in twice the radius; empty where none is known."""
    given = summary["provenance"]["arguments"].get("radius")
    try:
        radius = setting(2 * parse_eps(given, "radius"), "radius")
    except UsageError:
        return ""
    return _with_model(summary, "score", "--radius", radius, "--force")
