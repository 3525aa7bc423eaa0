"""Random numbers that are a function of (seed, sample id, index, lane) alone.

A lane is the position of a value within a sample. Every value is an avalanche hash of its key in int32 arithmetic,
which wraps around alike on every device: the numbers are bitwise the same for any batch size, order, device and number
of threads, and no generator has a state. The mixer is ``lowbias32`` (Wellons,
https://nullprogram.com/blog/2018/07/31/), whose multipliers and shifts were searched for the least avalanche bias; ids
and seeds enter as two 32-bit keys, so that two samples share a stream with probability 2^-64.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache

import numpy as np
import torch
from scipy.special import ndtri
from torch import Tensor

_A, _B = 0x7FEB352D, 0x846CA68B - 2**32
_BLOCK = 1 << 17  # lanes hashed at a time: two int32 buffers of this size stay in a core's L2 cache
_CELLS = 8  # bits of the mantissa that choose a cell of the normal table


def derive(seed: int, *words: int | str) -> int:
    """Return a seed for one purpose: a stable 63-bit hash of ``seed`` and the words that name the purpose.

    :param seed: any integer.
    :param words: integers or text, in order; ``1`` and ``"1"`` differ.
    """
    text = repr((int(seed), *(word if isinstance(word, str) else int(word) for word in words)))
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


def uniform(ids: Tensor, index: int | Tensor, shape: Sequence[int], seed: int) -> Tensor:
    """Return uniform float32 (n, *shape) in [0, 1): multiples of 2^-24.

    :param ids: int64 (n,) sample ids.
    :param index: which draw of a sample, one for all or int64 (n,): the number of a neighbor, a step, a purpose.
    :param shape: shape of one sample's draw.
    :param seed: any integer.
    """
    return _fill(
        ids, index, shape, seed, lambda bits, out: out.copy_(bits.bitwise_right_shift_(8)).mul_(2**-24).add_(0.5)
    )


def symmetric(
    ids: Tensor,
    index: int | Tensor,
    shape: Sequence[int],
    seed: int,
    scale: float = 1.0,
    *,
    channels_last: bool = False,
) -> Tensor:
    """Return uniform float32 (n, *shape) in [-scale, scale): exactly ``(2 * uniform(...) - 1) * scale``, and cheaper.

    Parameters are those of :func:`uniform`.

    :param channels_last: lay the same values of a shape (c, h, w) out in memory as PyTorch's ``channels_last``.
    """

    def finish(bits: Tensor, out: Tensor) -> None:
        out.copy_(bits.bitwise_right_shift_(8)).mul_(scale * 2**-23)

    return _fill(ids, index, shape, seed, finish, channels_last=channels_last)


def normal(ids: Tensor, index: int | Tensor, shape: Sequence[int], seed: int, *, channels_last: bool = False) -> Tensor:
    """Return standard normal float32 (n, *shape), |value| <= 5.42.

    The inverse distribution function, by a table over the binary exponent of the tail probability and the next
    8 bits, with linear interpolation between (error below 2e-6). Indices, one product and one sum decide, so that no
    device's ``log`` does. Parameters are those of :func:`symmetric`.
    """
    value, slope = _normal_table(ids.device)

    def finish(bits: Tensor, out: Tensor) -> None:
        sign = bits.bitwise_and(-(2**31))
        # (2k + 1) 2^-25 is the tail probability of the 23-bit k: odd numbers below 2^24, all exact in float32
        tail = bits.bitwise_right_shift_(8).bitwise_and_(0x7FFFFF).mul_(2).add_(1).to(torch.float32).view(torch.int32)
        cell = (tail >> (23 - _CELLS)).sub_(127 << _CELLS).flatten()
        out.copy_(tail.bitwise_and_((1 << (23 - _CELLS)) - 1)).mul_(slope.index_select(0, cell).view_as(out))
        out.add_(value.index_select(0, cell).view_as(out)).view(torch.int32).bitwise_xor_(sign)

    return _fill(ids, index, shape, seed, finish, channels_last=channels_last)


def bits(ids: Tensor, index: int | Tensor, shape: Sequence[int], seed: int) -> Tensor:
    """Return the 32 bits of every lane, int32 (n, *shape). Parameters are those of :func:`uniform`."""
    return _fill(ids, index, shape, seed, lambda hashed, out: out.copy_(hashed), torch.int32)


def some(ids: np.ndarray, count: int, index: int, seed: int) -> np.ndarray:
    """Return ``count`` of the ids (all, where they are fewer), drawn without replacement, sorted, int64.

    Who is drawn does not hang on the order of the ids, and the first so many of a draw are also those of a smaller one.

    :param ids: int64 (n,), each once.
    :param index: which draw.
    :param seed: any integer.
    """
    number = uniform(torch.from_numpy(ids), index, (1,), seed)[:, 0].numpy()
    return np.sort(ids[np.lexsort((ids, number))[:count]])


def _fill(
    ids: Tensor,
    index: int | Tensor,
    shape: Sequence[int],
    seed: int,
    finish: Callable[[Tensor, Tensor], object],
    dtype: torch.dtype = torch.float32,
    *,
    channels_last: bool = False,
) -> Tensor:
    """Hash block by block while it is in the cache, and let ``finish`` turn the bits (its to spoil) into values."""
    lanes = _lanes(tuple(shape), channels_last, ids.device)
    key, twist = _keys(ids, index, seed)
    out = torch.empty((len(ids), lanes.shape[1]), dtype=dtype, device=ids.device)
    blocks = list(_blocks(len(ids), lanes.shape[1], ids.device))
    rows = blocks[0].stop if blocks else 0
    hashed = torch.empty((rows, lanes.shape[1]), dtype=torch.int32, device=ids.device)
    spare = torch.empty_like(hashed)
    for block in blocks:
        count = block.stop - block.start
        h, s = hashed[:count], spare[:count]
        torch.bitwise_xor(lanes, key[block], out=h)
        _xor_shift(h.mul_(_A), 15, s)
        _xor_shift(h.add_(twist[block]).mul_(_B), 16, s)
        finish(h, out[block])
    return out.view(len(ids), *shape) if not channels_last else out.view(len(ids), *shape[1:], -1).movedim(-1, 1)


def _blocks(n: int, lanes: int, device: torch.device) -> Iterator[slice]:
    rows = max(1, _BLOCK // max(lanes, 1)) if device.type == "cpu" else max(n, 1)
    return (slice(start, min(start + rows, n)) for start in range(0, n, rows))


def _xor_shift(h: Tensor, by: int, spare: Tensor | None = None) -> Tensor:
    # torch shifts int32 arithmetically: the mask drops the copies of the sign
    shifted = torch.bitwise_right_shift(h, by, out=spare) if spare is not None else h >> by
    return h.bitwise_xor_(shifted.bitwise_and_((1 << (32 - by)) - 1))


def _mix(h: Tensor) -> Tensor:
    """Apply lowbias32 in place to int32."""
    _xor_shift(h, 16)
    _xor_shift(h.mul_(_A), 15)
    return _xor_shift(h.mul_(_B), 16)


def _keys(ids: Tensor, index: int | Tensor, seed: int) -> tuple[Tensor, Tensor]:
    """Return two independent int32 keys (n, 1) of each sample, from (seed, id, index)."""
    ids = ids.to(torch.int64)
    index = torch.as_tensor(index, dtype=torch.int64, device=ids.device).expand(len(ids))
    words = [part for number in (ids, index) for part in (_low(number), _low(number >> 32))]
    starts = [derive(seed, purpose) & 0xFFFFFFFF for purpose in ("key", "twist")]
    h = torch.tensor([[start - (start >> 31 << 32)] for start in starts], dtype=torch.int32, device=ids.device)
    h = h.repeat(1, len(ids))
    for word in words:
        h = _mix(h.bitwise_xor_(word)).add_(_A)
    key, twist = _mix(h).unsqueeze(2)
    return key, twist


def _low(number: Tensor) -> Tensor:
    """Return the low 32 bits of int64 as int32, without a conversion that is undefined out of range."""
    low = number & 0xFFFFFFFF
    return (low - (low >> 31 << 32)).to(torch.int32)


@lru_cache(maxsize=16)
def _lanes(shape: tuple[int, ...], channels_last: bool, device: torch.device) -> Tensor:
    """Return the hashed lane numbers in memory order, int32 (1, count): mixed once, so that no lane is near another."""
    with torch.inference_mode(False):
        lanes = _mix(torch.arange(1, math.prod(shape) + 1, dtype=torch.int32, device=device))
        return (lanes.view(shape).movedim(0, -1).reshape(1, -1) if channels_last else lanes.unsqueeze(0)).contiguous()


@lru_cache(maxsize=4)
def _normal_table(device: torch.device) -> tuple[Tensor, Tensor]:
    """Return value at the start of each cell and slope within it, by the bits of 2k + 1 as a float32."""
    edges = np.arange((24 << _CELLS) + 1, dtype=np.int64)
    numbers = np.ldexp(1 + (edges & ((1 << _CELLS) - 1)) / (1 << _CELLS), edges >> _CELLS)  # 1 to 2^24
    values = -ndtri(numbers * 2.0**-25)
    slope = np.diff(values) / (1 << (23 - _CELLS))
    with torch.inference_mode(False):
        tables = [torch.from_numpy(table.astype(np.float32)) for table in (values[:-1], slope)]
        return tables[0].to(device), tables[1].to(device)
