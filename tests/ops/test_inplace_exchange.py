"""In-place activations: a tensor that is alone on its memory may get other memory; one that is not keeps its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.nn import functional as F
from minicnn.ops.tensor import inplace
from minicnn.tensor import Tensor

pytestmark = pytest.mark.cpu_only("memory is exchanged on the CPU alone")

ACTIVATIONS = [F.relu6, F.hardswish, F.silu, F.elu, F.leaky_relu, F.celu, F.selu, F.hardsigmoid, F.mish]


@pytest.fixture
def exchanged(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The names of the operations that exchanged memory."""
    names: list[str] = []
    exchange = inplace._exchange

    def noting(x: Tensor, op: str, function: Callable[[Tensor], Tensor]) -> Tensor:
        names.append(op)
        return exchange(x, op, function)

    monkeypatch.setattr(inplace, "_exchange", noting)
    yield names


def gradients(activation: Callable[..., Tensor], in_place: bool, order: minicnn.memory_format) -> list[Any]:
    minicnn.manual_seed(0)
    conv, x = nn.Conv2d(3, 20, 3), minicnn.randn(2, 3, 9, 8).to(memory_format=order).requires_grad_()
    y = conv(x)
    z = activation(y, inplace=in_place)
    (z * z).sum().backward()
    return [z.detach(), x.grad, conv.weight.grad, z.stride()]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("order", [minicnn.contiguous_format, minicnn.channels_last], ids=str)
def test_the_result_of_a_layer(
    activation: Callable[..., Tensor], order: minicnn.memory_format, exchanged: list[str]
) -> None:
    *expected, strides = gradients(activation, False, order)
    *found, own = gradients(activation, True, order)
    assert own == strides and all(minicnn.equal(a, b) for a, b in zip(expected, found, strict=True))
    assert exchanged == [f"{activation.__name__}_"]


def views() -> dict[str, Callable[[Tensor], Any]]:
    return {
        "a view": lambda x: x[1],
        "a detached tensor": lambda x: x.detach(),
        "NumPy's array": lambda x: x.numpy(),
        "an element": lambda x: x[0, 0],
        "another order of axes": lambda x: x.permute(0, 2, 3, 1),
        "a memoryview": lambda x: memoryview(x.numpy()),
    }


@pytest.mark.parametrize("what", views())
@pytest.mark.parametrize("order", [minicnn.contiguous_format, minicnn.channels_last], ids=str)
def test_others_on_the_memory_see_the_result(what: str, order: minicnn.memory_format, exchanged: list[str]) -> None:
    x = minicnn.randn(2, 3, 4, 5).to(memory_format=order)
    other = views()[what](x)
    F.hardswish(x, inplace=True)
    again = views()[what](x)
    assert np.array_equal(np.asarray(other), np.asarray(again)) and not exchanged


def test_memory_of_an_array_of_numpy(exchanged: list[str]) -> None:
    array = np.linspace(-9, 9, 12).reshape(3, 4)
    x = minicnn.from_numpy(array)
    F.relu6(x, inplace=True)
    assert array.min() == 0 and array.max() == 6 and not exchanged


def test_memory_of_another_object(exchanged: list[str], tmp_path: Path) -> None:
    memory = bytearray(np.linspace(-9, 9, 4, dtype=np.float32).tobytes())
    F.relu6(minicnn.from_numpy(np.frombuffer(memory, np.float32)), inplace=True)
    assert np.frombuffer(memory, np.float32).tolist() == [0, 0, 3, 6]
    file = np.memmap(tmp_path / "numbers", np.float32, "w+", shape=(2, 2))
    file[...] = -1
    F.relu6(minicnn.from_numpy(file), inplace=True)
    assert not file.any() and not exchanged


def test_a_parameter_keeps_its_memory(exchanged: list[str]) -> None:
    weight = nn.Linear(3, 2).weight
    with minicnn.no_grad():
        F.hardswish(weight, inplace=True)
    assert not exchanged


def test_a_result_that_its_own_function_needs() -> None:
    x = minicnn.randn(5, requires_grad=True)
    y = x.sigmoid()
    F.silu(y, inplace=True)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        y.sum().backward()


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=lambda f: f.__name__)
def test_a_result_that_is_changed_later(activation: Callable[..., Tensor]) -> None:
    x = minicnn.linspace(-4, 4, 9).requires_grad_()
    (activation(x * 2) + 1).sum().backward()
    expected, x.grad = x.grad, None
    y = activation(x * 2, inplace=True)
    y += 1
    try:
        y.sum().backward()
    except RuntimeError as error:  # the backward pass needs what was there before
        assert "modified by an inplace operation" in str(error)
    else:
        assert minicnn.equal(x.grad, expected)


def test_the_version_counts_one_write() -> None:
    x = minicnn.randn(3, 3)
    before = x._version
    F.elu(x, inplace=True)
    assert x._version == before + 1
