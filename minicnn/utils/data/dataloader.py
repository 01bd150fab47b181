"""The `DataLoader` and the other names of PyTorch's file `torch.utils.data.dataloader`."""

from __future__ import annotations

from ...compat.missing import answer as _answer
from .collate import default_collate, default_convert
from .dataset import Dataset, IterableDataset
from .loader import DataLoader
from .sampler import BatchSampler, RandomSampler, Sampler, SequentialSampler
from .worker import get_worker_info

__all__ = [
    "BatchSampler", "DataLoader", "Dataset", "IterableDataset", "RandomSampler", "Sampler", "SequentialSampler",
    "default_collate", "default_convert", "get_worker_info",
]  # fmt: skip

_answer(globals())
