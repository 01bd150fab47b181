"""Forms of PyTorch's first versions, with a number before or between the tensors: `p.add_(-lr, g)` is
`p.add_(g, alpha=-lr)`. Optimisers of older programs are written so.

| function | old form | today |
|---|---|---|
| `add` `sub` | `add(x, alpha, other)` | `add(x, other, alpha=alpha)` |
| `addcmul` `addcdiv` | `addcmul(x, value, a, b)` | `addcmul(x, a, b, value=value)` |
| `addmm` | `addmm(beta, x, alpha, a, b)`, `addmm(beta, x, a, b)` | `addmm(x, a, b, beta=beta, alpha=alpha)` |
| `addmv` `addr` `addbmm` `baddbmm` | the same | the same |

As methods, also in place, the products have the tensor before the numbers: `x.addmm(beta, alpha, a, b)`. As in
PyTorch, the first old form of each function gives a warning that names today's form.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

import numpy as np

from ...tensor import Tensor

_PRODUCTS = {"addmm": "mat1 mat2", "addmv": "mat vec", "addr": "vec1 vec2", "addbmm": "batch1 batch2"}
_PRODUCTS["baddbmm"] = _PRODUCTS["addbmm"]
_TENSORS = {"add": "other", "sub": "other", "addcmul": "tensor1 tensor2", "addcdiv": "tensor1 tensor2", **_PRODUCTS}
_MIDDLE = {"add": "alpha", "sub": "alpha", "addcmul": "value", "addcdiv": "value"}

Call = tuple[tuple[Any, ...], dict[str, Any]]


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) or (isinstance(value, Tensor) and not value.ndim)


def _today(op: str, args: tuple[Any, ...]) -> Call | None:
    """Return the arguments in today's form if the positional ones have an old form, else None."""
    tensors = len(_TENSORS[op].split())
    if op in _MIDDLE:
        old = len(args) == tensors + 2 and isinstance(args[0], Tensor) and _is_number(args[1])
        return ((args[0], *args[2:]), {_MIDDLE[op]: args[1]}) if old else None
    if len(args) not in (tensors + 2, tensors + 3):
        return None
    *numbers, x = args[: len(args) - tensors]
    if not _is_number(args[0]):  # a method: the tensor is the first
        x, *numbers = args[: len(args) - tensors]
    elif len(args) == tensors + 3:  # a function: the tensor is between the numbers
        numbers, x = [args[0], args[2]], args[1]
    if not (isinstance(x, Tensor) and all(_is_number(n) for n in numbers)):
        return None
    return (x, *args[-tensors:]), dict(zip(("beta", "alpha"), numbers, strict=False))


def _with_old_forms(op: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function that accepts its old forms too."""
    usual = 1 + len(_TENSORS[op].split())
    warned = False

    @wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        if len(args) <= usual:
            return function(*args, **options)
        today = _today(op, args)
        if today is None:
            return function(*args, **options)  # whose error says what is wrong
        nonlocal warned
        if not warned:
            warned = True
            _warn(function.__name__, op, today[1])
        return function(*today[0], **today[1], **options)

    return call


def _warn(name: str, op: str, numbers: dict[str, Any]) -> None:
    tensors = ", ".join(f"Tensor {one}" for one in _TENSORS[op].split())
    old = ", ".join(f"Number {one}" for one in numbers)
    new = ", ".join(f"Number {one} = 1" for one in (["beta", "alpha"] if op in _PRODUCTS else [_MIDDLE[op]]))
    warnings.warn(
        f"This overload of {name} is deprecated:\n\t{name}({old}, {tensors})\n"
        f"Consider using one of the following signatures instead:\n\t{name}({tensors}, *, {new})",
        UserWarning, stacklevel=3,
    )  # fmt: skip


def accept_old_forms(*families: ModuleType) -> None:
    """Let the functions of these modules, and the methods with their names, be called in their old forms."""
    for family in families:
        for op in _TENSORS:
            if op in family.__all__:
                setattr(family, op, _with_old_forms(op, getattr(family, op)))
    for op in _TENSORS:
        for name in (op, f"{op}_"):
            setattr(Tensor, name, _with_old_forms(op, getattr(Tensor, name)))
