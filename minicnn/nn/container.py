"""Modules that hold other modules: in a sequence, in a list, in a dict."""

from __future__ import annotations

import operator
import warnings
from collections import OrderedDict
from collections.abc import Iterable, Iterator, KeysView
from itertools import chain, groupby
from typing import Any, TypeVar

from .fused import steps
from .module import Module

__all__ = ["Container", "ModuleDict", "ModuleList", "Sequential"]

S = TypeVar("S", bound="_Row")


class Container(Module):
    """Modules given as keyword arguments; deprecated: subclass `Module` instead."""

    def __init__(self, **kwargs: Any) -> None:
        warnings.warn("`nn.Container` is deprecated. Subclass `nn.Module` instead.", FutureWarning, stacklevel=2)
        super().__init__()
        for name, module in kwargs.items():
            self.add_module(name, module)


def position(index: Any, length: int) -> int:
    """Return an index as a number from 0 to length - 1."""
    index = operator.index(index)
    if not -length <= index < length:
        raise IndexError(f"index {index} is out of range")
    return index % length


class _Row(Module):
    """The common part of `Sequential` and `ModuleList`: modules named "0", "1", ..., used like a Python list."""

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._modules.values())

    def __getitem__(self, idx: int | slice) -> Any:
        if isinstance(idx, slice):
            return self._slice(list(self._modules.items())[idx])
        return list(self._modules.values())[position(idx, len(self))]

    def _slice(self, items: list[tuple[str, Any]]) -> Any:
        """Make an object of the same class with some of the (name, module) pairs."""
        return type(self)([module for _, module in items])

    def __setitem__(self, idx: int, module: Module) -> None:
        setattr(self, list(self._modules)[position(idx, len(self))], module)

    def __delitem__(self, idx: int | slice) -> None:
        names = list(self._modules)
        for name in names[idx] if isinstance(idx, slice) else [names[position(idx, len(self))]]:
            delattr(self, name)
        self._number(list(self))

    def _number(self, modules: list[Any]) -> None:
        """Replace the content by `modules`, named by their positions."""
        self.__dict__["_modules"] = {str(i): module for i, module in enumerate(modules)}

    def append(self: S, module: Module) -> S:
        """Add a module at the end."""
        self.add_module(str(len(self)), module)
        return self

    def extend(self: S, modules: Iterable[Any]) -> S:
        """Add modules at the end."""
        if not isinstance(modules, Iterable):
            raise TypeError(
                f"{self._get_name()}.extend should be called with an iterable, but got {type(modules).__name__}"
            )
        for module in list(modules):
            self.append(module)
        return self

    def insert(self: S, index: int, module: Module) -> S:
        """Add a module before the one at `index`.

        Raises:
            IndexError: the index is beyond the ends.
        """
        if not isinstance(module, Module):
            raise AssertionError(f"module should be of type: {Module}")
        if not -len(self) <= index <= len(self):
            raise IndexError(f"Index out of range: {index}")
        modules = list(self)
        modules.insert(index, module)
        self._number(modules)
        return self

    def pop(self, key: int | slice) -> Any:
        """Remove a module, or several, and return it."""
        found = self[key]
        del self[key]
        return found


class Sequential(_Row):
    """Calls one module after another: `Sequential(a, b)(x)` is `b(a(x))`. Also takes an ordered dict of modules.

    On compiled backends, a batch norm followed by a ReLU runs as one function, and so does an activation followed by a
    MaxPool2d; `nn/fused.py` lists the cases. `with minicnn.use(fused=False):` runs each module by itself.

    >>> net = nn.Sequential(nn.Flatten(), nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10))
    >>> net(minicnn.zeros(8, 1, 28, 28)).shape
    minicnn.Size([8, 10])
    >>> net[1], list(net.state_dict())
    (Linear(in_features=784, out_features=100, bias=True), ['1.weight', '1.bias', '3.weight', '3.bias'])
    """

    def __init__(self, *args: Any) -> None:
        super().__init__()
        for name, module in args[0].items() if len(args) == 1 and isinstance(args[0], dict) else enumerate(args):
            self.add_module(str(name), module)

    def forward(self, input: Any) -> Any:
        """Pass the input through all modules."""
        for step in steps(self._modules.values()):
            input = step(input)
        return input

    def _slice(self, items: list[tuple[str, Any]]) -> Any:
        return type(self)(OrderedDict(items))

    def __add__(self, other: Any) -> Sequential:
        return Sequential(*self).extend(self._checked(other))

    def __iadd__(self, other: Any) -> Sequential:
        return self.extend(self._checked(other))

    @staticmethod
    def _checked(other: Any) -> Sequential:
        if not isinstance(other, Sequential):
            raise ValueError(f"add operator supports only objects of Sequential class, but {type(other)} is given.")
        return other

    def __mul__(self, other: int) -> Sequential:
        return Sequential(*list(self) * self._times(other))

    __rmul__ = __mul__

    def __imul__(self, other: int) -> Sequential:
        return self.extend(list(self) * (self._times(other) - 1))

    def _times(self, other: Any) -> int:
        """Return the checked factor of a multiplication; the repeated modules are the same objects."""
        if not isinstance(other, int):
            raise TypeError(f"unsupported operand type(s) for *: {type(self)} and {type(other)}")
        if other <= 0:
            raise ValueError(f"Non-positive multiplication factor {other} for {type(self)}")
        return other


class ModuleList(_Row):
    """A list of registered modules; it has no `forward`: the module that owns it calls them.

    >>> layers = nn.ModuleList([nn.Linear(4, 4) for _ in range(3)])
    >>> layers
    ModuleList(
      (0-2): 3 x Linear(in_features=4, out_features=4, bias=True)
    )
    >>> len(list(layers.parameters()))  # the weights and biases are registered
    6
    """

    def __init__(self, modules: Iterable[Any] | None = None) -> None:
        super().__init__()
        if modules is not None:
            self.extend(modules)

    def __iadd__(self, modules: Iterable[Any]) -> ModuleList:
        return self.extend(modules)

    def __add__(self, other: Iterable[Any]) -> ModuleList:
        return ModuleList(chain(self, other))

    def __repr__(self) -> str:
        """Return the repr, which shows equal neighbours once: "(0-2): 3 x Linear(...)"."""
        lines = []
        for text, group in groupby(enumerate(map(repr, self)), key=lambda pair: pair[1]):
            places = [place for place, _ in group]
            name = f"({places[0]}-{places[-1]}): {len(places)} x" if len(places) > 1 else f"({places[0]}):"
            lines.append(f"  {name} {text}".replace("\n", "\n  "))
        return f"{self._get_name()}(" + ("\n" + "\n".join(lines) + "\n" if lines else "") + ")"


def pairs_of(values: Any, owner: str) -> Iterable[tuple[str, Any]]:
    """Return the pairs of a mapping, or of an iterable of pairs, after checking them."""
    if not isinstance(values, Iterable):
        raise TypeError(
            f"{owner}.update should be called with an iterable of key/value pairs, but got {type(values).__name__}"
        )
    if hasattr(values, "items"):
        pairs: Iterable[tuple[str, Any]] = values.items()
        return pairs
    return (_pair(number, pair, owner) for number, pair in enumerate(values))


def _pair(number: int, pair: Any, owner: str) -> tuple[str, Any]:
    """Return one pair of an iterable of pairs, after checking it."""
    if not isinstance(pair, Iterable):
        raise TypeError(f"{owner} update sequence element #{number} should be Iterable; is {type(pair).__name__}")
    found = tuple(pair)
    if len(found) != 2:
        raise ValueError(f"{owner} update sequence element #{number} has length {len(found)}; 2 is required")
    return found


class ModuleDict(Module):
    """A dict of registered modules, in the order in which they were added.

    >>> parts = nn.ModuleDict({"conv": nn.Conv2d(1, 4, 3), "act": nn.ReLU()})
    >>> parts["act"](parts["conv"](minicnn.zeros(1, 1, 5, 5))).shape
    minicnn.Size([1, 4, 3, 3])
    """

    def __init__(self, modules: Any = None) -> None:
        super().__init__()
        if modules is not None:
            self.update(modules)

    def __getitem__(self, key: str) -> Any:
        return self._modules[key]

    def __setitem__(self, key: str, module: Module) -> None:
        self.add_module(key, module)

    def __delitem__(self, key: str) -> None:
        del self._modules[key]

    def __len__(self) -> int:
        return len(self._modules)

    def __iter__(self) -> Iterator[str]:
        return iter(self._modules)

    def __contains__(self, key: object) -> bool:
        return key in self._modules

    def clear(self) -> None:
        """Remove all modules."""
        self._modules.clear()

    def pop(self, key: str) -> Any:
        """Remove a module and return it."""
        return self._modules.pop(key)

    def keys(self) -> KeysView[str]:
        """The names."""
        return self._modules.keys()

    def items(self) -> Any:
        """Return the names with their modules."""
        return self._modules.items()

    def values(self) -> Any:
        """The modules."""
        return self._modules.values()

    def update(self, modules: Any) -> None:
        """Add the modules of a mapping, or of an iterable of (name, module) pairs."""
        for name, module in pairs_of(modules, "ModuleDict"):
            self[name] = module
