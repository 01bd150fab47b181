from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minicnn
from minicnn.random import default_generator
from minicnn.tensor import Tensor
from minicnn.utils.data import ConcatDataset, Dataset, Subset, TensorDataset, stratified_split


class Labelled(Dataset[tuple[int, Any]]):
    """Sample i is (i, its label), and there is no list of labels to look at."""

    def __init__(self, labels: Any) -> None:
        self.given = labels

    def __len__(self) -> int:
        return len(self.given)

    def __getitem__(self, index: int) -> tuple[int, Any]:
        minicnn.rand(1)  # as a random transform does
        return index, self.given[index]


class WithTargets(Labelled):
    def __init__(self, labels: Any, name: str = "targets") -> None:
        super().__init__(labels)
        setattr(self, name, labels)

    def __getitem__(self, index: int) -> tuple[int, Any]:
        raise AssertionError("no sample has to be loaded")


@given(st.lists(st.integers(0, 4), min_size=2, max_size=120), st.floats(0.01, 0.99), st.integers(0, 2**63))
def test_every_class_has_its_share_within_one_sample(labels: list[int], share: float, seed: int) -> None:
    total, wanted = len(labels), int(share * len(labels) + 0.5)
    if wanted in (0, total):
        with pytest.raises(ValueError, match="leaves one part empty"):
            stratified_split(WithTargets(labels), share, seed)
        return
    rest, part = stratified_split(WithTargets(labels), share, seed)
    assert sorted([*rest.indices, *part.indices]) == list(range(total)) and len(part) == wanted
    assert list(rest.indices) == sorted(rest.indices) and list(part.indices) == sorted(part.indices)
    taken = Counter(labels[i] for i in part.indices)
    for label, size in Counter(labels).items():
        assert abs(taken[label] - share * size) < 1 + 1e-6


LABELS = [0, 1, 2, 0, 1, 0, 0, 2, 0, 1, 2, 2]
SHUFFLED = np.random.default_rng(3).permutation(12).tolist()
HELD = [LABELS[i] for i in SHUFFLED]


@pytest.mark.parametrize(
    ("dataset", "labels"),
    [
        (WithTargets(LABELS), LABELS),
        (WithTargets(np.array(LABELS)), LABELS),
        (WithTargets(Tensor(np.array(LABELS))), LABELS),
        (WithTargets([Tensor(np.array(label)) for label in LABELS]), LABELS),
        (WithTargets(tuple(LABELS), "labels"), LABELS),
        (TensorDataset(minicnn.zeros(12, 3), Tensor(np.array(LABELS))), LABELS),
        (Subset(WithTargets(LABELS), SHUFFLED), HELD),
        (Subset(Subset(TensorDataset(Tensor(np.array(LABELS))), SHUFFLED[::-1]), range(11, -1, -1)), HELD),
        (ConcatDataset([WithTargets(LABELS[:5]), Labelled(LABELS[5:])]), LABELS),
        (Labelled(LABELS), LABELS),
        (Labelled([minicnn.tensor(label) for label in LABELS]), LABELS),
        (Labelled([np.int64(label) for label in LABELS]), LABELS),
        (Labelled([f"class {label}" for label in LABELS]), LABELS),
    ],
)
def test_the_classes_are_found(dataset: Any, labels: list[int]) -> None:
    state = default_generator.get_state()
    rest, part = stratified_split(dataset, 0.25, seed=5)
    assert default_generator.get_state() == state  # the program's random numbers are not touched
    expected = stratified_split(WithTargets(labels), 0.25, seed=5)
    assert (rest.indices, part.indices) == (expected[0].indices, expected[1].indices)


def test_the_seed_and_nothing_else_chooses_the_samples() -> None:
    labels = np.arange(200) % 10
    first, again, other = (stratified_split(WithTargets(labels), 0.3, seed)[1].indices for seed in (1, 1, 2))
    assert first == again != other
    minicnn.manual_seed(17)
    assert stratified_split(WithTargets(labels), 0.3, 1)[1].indices == first


def test_equal_remainders_are_not_given_to_the_first_classes_only() -> None:
    labels = np.arange(50) % 10  # 5 of each; half a sample too many of each
    extra: Counter[int] = Counter()
    for seed in range(20):
        part = stratified_split(WithTargets(labels), 0.5, seed)[1]
        extra.update(label for label, count in Counter(labels[list(part.indices)].tolist()).items() if count == 3)
    assert len(part) == 25 and set(extra) == set(range(10))


class Renamed(Subset[Any]):
    def __getitem__(self, index: Any) -> Any:
        return 0, index % 2


def test_a_subset_with_its_own_samples_is_asked_for_them() -> None:
    part = stratified_split(Renamed(WithTargets([0] * 12), range(12)), 0.5)[1]
    assert Counter(index % 2 for index in part.indices) == {0: 3, 1: 3}


def test_targets_by_hand() -> None:
    masks = TensorDataset(minicnn.zeros(6, 3), minicnn.zeros(6, 4, 4))
    with pytest.raises(TypeError, match=r"last tensor.*\(6, 4, 4\).*targets="):
        stratified_split(masks, 0.5)
    part = stratified_split(masks, 0.5, targets=["a", "a", "b", "b", "b", "b"])[1]
    assert len(part) == 3 and part.indices[0] in (0, 1)
    with pytest.raises(ValueError, match="5 targets for 6 samples"):
        stratified_split(masks, 0.5, targets=range(5))


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan"), True, "0.1", None])
def test_a_share_out_of_range_is_refused(share: Any) -> None:
    with pytest.raises(ValueError, match="share must be a number between 0 and 1"):
        stratified_split(WithTargets(LABELS), share)


def test_samples_without_a_class_are_refused() -> None:
    with pytest.raises(TypeError, match=r"sample 0 is a int, not a pair.*targets="):
        stratified_split(range(10), 0.5)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"target of sample 0, \[1, 2\], is not one value"):
        stratified_split(Labelled([[1, 2]] * 4), 0.5)
