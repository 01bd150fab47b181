"""What a recipe does to each batch of the training before the net sees it: growing images, mixup, cutmix."""

from __future__ import annotations

from typing import Any

from ..tensor import Tensor
from ..transforms.mixing import cutmix, mixup
from .resizing import ProgressiveResizing


class BatchTransforms:
    """(images, targets) -> the same, resized and mixed; mixed targets are soft, (N, classes).

    Args:
        mixup_alpha, cutmix_alpha: those of `mixup` and `cutmix`, at most one of which is not 0; 0: none.
        classes: how many there are.
        resizing: the size of the images over the training; None: as they are.
    """

    def __init__(
        self, mixup_alpha: float, cutmix_alpha: float, classes: int, resizing: ProgressiveResizing | None
    ) -> None:
        self.mix: Any = cutmix if cutmix_alpha else mixup
        self.alpha = cutmix_alpha or mixup_alpha
        self.classes, self.resizing = classes, resizing

    def __bool__(self) -> bool:
        return bool(self.alpha) or self.resizing is not None

    def __call__(self, images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        """The batch as the net sees it."""
        if self.resizing is not None:
            images, targets = self.resizing(images, targets)
        return self.mix(images, targets, self.alpha, self.classes) if self.alpha else (images, targets)

    def state_dict(self) -> dict[str, Any]:
        """How far the images have grown; what is mixed depends on the random numbers alone."""
        return {} if self.resizing is None else self.resizing.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a `state_dict`."""
        if self.resizing is not None:
            self.resizing.load_state_dict(state)
