"""An activation followed by max pooling, as one function: the largest value first, then the activation of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..ops import activation as functions
from ..ops.pooling import activated_max_pool2d
from ..ops.tensor.operands import KERNEL_TYPES
from ..tensor import Tensor
from .activation import ReLU, Sigmoid, Tanh
from .conv import Conv2d
from .hooks import is_plain
from .pooling import MaxPool2d

RISING: dict[Any, Any] = {ReLU: functions.Relu, Tanh: functions.Tanh, Sigmoid: functions.Sigmoid}
_FORWARD = {cls: cls.forward for cls in (*RISING, MaxPool2d, Conv2d)}


def activation_with_pool(before: Any, activation: Any, pool: Any) -> Callable[[Tensor], Tensor] | None:
    """Two modules in a row as one function, where they are an activation and a max pooling whose order may be changed.

    That is: an activation that never falls and pooling without padding, of exactly these classes, with the `forward`
    they came with, without hooks, and not under `detect_anomaly`. `before` is the module before them: one that works in
    place may only be left out where its input is nobody else's, which is certain of a convolution's result.
    """
    if type(pool) is not MaxPool2d or type(activation) not in RISING:
        return None
    if not (is_plain(activation, _FORWARD[type(activation)]) and is_plain(pool, _FORWARD[MaxPool2d])):
        return None
    if getattr(activation, "inplace", False) and not (type(before) is Conv2d and is_plain(before, _FORWARD[Conv2d])):
        return None
    if pool.padding not in (0, (0, 0)) or pool.dilation not in (1, (1, 1)) or pool.return_indices or pool.ceil_mode:
        return None

    def both(input: Tensor) -> Tensor:
        if input.ndim != 4 or input.dtype not in KERNEL_TYPES:
            return pool(activation(input))
        return activated_max_pool2d(input, RISING[type(activation)], pool.kernel_size, pool.stride)

    return both
