"""From a dataset to batches: datasets, samplers, collation and the `DataLoader`, under PyTorch's names.

    dataset[i] -> sample      dataset.py     (pixels, label)
    sampler    -> indices     sampler.py     in which order
    collate_fn -> batch       collate.py     N samples -> tensors (N, ...)
    DataLoader -> batches     loader.py      all of it, in the caller or in processes (fetch.py, workers.py)

A stream of samples without indices, an `IterableDataset`, goes through stream.py instead.

Random transforms draw from the stream of their sample (randomness.py), so the images do not depend on the workers.
"""

from __future__ import annotations

from ...compat.missing import answer as _answer
from . import dataloader
from .collate import default_collate, default_convert
from .dataset import (
    ChainDataset,
    ConcatDataset,
    Dataset,
    IterableDataset,
    StackDataset,
    Subset,
    TensorDataset,
    random_split,
)
from .loader import DataLoader
from .randomness import each_sample, sample_generator, sample_generators
from .sampler import (
    BatchSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)
from .stratified import stratified_split
from .worker import WorkerInfo, get_worker_info

__all__ = [
    "BatchSampler",
    "ChainDataset",
    "ConcatDataset",
    "DataLoader",
    "Dataset",
    "IterableDataset",
    "RandomSampler",
    "Sampler",
    "SequentialSampler",
    "StackDataset",
    "Subset",
    "SubsetRandomSampler",
    "TensorDataset",
    "WeightedRandomSampler",
    "WorkerInfo",
    "dataloader",
    "default_collate",
    "default_convert",
    "each_sample",
    "get_worker_info",
    "random_split",
    "sample_generator",
    "sample_generators",
    "stratified_split",
]

_answer(globals())
