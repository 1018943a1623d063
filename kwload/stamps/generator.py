"""The inputs of a probe: numbers that are the same in every version of everything.

SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number generators", 2014), in 64-bit unsigned arithmetic:

    state(k)  = start(i) + (k + 1) * 0x9E3779B97F4A7C15            k: flat index of the value, from 0
    start(i)  = (i + 1) * 0xD1B54A32D192ED03                        i: number of the input, from 0
    z = state(k);  z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9
                   z = (z ^ z >> 27) * 0x94D049BB133111EB
    u = z ^ z >> 31

    float     2 * (u >> 11) / 2**53 - 1, in [-1, 1), as float64, rounded to the type of the input
    integer   ((u >> 32) * n >> 32), in [0, n)
    boolean   u >> 63

Values are numbered in C order. Nothing of NumPy's random streams is used: they may change between its versions.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

NAME: Final = "splitmix64-1"
"""What this is called in a stamp; another rule gets another name."""

_START: Final = 0xD1B54A32D192ED03
_STEP: Final = 0x9E3779B97F4A7C15
_MASK: Final = (1 << 64) - 1


def bits(number: int, count: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
    """The first values of the stream of an input, as 64-bit unsigned integers."""
    start = (number + 1) * _START & _MASK
    state = np.arange(1, count + 1, dtype=np.uint64)
    state *= np.uint64(_STEP)
    state += np.uint64(start)
    state ^= state >> np.uint64(30)
    state *= np.uint64(0xBF58476D1CE4E5B9)
    state ^= state >> np.uint64(27)
    state *= np.uint64(0x94D049BB133111EB)
    state ^= state >> np.uint64(31)
    return state


def floats(number: int, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Values in [-1, 1)."""
    whole = bits(number, _count(shape)) >> np.uint64(11)
    return (whole.astype(np.float64) * 2.0**-52 - 1.0).reshape(shape)


def integers(number: int, shape: tuple[int, ...], limit: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Values in [0, limit), limit at most 2**31."""
    high = bits(number, _count(shape)) >> np.uint64(32)
    return ((high * np.uint64(limit)) >> np.uint64(32)).astype(np.int64).reshape(shape)


def booleans(number: int, shape: tuple[int, ...]) -> np.ndarray[Any, np.dtype[np.bool_]]:
    """True and False."""
    return (bits(number, _count(shape)) >> np.uint64(63)).astype(np.bool_).reshape(shape)


def _count(shape: tuple[int, ...]) -> int:
    return int(np.prod(shape, dtype=np.int64))
