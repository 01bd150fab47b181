"""The type of every operation, for every two types and every kind of operand, against PyTorch."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

import minicnn

torch = pytest.importorskip("torch", reason="compares with PyTorch")

DTYPES = ["bool", "uint8", "int8", "int16", "int32", "int64", "float16", "float32", "float64"]
NUMBERS = [True, 3, 2.5]
OPERATIONS = [
    "add", "sub", "mul", "div", "floor_divide", "remainder", "fmod", "pow", "maximum", "eq", "lt", "logical_and",
    "bitwise_or", "bitwise_left_shift", "atan2", "xlogy", "copysign", "fmax", "hypot", "logaddexp", "clamp_min",
    "float_power", "heaviside",
]  # fmt: skip
ROUNDED = {"floor_divide", "remainder", "fmod"}


def operand(lib: Any, dtype: str, rank: int) -> Any:
    """A tensor of the type with 1 or 0 axes, all 1."""
    return lib.ones((2,) if rank else (), dtype=getattr(lib, dtype))


def outcome(call: Any) -> str:
    """The type of the result, or "error"."""
    try:
        return str(call().dtype).rpartition(".")[2]
    except (RuntimeError, TypeError):
        return "error"


def alike(found: Any, expected: Any) -> bool:
    """The same type and values, as far as float16 goes, or an error both."""
    if "error" in (found, expected):
        return found == expected
    return found[0] == expected[0] and np.allclose(found[1], expected[1], 1e-3, equal_nan=True)


def cases() -> list[tuple[Any, Any]]:
    """Every tensor with axes or without, and every number, in both places."""
    tensors = list(product(DTYPES, (1, 0)))
    return [*product(tensors, tensors), *product(tensors, NUMBERS), *product(NUMBERS, tensors)]


def make(lib: Any, kind: Any) -> Any:
    return operand(lib, *kind) if isinstance(kind, tuple) else kind


def test_result_type() -> None:
    for a, b in cases():
        found, expected = (str(lib.result_type(make(lib, a), make(lib, b))) for lib in (minicnn, torch))
        assert found == expected.replace("torch", "minicnn"), (a, b)


def test_types_have_pytorchs_text_and_attributes() -> None:
    for name in DTYPES:
        ours, theirs = (getattr(lib, name) for lib in (minicnn, torch))
        assert repr(ours) == repr(theirs).replace("torch", "minicnn")
        for attribute in ("is_floating_point", "is_complex", "is_signed", "itemsize"):
            assert getattr(ours, attribute) == getattr(theirs, attribute), (name, attribute)
        assert repr(ours.to_real()) == repr(theirs.to_real()).replace("torch", "minicnn")


def test_promote_types_and_can_cast() -> None:
    for a, b in product(DTYPES, DTYPES):
        mine, theirs = [getattr(minicnn, a), getattr(minicnn, b)], [getattr(torch, a), getattr(torch, b)]
        assert str(minicnn.promote_types(*mine)) == str(torch.promote_types(*theirs)).replace("torch", "minicnn")
        assert minicnn.can_cast(*mine) == torch.can_cast(*theirs), (a, b)


@pytest.mark.parametrize("name", OPERATIONS)
def test_operations(name: str) -> None:
    wrong = []
    for a, b in cases():
        if name == "pow" and b is True and isinstance(a, tuple) and a[0] == "bool":
            continue  # bool to the power of True is an error here
        expected = outcome(lambda a=a, b=b: getattr(torch, name)(make(torch, a), make(torch, b)))
        found = outcome(lambda a=a, b=b: getattr(minicnn, name)(make(minicnn, a), make(minicnn, b)))
        two = isinstance(a, tuple) and isinstance(b, tuple)
        if found != expected and not (expected == "error" and not two):  # numbers are taken in more places than there
            wrong.append((a, b, found, expected))
    assert not wrong, f"{len(wrong)}: {wrong[:8]}"


@pytest.mark.parametrize("sign", ["+", "-", "*", "/", "//", "%", "**", "&", "|", "^", "<<", ">>", "==", "<", ">="])
def test_operators(sign: str) -> None:
    """Values too, of operands that wrap, divide and overflow."""
    values = [3, 200]
    wrong = []
    for a, b in cases():
        both = []
        for lib in (minicnn, torch):
            one = [
                lib.tensor(values if k[1] else values[1], dtype=lib.int64).to(getattr(lib, k[0]))
                if isinstance(k, tuple)
                else k
                for k in (a, b)
            ]
            try:
                y = eval(f"a {sign} b", {"a": one[0], "b": one[1]})
                both.append((str(y.dtype).rpartition(".")[2], np.asarray(y.numpy(), np.float64).tolist()))
            except (RuntimeError, TypeError):
                both.append("error")
        if not alike(*both) and not (sign == "**" and b is True and a[0] == "bool"):  # bool ** True is an error here
            wrong.append((a, b, *both))
    assert not wrong, f"{len(wrong)}: {wrong[:8]}"
