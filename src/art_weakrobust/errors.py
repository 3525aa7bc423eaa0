"""One tree of errors. Every one survives pickling; a :class:`UserError` is told to the user in one line."""

from __future__ import annotations


class WeakRobustError(Exception):
    """Root of all errors that this package raises on purpose."""


class UserError(WeakRobustError):
    """Something the user can mend. The command line prints the message alone and leaves with :attr:`exit_code`.

    A message names the argument, the value received, what was expected and what to do.
    """

    exit_code = 1


class UsageError(UserError):
    """A wrong option, value or combination of options."""

    exit_code = 2


class PluginError(UserError):
    """A name nobody registered, a name that two plugins claim, or a plugin that cannot do what was asked."""

    exit_code = 2


class DataError(UserError):
    """A data set that is missing, damaged, or not what the pipeline works on."""


class ModelError(UserError):
    """A model, checkpoint or estimator that cannot be loaded or used."""


class AttackError(UserError):
    """An attack that cannot be built, bound to the estimator at hand, or trusted."""


class RunError(UserError):
    """A run directory that is missing, in use, or belongs to another configuration."""


class TrainingError(UserError):
    """Fine-tuning that cannot start or had to stop, for instance at a loss that is not finite."""


def nearest(name: str, known: list[str] | tuple[str, ...], count: int = 3) -> str:
    """Return ``", did you mean 'a' or 'b'?"`` for the names nearest to ``name``, or an empty string."""
    from difflib import get_close_matches

    matches = get_close_matches(name, list(known), n=count, cutoff=0.5)
    return f", did you mean {' or '.join(repr(match) for match in matches)}?" if matches else ""
