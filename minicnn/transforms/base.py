"""What a transform is, and the three kinds of images that transforms take.

    a PIL image                 what datasets hold                              one sample
    a Tensor (..., C, H, W)     after ToTensor; any leading batch dimensions    one sample, or a batch
    an array (N, H, W[, C])     uint8: the pixels of N PIL images of one size   only in `batch()`

A transform is called on a sample. Some transforms also have `batch()`, which takes the images of a batch at once and
gives the same as calls on the samples: `t.batch(x)[n] == t(x[n])`. This holds for random transforms too, since each
sample draws from its own stream. So a dataset may run a chain on whole batches if `chain.batchable`.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable
from typing import Any, Self, TypeAlias

import numpy as np

from minicnn_kernels.geometry import KindError, ShapeError, real, shown, whole

from .. import nn
from ..autograd import is_grad_enabled
from ..tensor import Tensor
from ..utils.data.randomness import each_sample, sample_generator
from .samples import each_leaf, leaves

__all__ = [
    "Compose", "Lambda", "OneByOne", "Transform", "edge_size", "is_pil", "kind_error", "like", "one_by_one",
    "passed_on", "pixels", "probability", "row_axis", "sample", "spatial_size", "taped", "whole_numbers",
]  # fmt: skip

AnyImage: TypeAlias = Any  # PIL.Image.Image | Tensor; PIL is not imported for a type


class Transform(nn.Module):
    """One step of a chain. Subclasses write `forward`, and `batch` where they can take a whole batch at once.

    As in torchvision a transform is a module, without parameters: `nn.Sequential` takes transforms too. A subclass may
    write `__call__` in place of `forward`, or `make_params` and `transform`, which get the images of a sample one by
    one. It need not call `super().__init__()`.

    >>> class Invert(minicnn.transforms.Transform):
    ...     def forward(self, image):
    ...         return 1 - image
    >>> minicnn.transforms.Compose([minicnn.transforms.ToTensor(), Invert()])(np.zeros((1, 2), np.uint8))
    tensor([[[1., 1.]]])
    """

    _for_batches = frozenset({"batch"})  # the methods by which a class says how it changes a batch
    keeps_shape = False  # whether each image comes out with the size, channels and type that it had
    whole_samples = True  # whether `forward` takes all parts of a sample, and not each of its images alone

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """The transforms of this package take images; those of a program take what they are given."""
        super().__init_subclass__(**kwargs)
        if "forward" in vars(cls) and "whole_samples" not in vars(cls):
            cls.whole_samples = not cls.__module__.startswith(__package__)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:
        """A module whose tables of parts are there before `__init__` runs."""
        transform = super().__new__(cls)
        nn.Module.__init__(transform)
        return transform

    def __call__(self, *inputs: Any) -> Any:
        """The transformed image, or the transformed sample.

        A sample may be several inputs, a tuple, a list or a dictionary, as (image, target): its images are transformed,
        with the same random numbers, and its other parts stay as they are. Images are the PIL images; if there are
        none, the Tensors of 3 or more dimensions.
        """
        alone = len(inputs) == 1 and not isinstance(inputs[0], tuple | list | dict)
        if alone or self.whole_samples:
            return self.forward(*inputs)
        return self._of_sample(inputs if len(inputs) != 1 else inputs[0])

    def _of_sample(self, sample: Any) -> Any:
        """The sample with its images transformed."""
        done: dict[int, Any] = {}
        bits = sample_generator().bit_generator
        start = bits.state
        for image in self._images_in(sample):
            bits.state = start  # each draws the same random numbers
            done[id(image)] = self.forward(image)
        return each_leaf(sample, lambda part: done.get(id(part), part))

    def _images_in(self, sample: Any) -> list[Any]:
        """The parts of a sample that are to be transformed."""
        images = [part for part in leaves(sample) if self.is_image(part)]
        images = [part for part in images if is_pil(part)] or images
        if not images:
            raise kind_error(type(self).__name__, sample, "an image, or a sample with images in it")
        return images

    def is_image(self, part: Any) -> bool:
        """Whether a part of a sample is one of the images to transform."""
        return is_pil(part) or (isinstance(part, Tensor) and part.ndim > 2)

    def forward(self, *inputs: Any) -> Any:
        """The transformed sample: what subclasses define, or else `transform`."""
        if type(self).transform is Transform.transform:
            if type(self).__call__ is Transform.__call__:
                raise NotImplementedError(f"{type(self).__name__} must define forward(image)")
            return self(*inputs)
        sample = inputs if len(inputs) != 1 else inputs[0]
        images = self._images_in(sample)
        params = self.make_params(images)
        done = {id(image): self.transform(image, params) for image in images}
        return each_leaf(sample, lambda part: done.get(id(part), part))

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """Draw the random numbers for the images of a sample: what a subclass with `transform` may define."""
        return {}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """One image of a sample, transformed by the numbers of `make_params`: another way to define a transform."""
        return self.forward(inpt)

    @property
    def batchable(self) -> bool:
        """True if `batch()` gives the same as calling this on each sample.

        False if there is no `batch`, and in a subclass that overrides only what `batch` would bypass: `forward`,
        `__call__`, `get_params` and the like.
        """
        for cls in type(self).__mro__:
            if not self._for_batches.isdisjoint(vars(cls)):
                return True
            if not {"forward", "__call__", "get_params", "transform", "make_params"}.isdisjoint(vars(cls)):
                return False
        return False

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


def passed_on(inputs: tuple[Any, ...], transform: Callable[..., Any]) -> tuple[Any, ...]:
    """What comes after `transform` in a chain: several inputs stay several."""
    outputs = transform(*inputs)
    return outputs if len(inputs) > 1 and isinstance(outputs, tuple) else (outputs,)


class Compose(Transform):
    """Transforms, or any callables, one after the other.

    It is batchable if each of them is.

    >>> steps = minicnn.transforms.Compose([minicnn.transforms.ToTensor(), minicnn.transforms.Normalize([0.5], [0.5])])
    >>> steps(np.array([[0, 255]], np.uint8))
    tensor([[[-1.,  1.]]])
    """

    whole_samples = True

    def __init__(self, transforms: Iterable[Callable[..., Any]]) -> None:
        several = isinstance(transforms, Iterable) and not isinstance(transforms, Transform | Tensor)
        members = transforms if isinstance(transforms, list) else list(transforms) if several else [None]
        if not all(map(callable, members)):
            raise TypeError(f"Compose: takes a list of transforms or functions, got {shown(transforms)}")
        self.transforms: list[Any] = members

    def forward(self, *inputs: Any) -> Any:
        """The chain on one sample, an image or several inputs."""
        for transform in self.transforms:
            inputs = passed_on(inputs, transform)
        return inputs if len(inputs) > 1 else inputs[0]

    @property
    def batchable(self) -> bool:
        """True if `batch()` gives the same as calling this on each sample."""
        return super().batchable and all(getattr(transform, "batchable", False) for transform in self.transforms)

    def batch(self, images: Any) -> Any:
        """The chain on a whole batch; every member must be batchable."""
        for transform in self.transforms:
            if not getattr(transform, "batchable", False):
                raise TypeError(f"Compose.batch: {transform!r} works on single samples only")
            images = transform.batch(images)
        return images

    def __repr__(self) -> str:
        return "\n".join(["Compose(", *(f"    {transform}" for transform in self.transforms), ")"])


class OneByOne(Transform):
    """A transform that works on single images and keeps their shape: `batch` calls it on each."""

    keeps_shape = True

    @property
    def batchable(self) -> bool:
        """True if `batch()` gives the same as calling this on each sample."""
        return self.keeps_shape

    def batch(self, images: Any) -> Any:
        """A Tensor (N, C, H, W) or images (N, H, W[, C]), each by itself."""
        return one_by_one(type(self).__name__, images, self)


class Lambda(Transform):
    """A function as a transform. (Worker processes need one that pickle can send: a module-level function.)

    >>> minicnn.transforms.Lambda(lambda x: 1 - x)(minicnn.tensor([0., 0.25]))
    tensor([1.0000, 0.7500])
    """

    whole_samples = True

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def forward(self, image: Any) -> Any:
        """The function's value."""
        return self.lambd(image)


# -------------------------------------------------------------------------------------------- the three kinds of images


def is_pil(image: Any) -> bool:
    """True for a PIL image. This does not import PIL: if PIL is not loaded, no PIL image can exist."""
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(image, pil.Image)


def kind_error(name: str, image: Any, wanted: str = "a PIL image or a Tensor (..., C, H, W)") -> TypeError:
    """The error for an image of the wrong kind."""
    found = type(image).__name__
    if isinstance(image, Tensor | np.ndarray):
        found += f" of shape {tuple(image.shape)} and type {image.dtype}"
    return TypeError(f"{name} takes {wanted}, got {found}")


def taped(image: Any) -> bool:
    """Whether a gradient may be asked for: then the transforms that have one, as Normalize, compute with operations."""
    return isinstance(image, Tensor) and image.requires_grad and is_grad_enabled()


def pixels(name: str, image: Any) -> np.ndarray:
    """The raw array of a Tensor (..., C, H, W) or of a batch of images (N, H, W[, C]), checked."""
    if isinstance(image, Tensor):
        array = image.array
        if not isinstance(array, np.ndarray):
            raise TypeError(f"{name} works on the CPU; move the tensor there first")
        if taped(image):
            raise ValueError(f"{name}: the tensor requires a gradient, which a transform would lose; detach() it")
        if array.ndim < 2 or 0 in array.shape[-2:]:
            raise ValueError(f"{name}: the tensor should be (..., C, H, W) with H, W > 0, its shape is {array.shape}")
        return array
    if isinstance(image, np.ndarray) and image.ndim in (3, 4) and 0 not in image.shape[1:]:
        return image
    raise kind_error(name, image)


def sample(name: str, image: Any) -> Any:
    """`image`, checked to be a PIL image or a Tensor: arrays are for `batch()` only."""
    if not is_pil(image) and not isinstance(image, Tensor):
        raise kind_error(name, image)
    return image


def like(image: Any, array: np.ndarray) -> Any:
    """The array as the same kind of image as `image`."""
    return Tensor(array) if isinstance(image, Tensor) else array


def one_by_one(name: str, images: Any, change: Callable[[Any], Any]) -> Any:
    """change(image) for each image of a batch, with the random stream of its sample: what `batch` has to equal.

    Args:
        name: of the transform, for errors.
        images: a Tensor (N, C, H, W), whose images are Tensors (C, H, W); or images (N, H, W[, C]) of uint8, whose
            images are PIL images.
        change: gives images of one size.
    """
    array = pixels(name, images)
    if not len(array):
        return images
    if isinstance(images, Tensor):
        return Tensor(np.stack([change(Tensor(array[n])).array for n in each_sample(range(len(array)))]))
    from PIL import Image

    return np.stack([np.asarray(change(Image.fromarray(array[n]))) for n in each_sample(range(len(array)))])


def row_axis(image: Any) -> int:
    """The axis of the rows; columns follow. Tensor (..., C, H, W): -2, images (N, H, W[, C]): 1."""
    return -2 if isinstance(image, Tensor) else 1


def spatial_size(name: str, image: Any) -> tuple[int, int]:
    """(H, W) of an image of any kind."""
    if is_pil(image):
        return image.height, image.width
    plain = image.detach() if taped(image) else image
    shape, axis = pixels(name, plain).shape, row_axis(image)
    return shape[axis], shape[axis + 1]


def whole_numbers(name: str, what: str, value: Any, counts: tuple[int, ...], least: int) -> tuple[int, ...]:
    """An argument of one or several whole numbers; `counts` lists how many it may have, `what` is the error's text.

    Raises:
        KindError: anything else; it is a ValueError and a TypeError.
    """
    several = tuple(value) if isinstance(value, tuple | list | np.ndarray) and np.ndim(value) else (value,)
    try:
        numbers = [whole(number, name, what, least) for number in several]
    except ShapeError:
        numbers = []
    if len(numbers) not in counts:
        raise KindError(f"{name}: {what}, got {shown(value)}")
    return tuple(numbers)


def edge_size(name: str, size: Any) -> tuple[int, int]:
    """An output size as (H, W): a number stands for a square."""
    sides = whole_numbers(name, "the size should be one or two positive whole numbers (h, w)", size, (1, 2), 1)
    return sides[0], sides[-1]


def probability(name: str, p: Any) -> float:
    """Check that p is a number from 0 to 1."""
    with contextlib.suppress(KindError):
        found = real(p, name, "p")
        if not isinstance(found, bool) and 0 <= found <= 1:
            return float(found)
    raise ValueError(f"{name}: p should be a probability, a number from 0 to 1, got {shown(p)}")
