"""Iterable-style datasets in loaders, random_split, Subset and ConcatDataset: the same programs with either library."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import minicnn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

LIBRARIES = {"minicnn": minicnn, "torch": torch}


def kinds(library: str) -> Any:
    """Datasets of a library: a stream of numbers, which the workers share or not, and squares."""
    data = LIBRARIES[library].utils.data

    class Stream(data.IterableDataset):  # type: ignore[misc, name-defined]
        def __init__(self, size: int) -> None:
            self.size = size

        def __iter__(self) -> Iterator[int]:
            return iter(range(self.size))

    class Sized(Stream):
        def __len__(self) -> int:
            return self.size

    class Squares(data.Dataset):  # type: ignore[misc, name-defined]
        def __init__(self, size: int) -> None:
            self.size = size

        def __len__(self) -> int:
            return self.size

        def __getitem__(self, index: int) -> int:
            if not 0 <= index < self.size:
                raise IndexError(index)
            return index * index

    return data, Stream, Sized, Squares


def outcome(f: Callable[[], Any]) -> Any:
    """What a program gives, as plain numbers, or the class of its error; and whether it warns."""
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            result = f()
        except Exception as error:
            result = type(error)
    return result, len({str(warning.category) for warning in said})


def plain(loader: Any) -> list[Any]:
    return [np.asarray(batch).tolist() for batch in loader]


def lengths(loader: Any) -> list[Any]:
    return [len(loader), plain(loader), plain(loader)]


PROGRAMS: dict[str, Callable[..., Any]] = {}
for size in (0, 1, 5, 8):
    for name, options in {
        "batches of 4": {"batch_size": 4},
        "whole batches": {"batch_size": 4, "drop_last": True},
        "samples": {"batch_size": None},
        "batches of 1": {},
        "no shuffle": {"shuffle": False, "batch_size": 3},
    }.items():
        PROGRAMS[f"{name} of {size}"] = lambda d, stream, sized, sq, n=size, o=options: plain(
            d.DataLoader(stream(n), **o)
        )
        PROGRAMS[f"length, {name} of {size}"] = lambda d, stream, sized, sq, n=size, o=options: lengths(
            d.DataLoader(sized(n), **o)
        )
for name, options in {
    "shuffle": {"shuffle": True},
    "sampler": {"sampler": [1]},
    "batch_sampler": {"batch_sampler": [[1]]},
    "no batches, drop_last": {"batch_size": None, "drop_last": True},
}.items():
    PROGRAMS[f"refused: {name}"] = lambda d, stream, sized, sq, o=options: d.DataLoader(stream(3), **o)
PROGRAMS |= {
    "chain": lambda d, stream, sized, sq: (plain(d.DataLoader(sized(3) + sized(2), 2)), len(sized(3) + sized(2))),
    "chain without length": lambda d, stream, sized, sq: len(stream(3) + sized(2)),
    "no length": lambda d, stream, sized, sq: len(d.DataLoader(stream(3))),
    "too long": lambda d, stream, sized, sq: lengths(d.DataLoader(type("L", (stream,), {"__len__": lambda s: 2})(3))),
    "getitem of a stream": lambda d, stream, sized, sq: stream(3)[0],
    "two at a time": lambda d, stream, sized, sq: [
        [int(a), int(b)] for loader in [d.DataLoader(stream(3))] for a, b in zip(loader, loader, strict=True)
    ],
    "concat": lambda d, stream, sized, sq: (
        [c[i] for c in [sq(3) + sq(2)] for i in (0, 3, 4, -1, -5)], (sq(3) + sq(2)).cumulative_sizes,
    ),
    "concat of concat": lambda d, stream, sized, sq: (sq(3) + sq(2) + sq(4)).cumulative_sizes,
    "concat: out of range": lambda d, stream, sized, sq: (sq(3) + sq(2))[5],
    "subset": lambda d, stream, sized, sq: (
        [s[i] for s in [d.Subset(sq(9), [7, 2, 2])] for i in (0, 1, -1)],
        d.Subset(sq(9), [7, 2]).indices,
        len(d.Subset(sq(9), range(4))),
    ),
    "subset: out of range": lambda d, stream, sized, sq: d.Subset(sq(9), [7, 2])[2],
    "subset: outside the dataset": lambda d, stream, sized, sq: d.Subset(sq(9), [10])[0],
}  # fmt: skip
for given in (
    [5, 5],
    [0.5, 0.5],
    [0.33, 0.33, 0.34],
    [0.1] * 10,
    [10],
    [1.0],
    [0.99, 0.01],
    [10, 0],
    [0, 10],
    [0.15, 0.85],
):
    PROGRAMS[f"split {given}"] = lambda d, stream, sized, sq, g=given: [len(part) for part in d.random_split(sq(10), g)]
for given in ([5, 4], [0.5, 0.4], [11], [1.5, -0.5], []):
    PROGRAMS[f"refused: split {given}"] = lambda d, stream, sized, sq, g=given: d.random_split(sq(10), g)


@pytest.mark.parametrize("program", PROGRAMS.values(), ids=PROGRAMS)
def test_the_same_program_gives_the_same(program: Callable[..., Any]) -> None:
    ours, theirs = (outcome(lambda library=library: program(*kinds(library))) for library in LIBRARIES)
    result, expected = ours[0], theirs[0]
    if isinstance(expected, type) and expected is AssertionError:
        expected = (TypeError, ValueError, AssertionError)  # PyTorch asserts
        assert isinstance(result, type) and issubclass(result, expected)
    else:
        assert ours == theirs


def test_a_split_is_a_partition_that_its_generator_fixes() -> None:
    for module in LIBRARIES.values():
        first, again, other = (
            [
                list(part.indices)
                for part in module.utils.data.random_split(range(20), [0.7, 0.3], module.Generator().manual_seed(s))
            ]
            for s in (1, 1, 2)
        )
        assert first == again != other and sorted(first[0] + first[1]) == list(range(20))
