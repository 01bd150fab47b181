"""Datasets for the tests of the loader, and functions of an index that seed the default generator in some way.

Those say whether the seed was obeyed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

import minicnn
from minicnn import transforms
from minicnn.random import Generator
from minicnn.utils.data import DataLoader, Dataset, sample_generator


class Of(Dataset[Any]):
    """Sample i is f(i)."""

    def __init__(self, f: Callable[[int], Any], size: int = 12) -> None:
        self.f, self.size = f, size

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Any:
        return self.f(index)


class Noise(Dataset[tuple[int, float]]):
    """Sample i is (i, a random number from the sample's stream)."""

    def __init__(self, size: int = 23) -> None:
        self.size = size
        self.fetched: list[int] = []

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> tuple[int, float]:
        self.fetched.append(index)
        return index, sample_generator().random()


def run(loader: DataLoader[Any], epochs: int = 1) -> list[list[list[list[float]]]]:
    return [[[np.asarray(member).tolist() for member in batch] for batch in loader] for _ in range(epochs)]


def seeded_twice(index: int) -> bool:
    minicnn.manual_seed(index)
    a = transforms.RandomCrop(4)(minicnn.arange(64.0).reshape(1, 8, 8))
    minicnn.manual_seed(index)
    return bool((a == transforms.RandomCrop(4)(minicnn.arange(64.0).reshape(1, 8, 8))).all())


def state_set_again(index: int) -> bool:
    state = minicnn.get_rng_state()
    a = minicnn.rand(3)
    minicnn.set_rng_state(state)
    return bool((a == minicnn.rand(3)).all())


def forked(index: int) -> bool:
    with minicnn.random.fork_rng():
        a = minicnn.rand(3)
    return bool((a == minicnn.rand(3)).all())


def generator_named(index: int) -> bool:
    minicnn.default_generator.manual_seed(index)
    a = minicnn.rand(3)
    minicnn.default_generator.manual_seed(index)
    b = minicnn.rand(3, generator=minicnn.default_generator)
    return bool((a == b).all()) and minicnn.initial_seed() == index


def own_generator(index: int) -> bool:
    generator = Generator().manual_seed(index)
    a = minicnn.rand(3, generator=generator)
    return bool((a == minicnn.rand(3, generator=generator.manual_seed(index))).all())


OUTSIDE = minicnn.get_rng_state()  # of the program's own stream, which is of another kind


def state_from_outside(index: int) -> bool:
    minicnn.set_rng_state(OUTSIDE)
    a = minicnn.rand(3)
    minicnn.set_rng_state(OUTSIDE)
    return bool((a == minicnn.rand(3)).all())


SEEDINGS = [seeded_twice, state_set_again, forked, generator_named, own_generator, state_from_outside]
