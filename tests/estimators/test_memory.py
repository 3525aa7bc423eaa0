"""When memory runs out the same work is done in smaller batches."""

from __future__ import annotations

import logging
import weakref

import numpy as np
import pytest
import torch

from art_weakrobust.estimators.border import stream
from art_weakrobust.estimators.memory import halving, is_out_of_memory


def fitting(limit, error=torch.OutOfMemoryError, asked=None):
    """Return work that runs out of memory above ``limit`` images."""

    def work(size):
        if asked is not None:
            asked.append(size)
        if size > limit:
            raise error("no memory")
        return f"{size} images"

    return work


def test_work_that_fits_is_done_once():
    asked = []
    assert halving(fitting(64, asked=asked), 64) == ("64 images", 64)
    assert asked == [64]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError, MemoryError])
def test_the_batch_is_halved_until_it_fits(error, caplog):
    asked = []
    with caplog.at_level(logging.WARNING):
        assert halving(fitting(20, error, asked), 100) == ("12 images", 12)
    assert asked == [100, 50, 25, 12]
    assert caplog.messages[-1] == "out of memory: going on with batches of 12"


def test_a_single_image_that_does_not_fit_is_an_error():
    with pytest.raises(torch.OutOfMemoryError):
        halving(fitting(0), 4)


def test_any_other_error_comes_through_at_once():
    asked = []

    def work(size):
        asked.append(size)
        raise RuntimeError("shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes do not fit"):
        halving(work, 64)
    assert asked == [64]


def test_what_the_cpus_own_allocator_raises_is_recognised():
    with pytest.raises(RuntimeError) as raised:
        torch.empty(2**60, dtype=torch.uint8)
    assert is_out_of_memory(raised.value)
    with pytest.raises(MemoryError) as raised:
        np.empty(2**60, np.uint8)
    assert is_out_of_memory(raised.value)


@pytest.mark.parametrize("error", [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), ValueError("memory")])
def test_other_errors_are_not_taken_for_it(error):
    assert not is_out_of_memory(error)


def test_the_tensors_of_a_failed_call_are_freed_before_the_next():
    alive = weakref.WeakSet()

    class Tracked:
        pass

    def work(size):
        held = Tracked()
        alive.add(held)
        if size > 1:
            raise torch.OutOfMemoryError("no memory")
        return len(alive)

    assert halving(work, 4) == (1, 1)


def forward_of(limit, sizes):
    """Return a forward pass that doubles (n, 1), and runs out of memory above ``limit`` images."""

    def forward(x):
        sizes.append(len(x))
        if len(x) > limit:
            raise torch.OutOfMemoryError("no memory")
        return torch.from_numpy(2 * x)

    return forward


def test_streamed_passes_go_on_with_the_size_that_fitted():
    x, sizes = np.arange(10, dtype=np.float32)[:, None], []
    np.testing.assert_array_equal(stream(forward_of(3, sizes), x, 8, nb_classes=1), 2 * x)
    assert sizes == [8, 4, 2, 2, 2, 2, 2]


@pytest.mark.parametrize("batch_size", [0, -1])
def test_streamed_passes_need_a_batch(batch_size):
    with pytest.raises(ValueError, match=f"batch_size {batch_size} has to be"):
        stream(forward_of(3, []), np.zeros((4, 1), np.float32), batch_size, nb_classes=1)
