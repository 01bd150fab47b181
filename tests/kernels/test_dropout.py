"""The generator Philox on every row, and dropout with it: which words decide, and what random they are."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from minicnn_kernels import cuda, dropout, philox
from minicnn_kernels.dropout import DROPOUT
from minicnn_kernels.layout import as_order, is_channels_last

# counter, key, words: from the paper's own library, random123, file kat_vectors
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]
KEY = 0x0123456789ABCDEF
FAR = [0, 3, 4, 2**31 - 1, 2**31, 2**32 + 5, 2**33 + 6, 2**34 - 1, 2**34, 2**35 + 7, 2**62 + 1]  # places in a sequence
BACKENDS = ["python", "numpy", "numba", "cuda-emulated"]
PLAIN = 1.0, -0.0, -0.0

KERNELS = r"""
__global__ void words(const unsigned* c, unsigned* w) {
  Words found = philox({c[0], c[1], c[2], c[3]}, c[4], c[5]);
  for (int i = 0; i < 4; i++) w[i] = found.w[i];
}
__global__ void word_at(const long long* i, unsigned* w, unsigned long long key) {
  w[threadIdx.x] = word(i[threadIdx.x], key);
}
"""


def kernel_of(name: str) -> Any:
    """A kernel around the functions of the header, which is in its text: compiled code is kept under a hash of that."""
    from minicnn_kernels.emulated import cupy

    header = (cuda.HERE / "device" / "philox.cuh").read_text(encoding="utf-8").replace("#pragma once", "")
    names = ("words", "word_at")
    return cupy.RawModule(code=header + KERNELS, options=cuda.options(), name_expressions=names).get_function(name)


def python(*numbers: int) -> list[int]:
    return list(philox.philox_python(*numbers))


def numpy(*numbers: int) -> list[int]:
    counter = [np.full(3, c, np.uint64) for c in numbers[:4]]
    found = philox.philox_python(*counter, *numbers[4:])
    assert all(w.dtype == np.uint64 and len(set(w.tolist())) == 1 for w in found)
    return [int(w[0]) for w in found]


def numba(*numbers: int) -> list[int]:
    return [int(w) for w in philox.philox(*map(philox.W, numbers))]


def emulated(*numbers: int) -> list[int]:
    found = np.zeros(4, np.uint32)
    kernel_of("words")((1,), (1,), (np.array(numbers, np.uint32), found))
    return [int(w) for w in found]


@pytest.mark.parametrize("row", [python, numpy, numba, emulated])
@pytest.mark.parametrize(("counter", "key", "words"), KNOWN)
def test_the_known_words(counter: str, key: str, words: str, row: Callable[..., list[int]]) -> None:
    numbers = [int(w, 16) for w in f"{counter} {key}".split()]
    assert row(*numbers) == [int(w, 16) for w in words.split()]


def test_words_far_in_a_sequence() -> None:
    """Beyond 2^31 elements, and beyond 2^32 counters, where the second word of the counter is no longer 0."""
    expected = [philox.word_python(i, KEY) for i in FAR]
    assert expected[6] == python(2**31 + 1, 0, 0, 0, 0x89ABCDEF, 0x01234567)[2]
    assert expected[-3] == python(0, 1, 0, 0, 0x89ABCDEF, 0x01234567)[0]
    assert [int(philox.word(philox.W(i), *map(philox.W, philox.halves(KEY)))) for i in FAR] == expected
    found = np.zeros(len(FAR), np.uint32)
    kernel_of("word_at")((1,), (len(FAR),), (np.array(FAR, np.int64), found, np.uint64(KEY)))
    assert found.tolist() == expected
    assert philox.words_numpy(9, KEY, found).tolist() == [philox.word_python(i, KEY) for i in range(9)]


# ------------------------------------------------------------------------------------------------------------ dropout


def kept(shape: tuple[int, ...], axes: int, key: int, p: float = 0.5, backend: str = "numba") -> Any:
    return DROPOUT(np.ones(shape, np.float32), axes, key, p, *PLAIN, backend=backend) != 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_word_of_an_element_decides(backend: str) -> None:
    words = np.array([philox.word_python(i, KEY) for i in range(30)]).reshape(5, 3, 2)
    for p in (0.25, 0.5, 0.75 + 1e-12):
        np.testing.assert_array_equal(kept((5, 3, 2), 3, KEY, p, backend), words >= p * 2**32)
        expected = np.broadcast_to((words.reshape(-1)[:15] >= p * 2**32)[:, None, None], (15, 4, 2))
        np.testing.assert_array_equal(kept((15, 4, 2), 1, KEY, p, backend), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_limits_of_p(backend: str) -> None:
    """A word equal to p 2^32 keeps, p = 1 drops all, and between two words p is rounded up."""
    word = philox.word_python(0, KEY)
    for p, expected in [(word / 2**32, True), ((word + 1e-3) / 2**32, False), ((word + 1) / 2**32, False), (1, False)]:
        assert kept((1,), 1, KEY, p, backend).item() is expected, p
    assert dropout._least(1.0) == 2**32 and dropout._least(1e-30) == 1 and dropout._least(0.0) == 0


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_becomes_of_special_values(backend: str) -> None:
    """Dropping is a product with 0. A sum with -0.0 changes nothing, not even the sign of a zero."""
    x = np.array([-0.0, 0.0, -2.0, np.inf, -np.inf, np.nan])
    everything, nothing = ((x, 0, KEY, p, 1.0, -0.0, -0.0) for p in (1.0, 0.0))
    with np.errstate(invalid="ignore"):
        dropped, left = DROPOUT(*everything, backend=backend), DROPOUT(*nothing, backend=backend)
    np.testing.assert_array_equal(dropped, [-0.0, 0.0, -0.0, np.nan, np.nan, np.nan])
    assert np.signbit(dropped[:3]).tolist() == [True, False, True]
    np.testing.assert_array_equal(left, x)
    assert np.signbit(left[:2]).tolist() == [True, False]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("shape", [(2, 3, 4, 6), (2, 3, 3, 5), (3, 5, 1, 2)])
def test_a_key_drops_the_same_in_every_order_of_memory(shape: tuple[int, ...], backend: str) -> None:
    x = np.ones(shape, np.float32)
    for axes in (0, 1, 2, 3, 4):
        expected = DROPOUT(x, axes, KEY, 0.5, *PLAIN, backend="python")
        for turned in (x, as_order(x, True), np.asfortranarray(x), x[::-1, :, ::-1], np.broadcast_to(x[:1], shape)):
            found = DROPOUT(turned, axes, KEY, 0.5, *PLAIN, backend=backend)
            np.testing.assert_array_equal(found, expected, err_msg=f"{axes} {turned.strides}")
            assert backend == "python" or is_channels_last(found) or not is_channels_last(turned)


@pytest.mark.parametrize("shares", [1, 2, 3, 7])
def test_shares_do_not_matter(shares: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dropout, "threads", lambda: shares)
    monkeypatch.setattr(dropout, "_FEW", 0)
    for shape in [(7,), (101,), (2, 3, 4, 6), (2, 3, 3, 5), (1, 5, 2, 2)]:
        for turn in (False, True) if len(shape) == 4 else (False,):
            for axes in range(len(shape) + 1):
                x = as_order(np.arange(1.0, 1 + math.prod(shape)).reshape(shape), turn)
                found = DROPOUT(x, axes, KEY, 0.5, 2.0, 0.5, -0.5, backend="numba")
                np.testing.assert_array_equal(found, DROPOUT(x, axes, KEY, 0.5, 2.0, 0.5, -0.5, backend="python"))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("skip", [0, 1, 2, 3])
def test_memory_that_begins_anywhere_in_cuda(skip: int, dtype: Any) -> None:
    """Four neighbours are read at once only where they begin at a multiple of 16 bytes."""
    x = np.arange(1.0, 40.0).astype(dtype)[skip:]
    for size in (1, 4, 6, 35):
        part = x[:size]
        found = DROPOUT(part, 1, KEY, 0.5, *PLAIN, backend="cuda-emulated")
        np.testing.assert_array_equal(found, DROPOUT(part, 1, KEY, 0.5, *PLAIN, backend="python"))


COUNT = 1 << 18


@pytest.mark.parametrize("p", [0.1, 0.5, 0.9])
def test_how_random_it_is(p: float) -> None:
    """How many are kept; that an element says nothing about others nearby, nor about its own place with other keys.

    Five standard deviations, for fixed keys: a right generator would fail once in a million keys.
    """
    most = 5 / math.sqrt(COUNT)
    deviation = math.sqrt(p * (1 - p))
    first = (kept((COUNT,), 1, KEY, p) - (1 - p)) / deviation  # mean 0, variance 1
    assert abs(first.mean()) < most
    for apart in (1, 2, 3, 4, 5, 8, 64, 4096):
        assert abs((first[apart:] * first[:-apart]).sum() / COUNT) < most, apart
    for key in (KEY + 1, KEY ^ 1 << 32, KEY ^ 1 << 63, 0):
        other = (kept((COUNT,), 1, key, p) - (1 - p)) / deviation
        assert abs(other.mean()) < most and abs((first * other).mean()) < most, hex(key)
        assert abs((first[4:] * other[:-4]).sum() / COUNT) < most, hex(key)


def test_all_bits_of_words_are_even() -> None:
    """Each of the 32 bits of the four words of a counter is 1 in half of the counters; no two words go together."""
    words = philox.words_numpy(COUNT, KEY, np.empty(0)).reshape(-1, 4)
    bits = ((words[:, :, None] >> np.arange(32, dtype=np.uint64)) & 1).astype(np.float32) * 2 - 1  # (counters, 4, 32)
    most = 5.5 / math.sqrt(len(words))
    assert np.abs(bits.mean(0)).max() < most
    for a, b in ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)):
        assert np.abs((bits[:, a] * bits[:, b]).mean(0)).max() < most, (a, b)
