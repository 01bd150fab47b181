"""What a recipe's `mixup` and `cutmix` do to each batch of the training."""

from __future__ import annotations

from collections.abc import Callable

from ..random import stream
from ..tensor import Tensor
from ..transforms.mixing import cutmix, mixup

Mixer = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]


def batch_mixer(alpha: float, cut_alpha: float, classes: int) -> Mixer | None:
    """(images, targets) -> the same, mixed, with soft targets; with both, each batch gets one of them at random.

    Args:
        alpha: that of `mixup`; 0: none.
        cut_alpha: that of `cutmix`; 0: none.
        classes: how many there are.
    """
    ways = [(way, a) for way, a in ((mixup, alpha), (cutmix, cut_alpha)) if a]
    if not ways:
        return None

    def mixed(images: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
        way, a = ways[0] if len(ways) == 1 else ways[int(stream().integers(2))]
        return way(images, targets, a, classes)

    return mixed
