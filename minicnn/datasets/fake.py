"""Random images, to try a program without any files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..tensor import Tensor
from .vision import VisionDataset

__all__ = ["FakeData"]


class FakeData(VisionDataset):
    """Random images with random targets, to try a program: there is nothing to learn in them.

    A sample depends on its index alone, and not on the global generator. As in torchvision, each value of an image is
    255 times a standard normal number, of which the last eight bits are kept.

    Args:
        size: how many images.
        image_size: channels, height and width. One channel gives PIL images of mode "L", two "LA", three "RGB", four
            "RGBA".
        num_classes: targets are 0 to num_classes - 1.
        transform: a function of the image.
        target_transform: a function of the target, a Tensor without axes.
        random_offset: added to each index before it becomes a seed, so that two such datasets differ.

    Raises:
        ValueError: a size is not positive, or there are more than four channels.

    >>> data = minicnn.datasets.FakeData(size=100, image_size=(3, 32, 24), num_classes=4)
    >>> image, target = data[7]
    >>> len(data), image.size, image.mode, type(target).__name__
    (100, (24, 32), 'RGB', 'int')
    """

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Callable[[Any], Any] | None = None,
        target_transform: Callable[[Any], Any] | None = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        if len(image_size) != 3 or not 1 <= image_size[0] <= 4 or min(image_size) < 1:
            raise ValueError(f"FakeData: image_size must be 1 to 4 channels, height, width, got {image_size}")
        if size < 0 or num_classes < 1:
            raise ValueError(f"FakeData: there must be images and classes, got {size=} and {num_classes=}")
        self.size, self.image_size, self.num_classes = size, image_size, num_classes
        self.random_offset = random_offset

    def __getitem__(self, index: Any) -> tuple[Any, Any]:
        from PIL import Image

        if not -self.size <= index < self.size:
            raise IndexError(f"FakeData: index {index} is out of range for {self.size} images")
        seed = (int(index) % self.size + self.random_offset) % 2**64
        random = np.random.Generator(np.random.Philox(key=seed))
        values = (random.standard_normal(self.image_size, np.float32) * 255).astype(np.int64).astype(np.uint8)
        pixels = values.transpose(1, 2, 0)  # (C, H, W) -> (H, W, C)
        image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if self.image_size[0] == 1 else pixels))
        target = Tensor(np.array(random.integers(self.num_classes)))
        image, target = self.apply_transforms(image, target)
        return image, target.item() if hasattr(target, "item") else target

    def __len__(self) -> int:
        return self.size
