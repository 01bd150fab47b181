"""PyTorch's older constructors, one for each type: `FloatTensor(2, 3)`, `LongTensor([1, 2])`."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..ops.tensor.types import NAMES
from ..tensor import Tensor

__all__ = [*NAMES]


class _Typed(type):
    """`FloatTensor(...)` is a Tensor of float32, and `isinstance(x, FloatTensor)` says whether x is one."""

    dtype: np.dtype[Any]

    def __call__(cls, *data: Any) -> Tensor:
        """Make a tensor of sizes or of data, as `Tensor` does."""
        return Tensor(*data).to(cls.dtype)

    def __instancecheck__(cls, instance: object) -> bool:
        """Whether `instance` is a tensor of this type, and not on a GPU."""
        return isinstance(instance, Tensor) and instance.dtype == cls.dtype and not instance.is_cuda


for _name, _dtype in NAMES.items():
    globals()[_name] = _Typed(_name, (), {"dtype": np.dtype(_dtype), "__doc__": f"Tensors of {np.dtype(_dtype)}."})
