"""Functions on the arrays of a GPU: on which GPU they run, numbers from the CPU, and what CuPy cannot do.

`engine.py` and `backpropagation.py` come here if a function has an array on a GPU. Nothing else in the tape differs.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels.arrays import GPU_TYPES, Array, device_number, host, on_device, upload

if TYPE_CHECKING:
    from .engine import Node


def forward(node: Node, *args: Any, **options: Any) -> Any:
    """Run the forward of a node's function on the GPU that its arguments are on.

    An array of rank 0 from the CPU counts as a number, as in PyTorch: it is copied to the GPU, and its gradient back.

    Raises:
        RuntimeError: the arguments are on several devices.
    """
    function = node.function
    if function.any_device:
        return function.forward(node, *args, **options)
    node.gpu = number = _number(node.name, args)
    node.from_cpu = tuple([i for i, a in enumerate(args) if isinstance(a, np.ndarray)])
    with on_device(number):
        if not function.on_cpu:
            if node.from_cpu:
                args = tuple([upload(a, number) if isinstance(a, np.ndarray) else a for a in args])
            return function.forward(node, *args, **options)
        found = function.forward(node, *map(_down, args), **{name: _down(value) for name, value in options.items()})
        several = isinstance(found, tuple)
        results = [upload(a, number) for a in (found if several else (found,))]
        if node._constant:
            before = found if several else (found,)
            node._constant = {id(r) for r, b in zip(results, before, strict=True) if id(b) in node._constant}
        return tuple(results) if several else results[0]


def backward(node: Node, gys: Sequence[Array | None]) -> Sequence[Array | None]:
    """Run the backward of a node's function on the GPU that its forward ran on."""
    assert node.gpu is not None
    with on_device(node.gpu):
        if node.function.on_cpu:
            found = node.function.backward(node, *map(_down, gys))
            found = found if isinstance(found, tuple) else (found,)
            return tuple([a if a is None or i in node.from_cpu else upload(a, node.gpu) for i, a in enumerate(found)])
        found = node.function.backward(node, *gys)
        if node.from_cpu:
            found = found if isinstance(found, tuple) else (found,)
            found = tuple([host(a) if i in node.from_cpu and a is not None else a for i, a in enumerate(found)])
        return found


def _down(value: Any) -> Any:
    """Return an array as a NumPy array, and other values as they are."""
    return value.get() if type(value) in GPU_TYPES else value


def _number(op: str, args: Sequence[Any]) -> int:
    """Return the number of the one GPU of the arguments."""
    numbers = [device_number(a) for a in args if type(a) in GPU_TYPES]
    away = [f"a tensor of shape {a.shape} on cpu" for a in args if isinstance(a, np.ndarray) and a.ndim]
    away += [f"one on cuda:{number}" for number in sorted(set(numbers)) if number != numbers[0]]
    if away:
        raise RuntimeError(
            f"{op}: Expected all tensors to be on the same device, but found at least two devices: cuda:{numbers[0]}, "
            f"and {', '.join(away)}; move them with .to('cuda:{numbers[0]}')"
        )
    return numbers[0]
