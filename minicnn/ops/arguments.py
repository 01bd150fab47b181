"""How arguments may be given: sizes one by one or as a sequence, axes from either end, names as NumPy's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from operator import index
from typing import Any

from ..tensor import Tensor

_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}


def spread(name: str, empty: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """For f(input, sizes): let `sizes` be given as `f(x, 2, 3)`, `f(x, (2, 3))` or `f(x, name=(2, 3))`.

    The function gets a tuple of ints; `empty` says whether it may be called without any.
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def call(input: Tensor, *given: Any, **options: Any) -> Any:
            if name in options:
                given = (options.pop(name),)
            elif not given and not empty:
                raise TypeError(f"{function.__name__}: missing argument {name!r}")
            return function(input, ints(function.__name__, name, given), **options)

        return call

    return decorate


def ints(op: str, name: str, given: Sequence[Any]) -> tuple[int, ...]:
    """Ints given one by one, or as the only element, a sequence of them."""
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        given = given[0]
    try:
        return tuple([n if type(n) is int else index(n) for n in given])
    except TypeError:
        kinds = ", ".join(type(n).__name__ for n in given)
        raise TypeError(f"{op}: {name} must be ints, or one tuple or list of ints, got ({kinds})") from None


def numpy_names(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let keywords be given under NumPy's names, as PyTorch does: `axis` for `dim`, `x` for `input` ..."""

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if options:
            options = {_NUMPY_NAMES.get(name, name): value for name, value in options.items()}
        return function(*args, **options)

    return call


def axis(op: str, dim: Any, rank: int) -> int:
    """An axis counted from the front; a 0-d tensor is taken to have one.

    Raises:
        IndexError: there is no such axis.
    """
    dim, rank = index(dim), max(rank, 1)
    if not -rank <= dim < rank:
        raise IndexError(f"{op}: dimension out of range (expected to be in range of [{-rank}, {rank - 1}], got {dim})")
    return dim % rank


def axes(op: str, dims: Sequence[int] | int, rank: int) -> tuple[int, ...]:
    """Several axes counted from the front, each once.

    Raises:
        IndexError: there is no such axis.
        RuntimeError: one is named twice.
    """
    found = tuple(axis(op, dim, rank) for dim in ((dims,) if isinstance(dims, int) else dims))
    if len(set(found)) < len(found):
        raise RuntimeError(f"{op}: a dimension appears twice in {tuple(found)}; name each once")
    return found


def check_tensor(op: str, **operands: Any) -> None:
    """Check that the operands are tensors.

    Raises:
        TypeError: one is not.
    """
    for name, value in operands.items():
        if not isinstance(value, Tensor):
            raise TypeError(f"{op}: {name} must be a Tensor, got {type(value).__name__}; use minicnn.tensor(...)")
