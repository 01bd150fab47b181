"""Finding the first NaN or Inf: which operation, in which layer, on which line of the user's program."""

from __future__ import annotations

import linecache
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import ContextDecorator
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels.arrays import host, is_array, on_device_of

from .modes import thread

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


class AnomalyError(RuntimeError):
    """An operation produced NaN or Inf while `detect_anomaly` was on."""


class _State(threading.local):
    layers: tuple[str, ...] = ()  # the modules that are computing, the innermost one at the end
    names: dict[int, str] = {}  # noqa: RUF012 - replaced, never changed: module id -> path in the outermost module


_state = _State()


def enabled() -> bool:
    """Return whether this thread is inside `detect_anomaly`."""
    return thread.watching > 0


class detect_anomaly(ContextDecorator):
    """Check every result and every gradient computed inside for NaN and Inf, and raise at the first one.

    The error names the operation, the layer and the line that called it. Unlike PyTorch's, it checks the forward pass
    and the loss too. Training inside is slower, because every array is read once more.

    Raises:
        AnomalyError: a result or a gradient has NaN or Inf.

    >>> with minicnn.autograd.detect_anomaly():
    ...     minicnn.tensor([1.0, 0.0]).log()
    Traceback (most recent call last):
        ...
    minicnn.autograd.anomaly.AnomalyError: ... the forward pass of Log gave 1 Inf among 2 values, first at (1,), ...
    """

    def __init__(self, check_nan: bool = True) -> None:
        self.mode = int(check_nan)

    def __enter__(self) -> None:
        thread.watching += self.mode

    def __exit__(self, *error: object) -> None:
        thread.watching -= self.mode


class set_detect_anomaly(detect_anomaly):
    """Switch `detect_anomaly` on or off from now on; as a `with` block, until the end of the block.

    >>> with minicnn.autograd.set_detect_anomaly(False):
    ...     minicnn.tensor([1.0, 0.0]).log()
    tensor([0., -inf])
    """

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self.outer, self.mode = thread.watching, int(mode and check_nan)
        thread.watching = self.mode

    def __enter__(self) -> None:
        thread.watching = self.mode

    def __exit__(self, *error: object) -> None:
        thread.watching = self.outer


class layer:
    """`with layer(module):` while a module computes, so that an error can name its path in the outermost module."""

    def __init__(self, module: Any) -> None:
        self.module = module

    def __enter__(self) -> None:
        self.outer = _state.layers
        if not self.outer:
            _state.names = {id(module): name for name, module in self.module.named_modules()}
        name, kind = _state.names.get(id(self.module), ""), type(self.module).__name__
        _state.layers = (*self.outer, f"{name} ({kind})" if name else kind)

    def __exit__(self, *error: object) -> None:
        _state.layers = self.outer


class Origin(NamedTuple):
    """The place where an operation was called: the layer, and the file and line outside this package."""

    layer: str | None
    file: str
    line: int

    @staticmethod
    def here() -> Origin:
        """Return the place in the user's program that called us."""
        frame = sys._getframe(1)
        while frame.f_back is not None and frame.f_code.co_filename.startswith(_PACKAGE):
            frame = frame.f_back
        return Origin(_state.layers[-1] if _state.layers else None, frame.f_code.co_filename, frame.f_lineno)

    def __str__(self) -> str:
        code = linecache.getline(self.file, self.line).strip()
        cell = "ipykernel_" in self.file  # Jupyter runs a cell from a file of its own, whose name tells nothing
        place = f"in line {self.line} of a notebook's cell" if cell else f"at {self.file}:{self.line}"
        where = f"called {place}" + (f": {code}" if code else "")
        return f"in layer {self.layer}, {where}" if self.layer else where


def check_forward(op: str, origin: Origin | None, results: Sequence[Any], inputs: Sequence[Any]) -> None:
    """Raise if a result of `op` is not finite, and say whether its inputs were finite."""
    for result in results:
        if found := _not_finite(result):
            bad = [f"input {i} already had {f}" for i, a in enumerate(inputs) if (f := _not_finite(a))]
            cause = "; ".join(bad) or "all its inputs were finite"
            raise AnomalyError(f"detect_anomaly: the forward pass of {op} gave {found}, {origin} ({cause})")


def check_backward(op: str, origin: Origin | None, gradients: Sequence[Any]) -> None:
    """Raise if the backward of `op` gave a gradient that is not finite."""
    for index, gradient in enumerate(gradients):
        if found := _not_finite(gradient):
            where = origin or "recorded outside detect_anomaly (put the forward pass inside to learn where)"
            raise AnomalyError(f"detect_anomaly: the backward pass of {op} gave {found} for its input {index}, {where}")


def _not_finite(array: Any) -> str:
    """Describe the NaN and Inf of an array, as "3 NaN among 12 values, first at (0, 1)"; "" if there are none."""
    if not is_array(array) or array.dtype.kind not in "fc":
        return ""
    with on_device_of(array):
        if np.isfinite(array).all():
            return ""
    array = host(array)
    finite = np.isfinite(array)
    first = tuple(int(i) for i in np.argwhere(~finite)[0])
    nans = int(np.isnan(array).sum())
    infs = array.size - int(finite.sum()) - nans
    kinds = " and ".join(f"{count} {name}" for count, name in ((nans, "NaN"), (infs, "Inf")) if count)
    return f"{kinds} among {array.size} values, first at {first}"
