"""The loader against PyTorch's: the same programs with either library, in place and with two worker processes.

Where a dataset draws from Python's or NumPy's streams, or keeps generators of its own, the numbers must be equal; where
it draws from the library's, what is equal to what must be the same.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from drawing import (
    RECIPES,
    Drawn,
    all_streams,
    by_index,
    global_streams,
    kept_generator,
    seed_by_hand,
    seeded_twice,
    seeds_seen,
)

import minicnn

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")

LIBRARIES = {"minicnn": minicnn, "torch": torch}


# --------------------------------------------------------------------------- numbers that must be equal


def run(library: str, draw: Any, epochs: int = 2, seed: int = 0, batch: int = 2, **options: Any) -> list[Any]:
    module = LIBRARIES[library]
    np.random.seed(seed)  # noqa: NPY002
    random.seed(seed)
    module.manual_seed(seed)
    if library == "torch" and options.get("num_workers"):
        options["multiprocessing_context"] = "fork"  # importing PyTorch in each process would take minutes
    loader = module.utils.data.DataLoader(Drawn(library, draw), batch, collate_fn=list, **options)
    return [list(loader) for _ in range(epochs)]


CASES = {
    "in place": {},
    "workers": {"num_workers": 2},
    "persistent": {"num_workers": 2, "persistent_workers": True},
}


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
@pytest.mark.parametrize("draw", [by_index, kept_generator])
def test_numbers_of_a_dataset_are_equal(draw: Any, options: dict[str, Any]) -> None:
    assert run("minicnn", draw, **options) == run("torch", draw, **options)


@pytest.mark.parametrize("persistent", [False, True])
def test_numbers_of_streams_seeded_by_the_user_are_equal(persistent: bool) -> None:
    options: dict[str, Any] = {"num_workers": 2, "worker_init_fn": seed_by_hand, "persistent_workers": persistent}
    assert run("minicnn", global_streams, **options) == run("torch", global_streams, **options)


def test_numbers_drawn_in_place_come_from_the_programs_streams() -> None:
    assert run("minicnn", global_streams) == run("torch", global_streams)


# ---------------------------------------------------------------------- what must be equal to what


def drawn(run: list[Any]) -> list[list[Any]]:
    return [[sample[1] for batch in epoch for sample in batch] for epoch in run]


def facts(library: str, options: dict[str, Any]) -> dict[str, bool]:
    """What holds of runs of one library."""
    workers = bool(options)
    found: dict[str, bool] = {}
    first, again, other = (drawn(run(library, all_streams, seed=seed, **options)) for seed in (1, 1, 2))
    for stream, name in enumerate(("library", "numpy", "random")):
        a, b = ([sample[stream] for sample in epoch] for epoch in first)
        found[f"{name}: samples differ"] = len(set(a + b)) == 16
        found[f"{name}: another seed, another run"] = not set(a) & {sample[stream] for sample in other[0]}
    found["a seed gives a run"] = first == again
    if workers:
        options = {**options, "worker_init_fn": RECIPES[library]}
        first, again = (drawn(run(library, global_streams, seed=1, **options)) for _ in range(2))
        found["recipe: a seed gives a run"] = first == again
        found["recipe: samples differ"] = len({sample for epoch in first for sample in epoch}) == 16
    return found


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
def test_the_same_is_equal(options: dict[str, Any]) -> None:
    ours, theirs = facts("minicnn", options), facts("torch", options)
    assert ours == theirs and all(ours.values())


@pytest.mark.parametrize("options", CASES.values(), ids=CASES)
@pytest.mark.parametrize("draw", [seeded_twice, seeds_seen])
def test_seeds_inside_a_dataset(draw: Any, options: dict[str, Any]) -> None:
    assert run("minicnn", draw, **options) == run("torch", draw, **options)


def orders(library: str, generator: bool) -> dict[str, list[bool]]:
    """Which shuffles are the same as which."""
    module = LIBRARIES[library]
    source = module.Generator() if generator else module.default_generator
    get, set_ = source.get_state, source.set_state

    def make() -> Any:
        return module.utils.data.DataLoader(range(40), 8, shuffle=True, generator=source if generator else None)

    def order(loader: Any) -> list[int]:
        return [int(x) for batch in loader for x in batch]

    source.manual_seed(5)
    loader = make()
    taken = [order(loader)]
    state = get()
    taken += [order(loader), order(loader)]
    set_(state)
    taken += [order(make()), order(make())]
    set_(state)
    taken += [order(loader), order(loader)]
    source.manual_seed(5)
    taken += [order(make()), order(loader)]
    half = iter(loader)
    next(half)
    in_between = get()
    taken.append(order(make()))
    set_(in_between)
    taken.append(order(loader))
    if not generator:
        with module.random.fork_rng():
            taken.append(order(loader))
        taken.append(order(loader))
        module.set_rng_state(module.get_rng_state())
        taken.append(order(loader))
    return {"same as": [taken.index(numbers) for numbers in taken]}


@pytest.mark.parametrize("generator", [False, True])
def test_shuffles_come_again_with_the_state(generator: bool) -> None:
    assert orders("minicnn", generator) == orders("torch", generator)


class SetByHand:
    """A sampler whose epoch the program sets, as that of DistributedSampler."""

    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Any:
        return iter([self.epoch] * 2)

    def __len__(self) -> int:
        return 2


def loops(library: str) -> Any:
    """Programs around the loop itself."""
    module, got = LIBRARIES[library], []
    sampler = SetByHand()
    loader = module.utils.data.DataLoader(list(range(10)), sampler=sampler)
    for epoch in (5, 6):
        sampler.set_epoch(epoch)
        got += [int(batch) for batch in loader]

    def broken(dataset: Drawn, index: int) -> int:
        if index in (2, 5):
            raise KeyError(index)
        return index

    iterator = iter(module.utils.data.DataLoader(Drawn(library, broken), 1, collate_fn=list))
    while True:
        try:
            got.append(next(iterator))
        except KeyError:
            got.append("lost")
        except StopIteration:
            break
    loader = module.utils.data.DataLoader(range(100), 5, shuffle=True)
    for before in (1, 5):
        module.manual_seed(before)
        iterator = iter(loader)
        module.manual_seed(0)
        got.append(next(iterator).tolist())
    return [*got[:-2], got[-2] == got[-1]]


def test_loops_go_as_pytorchs() -> None:
    assert loops("minicnn") == loops("torch")


def sampled(library: str) -> list[int]:
    """When samplers draw: with the first index, not before, as a seeding in between shows."""
    module = LIBRARIES[library]
    data = module.utils.data
    taken = []
    for make in (
        lambda: data.RandomSampler(range(20)),
        lambda: data.RandomSampler(range(20), replacement=True, num_samples=20),
        lambda: data.SubsetRandomSampler(range(20)),
        lambda: data.WeightedRandomSampler([1.0] * 20, 20),
        lambda: data.BatchSampler(data.RandomSampler(range(20)), 4, False),
    ):
        drawn = []
        for before, after in ((1, 2), (1, 3), (2, 2), (1, 2)):
            module.manual_seed(before)
            iterator = iter(make())
            module.manual_seed(after)
            drawn.append(list(iterator))
        taken += [drawn.index(numbers) for numbers in drawn]
    return taken


def test_samplers_draw_when_pytorchs_do() -> None:
    assert sampled("minicnn") == sampled("torch")
