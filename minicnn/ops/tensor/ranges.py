"""New tensors of numbers in a row, and of the indices of triangles."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from minicnn_kernels.geometry import fits, whole

from ...dtypes import default_type
from ...tensor import Array, Tensor
from .creation import DTYPE, Make, factory, new, scalar, sizes

__all__ = ["arange", "linspace", "logspace", "tril_indices", "triu_indices"]


def _bounds(op: str, *values: Any) -> list[Any]:
    """Return the bounds of a range as Python numbers."""
    return [scalar(op, value) for value in values]


@factory
def arange(*bounds: Any, dtype: DTYPE = None, device: Any = None, requires_grad: bool = False, **named: Any) -> Tensor:
    """start, start + step, ... up to but without end: `arange(end)`, `arange(start, end)`, `arange(start, end, step)`.

    If all bounds are ints the type is int64; with a float among them it is the default type.

    Raises:
        RuntimeError: step is 0, or has the wrong sign.

    >>> minicnn.arange(5), minicnn.arange(1, 2, 0.5)
    (tensor([0, 1, 2, 3, 4]), tensor([1.0000, 1.5000]))
    """
    names = ["end"] if len(bounds) + len(named) == 1 else ["start", "end", "step"]
    given = dict(zip(names, bounds, strict=False)) | named
    unknown = set(given) - {"start", "end", "step"}
    if unknown or "end" not in given or len(bounds) > 3:
        raise TypeError(f"arange: expected end, or start, end and step, got {(*bounds, *named)}")
    start, end, step = _bounds("arange", given.get("start", 0), given["end"], given.get("step", 1))
    for name, value in (("start", start), ("end", end), ("step", step)):
        if isinstance(value, int):
            whole(int(value), "arange", name)
    if step == 0 or step != step:
        raise RuntimeError(f"arange: step must be nonzero, got {step}")
    if not (math.isfinite(start) and math.isfinite(end)):
        raise RuntimeError(f"arange: unsupported range: {start} -> {end}")
    if (end - start) * step < 0:
        raise RuntimeError(f"arange: upper bound and lower bound inconsistent with step sign: {start}, {end}, {step}")
    exact = all(isinstance(n, int) for n in (start, end, step))
    kind = np.dtype(dtype) if dtype is not None else np.dtype(np.int64) if exact else default_type()
    if kind.kind == "b":
        raise NotImplementedError("arange: not defined for bool; use arange(n).bool()")
    if kind.kind in "iu":
        start, end, step, exact = int(start), int(end), int(step), True
        if step == 0:
            raise RuntimeError("arange: step must be nonzero")
    length = max(-(-(end - start) // step), 0) if isinstance(end, int) and exact else math.ceil((end - start) / step)
    wide: Any = np.int64 if exact else np.float64
    make: Make = lambda xp, s, d: (np.arange(*s, dtype=wide) * wide(step) + wide(start)).astype(d)  # noqa: E731
    return new((length,), make, kind, device, requires_grad, "arange")


def _line(start: float, end: float, steps: int) -> Array:
    """Return `steps` numbers from start to end; the second half is computed from the end, so that end is exact."""
    i, step = np.arange(steps, dtype=np.float64), (end - start) / max(steps - 1, 1)
    return np.where((i < steps // 2) | (steps == 1), start + step * i, end - step * (steps - 1 - i))


def _steps(op: str, steps: Any) -> int:
    steps = whole(steps, op, "steps")
    if steps < 0:
        raise RuntimeError(f"{op}: number of steps must be non-negative, got {steps}")
    return steps


@factory
def linspace(
    start: Any, end: Any, steps: int, *, dtype: DTYPE = None, device: Any = None, requires_grad: bool = False
) -> Tensor:
    """`steps` equally spaced numbers from start to end, both included; an integer `dtype` cuts them to integers.

    Raises:
        RuntimeError: `steps` is negative.

    >>> minicnn.linspace(0, 1, 5)
    tensor([0.0000, 0.2500, 0.5000, 0.7500, 1.0000])
    """
    count = _steps("linspace", steps)
    low, high = _in_kind(_bounds("linspace", start, end), dtype)
    return new((count,), lambda xp, s, d: _line(low, high, count).astype(d), dtype, device, requires_grad, "linspace")


@factory
def logspace(
    start: Any,
    end: Any,
    steps: int,
    base: float = 10.0,
    *,
    dtype: DTYPE = None,
    device: Any = None,
    requires_grad: bool = False,
) -> Tensor:
    """base ** linspace(start, end, steps).

    >>> minicnn.logspace(0, 3, 4)
    tensor([   1.,   10.,  100., 1000.])
    """
    count = _steps("logspace", steps)
    low, high = _in_kind(_bounds("logspace", start, end), dtype)
    make: Make = lambda xp, s, d: (base ** _line(low, high, count)).astype(d)  # noqa: E731
    return new((count,), make, dtype, device, requires_grad, "logspace")


def _in_kind(bounds: Sequence[Any], dtype: DTYPE) -> Sequence[Any]:
    """Return the bounds of a line, cut to integers if `dtype` is an integer type."""
    if dtype is None or np.dtype(dtype).kind == "f":
        return bounds
    return int(bounds[0]), int(bounds[1])


def _triangle_indices(name: str, find: Callable[..., tuple[Array, Array]]) -> Callable[..., Tensor]:
    """Make `tril_indices` or `triu_indices`."""

    def create(row: int, col: int, offset: int = 0, *, dtype: DTYPE = np.int64, device: Any = None) -> Tensor:
        shape = sizes((row, col), name)
        fits(name, shape, 1)
        far = max(-sum(shape), min(whole(offset, name, "offset"), sum(shape)))  # a larger one changes nothing
        array = np.stack(find(shape[0], far, shape[1]))
        return new(array.shape, lambda xp, s, d: array.astype(d), dtype, device)

    create.__name__, create.__doc__ = (
        name,
        f"""The rows and columns of the triangle of a matrix that {name[:4]} keeps: (2, count).

>>> minicnn.{name}(2, 2)
tensor([{"[0, 1, 1]" if name[3] == "l" else "[0, 0, 1]"},
        {"[0, 0, 1]" if name[3] == "l" else "[0, 1, 1]"}])
""",
    )
    return factory(create)


tril_indices = _triangle_indices("tril_indices", np.tril_indices)
triu_indices = _triangle_indices("triu_indices", np.triu_indices)
