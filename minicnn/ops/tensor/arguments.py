"""The forms that arguments may have: sizes one by one or as a sequence, axes from either end, NumPy's names."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any

from minicnn_kernels.geometry import whole, wholes

from ...device import out_of_memory
from ...tensor import Tensor

MOST = 2**62  # a larger int is checked more closely
_NUMPY_NAMES = {"axis": "dim", "keepdims": "keepdim", "x": "input", "a": "input", "x1": "input", "x2": "other"}


def spread(name: str, empty: bool = False) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let the sizes of f(input, sizes) be given as `f(x, 2, 3)`, `f(x, (2, 3))` or `f(x, name=(2, 3))`.

    The function gets a tuple of ints; `empty` says whether it may be called without sizes.
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
    """Return ints that are given one by one, or as one sequence."""
    if len(given) == 1 and isinstance(given[0], (tuple, list)):
        given = given[0]
    for n in given:
        if type(n) is not int or not -MOST < n < MOST:
            return tuple(wholes(given, op, name, kind="ints, or one tuple or list of ints"))
    return tuple(given)


def number(op: str, name: str, value: Any) -> Any:
    """Return a number; a tensor of rank 0 counts as one.

    Raises:
        TypeError: the tensor has axes.
    """
    if not isinstance(value, Tensor):
        return value
    if value.ndim:
        raise TypeError(f"{op}: {name} must be a number, got a tensor of shape {tuple(value.shape)}; use .item()")
    return value.item()


def numpy_names(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let keywords have NumPy's names, as in PyTorch: `axis` for `dim`, `x` for `input` ..."""

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if options:
            options = {_NUMPY_NAMES.get(name, name): value for name, value in options.items()}
        return function(*args, **options)

    return call


def axis(op: str, dim: Any, rank: int) -> int:
    """Return an axis counted from the front; a 0-d tensor counts as having one axis.

    Raises:
        IndexError: there is no such axis.
    """
    dim, rank = dim if type(dim) is int else whole(dim, op, "dim"), max(rank, 1)
    if not -rank <= dim < rank:
        raise IndexError(f"{op}: dimension out of range (expected to be in range of [{-rank}, {rank - 1}], got {dim})")
    return dim % rank


def axes(op: str, dims: Sequence[int] | int, rank: int) -> tuple[int, ...]:
    """Return several axes counted from the front, each named once.

    Raises:
        IndexError: there is no such axis.
        RuntimeError: an axis is named twice.
    """
    found = tuple([axis(op, dim, rank) for dim in (dims if isinstance(dims, (tuple, list)) else (dims,))])
    if len(set(found)) < len(found):
        raise RuntimeError(f"{op}: a dimension appears twice in {tuple(found)}; name each once")
    return found


def check_tensor(op: str, **operands: Any) -> None:
    """Check that the operands are tensors.

    Raises:
        TypeError: an operand is not a tensor.
    """
    for name, value in operands.items():
        if not isinstance(value, Tensor):
            raise no_tensor(op, name, value)


def no_tensor(op: str, name: str, value: Any) -> TypeError:
    """Return the error for an operand that is not a tensor."""
    return TypeError(f"{op}: {name} must be a Tensor, got {type(value).__name__}; use minicnn.tensor(...)")


def check_operands(op: str, kinds: dict[str, str], args: tuple[Any, ...], options: dict[str, Any]) -> None:
    """Check that each argument whose annotation is `Tensor` is a tensor.

    Raises:
        TypeError: an argument is something else.
    """
    for i, (name, kind) in enumerate(kinds.items()):
        value = args[i] if i < len(args) else options.get(name, no_tensor)
        if kind == "Tensor" and value is not no_tensor and not isinstance(value, Tensor):
            raise no_tensor(op, name, value)


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add a check of its operands to a function that has none: operands that are not tensors are refused.

    The check takes a tenth of a microsecond. Therefore the functions that the layers of a small net call (convolution,
    pooling, activations, products) check their operands themselves, and methods are not guarded.
    """

    kinds = {name: kind for name, kind in function.__annotations__.items() if name != "return"}
    places = tuple(i for i, kind in enumerate(kinds.values()) if kind == "Tensor")

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        for i in places:
            if i >= len(args) or not isinstance(args[i], Tensor):
                check_operands(function.__name__, kinds, args, options)
                break
        try:
            return function(*args, **options)
        except MemoryError as error:
            raise out_of_memory(function.__name__, error) from None

    return call


def guard(*families: Any) -> None:
    """Guard the functions of these modules whose first argument is a tensor, and the methods with a second tensor."""
    for family in families:
        for name in family.__all__:
            function = getattr(family, name)
            kinds = [kind for which, kind in getattr(function, "__annotations__", {}).items() if which != "return"]
            if not kinds or kinds[0] != "Tensor":
                continue
            call = guarded(function)
            setattr(family, name, call)
            if kinds.count("Tensor") > 1 and getattr(Tensor, name, None) is function:
                setattr(Tensor, name, call)
