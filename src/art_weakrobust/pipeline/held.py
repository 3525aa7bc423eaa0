"""What the manifest holds a stage to, so that the rows of other work are never taken for its own."""

from __future__ import annotations

from typing import Any

from ..errors import RunError
from ..plugins.reference import split_list
from ..store import Run
from ..store.manifest import differences, plain
from .context import Context
from .resolve import LISTS

GROUPS = {
    "score": ("model", "data", "score"),
    "triage": ("model", "data", "triage"),
    "select": ("select",),
    "before": ("model", "data", "budget", "validate"),
    "finetune": ("model", "data", "budget", "validate", "finetune"),
    "after": ("model", "data", "budget", "validate"),
    "report": ("report",),
}
"""Stage -> the groups of options that its rows depend on."""

GROWING = {"before": LISTS, "after": LISTS}
"""Stage -> the lists that may grow without --force: types and distances are added to a validation as it is."""

_NOT_ROWS = (
    *("device", "tune", "compile", "download", "ignore_doctor", "baseline", "clean_budget"),
    *("model_dir", "allow_unsafe_checkpoint"),
)
"""Options that change no row: device and tuning are in the plan as far as they matter, the budget turns the dial, and
weights are in the model's fingerprint wherever they lie."""


def held_to(context: Context, stage: str) -> dict[str, Any]:
    """Return what the rows of a stage depend on: its options, and for work on the model who model and data are."""
    chosen = context.options
    options = {name: value for name, value in chosen.of(*GROUPS[stage]).items() if name not in _NOT_ROWS}
    for name in LISTS:
        if name in options:
            options[name] = split_list(options[name])
    if stage == "finetune":
        del options["distances"]  # training reads none
    if "severities" in options:
        options["severities"] = list(chosen.severity_numbers())
    if stage == "score":  # a scorer may take more than the neighborhood, an attack's budget say
        options |= context.taken("scorer", chosen.scorer)
    if stage == "triage":  # the length of the steps that look for masked gradients
        options["eps"] = chosen.eps
    if stage == "select":
        options["triage"] = chosen.triage
    if stage in ("select", "report"):
        return options
    test = {"test_fingerprint": context.test_fingerprint} if "validate" in GROUPS[stage] else {}
    return options | context.identity | test


def told_by(context: Context, stage: str) -> dict[str, Any]:
    """Return the options that a stage adds to those of the run: not what others before it may have widened since."""
    own = GROUPS[stage][-1]
    return (
        context.options.of("triage", own) if stage == "select" else context.options.of("model", "data", "budget", own)
    )


def refuse_other_work(run: Run, context: Context) -> None:
    """Refuse to go on with another model, other data or another seed than the samples were scored with.

    :raises RunError: with both values of what differs.
    """
    written = run.manifest["stages"].get("score", {}).get("options")
    if not written:
        return
    options = {name: value for name, value in context.options.of("model", "data").items() if name not in _NOT_ROWS}
    changed, _ = differences(written, written | plain(options | context.identity))
    if changed:
        listed = "; ".join(f"{name}: {before!r} there, {now!r} now" for name, (before, now) in changed.items())
        raise RunError(
            f"the samples of {run.path} were scored with other options ({listed}); use the same ones, "
            "choose another --out, or score them again with `art-weakrobust score --force`"
        )
