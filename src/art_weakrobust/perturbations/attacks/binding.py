"""An attack attacks the model it is judged on: factories are called with it, ready-made ART objects are rebound to it.

Rebinding builds the object anew from what it holds, for every class of the catalogue, so that the user's own object
stays as it was and the new one is what a fresh constructor call would give. What cannot be rebound is an error, never a
silent transfer attack.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

from art.attacks import EvasionAttack
from art.estimators.estimator import BaseEstimator
from art.exceptions import EstimatorError

from ...errors import AttackError, UserError
from ...estimators.judge import module_of
from ...plugins.manager import AttackFactory
from ...protocols import Estimator
from .catalogue import row_of
from .clones import refuse_loss, replace_clones
from .repaired import REPAIRED
from .rows.left_out import LEFT_OUT
from .settings import used


def bind(attack: EvasionAttack | Callable[[Estimator], EvasionAttack], estimator: Estimator) -> EvasionAttack:
    """Return an attack on ``estimator``.

    :param attack: a factory ``estimator -> EvasionAttack`` (a class, a ``functools.partial``, a function), or a
        ready-made ART attack, which is rebound and not altered.
    :raises AttackError: where the estimator lacks what the attack needs, the factory fails or gives something else, the
        attack is targeted, or a ready-made attack has no row in the catalogue.
    """
    name = describe(attack)
    try:
        bound = rebind(attack, estimator) if isinstance(attack, EvasionAttack) else attack(estimator)
        if type(bound) in REPAIRED:
            bound = rebind(bound, estimator)
    except UserError:
        raise
    except EstimatorError as error:
        raise AttackError(
            f"attack {name} cannot attack a {type(estimator).__name__}: it needs {_needs(error)}; "
            f"leave it out, or use an estimator that gives it"
        ) from error
    except Exception as error:
        raise AttackError(f"attack {name} cannot be built on the estimator: {type(error).__name__}: {error}") from error
    if not isinstance(bound, EvasionAttack):
        raise AttackError(f"attack factory {name} returned a {type(bound).__name__}, expected an art EvasionAttack")
    if not _attacks(bound, estimator):
        raise AttackError(
            f"attack factory {name} returned an attack on another estimator: build it on the one it is called with"
        )
    if bound.targeted:
        raise AttackError(f"attack {name} is targeted, but y are the labels here: build it with targeted=False")
    parts = _parts(bound, [])
    refuse_loss(parts, estimator, name)
    replace_clones(parts, estimator)
    return bound


def rebind(attack: EvasionAttack, estimator: Estimator) -> EvasionAttack:
    """Return a new attack on ``estimator`` with all that a ready-made one was set to; its summary writer is left out.

    The values are those that the attack really uses: PGD and BIM read their inner ``_attack``, so that
    ``attack.eps = v``, which changes nothing in ART, changes nothing here either; ``set_params`` does.

    :raises AttackError: for a class without a row in the catalogue.
    """
    row = row_of(type(attack))
    if row is None:
        known = type(attack).__module__.startswith("art.attacks.") and LEFT_OUT.get(type(attack).__name__)
        raise AttackError(
            f"a ready-made {type(attack).__name__} cannot be rebound to another estimator"
            f"{f' ({known})' if known else ''}: hand in a factory, as in "
            f"functools.partial({type(attack).__name__}, ...)"
        )
    holder = used(attack)
    if getattr(holder, "random_eps", False):
        raise AttackError(
            f"a ready-made {type(attack).__name__} with random_eps=True overwrites its eps when it runs: "
            f"hand in a factory, as in functools.partial({type(attack).__name__}, eps=..., random_eps=True)"
        )
    names = [name for name in list(inspect.signature(type(attack)).parameters)[1:] if name not in _OF_ONE_RUN]
    values = {name: getattr(holder, name) for name in names}
    own = {name for name, value in values.items() if getattr(value, "__self__", None) is holder}  # Square's own loss
    carried = {name: _carried(value, estimator) for name, value in values.items() if name not in own}
    kind: Callable[..., EvasionAttack] = REPAIRED.get(type(attack), type(attack))
    bound = kind(estimator, **carried)
    if row.settings:
        bound.set_params(**{name: getattr(holder, name) for name in row.settings})
    return bound


_OF_ONE_RUN = ("summary_writer", "random_eps")
"""Constructor arguments that are not carried over: a writer belongs to one run; a random budget is refused."""


def _carried(value: Any, estimator: Estimator) -> Any:
    """Return a constructor's argument for an attack on ``estimator``: an ensemble's parts and estimator go along."""
    if isinstance(value, EvasionAttack):
        return rebind(value, estimator)
    if isinstance(value, list | tuple):
        return type(value)(_carried(part, estimator) for part in value)
    return estimator if isinstance(value, BaseEstimator) else value


def describe(attack: Any) -> str:
    """Return how an attack or a factory is called in messages."""
    if isinstance(attack, AttackFactory):
        return attack.reference.name
    target = getattr(attack, "func", attack)
    return str(getattr(target, "__name__", None) or type(target).__name__)


def _attacks(attack: EvasionAttack, estimator: Estimator) -> bool:
    """Say whether an attack and all that it is made of are on this estimator, or on a clone around its very module."""
    module = module_of(estimator)
    attacked = [part.estimator for part in _parts(attack, [])]
    return all(other is estimator or (module is not None and module_of(other) is module) for other in attacked)


def _parts(held: Any, found: list[EvasionAttack]) -> list[EvasionAttack]:
    """Return an attack and those that it holds: an ensemble of ready-made ones would be a transfer attack."""
    if isinstance(held, EvasionAttack) and not any(held is part for part in found):
        found.append(held)
        _parts(list(vars(held).values()), found)
    elif isinstance(held, list | tuple | dict):
        for part in held.values() if isinstance(held, dict) else held:
            _parts(part, found)
    return found


def _needs(error: EstimatorError) -> str:
    """Return what an attack asks of an estimator, in words where we have them."""
    words = {"LossGradientsMixin": "loss gradients", "ClassGradientsMixin": "class gradients"}
    asked = [kind if isinstance(kind, tuple) else (kind,) for kind in error.class_expected_list]
    named = [" or ".join(words.get(kind.__name__, kind.__name__) for kind in kinds) for kinds in asked]
    return ", ".join(name for name in named if name in words.values()) or ", ".join(named)
