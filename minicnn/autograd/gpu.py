"""Functions on the arrays of a GPU: on which GPU they run, numbers from the CPU, and what CuPy cannot do.

`engine.py` and `backpropagation.py` come here if a function has an array on a GPU. Nothing else in the tape differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels.arrays import GPU_TYPES, Array, device_number, host, on_device, upload

from ..device import out_of_memory

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
    node.gpu = number = _number(lambda: _name(node, args, options), args)
    node.from_cpu = tuple([i for i, a in enumerate(args) if isinstance(a, np.ndarray)])
    with on_device(number):
        if not function.on_cpu:
            if node.from_cpu:
                args = tuple([upload(a, number) if isinstance(a, np.ndarray) else a for a in args])
            found = function.forward(node, *args, **options)
            for a in found if isinstance(found, tuple) else (found,):
                if type(a) not in GPU_TYPES or device_number(a) != number:
                    raise _left_the_gpu(node, "a result", a)
            return found
        found = function.forward(node, *map(_down, args), **{name: _down(value) for name, value in options.items()})
        several = isinstance(found, tuple)
        before = found if several else (found,)
        results = tuple([upload(a, number) for a in before])
        if node._constant:
            node._constant = {id(r) for r, b in zip(results, before, strict=True) if id(b) in node._constant}
        return results if several else results[0]


def backward(node: Node, *gys: Array | None) -> Sequence[Array | None]:
    """Run the backward of a node's function on the GPU that its forward ran on."""
    number, from_cpu = node.gpu, node.from_cpu
    assert number is not None
    on_cpu = node.function.on_cpu
    with on_device(number):
        try:
            found = node.function.backward(node, *(map(_down, gys) if on_cpu else gys))
        except MemoryError as error:
            raise out_of_memory(f"the backward of {node.title}", error) from None
        found = found if isinstance(found, tuple) else (found,)
        if on_cpu:
            return tuple([a if a is None or i in from_cpu else upload(a, number) for i, a in enumerate(found)])
        for a in found:
            if a is not None and (type(a) not in GPU_TYPES or device_number(a) != number):
                raise _left_the_gpu(node, "a gradient", a)
        return tuple([host(a) if i in from_cpu and a is not None else a for i, a in enumerate(found)])


def tangent(node: Node, *vs: Array | None) -> Any:
    """Run the tangent of a node's function on the GPU that its forward ran on."""
    number = node.gpu
    assert number is not None and node.function.tangent is not None
    with on_device(number):
        if not node.function.on_cpu:
            return node.function.tangent(node, *(upload(v, number) if isinstance(v, np.ndarray) else v for v in vs))
        found = node.function.tangent(node, *map(_down, vs))
        return (
            tuple(None if a is None else upload(a, number) for a in found)
            if isinstance(found, tuple)
            else (upload(found, number))
        )


def _down(value: Any) -> Any:
    """Return an array as a NumPy array, and other values as they are."""
    return value.get() if type(value) in GPU_TYPES else value


def same_device(op: str, *args: Array | None) -> None:
    """Check the devices of arrays of which some may be on a GPU.

    Raises:
        RuntimeError: they are on several devices.
    """
    if any(type(a) in GPU_TYPES for a in args):
        _number(lambda: op, args)


def _name(node: Node, args: Sequence[Any], options: dict[str, Any]) -> str:
    """Return the name of an operation for errors: that of its row in a table of operations, or of its function."""
    row = next((o for o in (*args, *options.values()) if hasattr(o, "_fields") and hasattr(o, "name")), None)
    word = r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])"  # where a word of MaskedFill starts: masked_fill
    return re.sub(word, "_", node.title).lower() if row is None else str(row.name)


def _number(name: Callable[[], str], args: Sequence[Any]) -> int:
    """Return the number of the one GPU of the arguments; `name` is the operation's."""
    number = next(device_number(a) for a in args if type(a) in GPU_TYPES)
    for a in args:
        if type(a) in GPU_TYPES:
            place = f"cuda:{device_number(a)}"
        elif isinstance(a, np.ndarray) and a.ndim:
            place = "cpu"
        else:
            continue
        if place != f"cuda:{number}":
            raise RuntimeError(
                f"{name()}: Expected all tensors to be on the same device, but found "
                f"at least two devices, cuda:{number} and {place}! The tensor of shape {a.shape} is on {place}; move "
                f"it with .to('cuda:{number}')"
            )
    return number


def _left_the_gpu(node: Node, what: str, a: Any) -> RuntimeError:
    where = f"cuda:{device_number(a)}" if type(a) in GPU_TYPES else "the CPU"
    return RuntimeError(
        f"{node.title}: {what} of tensors on cuda:{node.gpu} came out on {where}, which is a mistake in {node.title}; "
        "as a remedy, move the tensors with .cpu() before"
    )
