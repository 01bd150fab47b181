"""Datasets that draw random numbers, for PyTorch's loader and ours. A worker process imports no more than this."""

# ruff: noqa: NPY002
from __future__ import annotations

import random
from collections.abc import Callable
from importlib import import_module
from typing import Any

import numpy as np


class Drawn:
    """Sample i is what a function draws for it; the library goes by name, so that a process can be sent it."""

    def __init__(self, library: str, draw: Callable[[Any, int], Any], size: int = 8) -> None:
        self.library, self.draw, self.size = library, draw, size
        self.generator = np.random.default_rng(3)

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: int) -> Any:
        return index, self.draw(self, index)


def lib(dataset: Drawn) -> Any:
    return import_module(dataset.library)


def by_index(dataset: Drawn, index: int) -> Any:
    np.random.seed(index)
    random.seed(index)
    return np.random.randint(2**31), random.random()


def kept_generator(dataset: Drawn, index: int) -> Any:
    return dataset.generator.integers(2**31)


def global_streams(dataset: Drawn, index: int) -> Any:
    return np.random.randint(2**31), random.random()


def seed_by_hand(worker: int) -> None:
    np.random.seed(10 + worker)
    random.seed(10 + worker)


def all_streams(dataset: Drawn, index: int) -> Any:
    return tuple(lib(dataset).rand(2).tolist()), np.random.randint(2**31), random.random()


def seeded_twice(dataset: Drawn, index: int) -> Any:
    library, drawn = lib(dataset), []
    for _ in range(2):
        library.manual_seed(index)
        drawn.append(library.rand(3).tolist())
    state = library.get_rng_state()
    drawn.append(library.rand(3).tolist())
    library.set_rng_state(state)
    drawn.append(library.rand(3).tolist())
    with library.random.fork_rng():
        drawn.append(library.rand(3).tolist())
    drawn.append(library.rand(3).tolist())
    generator = library.Generator().manual_seed(index)
    drawn.append(library.rand(3, generator=generator).tolist())
    return [drawn.index(numbers) for numbers in drawn]  # which are the same


def seeds_seen(dataset: Drawn, index: int) -> Any:
    library = lib(dataset)
    info = library.utils.data.get_worker_info()
    return None if info is None else (library.initial_seed() == info.seed, info.id, info.num_workers)


def recipe_minicnn(worker: int) -> None:
    """The recipe of PyTorch's notes on reproducibility."""
    recipe("minicnn")


def recipe_torch(worker: int) -> None:
    """The same."""
    recipe("torch")


def recipe(library: str) -> None:
    seed = import_module(library).initial_seed() % 2**32
    np.random.seed(seed)
    random.seed(seed)


RECIPES = {"minicnn": recipe_minicnn, "torch": recipe_torch}
