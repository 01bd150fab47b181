"""A split in which every class has the same share: for a validation set that looks like the training set."""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any, TypeVar

import numpy as np

from ...random import Generator, fork_rng
from ...tensor import Tensor
from .dataset import ConcatDataset, Dataset, Subset, TensorDataset

__all__ = ["stratified_split"]

T_co = TypeVar("T_co", covariant=True)


def stratified_split(
    dataset: Dataset[T_co], share: float, seed: int = 0, *, targets: Any = None
) -> tuple[Subset[T_co], Subset[T_co]]:
    """Split a dataset in two, `(rest, part)`: `part` has the share of every class. Not in PyTorch.

    Of N samples, `part` gets round(share N). Of the N_c samples of class c it gets share N_c, rounded down or up: up
    for the classes that lose most by rounding down (method of the largest remainders). Which samples of a class these
    are is drawn at random, and depends on the seed, the share and the classes only. Both parts keep the order.

    Args:
        share: in (0, 1).
        seed: the same seed gives the same split.
        targets: the class of every sample, N hashable values. By default those of the dataset: its attribute `targets`
            or `labels`, and the last tensor of a `TensorDataset`; through `Subset` and `ConcatDataset` too. If there is
            nothing of the kind, every sample is loaded once, and its class is `sample[1]`.

    Raises:
        ValueError: the share is not in (0, 1), one part would be empty, or the number of targets is not N.
        TypeError: the class of a sample cannot be found, or is not one value.

    >>> train, validation = minicnn.utils.data.stratified_split(minicnn.datasets.Digits(), 0.1)
    >>> len(train), len(validation)
    (1293, 144)
    >>> minicnn.bincount(minicnn.tensor([label for _, label in validation]))
    tensor([14, 15, 14, 15, 14, 15, 15, 14, 14, 14])
    """
    total = len(dataset)  # type: ignore[arg-type]
    if isinstance(share, bool) or not isinstance(share, float | int | np.floating) or not 0 < share < 1:
        raise ValueError(f"stratified_split: the share must be a number between 0 and 1, got {share!r}")
    wanted = math.floor(share * total + 0.5)
    if not 0 < wanted < total:
        raise ValueError(
            f"stratified_split: a share of {share} of {total} samples is {wanted}, and leaves one part empty; "
            "take another share, or more samples"
        )
    members = _members(_classes(dataset) if targets is None else _values(targets, "the targets"), total)
    random = Generator().manual_seed(seed).numpy
    chosen: list[int] = []
    for indices, count in zip(
        members, _counts([len(indices) for indices in members], share, wanted, random), strict=True
    ):
        chosen += random.permutation(indices)[:count].tolist()
    rest = np.setdiff1d(np.arange(total), chosen)
    return Subset(dataset, rest.tolist()), Subset(dataset, sorted(chosen))


def _counts(sizes: Sequence[int], share: float, wanted: int, random: np.random.Generator) -> np.ndarray:
    """How many samples of each class to take, `wanted` in all; where remainders are equal, chance decides."""
    exact = np.round(share * np.array(sizes), 9)  # 0.1 * 30 is 3.0000000000000004
    counts = np.floor(exact).astype(int)
    order = random.permutation(len(sizes))
    losers = order[np.argsort(counts[order] - exact[order], kind="stable")]  # the largest remainder first
    counts[losers[: wanted - int(counts.sum())]] += 1
    return counts


def _members(classes: Sequence[Hashable], total: int) -> list[list[int]]:
    """The indices of the samples of each class; the classes come in the order of their first sample."""
    if len(classes) != total:
        raise ValueError(f"stratified_split: there are {len(classes)} targets for {total} samples")
    members: dict[Hashable, list[int]] = {}
    for index, label in enumerate(classes):
        try:
            members.setdefault(label, []).append(index)
        except TypeError:
            raise TypeError(
                f"stratified_split: the target of sample {index}, {label!r}, is not one value; "
                "pass targets=, the class of every sample"
            ) from None
    return list(members.values())


def _classes(dataset: Any) -> Sequence[Hashable]:
    """The class of every sample, without loading the samples if that is possible."""
    kind = type(dataset)
    if isinstance(dataset, Subset) and kind.__getitem__ is Subset.__getitem__:
        inner = _classes(dataset.dataset)
        return [inner[index] for index in dataset.indices]
    if isinstance(dataset, ConcatDataset) and kind.__getitem__ is ConcatDataset.__getitem__:
        return [label for part in dataset.datasets for label in _classes(part)]
    if isinstance(dataset, TensorDataset) and kind.__getitem__ is TensorDataset.__getitem__:
        return _values(dataset.tensors[-1], "the last tensor of the TensorDataset")
    for name in ("targets", "labels"):
        found = getattr(dataset, name, None)
        if found is not None and not callable(found):
            return _values(found, f"{kind.__name__}.{name}")
    with fork_rng():  # random transforms must not change the program's random numbers
        return [_second(dataset[index], index) for index in range(len(dataset))]


def _values(targets: Any, what: str) -> Sequence[Hashable]:
    """Targets (N,) of a list, an array or a tensor as a list of plain values."""
    if isinstance(targets, Tensor | np.ndarray):
        if targets.ndim != 1:
            raise TypeError(
                f"stratified_split: {what} should hold one class a sample, but the shape is {tuple(targets.shape)}; "
                "pass targets=, the class of every sample"
            )
        plain: list[Hashable] = targets.tolist()
        return plain
    return [_value(target) for target in targets]


def _value(target: Any) -> Hashable:
    """A target as a plain value: tensors and NumPy's numbers are equal by value only as Python's."""
    return target.item() if isinstance(target, Tensor | np.ndarray | np.generic) and target.ndim == 0 else target


def _second(sample: Any, index: int) -> Hashable:
    if not isinstance(sample, tuple | list) or len(sample) < 2:
        raise TypeError(
            f"stratified_split: sample {index} is a {type(sample).__name__}, not a pair (image, class); "
            "pass targets=, the class of every sample"
        )
    return _value(sample[1])
