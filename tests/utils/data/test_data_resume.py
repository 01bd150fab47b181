"""A checkpoint at every step of two epochs: the batches after it are, byte for byte, those of the uninterrupted run.

The training draws random numbers of the program's streams between the batches, as dropout does.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.datasets import Digits
from minicnn.random import Generator
from minicnn.transforms import Compose, RandomCrop, RandomHorizontalFlip, ToTensor
from minicnn.utils.data import (
    BatchSampler,
    ConcatDataset,
    DataLoader,
    Dataset,
    RandomSampler,
    Sampler,
    Subset,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

SIZE = 22
EPOCHS = 2


class Seen(Dataset[Any]):
    """Images of a dataset; notes which ones are made."""

    def __init__(self, inner: Any) -> None:
        self.inner, self.made = inner, 0

    def __len__(self) -> int:
        return len(self.inner)

    def __getitem__(self, index: int) -> Any:
        self.made += 1
        return self.inner[index]


def images() -> Any:
    digits = Digits(transform=Compose([RandomCrop(8, padding=2), RandomHorizontalFlip(), ToTensor()]))
    return Seen(ConcatDataset([Subset(digits, range(100, 110)), Subset(digits, range(SIZE - 10))]))


class NumpyOrder(Sampler[int]):
    """As users write them: the order comes from a stream of the whole program."""

    def __iter__(self) -> Iterator[int]:
        return iter(np.random.permutation(SIZE).tolist())  # noqa: NPY002


class PythonOrder(Sampler[int]):
    def __iter__(self) -> Iterator[int]:
        order = list(range(SIZE))
        random.shuffle(order)
        return iter(order)


class OwnOrder(Sampler[list[int]]):
    """A batch sampler with generators of NumPy and Python, and a sampler inside."""

    def __init__(self) -> None:
        self.numpy, self.python, self.old = np.random.default_rng(3), random.Random(4), np.random.RandomState(5)
        self.inner = RandomSampler(range(SIZE), generator=Generator().manual_seed(6))

    def __iter__(self) -> Iterator[list[int]]:
        order = np.array(list(self.inner))[self.numpy.permutation(SIZE)][self.old.permutation(SIZE)].tolist()
        size = self.python.randint(3, 5)
        for start in range(0, SIZE, size):
            yield order[start : start + size]


class Epochs(Sampler[int]):
    """The order follows from the epoch, as in PyTorch's DistributedSampler."""

    epoch = 0

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def __iter__(self) -> Iterator[int]:
        return iter(Generator().manual_seed(self.epoch).numpy.permutation(SIZE).tolist())


def own() -> Generator:
    return Generator().manual_seed(8)


ORDERS: dict[str, Callable[[Any], dict[str, Any]]] = {
    "shuffle, seed": lambda data: {"shuffle": True, "seed": 5},
    "shuffle": lambda data: {"shuffle": True},
    "shuffle, own generator": lambda data: {"shuffle": True, "generator": own()},
    "no order": lambda data: {},
    "RandomSampler": lambda data: {"sampler": RandomSampler(data)},
    "RandomSampler, own generator": lambda data: {"sampler": RandomSampler(data, generator=own()), "seed": 1},
    "RandomSampler, replacement": lambda data: {"sampler": RandomSampler(data, True, 30, own())},
    "WeightedRandomSampler": lambda data: {"sampler": WeightedRandomSampler(range(SIZE), 25)},
    "WeightedRandomSampler, own": lambda data: {"sampler": WeightedRandomSampler(range(SIZE), 25, generator=own())},
    "SubsetRandomSampler": lambda data: {"sampler": SubsetRandomSampler(range(3, 20))},
    "BatchSampler": lambda data: {"batch_sampler": BatchSampler(RandomSampler(data, generator=own()), 4, False)},
    "one generator for all": lambda data: shared(data, own()),
    "NumPy's stream": lambda data: {"sampler": NumpyOrder()},
    "Python's stream": lambda data: {"sampler": PythonOrder()},
    "generators inside": lambda data: {"batch_sampler": OwnOrder()},
    "set_epoch": lambda data: {"sampler": Epochs()},
}


def shared(data: Any, generator: Generator) -> dict[str, Any]:
    return {"sampler": RandomSampler(data, generator=generator), "generator": generator}


class Run:
    """A loader, and the streams of the program, whose numbers the training draws."""

    def __init__(self, order: str, **options: Any) -> None:
        self.data = images()
        arguments = {"batch_size": 4, **ORDERS[order](self.data), **options}
        if "batch_sampler" in arguments:
            del arguments["batch_size"]
        self.loader = DataLoader(self.data, **arguments)
        minicnn.manual_seed(11)
        random.seed(12)
        np.random.seed(13)  # noqa: NPY002

    def save(self) -> str:
        streams = minicnn.get_rng_state(), random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002
        return json.dumps([self.loader.state_dict(), *streams], default=np.ndarray.tolist)

    def load(self, text: str) -> None:
        state, ours, (version, words, gauss), numpys = json.loads(text)
        minicnn.set_rng_state(ours)
        random.setstate((version, tuple(words), gauss))
        np.random.set_state(numpys)  # noqa: NPY002
        self.loader.load_state_dict(state)

    def epoch(self, set_epoch: int | None = None) -> Iterator[bytes]:
        if set_epoch is not None and hasattr(self.loader.sampler, "set_epoch"):
            self.loader.sampler.set_epoch(set_epoch)
        for batch in self.loader:
            minicnn.rand(3), random.random(), np.random.rand()  # noqa: NPY002
            yield b"".join(np.asarray(member).tobytes() for member in batch)


def uninterrupted(run: Run) -> tuple[list[bytes], list[str]]:
    """The batches of all epochs, and a checkpoint before each, and one at the end."""
    batches, checkpoints = [], [run.save()]
    for epoch in range(EPOCHS):
        for batch in run.epoch(epoch):
            batches.append(batch)
            checkpoints.append(run.save())
        checkpoints[-1] = run.save()  # the loader has seen the epoch's end
    return batches, checkpoints


def resumed(run: Run, checkpoint: str) -> list[bytes]:
    run.load(checkpoint)
    first = run.loader.state_dict()["epoch"]
    return [batch for epoch in range(first, EPOCHS) for batch in run.epoch(epoch if epoch > first else None)]


@pytest.mark.parametrize("ahead", [0, 3])
@pytest.mark.parametrize("order", ORDERS)
def test_every_step_of_two_epochs(order: str, ahead: int) -> None:
    batches, checkpoints = uninterrupted(Run(order, prefetch_factor=ahead))
    assert len(set(batches)) == len(batches)
    for step, checkpoint in enumerate(checkpoints):
        run = Run(order, prefetch_factor=ahead)
        assert resumed(run, checkpoint) == batches[step:], f"step {step}"
        rest = sum(len(batch) // (64 * 4 + 8) for batch in batches[step:])
        assert run.data.made == rest  # no image is made again to be thrown away


SLOW = [pytest.param(order, marks=pytest.mark.slow) for order in ORDERS if order != "generators inside"]


@pytest.mark.parametrize("order", ["generators inside", *SLOW])
def test_every_step_with_workers(order: str) -> None:
    options: dict[str, Any] = {"num_workers": 2, "persistent_workers": True, "timeout": 120}
    expected = uninterrupted(Run(order))[0]
    batches, checkpoints = uninterrupted(Run(order, **options))
    assert batches == expected
    run = Run(order, **options)
    for step, checkpoint in enumerate(checkpoints):
        assert resumed(run, checkpoint) == batches[step:], f"step {step}"


def test_a_state_of_other_samplers_is_refused() -> None:
    state = Run("BatchSampler").loader.state_dict()
    assert set(state["streams"]) == {"batch_sampler.sampler.generator"}
    for order in ("shuffle, seed", "RandomSampler, own generator"):
        with pytest.raises(ValueError, match=r"the state has the random streams \['batch_sampler.sampler.generator'\]"):
            Run(order).loader.load_state_dict(state)
    with pytest.raises(ValueError, match=r"the random stream 'batch_sampler.sampler.generator' cannot be set"):
        Run("BatchSampler").loader.load_state_dict({**state, "streams": {"batch_sampler.sampler.generator": {}}})
    with pytest.raises(ValueError, match="random streams"):
        Run("BatchSampler").loader.load_state_dict({**state, "streams": []})


class Broken(Sampler[int]):
    def __iter__(self) -> Iterator[int]:
        raise OSError("no list")


def test_a_sampler_that_fails_at_its_first_index() -> None:
    iterator = iter(DataLoader(range(3), sampler=Broken()))
    with pytest.raises(OSError, match="no list"):
        next(iterator)
    assert next(iterator, None) is None
