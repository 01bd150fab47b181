"""`minicnn.dtype`: one object for each type, which NumPy takes as its own, and PyTorch's text and attributes."""

from __future__ import annotations

import copy
import pickle
import warnings
from typing import Any

import numpy as np
import pytest

import minicnn

NAMES = ("float16", "float32", "float64", "uint8", "int8", "int16", "int32", "int64", "bool")


@pytest.mark.parametrize("name", NAMES)
def test_one_object_for_each_type(name: str) -> None:
    kind, numpys = getattr(minicnn, name), np.dtype(name)
    assert isinstance(kind, minicnn.dtype)
    assert repr(kind) == str(kind) == f"{kind}" == f"minicnn.{name}"
    for again in (
        copy.copy(kind),
        copy.deepcopy([kind])[0],
        pickle.loads(pickle.dumps(kind)),
        minicnn.dtype(numpys),
        minicnn.zeros(2, dtype=kind).dtype,
        minicnn.zeros(2, dtype=numpys).dtype,
        minicnn.tensor(np.zeros(2, name)).dtype,
        minicnn.empty(2, dtype=kind, device="meta").dtype,
    ):
        assert again is kind
    assert kind == numpys
    assert numpys == kind
    assert hash(kind) == hash(numpys)
    assert {numpys: 1}[kind] == {kind: 1}[numpys] == 1
    assert kind != np.dtype("uint16")
    assert kind != (np.float32 if name != "float32" else np.float64)
    assert kind != None  # noqa: E711
    assert kind not in ("no type", 7)


def test_attributes() -> None:
    kinds = [getattr(minicnn, name) for name in NAMES]
    assert [k.is_floating_point for k in kinds] == [True] * 3 + [False] * 6
    assert [k.is_signed for k in kinds] == [True, True, True, False, True, True, True, True, False]
    assert [k.itemsize for k in kinds] == [2, 4, 8, 1, 1, 2, 4, 8, 1]
    assert not any(k.is_complex for k in kinds)
    assert all(k.to_real() is k for k in kinds)
    assert minicnn.dtype("complex64").to_real() is minicnn.float32
    assert minicnn.float32.type is np.float32
    assert minicnn.float32.char == "f"
    assert minicnn.finfo(minicnn.float32).dtype is minicnn.float32
    assert minicnn.finfo(minicnn.float32).eps == np.finfo(np.float32).eps


def test_a_type_cannot_be_changed_and_says_what_it_lacks() -> None:
    with pytest.raises(AttributeError, match="cannot be changed"):
        minicnn.float32.itemsize = 8
    with pytest.raises(AttributeError, match="no_such"):
        minicnn.float32.no_such  # noqa: B018
    with pytest.raises(TypeError, match="no type"):
        minicnn.dtype("no type")


CALLS: list[Any] = [
    lambda d: np.zeros(2, d),
    lambda d: np.asarray([1, 2], dtype=d),
    lambda d: np.ones(2).astype(d),
    lambda d: np.arange(2, dtype=d),
    lambda d: np.ones(2, np.int8).sum(dtype=d),
    lambda d: np.add(np.ones(2, np.float32), 1, dtype=d),
    lambda d: np.empty(2, np.int64).view(d),
    lambda d: np.zeros(0, np.result_type(d)),
    lambda d: np.zeros(0, np.promote_types(d, np.bool_)),
    lambda d: np.random.default_rng(0).random(2, dtype=d),
    lambda d: np.frombuffer(bytes(8), d),
    lambda d: np.array(minicnn.ones(2), dtype=d),
]


@pytest.mark.parametrize("call", CALLS)
def test_numpy_takes_it_without_a_warning(call: Any) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert call(minicnn.float64).dtype == np.float64
    assert np.issubdtype(minicnn.float32, np.floating)
    assert np.finfo(minicnn.float32).bits == 32


def test_every_door_gives_the_same_object() -> None:
    x = minicnn.ones(2, requires_grad=True)
    y = x.double() * 2
    assert y.dtype is minicnn.float64
    y.sum().backward()
    assert x.grad is not None
    assert x.grad.dtype is minicnn.float32
    assert x.data.dtype is x.detach().dtype is minicnn.nn.Linear(2, 3).weight.dtype is minicnn.float32
    assert x.to(minicnn.float64).dtype is x.type(minicnn.float64).dtype is minicnn.float64
    assert minicnn.get_default_dtype() is minicnn.float32
    assert minicnn.promote_types(minicnn.int8, minicnn.float16) is minicnn.float16
    assert minicnn.result_type(x, 1) is minicnn.float32
    assert (x > 0).dtype is minicnn.bool
    assert x.argmax().dtype is minicnn.long is minicnn.int64


def test_it_is_a_type_of_annotations() -> None:
    def cast(x: minicnn.Tensor, kind: minicnn.dtype) -> minicnn.Tensor:
        return x.to(kind)

    assert cast(minicnn.ones(1), minicnn.int32).dtype is minicnn.int32


def test_memory_read_in_another_type() -> None:
    x = minicnn.tensor([[1.0, -2.0]])
    bits = x.view(minicnn.int32)
    assert bits.tolist() == np.array([[1.0, -2.0]], np.float32).view(np.int32).tolist()
    bits[0, 0] = 0
    assert x.tolist() == [[0, -2]]  # one memory
    assert x.view(dtype=minicnn.uint8).shape == (1, 8)
    assert x.view(minicnn.float32) is x
    with pytest.raises(RuntimeError, match=r"cannot be read as minicnn\.int64"):
        minicnn.ones(3).view(minicnn.int64)
