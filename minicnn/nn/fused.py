"""Neighbours in a `Sequential` that run as one function, with the same values and gradients but less memory traffic.

    batch norm, ReLU                  both are limited by memory; the backward pass computes again where y is 0
    ReLU, Tanh or Sigmoid, max pool   pool first, then compute the activation of the fewer values that are left

`FUSED` is the table of these pairs. The two modules run one after the other, as written in the net, if anything could
differ, or if the user wants to follow the computation:

- on the backends "python" and "numpy", and inside `with minicnn.use(fused=False):`;
- with hooks on one of them or on all modules, with a subclass, or with a replaced `forward`;
- under `detect_anomaly`, which names the layers;
- on a GPU.

A fused pair saves fewer arrays. So changing the result in place, an error in the backward pass of separate modules, is
allowed. `activated_max_pool2d` says where gradients of the second pair differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from minicnn_kernels.arrays import on_gpu
from minicnn_kernels.dispatch import fuses

from ..ops import activation as functions
from ..ops.activated_pooling import activated_max_pool2d
from ..ops.batchnorm import batch_norm_relu
from ..ops.tensor.operands import KERNEL_TYPES
from ..tensor import Tensor
from .activation import ReLU, Sigmoid, Tanh
from .batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from .conv import Conv2d
from .hooks import is_plain
from .pooling import MaxPool2d


class Fusion(NamedTuple):
    """Says how two layers run as one.

    Attributes:
        fits: takes (the layer before them or None, first, second); whether the two may be fused with their arguments.
        run: takes (first, second, input); returns what `second(first(input))` gives.
    """

    fits: Callable[[Any, Any, Any], bool]
    run: Callable[[Any, Any, Tensor], Tensor]


def _always(before: Any, first: Any, second: Any) -> bool:
    return True


def _norm_relu(norm: Any, relu: Any, input: Tensor) -> Tensor:
    y: Tensor = norm._run(batch_norm_relu, input)
    return y


def _pool_may_be_first(before: Any, activation: Any, pool: Any) -> bool:
    """Return whether all windows are whole, and no caller uses the memory that an in-place activation overwrites.

    An in-place activation overwrites its input. Nothing else uses that input if a convolution has just computed it.
    """
    if activation.__dict__.get("inplace") and not (type(before) is Conv2d and is_plain(before, _FORWARD[Conv2d])):
        return False
    whole_windows = pool.padding in (0, (0, 0)) and pool.dilation in (1, (1, 1)) and not pool.ceil_mode
    return whole_windows and not pool.return_indices


def _pool_first(activation: Any, pool: Any, input: Tensor) -> Tensor:
    if input.ndim != 4 or input.dtype not in KERNEL_TYPES:
        y: Tensor = pool(activation(input))
        return y
    return activated_max_pool2d(input, _NEVER_FALLS[type(activation)], pool.kernel_size, pool.stride)


# These functions never fall: the largest value stays the largest, so pooling may come first.
_NEVER_FALLS: dict[type, Any] = {ReLU: functions.Relu, Tanh: functions.Tanh, Sigmoid: functions.Sigmoid}

FUSED: dict[tuple[type, type], Fusion] = {
    (BatchNorm1d, ReLU): Fusion(_always, _norm_relu),
    (BatchNorm2d, ReLU): Fusion(_always, _norm_relu),
    (BatchNorm3d, ReLU): Fusion(_always, _norm_relu),
    (ReLU, MaxPool2d): Fusion(_pool_may_be_first, _pool_first),
    (Tanh, MaxPool2d): Fusion(_pool_may_be_first, _pool_first),
    (Sigmoid, MaxPool2d): Fusion(_pool_may_be_first, _pool_first),
}
_FIRST = {first for first, _ in FUSED}
# The original `forward` methods: if one of the classes has another one by now, that one must be called.
_FORWARD: dict[type, Any] = {cls: cls.forward for pair in FUSED for cls in pair} | {Conv2d: Conv2d.forward}  # type: ignore[attr-defined]


def steps(modules: Iterable[Any]) -> Iterable[Callable[[Any], Any]]:
    """Return the functions that a `Sequential` calls: its modules, or one function for two that are fused."""
    return _steps(list(modules)) if fuses() else list(modules)


def _steps(modules: list[Any]) -> Iterator[Callable[[Any], Any]]:
    done = False  # True: this module ran fused with the one before
    for i, module in enumerate(modules):
        if done:
            done = False
        elif type(module) in _FIRST and (both := _fused(modules, i)):
            done = True
            yield both
        else:
            yield module


def _fused(modules: list[Any], i: int) -> Callable[[Any], Any] | None:
    """Return module i and the next one as one function, or None if they run one after the other."""
    before = modules[i - 1] if i else None
    first, second = modules[i], modules[i + 1] if i + 1 < len(modules) else None
    fusion = FUSED.get((type(first), type(second)))
    if fusion is None or not (is_plain(first, _FORWARD[type(first)]) and is_plain(second, _FORWARD[type(second)])):
        return None
    return partial(_both, first, second, run=fusion.run) if fusion.fits(before, first, second) else None


def _both(first: Any, second: Any, input: Tensor, *, run: Callable[..., Tensor]) -> Tensor:
    """Return `second(first(input))`: fused on the CPU, whose memory the fusion spares, one after the other on a GPU."""
    if isinstance(input, Tensor) and on_gpu(input._array):
        y: Tensor = second(first(input))
        return y
    return run(first, second, input)
