"""The nine hooks of the pluggy project ``art_weakrobust``: one per kind of thing, each without arguments.

A plugin is any module or object with functions of these names, marked with ``@hookimpl``, that return a list of
:class:`~art_weakrobust.Spec`. It is found by an entry point of the group ``art_weakrobust``, by ``--plugin MODULE``, or
by ``plugins=[...]`` in Python. A hook is called once, before anything heavy is imported: return specs, import nothing.
"""

from __future__ import annotations

import pluggy

from .spec import Spec

PROJECT = "art_weakrobust"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

KINDS = ("estimator", "model", "dataset", "scorer", "attack", "corruption", "validator", "trainer", "reporter")
"""The kinds of things; the hook of a kind is ``weakrobust_register_`` + kind + ``s``."""


@hookspec
def weakrobust_register_estimators() -> list[Spec]:
    """Offer ART-compatible estimators, chosen with ``--estimator NAME``.

    The target is called as ``target(model, info, **options)`` with the ``nn.Module`` (a callable for a black box) and
    its :class:`~art_weakrobust.protocols.ModelInfo`; it returns an ART-compatible estimator. Of what the run offers
    (``device``, ``batch_size``, ``clip_values``, ``input_shape``, ``nb_classes``) it gets what its options name.
    """
    return []


@hookspec
def weakrobust_register_models() -> list[Spec]:
    """Offer models, chosen with ``--model NAME`` or ``--model NAME:ARGUMENT``.

    The target is called as ``target(argument, **options)`` with the text after the first colon; it returns an
    ``nn.Module`` that takes pixels in [0, 1] (normalisation inside), or for a black box any callable, and its
    :class:`~art_weakrobust.protocols.ModelInfo`, whose ``resize``, ``crop`` and ``interpolation`` the data set follows
    unless the user wrote others. Offered: ``model_dir``, ``download`` (fetch only where it is True), ``allow_unsafe``
    (unpickle only where it is True), ``seed``, ``nb_classes`` of the data; where the user wrote them, ``weights``,
    ``mean`` and ``std``.
    """
    return []


@hookspec
def weakrobust_register_datasets() -> list[Spec]:
    """Offer data sets, chosen with ``--dataset NAME`` or ``--dataset NAME:ARGUMENT``.

    The target is called as ``target(argument, split=..., **options)`` with ``split`` ``"train"`` or ``"test"``; it
    returns a :class:`~art_weakrobust.protocols.Dataset`: lazy, ids are positions in the official order, pixels float32
    (n, c, h, w) in [0, 1], labels int64. Offered: ``split``, ``seed``, ``download`` (fetch only where it is True),
    ``resize``, ``crop`` and ``interpolation`` as the model asks for; where the user wrote them, ``label_column``,
    ``resize`` and ``crop``.
    """
    return []


@hookspec
def weakrobust_register_scorers() -> list[Spec]:
    """Offer scorers of local robustness, chosen with ``--scorer NAME[:key=value...]``.

    The target is called as ``target(**options)`` and returns a callable
    ``(estimator, data, over) -> Scores`` (:class:`~art_weakrobust.protocols.Scorer`): one row a sample with ``index``
    and ``score`` (higher is weaker, NaN is unknown), optionally ``found`` and more. Run the work through ``over``: it
    stores, resumes and shows progress. Offered: ``radius, radius_norm, neighbors, quantise, include_misclassified,
    seed, batch_size, eps, eps_l2``. An option ``attack=NAME`` arrives as a factory ``estimator -> EvasionAttack``.
    """
    return []


@hookspec
def weakrobust_register_attacks() -> list[Spec]:
    """Offer evasion attacks, chosen with ``--attacks NAME[@1|2|inf][:key=value...]``.

    The target is called as ``target(estimator, norm=, eps=, **options)`` and returns an
    ``art.attacks.evasion.EvasionAttack``: any ART attack class is a target as it is. What it returns is never believed:
    it is measured against the budget, predicted again, and judged against the label. ``facts={"norm": None}`` says that
    it has no norm (it is then named ``NAME-linf`` and judged in Linf); ``facts={"eps": 0.1}`` is a budget of its own.
    With ``many=True`` the target is called as ``target(**options)`` and returns names, as users write them. Offered:
    ``norm, eps, seed, batch_size``, and ``craft``, training samples that are judged nowhere, where there are some.
    """
    return []


@hookspec
def weakrobust_register_corruptions() -> list[Spec]:
    """Offer common corruptions, chosen with ``--corruptions NAME``.

    The target is itself the corruption: ``(x, ids, severity, seed) -> x`` on float32 (n, c, h, w) in [0, 1], any
    device, severity 1 to 5; the randomness of a sample is a function of (seed, id, severity) alone. With ``many=True``
    the target is called as ``target(argument, **options)`` and returns a mapping type -> corruption (or
    :class:`~art_weakrobust.protocols.StoredCorruption`). Facts shown: ``group``, ``source``, ``constants`` and
    ``min_size``.
    """
    return []


@hookspec
def weakrobust_register_validators() -> list[Spec]:
    """Offer validators, chosen with ``--validator NAME``.

    The target is called as ``target(classifier, **options)``; the object has
    ``validate(estimator, sets, over) -> Validation`` (:class:`~art_weakrobust.protocols.Validator`). Run the work
    through ``over`` and it is resumed without code of yours. Offered: ``attacks, corruptions, severities, eps, eps_l2,
    radius, radius_norm, seed, batch_size, plugins``.
    """
    return []


@hookspec
def weakrobust_register_trainers() -> list[Spec]:
    """Offer trainers, chosen with ``--trainer NAME``.

    The target is called as ``target(classifier, **options)``; the object has ``fit(x, y, nb_epochs, batch_size, *,
    weak_set, weak_types, ids, guard)``, ``get_classifier()`` and ``finetuning``
    (:class:`~art_weakrobust.protocols.Trainer`), and touches neither the held-out half nor the control group.
    Offered: ``eps, attacks, corruptions, weak_weight, seed, clean_budget, checkpoint_dir, plugins``.
    """
    return []


@hookspec
def weakrobust_register_reporters() -> list[Spec]:
    """Offer reporters, chosen with ``--reporter NAME``.

    The target is called as ``target(**options)`` and returns a callable ``(records) -> {file name: bytes}``
    (:class:`~art_weakrobust.protocols.Reporter`), which gets everything that flowed
    (:class:`~art_weakrobust.results.Records`). It opens no run directory and imports neither torch nor ART.
    """
    return []
