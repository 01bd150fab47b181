"""The base classes of the image datasets."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..tensor import Tensor
from ..utils.data.collate import default_collate
from ..utils.data.dataset import Dataset, as_index

__all__ = ["ArrayDataset", "DatasetError", "VisionDataset"]


class DatasetError(RuntimeError):
    """A dataset's files are missing, damaged, or not what their names say. The message names file and remedy."""


def data_folder(dataset: str, root: str | os.PathLike[str] | None, files: str) -> str | os.PathLike[str]:
    """The folder of a dataset's files: `root`, or the one that the environment variable MINICNN_DATA names.

    Raises:
        DatasetError: none is given; `files` says what the folder should hold.
    """
    named = root if root is not None else os.environ.get("MINICNN_DATA")
    if not named:
        raise DatasetError(
            f"{dataset}: no folder given. Pass root=..., or set the environment variable MINICNN_DATA to the folder "
            f"that holds {files}; with download=True they are fetched into it. minicnn.datasets.Digits needs no files "
            "at all"
        )
    return named


class VisionDataset(Dataset[Any]):
    """A dataset of (image, target) pairs.

    Args:
        root: the folder of its files; None for a dataset that needs none.
        transforms: a function of (image, target), in place of the next two.
        transform: a function of the image.
        target_transform: a function of the target.

    Raises:
        ValueError: `transforms` together with one of the others.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
    ) -> None:
        if transforms is not None and (transform is not None or target_transform is not None):
            raise ValueError("Only transforms or transform/target_transform can be passed as argument")
        self.root = None if root is None else Path(root).expanduser()
        self.transforms, self.transform, self.target_transform = transforms, transform, target_transform

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__()")

    def apply_transforms(self, image: Any, target: Any) -> tuple[Any, Any]:
        """The sample after the transforms."""
        if self.transforms is not None:
            return self.transforms(image, target)
        if self.transform is not None:
            image = self.transform(image)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return image, target

    def extra_repr(self) -> str:
        """Lines that a subclass adds to its repr."""
        return ""

    def __repr__(self) -> str:
        body = [f"Number of datapoints: {len(self)}"]
        if self.root is not None:
            body.append(f"Root location: {self.root}")
        body += self.extra_repr().splitlines()
        steps = {
            "Transforms": self.transforms,
            "Transform": self.transform,
            "Target transform": self.target_transform,
        }
        lines = [f"{label}: {step!r}" for label, step in steps.items() if step is not None]
        if lines:
            body.append("StandardTransform" if self.transforms is None else "Transforms")
        for line in lines:
            first, *rest = line.splitlines()
            body += [first, *(" " * len(line.split(":")[0] + ": ") + more for more in rest)]
        return "\n".join([f"Dataset {type(self).__name__}", *(f"    {line}" for line in body)])


class ArrayDataset(VisionDataset):
    """An image dataset that fits into memory: `data` (N, H, W) or (N, H, W, 3) uint8, `targets` (N,) int64 or a list.

    A sample is `(PIL image, int)` before the transforms. If every transform is batchable, whole batches are
    made at once, straight from `data`.

    >>> class Blanks(minicnn.datasets.ArrayDataset):
    ...     train = True
    ...     def __init__(self, transform=None):
    ...         super().__init__(transform=transform)
    ...         self.data, self.targets = np.zeros((4, 28, 28), np.uint8), [0, 1, 2, 3]
    >>> image, label = Blanks(minicnn.transforms.ToTensor())[3]
    >>> image.shape, label
    (minicnn.Size([1, 28, 28]), 3)
    """

    data: Any
    targets: Any
    classes: list[str]
    train: bool

    @property
    def class_to_idx(self) -> dict[str, int]:
        """From the name of a class to its target."""
        return {name: index for index, name in enumerate(self.classes)}

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        from PIL import Image

        image = Image.fromarray(self._pixels(index))  # mode "L", or "RGB" with a third dimension
        return self.apply_transforms(image, self._target(index))

    def _pixels(self, index: Any) -> np.ndarray:
        """The image or images at an index: (..., H, W) or (..., H, W, 3)."""
        pixels: np.ndarray = _array(self.data)[index]
        return pixels

    def _target(self, index: Any) -> Any:
        """The target at an index, an int."""
        return int(self._targets_at(index))

    def _targets_at(self, index: Any) -> Any:
        """The target or targets at an index."""
        return _chosen(self.targets, index)

    def fetch_batch(self, indices: Sequence[int]) -> list[Tensor] | None:
        """`[images (N, C, H, W), targets (N,)]` at once; None unless the transform is batchable."""
        if self.transforms is not None or not getattr(self.transform, "batchable", False):
            return None
        index = as_index(indices)
        if index is None:
            return None
        targets = self._targets_at(index)
        images = self.transform.batch(self._pixels(index))  # type: ignore[union-attr]
        if not isinstance(images, Tensor):
            return None  # not tensors yet: the way sample by sample raises the error that says what to do
        if self.target_transform is not None:
            return [images, default_collate(tuple([self.target_transform(self._target(i)) for i in index.tolist()]))]
        return [images, Tensor(targets.astype(np.int64))]

    def extra_repr(self) -> str:
        """The line "Split: Train" or "Split: Test"."""
        return f"Split: {'Train' if self.train else 'Test'}"


def _array(values: Any) -> np.ndarray:
    """The raw array of `data` or `targets`, which a user may have replaced by a Tensor or an array."""
    return values.array if isinstance(values, Tensor) else np.asarray(values)


def _chosen(targets: Any, index: Any) -> Any:
    """The targets at an index; a long list is not made an array for every batch."""
    if isinstance(targets, list) and isinstance(index, np.ndarray):
        return np.array([targets[i] for i in index.tolist()])
    return targets[index] if isinstance(targets, list) else _array(targets)[index]
