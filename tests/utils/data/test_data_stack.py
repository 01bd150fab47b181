"""Datasets side by side, and PyTorch's files of the data package."""

from __future__ import annotations

from typing import Any

import pytest

import minicnn
from minicnn.utils.data import DataLoader, Dataset, StackDataset, TensorDataset


class Numbers(Dataset[int]):
    def __init__(self, start: int, size: int = 5) -> None:
        self.start, self.size = start, size
        self.asked: list[list[int]] = []

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, index: Any) -> int:
        return self.start + range(self.size)[index]


class Batches(Numbers):
    def __getitems__(self, indices: list[int]) -> list[int]:
        self.asked.append(list(indices))
        return [self.start + i for i in indices]


def test_by_position_and_by_name() -> None:
    pairs = StackDataset(Numbers(0), Numbers(100))
    assert len(pairs) == 5 and pairs[2] == (2, 102) and pairs[-1] == (4, 104)
    named = StackDataset(image=Numbers(0), text=Numbers(100))
    assert len(named) == 5 and named[2] == {"image": 2, "text": 102}
    assert named.__getitems__([1, 3]) == [{"image": 1, "text": 101}, {"image": 3, "text": 103}]
    with pytest.raises(IndexError):
        pairs[5]


def test_in_a_loader() -> None:
    x = TensorDataset(minicnn.arange(5).float())
    loader = DataLoader(StackDataset(x=x, y=Numbers(10)), batch_size=2)
    found = [(batch["x"][0].tolist(), batch["y"].tolist()) for batch in loader]
    assert found == [([0, 1], [10, 11]), ([2, 3], [12, 13]), ([4], [14])]


def test_a_batch_is_asked_for_at_once_where_that_is_possible() -> None:
    many = Batches(100)
    assert StackDataset(Numbers(0), many).__getitems__([3, 0]) == [(3, 103), (0, 100)]
    assert many.asked == [[3, 0]]


def test_wrong_datasets() -> None:
    class Short(Batches):
        def __getitems__(self, indices: list[int]) -> list[int]:
            return [0]

    with pytest.raises(ValueError, match="either all by position"):
        StackDataset()
    with pytest.raises(ValueError, match="either all by position"):
        StackDataset(Numbers(0), y=Numbers(1))
    with pytest.raises(ValueError, match=r"size mismatch between datasets, \{'x': 5, 'y': 4\}"):
        StackDataset(x=Numbers(0), y=Numbers(1, 4))
    with pytest.raises(ValueError, match="dataset 1 gave 1 samples for 2 indices"):
        StackDataset(Numbers(0), Short(0)).__getitems__([0, 1])


def test_pytorchs_files() -> None:
    from minicnn.utils.data import dataloader as loaders
    from minicnn.utils.data.dataloader import DataLoader as Loader
    from minicnn.utils.data.dataloader import default_collate
    from minicnn.utils.data.dataset import Dataset as Base
    from minicnn.utils.data.dataset import Subset, TensorDataset, random_split
    from minicnn.utils.data.sampler import SubsetRandomSampler

    assert Loader is DataLoader and Base is Dataset and loaders.default_collate is default_collate
    data = minicnn.utils.data
    assert (data.Subset, data.TensorDataset, data.random_split) == (Subset, TensorDataset, random_split)
    assert data.SubsetRandomSampler is SubsetRandomSampler
