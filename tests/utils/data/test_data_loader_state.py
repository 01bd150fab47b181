"""An iteration continues from a checkpoint: `state_dict` and `load_state_dict` of a loader."""

from __future__ import annotations

import json

import numpy as np
import pytest
from loading import Noise, run

from minicnn.random import default_generator
from minicnn.utils.data import DataLoader


@pytest.mark.parametrize("step", range(7))
def test_an_iteration_goes_on_where_a_checkpoint_was_taken(step: int) -> None:
    full = run(DataLoader(Noise(), 4, shuffle=True, seed=5), epochs=3)
    loader = DataLoader(Noise(), 4, shuffle=True, seed=5)
    run(loader)
    iterator = iter(loader)
    for _ in range(step):
        next(iterator)
    if step == 6:
        assert next(iterator, None) is None
    state = loader.state_dict()
    assert state == ({"seed": 5, "epoch": 2, "step": 0} if step == 6 else {"seed": 5, "epoch": 1, "step": step})
    iterator.close()  # type: ignore[attr-defined]

    dataset = Noise()
    resumed = DataLoader(dataset, 4, shuffle=True, seed=99)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    assert run(resumed, epochs=1 if step == 6 else 2) == ([full[2]] if step == 6 else [full[1][step:], full[2]])
    assert len(dataset.fetched) == 23 * (1 if step == 6 else 2) - 4 * (step % 6)  # what was consumed is not made again


def test_a_checkpoint_counts_repeats_of_skipped_batches() -> None:
    full = run(DataLoader(Noise(), 2, sampler=[1, 1, 1, 2], seed=5))
    loader = DataLoader(Noise(), 2, sampler=[1, 1, 1, 2])
    loader.load_state_dict({"seed": 5, "epoch": 0, "step": 1})
    assert run(loader) == [full[0][1:]]


@pytest.mark.parametrize("step", [0, 2, 6])
def test_an_iteration_that_drew_its_seed_goes_on(step: int) -> None:
    """A checkpoint that keeps the state of the generator together with that of the loader."""
    loader = DataLoader(Noise(), 4, shuffle=True)
    run(loader)
    iterator, left = iter(loader), []
    for _ in range(step):
        next(iterator)
    if step == 6:
        assert next(iterator, None) is None
    state, random_state = json.loads(json.dumps((loader.state_dict(), default_generator.get_state())))
    left = [*([] if step == 6 else [[np.asarray(m).tolist() for m in batch] for batch in iterator])]
    expected = [left, *run(loader, epochs=2)] if left else run(loader, epochs=2)

    resumed = DataLoader(Noise(), 4, shuffle=True)
    resumed.load_state_dict(state)
    assert resumed.state_dict() == state
    default_generator.set_state(random_state)
    assert run(resumed, epochs=len(expected)) == expected


def test_the_state_before_the_first_iteration() -> None:
    loader, other = DataLoader(Noise(), 4, shuffle=True), DataLoader(Noise(), 4, shuffle=True, seed=3)
    other.load_state_dict(loader.state_dict())
    before = default_generator.get_state()
    expected = run(loader)
    default_generator.set_state(before)
    assert run(other) == expected
    assert DataLoader(Noise(), seed=3).state_dict() == {"seed": 3, "epoch": 0, "step": 0}


@pytest.mark.parametrize(
    "state", [{}, {"seed": 1, "epoch": 0}, {"seed": 1, "epoch": 0, "step": -1}, {"seed": None, "epoch": 0, "step": 0}]
)
def test_a_bad_state_is_refused(state: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="load_state_dict"):
        DataLoader(Noise()).load_state_dict(state)
