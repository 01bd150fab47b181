"""Which transforms an image gets, by chance: with a probability, one of several, or all in a random order."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from minicnn_kernels.geometry import shown

from ..tensor import Tensor
from ..utils.data.randomness import sample_generator
from .base import OneByOne, passed_on, probability

__all__ = ["RandomApply", "RandomChoice", "RandomOrder"]


class _Several(OneByOne):
    """A transform that has others, which get all its inputs, and that works on a batch image by image.

    It is batchable if all of them keep the shape: images of several sizes are no batch.
    """

    def __init__(self, transforms: Sequence[Callable[..., Any]]) -> None:
        name = type(self).__name__
        members = list(transforms) if isinstance(transforms, Iterable) and not isinstance(transforms, Tensor) else []
        if not members or not all(map(callable, members)):
            raise TypeError(f"{name}: takes a sequence of transforms or functions, got {shown(transforms)}")
        self.transforms = members

    @property
    def keeps_shape(self) -> bool:  # type: ignore[override]
        """True if all transforms do: then each image comes out with the size, channels and type that it had."""
        return all(getattr(transform, "keeps_shape", False) for transform in self.transforms)

    def __repr__(self) -> str:
        return "\n".join([f"{type(self).__name__}(", *(f"    {transform}" for transform in self.transforms), ")"])


class RandomApply(_Several):
    """With probability p all transforms, one after the other; else none.

    >>> x = minicnn.tensor([[[0.0, 0.25]]])
    >>> minicnn.transforms.RandomApply([minicnn.transforms.RandomInvert(p=1.0)], p=1.0)(x)
    tensor([[[1.0000, 0.7500]]])
    """

    whole_samples = True

    def __init__(self, transforms: Sequence[Callable[..., Any]], p: float = 0.5) -> None:
        super().__init__(transforms)
        self.p = probability("RandomApply", p)

    def forward(self, *inputs: Any) -> Any:
        """A sample of any kind that the transforms take."""
        if sample_generator().random() < self.p:
            for transform in self.transforms:
                inputs = passed_on(inputs, transform)
        return inputs if len(inputs) > 1 else inputs[0]

    def __repr__(self) -> str:
        return super().__repr__().replace("(\n", f"(\n    p={self.p}\n", 1)


class RandomChoice(_Several):
    """One of the transforms.

    Args:
        p: the probability of each, or numbers in proportion to it; None: all have the same.

    Raises:
        ValueError: a number of probabilities that is not that of the transforms; negative ones, or none above 0.

    >>> one = minicnn.transforms.RandomChoice([minicnn.transforms.RandomInvert(p=1.0), minicnn.zeros_like], p=[1, 0])
    >>> one(minicnn.tensor([[[0.0, 0.25]]]))
    tensor([[[1.0000, 0.7500]]])
    """

    whole_samples = True

    def __init__(self, transforms: Sequence[Callable[..., Any]], p: Sequence[float] | None = None) -> None:
        super().__init__(transforms)
        if p is not None and not isinstance(p, Sequence | np.ndarray):
            raise TypeError(f"Argument p should be a sequence, got {type(p).__name__}")
        self.p = p
        weights = np.ones(len(self.transforms)) if p is None else np.asarray(p, np.float64)
        if weights.shape != (len(self.transforms),):
            raise ValueError(
                f"RandomChoice: {len(self.transforms)} transforms need as many probabilities, got {shown(p)}"
            )
        if not ((weights >= 0).all() and 0 < weights.sum() < np.inf):
            raise ValueError(f"RandomChoice: probabilities should not be negative, and not all 0, got {shown(p)}")
        self._up_to = np.cumsum(weights) / np.cumsum(weights)[-1]

    def forward(self, *inputs: Any) -> Any:
        """A sample of any kind that the transforms take."""
        place = int(np.searchsorted(self._up_to, sample_generator().random(), side="right"))
        return self.transforms[place](*inputs)

    def __repr__(self) -> str:
        return f"{super().__repr__()}(p={self.p})"


class RandomOrder(_Several):
    """All transforms, in a random order.

    >>> minicnn.transforms.RandomOrder([minicnn.sqrt, minicnn.square])(minicnn.tensor([4.0]))
    tensor([4.])
    """

    whole_samples = True

    def forward(self, *inputs: Any) -> Any:
        """A sample of any kind that the transforms take."""
        for place in sample_generator().permutation(len(self.transforms)):
            inputs = passed_on(inputs, self.transforms[place])
        return inputs if len(inputs) > 1 else inputs[0]
