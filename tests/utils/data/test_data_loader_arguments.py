from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from minicnn.random import Generator
from minicnn.utils.data import BatchSampler, DataLoader, Dataset, RandomSampler


class Stream:
    def __iter__(self) -> Iterator[int]:
        return iter([1])


@pytest.mark.parametrize("dataset", [Stream(), iter([1]), Dataset(), {1, 2}])
def test_what_is_no_dataset_is_refused(dataset: Any) -> None:
    with pytest.raises(TypeError, match=r"has no __getitem__.*derive from IterableDataset"):
        DataLoader(dataset)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size"),
        ({"batch_size": 2.0}, "batch_size"),
        ({"num_workers": -1}, "num_workers"),
        ({"num_workers": 1.5}, "num_workers"),
        ({"timeout": -1}, "timeout"),
        ({"timeout": float("nan")}, "timeout"),
        ({"timeout": 1}, "needs worker processes"),
        ({"prefetch_factor": -1}, "prefetch_factor"),
        ({"persistent_workers": True}, "persistent_workers"),
        ({"multiprocessing_context": "spawn"}, "multiprocessing_context"),
        ({"multiprocessing_context": "fork", "num_workers": 1}, "only 'spawn'"),
        ({"in_order": False}, "in_order"),
        ({"sampler": [1], "shuffle": True}, "mutually exclusive"),
        ({"batch_sampler": [[1]], "batch_size": 2}, "mutually exclusive"),
        ({"batch_sampler": [[1]], "shuffle": True}, "mutually exclusive"),
        ({"batch_sampler": [[1]], "drop_last": True}, "mutually exclusive"),
        ({"batch_size": None, "drop_last": True}, "mutually exclusive"),
        ({"generator": Generator(), "seed": 1}, "mutually exclusive"),
        ({"seed": -1}, "seed"),
        ({"seed": 1 << 64}, "seed"),
    ],
)
def test_bad_arguments_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataLoader(range(23), **options)


def test_further_bad_uses() -> None:
    with pytest.raises(TypeError, match="generator"):
        DataLoader(range(23), generator=np.random.default_rng(0))  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="num_samples=0"):
        DataLoader([], shuffle=True)
    with pytest.warns(UserWarning, match="'pin_memory' argument is set as true but no accelerator is found"):
        assert next(iter(DataLoader(range(23), 5, pin_memory=True))).tolist() == [0, 1, 2, 3, 4]  # type: ignore[attr-defined]
    loader = DataLoader(range(23), batch_sampler=BatchSampler(RandomSampler(range(23)), 4, False))
    with pytest.raises(ValueError, match="batch_size attribute should not be set"):
        loader.batch_size = 3
    for epoch in (-1, 1.5, True):
        with pytest.raises(ValueError, match="set_epoch"):
            loader.set_epoch(epoch)  # type: ignore[arg-type]
