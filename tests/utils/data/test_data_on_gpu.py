"""Datasets of tensors on a GPU, emulated: batches are made there, without a wait."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import minicnn
from minicnn.utils.data import ConcatDataset, DataLoader, StackDataset, Subset, TensorDataset, random_split
from minicnn_kernels.emulated.traffic import no_waits

pytestmark = pytest.mark.usefixtures("gpu")
DATASETS: dict[str, Callable[[TensorDataset], Any]] = {
    "tensors": lambda data: data,
    "a subset": lambda data: Subset(data, [5, -1, 0, 3]),
    "a split": lambda data: random_split(data, [4, 2], generator=minicnn.Generator().manual_seed(3))[0],
    "one after the other": lambda data: ConcatDataset([data, data]),
    "side by side": lambda data: StackDataset(data, data),
}


def data(device: str) -> TensorDataset:
    return TensorDataset(minicnn.arange(18.0).view(6, 3).to(device), minicnn.arange(6).to(device))


def tensors(value: Any) -> list[minicnn.Tensor]:
    return [value] if isinstance(value, minicnn.Tensor) else [t for part in value for t in tensors(part)]


@pytest.mark.parametrize("device", ["cuda:0", "cuda:1"])
@pytest.mark.parametrize("name", DATASETS)
def test_batches_are_those_of_the_cpu(name: str, device: str) -> None:
    expected, there = (DataLoader(DATASETS[name](data(place)), batch_size=4) for place in ("cpu", device))
    with no_waits():
        batches = list(there)
    assert minicnn.cuda.current_device() == 0 and len(batches) == len(expected)
    for mine, other in zip(batches, expected, strict=True):
        for a, b in zip(tensors(mine), tensors(other), strict=True):
            assert str(a.device) == device and a.dtype == b.dtype and a.tolist() == b.tolist()


def test_an_index_out_of_range() -> None:
    with pytest.raises(IndexError, match=r"indices 0\.\.6, the size is 6"):
        list(DataLoader(Subset(data("cuda"), [0, 6]), batch_size=2))


def test_what_is_on_a_gpu_cannot_be_pinned() -> None:
    with pytest.raises(RuntimeError, match="cannot pin a tensor on 'cuda:0'; only tensors on 'cpu' can be pinned"):
        next(iter(DataLoader(data("cuda"), batch_size=2, pin_memory=True)))
