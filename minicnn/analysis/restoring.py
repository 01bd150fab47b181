"""A net is after a run on shapes what it was before: its attributes, modes and tensors."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Any

from minicnn_kernels.arrays import writeable

from ..nn import Module
from ..nn.parameter import is_lazy
from ..tensor import Tensor
from ..tensor.copying import copy_of


@contextmanager
def as_it_was(model: Module) -> Iterator[None]:
    """Restore the modules' attributes at the end, and with them the tensors that stand-ins replaced."""
    before = _Contents()
    for module in model.modules():
        before.note(vars(module))
    try:
        yield
    finally:
        before.restore()


class _Contents:
    """What was in containers, and in those inside them and in plain objects: a net may keep tensors of a run there."""

    deepest: int = 5

    def __init__(self) -> None:
        self.found: dict[int, tuple[Any, Any]] = {}  # by id: the container, and a copy

    def note(self, value: Any, depth: int = 0) -> None:
        """Note what is in a container now."""
        if isinstance(value, (tuple, *_CONTAINERS)):
            if id(value) in self.found or depth > self.deepest:
                return
            if not isinstance(value, tuple):
                self.found[id(value)] = value, copy(value)
            for one in value.values() if isinstance(value, dict) else value:
                self.note(one, depth + 1)
        elif hasattr(value, "__dict__") and not isinstance(value, (Module, Tensor, type, Callable)):  # type: ignore[arg-type]
            self.note(vars(value), depth + 1)

    def restore(self) -> None:
        """Put it back."""
        for container, content in self.found.values():
            if isinstance(container, list):
                container[:] = content
            else:
                container.clear()
                (container.extend if isinstance(container, deque) else container.update)(content)


_CONTAINERS = (dict, list, set, deque)


@contextmanager
def values_as_they_were(model: Module) -> Iterator[None]:
    """Restore the modes, and those tensors that have a shape already: a lazy net keeps what the run initialises."""
    before = [(module, module.training) for module in model.modules()]
    tensors = [
        (part, name, tensor, copy_of(tensor._array) if not tensor.is_meta and writeable(tensor._array) else None)
        for module in model.modules()
        for part in (module._parameters, module._buffers)
        for name, tensor in part.items()
        if tensor is not None and not is_lazy(tensor)
    ]
    try:
        yield
    finally:
        for module, training in before:
            module.training = training
        for part, name, tensor, values in tensors:
            part[name] = tensor
            if values is not None:
                tensor._array[...] = values
