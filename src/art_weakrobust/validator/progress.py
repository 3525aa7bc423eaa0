"""Maps that work in memory and draw their progress as ART does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tqdm.auto import tqdm

from ..execution.serial import SerialMap
from ..protocols import Map


@contextmanager
def maps(*, verbose: bool) -> Iterator[Callable[[str | None], Map]]:
    """Yield a function phase -> :class:`~art_weakrobust.protocols.Map`; all of them fill one bar.

    :param verbose: whether the bar is shown.
    """
    with tqdm(total=0, desc="Weak robust - Samples", leave=False, disable=not verbose) as bar:
        finished: dict[str, int] = {}

        def progress(stage: str, done: int, total: int) -> None:
            bar.total += total if stage not in finished else 0
            bar.set_postfix_str(stage, refresh=False)
            bar.update(done - finished.get(stage, 0))
            finished[stage] = done

        yield lambda phase: SerialMap(stamp={} if phase is None else {"phase": phase}, progress=progress)
