"""PyTorch's convolution on the same arrays, for comparison; only this file needs PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from minicnn_kernels import runtime
from minicnn_kernels.geometry import Conv

from ..tensor import Array


def require(name: str) -> None:
    """Import the library and start its threads; raise a ValueError unless its name is "torch" and it is installed.

    PyTorch's threads must start before our kernels change the settings of OpenMP.
    """
    if name != "torch":
        raise ValueError(f"compare_algorithms: against must be 'torch' or None, got {name!r}")
    if find_spec("torch") is None:
        raise ValueError("compare_algorithms: against='torch' needs PyTorch (pip install torch)")
    torch = import_module("torch")
    torch.ones(64, 64) @ torch.ones(64, 64)
    if runtime.have_numba():
        torch.set_num_threads(runtime.threads())


def convolution(which: str, x: Array, w: Array, b: Array | None, gy: Array, g: Conv) -> Callable[[], Array]:
    """PyTorch's call for one pass; its tensors share the memory of the arrays, and so have the same memory order."""
    torch = import_module("torch")
    tx, tw, tb, tgy = (None if a is None else torch.from_numpy(_positive(a)) for a in (x, w, b, gy))
    steps = [g.sh, g.sw], [g.ph, g.pw], [g.dh, g.dw]
    wanted = [which == "gx", which == "gw", which == "gw" and b is not None]

    def forward() -> Array:
        with torch.no_grad():
            y: Array = torch.nn.functional.conv2d(tx, tw, tb, *steps, g.groups).numpy()
            return y

    def backward() -> Array:
        sizes = [g.o] if wanted[2] else None
        found: Any = torch.ops.aten.convolution_backward(tgy, tx, tw, sizes, *steps, False, [0, 0], g.groups, wanted)
        gradient: Array = found[wanted.index(True)].numpy()
        return gradient

    return forward if which == "forward" else backward


def _positive(a: Array) -> Array:
    """The array, or a copy: PyTorch takes no negative strides and no read-only arrays."""
    return a if a.flags.writeable and min(a.strides, default=1) >= 0 else np.array(a, order="C")
