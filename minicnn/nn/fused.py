"""Neighbours in a `Sequential` that run as one function, with the same values and gradients and less memory traffic.

    batch norm, ReLU                  both only wait for memory; the backward pass works out again where y is 0
    ReLU, Tanh or Sigmoid, max pool   the largest value first, then the activation of it, which has fewer to go through

`FUSED` is the table of them. They run one after the other, as they stand in the net, wherever somebody could tell the
difference, and wherever somebody wants to read along:

- on the backends "python" and "numpy", and inside `with minicnn.use(fused=False):`;
- with hooks on either or on all modules, with a subclass or a `forward` put in the place of theirs;
- under `detect_anomaly`, which names layers.

Run as one they keep less, so that changing the result in place, which one after the other would be an error in the
backward pass, is allowed. `activated_max_pool2d` says where gradients of the second row differ.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from minicnn_kernels.dispatch import fuses

from ..ops import activation as functions
from ..ops.batchnorm import batch_norm_relu
from ..ops.pooling import activated_max_pool2d
from ..ops.tensor.operands import KERNEL_TYPES
from ..tensor import Tensor
from .activation import ReLU, Sigmoid, Tanh
from .batchnorm import BatchNorm1d, BatchNorm2d, BatchNorm3d
from .conv import Conv2d
from .hooks import is_plain
from .pooling import MaxPool2d


class Fusion(NamedTuple):
    """How two layers run as one.

    Attributes:
        fits: of (the layer before them or None, first, second), whether they may, their arguments being what they are.
        run: of (first, second, input), what `second(first(input))` gives.
    """

    fits: Callable[[Any, Any, Any], bool]
    run: Callable[[Any, Any, Tensor], Tensor]


def _always(before: Any, first: Any, second: Any) -> bool:
    return True


def _norm_relu(norm: Any, relu: Any, input: Tensor) -> Tensor:
    y: Tensor = norm._run(batch_norm_relu, input)
    return y


def _pool_may_be_first(before: Any, activation: Any, pool: Any) -> bool:
    """Whether nothing but whole windows is pooled, and no caller waits for what an activation in place leaves behind.

    One that works in place overwrites its input, which a caller may use again, unless a convolution has just made it.
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


# Of these the largest value's is the largest: pooling may come first.
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
# What they came with: a `forward` that somebody has put into one of the classes is to be called.
_FORWARD: dict[type, Any] = {cls: cls.forward for pair in FUSED for cls in pair} | {Conv2d: Conv2d.forward}  # type: ignore[attr-defined]


def steps(modules: Iterable[Any]) -> Iterable[Callable[[Any], Any]]:
    """What a `Sequential` calls one after another: its modules, or for two that run as one, one function of both."""
    return _steps(list(modules)) if fuses() else list(modules)


def _steps(modules: list[Any]) -> Iterator[Callable[[Any], Any]]:
    done = False  # together with the module before
    for i, module in enumerate(modules):
        if done:
            done = False
        elif type(module) in _FIRST and (both := _fused(modules, i)):
            done = True
            yield both
        else:
            yield module


def _fused(modules: list[Any], i: int) -> Callable[[Any], Any] | None:
    """Module i and the one after it as one function, or None where they run one after the other."""
    before = modules[i - 1] if i else None
    first, second = modules[i], modules[i + 1] if i + 1 < len(modules) else None
    fusion = FUSED.get((type(first), type(second)))
    if fusion is None or not (is_plain(first, _FORWARD[type(first)]) and is_plain(second, _FORWARD[type(second)])):
        return None
    return partial(fusion.run, first, second) if fusion.fits(before, first, second) else None
