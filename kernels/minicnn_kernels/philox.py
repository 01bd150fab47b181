"""Random numbers by counting: Philox turns a counter and a key into four random words of 32 bits.

    w[0], w[1], w[2], w[3] = philox(c[0], c[1], c[2], c[3], k[0], k[1])          all of them words of 32 bits

Ten rounds mix the words of the counter c; the key k grows by a constant from round to round:

    high0, low0 = the halves of 0xD2511F53 * c[0]          64 bits
    high1, low1 = the halves of 0xCD9E8D57 * c[2]
    c           = (high1 ^ c[1] ^ k[0],  low1,  high0 ^ c[3] ^ k[1],  low0)
    k           = (k[0] + 0x9E3779B9,  k[1] + 0xBB67AE85)  modulo 2^32

A usual generator makes its numbers one after the other, from a state that each number changes. Here the number at place
i is a function of i and the key. So threads compute their numbers in any order and get the same ones, and a number that
is needed again is drawn again instead of being kept. A number of 64 bits numbers a sequence of 4 * 2^64 words:

    word i of the sequence `key` = w[i % 4] of philox(the two words of i // 4, 0, 0, the two words of the key)

The low word always comes first. In CUDA, `device/philox.cuh` has the same function.

J. Salmon, M. Moraes, R. Dror, D. Shaw, "Parallel random numbers: as easy as 1, 2, 3", SC 2011, Philox4x32-10.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .arrays import Array, xp
from .runtime import njit

ROUNDS = 10
FACTORS = 0xD2511F53, 0xCD9E8D57
STEPS = 0x9E3779B9, 0xBB67AE85
MASK = 0xFFFFFFFF  # the low word of a number


def halves(number: int) -> tuple[int, int]:
    """The low and the high word of a number of 64 bits."""
    return number & MASK, number >> 32


def philox_python(c0: Any, c1: Any, c2: Any, c3: Any, k0: int, k1: int) -> tuple[Any, Any, Any, Any]:
    """The definition, for ints; the words of the counter may also be arrays of uint64, which the numpy rows give it."""
    for _ in range(ROUNDS):
        p0, p1 = FACTORS[0] * c0, FACTORS[1] * c2
        c0, c1, c2, c3 = (p1 >> 32) ^ c1 ^ k0, p1 & MASK, (p0 >> 32) ^ c3 ^ k1, p0 & MASK
        k0, k1 = (k0 + STEPS[0]) & MASK, (k1 + STEPS[1]) & MASK
    return c0, c1, c2, c3


def word_python(i: int, key: int) -> int:
    """Word i of the sequence `key`."""
    word: int = philox_python(*halves(i // 4), 0, 0, *halves(key))[i % 4]
    return word


def words_numpy(count: int, key: int, x: Array) -> Array:
    """The first `count` words of the sequence `key`, as uint64, on the device of x."""
    counter = xp(x).arange(-(-count // 4), dtype=np.uint64)
    zeros = np.zeros_like(counter)
    found = philox_python(counter & MASK, counter >> 32, zeros, zeros, *halves(key))
    words: Array = np.stack(found, axis=1).reshape(-1)[:count]  # (counters, 4) in the order of the sequence
    return words


# Numba: all numbers are uint64, also those of 32 bits. LLVM sees that the upper halves of factors are zero, and takes
# the instruction that multiplies such numbers side by side. So a loop over counters is vectorised, if the function
# stands in the loop itself. LLVM finds it too long for that; `forceinline` asks for it.

W = np.uint64
_FACTOR0, _FACTOR1 = map(W, FACTORS)
_STEP0, _STEP1 = map(W, STEPS)
_MASK, _HALF = W(MASK), W(32)
ZERO = W(0)


@njit(forceinline=True)
def philox(c0: Any, c1: Any, c2: Any, c3: Any, k0: Any, k1: Any) -> tuple[Any, Any, Any, Any]:
    """The definition once more, compiled."""
    for _ in range(ROUNDS):
        p0, p1 = _FACTOR0 * c0, _FACTOR1 * c2
        c0, c1, c2, c3 = (p1 >> _HALF) ^ c1 ^ k0, p1 & _MASK, (p0 >> _HALF) ^ c3 ^ k1, p0 & _MASK
        k0, k1 = (k0 + _STEP0) & _MASK, (k1 + _STEP1) & _MASK
    return c0, c1, c2, c3


@njit(forceinline=True)
def four_words(counter: Any, k0: Any, k1: Any) -> tuple[Any, Any, Any, Any]:
    """Words 4 counter to 4 counter + 3 of the sequence of a key; all numbers are uint64."""
    return philox(counter & _MASK, counter >> _HALF, ZERO, ZERO, k0, k1)


@njit(forceinline=True)
def word(i: Any, k0: Any, k1: Any) -> Any:
    """Word i of the sequence of a key; all numbers are uint64. A choice, not an index, so that loops are vectorised."""
    w0, w1, w2, w3 = four_words(i >> W(2), k0, k1)
    odd = i & W(1) > ZERO
    first, second = w1 if odd else w0, w3 if odd else w2
    return second if i & W(2) > ZERO else first
