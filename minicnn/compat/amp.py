"""Mixed precision, as in PyTorch on a machine without a GPU: it warns and changes nothing.

A program written for mixed precision runs in float32.
"""

from __future__ import annotations

import warnings
from contextlib import ContextDecorator
from typing import TYPE_CHECKING, Any

from .doors import door as _door

if TYPE_CHECKING:
    from ..tensor import Tensor


class autocast(ContextDecorator):
    """`with autocast("cuda"):` computes in the types of the tensors, and warns if autocast was enabled."""

    def __init__(
        self, device_type: Any = "cuda", dtype: Any = None, enabled: bool = True, cache_enabled: bool | None = None
    ) -> None:
        if enabled and device_type is not False:
            warnings.warn("autocast: minicnn computes in the type of the tensors; autocast is disabled", stacklevel=2)

    def __enter__(self) -> autocast:
        return self

    def __exit__(self, *error: object) -> None: ...


def is_autocast_enabled(device_type: str = "cuda") -> bool:
    """False: autocast is always disabled here."""
    return False


class GradScaler:
    """A scaler that scales nothing, and warns: `scale(loss)` is the loss, `step(optimizer)` is `optimizer.step()`."""

    def __init__(
        self,
        device: str = "cuda",
        init_scale: float = 65536.0,
        growth_factor: float = 2.0,
        backoff_factor: float = 0.5,
        growth_interval: int = 2000,
        enabled: bool = True,
    ) -> None:
        if enabled and device is not False:
            warnings.warn("GradScaler: minicnn computes in float32; the scaler is disabled", stacklevel=2)

    def scale(self, outputs: Tensor) -> Tensor:
        """The loss itself."""
        return outputs

    def unscale_(self, optimizer: Any) -> None:
        """Does nothing: the gradients are not scaled."""

    def step(self, optimizer: Any, *args: Any, **options: Any) -> Any:
        """`optimizer.step()`."""
        return optimizer.step(*args, **options)

    def update(self, new_scale: Any = None) -> None:
        """Does nothing: the scale is always 1."""

    def get_scale(self) -> float:
        """1: the loss is not scaled."""
        return 1.0

    def is_enabled(self) -> bool:
        """False: minicnn computes in float32, where gradients need no scaling."""
        return False

    def state_dict(self) -> dict[str, Any]:
        """An empty dict, as for a disabled scaler in PyTorch."""
        return {}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Does nothing: the scaler has no state."""


_door(globals())
