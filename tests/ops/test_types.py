"""Types: promotion, conversion, and functions that report them."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import Tensor
from minicnn.ops.tensor.operands import promote


def test_categories_count_before_sizes() -> None:
    """A few rows of the table, written by hand; tests/differential has the whole table."""
    half, byte = minicnn.tensor([1], dtype=minicnn.float16), minicnn.tensor([1], dtype=minicnn.uint8)
    double = minicnn.tensor(1, dtype=minicnn.float64)
    assert (half * minicnn.tensor([1])).dtype == minicnn.float16  # an integer tensor does not widen a float
    assert (half * double).dtype == minicnn.float16  # nor does a 0-d tensor of the same category
    assert (byte * double).dtype == minicnn.float64  # one of a higher category decides
    assert (byte * 2.5).dtype == minicnn.float32  # as does a number, by the default type
    assert (byte * minicnn.tensor([1], dtype=minicnn.int8)).dtype == minicnn.int16
    assert (minicnn.tensor([True]) + 1).dtype == minicnn.int64
    assert (minicnn.tensor([True]) + True).dtype == np.bool_
    assert minicnn.result_type(half, 1e300) == minicnn.float16
    assert minicnn.promote_types(minicnn.int64, minicnn.float16) == minicnn.float16


def test_the_default_type_decides_over_integers() -> None:
    minicnn.set_default_dtype(minicnn.float64)
    try:
        assert (minicnn.tensor([1]) / 2).dtype == minicnn.float64
        assert (minicnn.tensor([1]) * 0.5).dtype == minicnn.float64
        assert minicnn.tensor([1]).exp().dtype == minicnn.float64
    finally:
        minicnn.set_default_dtype(minicnn.float32)


def test_promoted_operands_cast_their_gradient_back() -> None:
    a, b = Tensor(np.ones(2, np.float32), requires_grad=True), Tensor(np.ones(2), requires_grad=True)
    (a * b).sum().backward()
    assert (a.grad.dtype, b.grad.dtype) == (minicnn.float32, minicnn.float64)
    first, second, number = promote("test", a, b, 3)
    assert first.dtype == second.dtype == minicnn.float64
    assert first.requires_grad
    assert number == 3


@pytest.mark.cpu_only("an array of NumPy is on the CPU")
def test_numpy_operands() -> None:
    x = minicnn.tensor([1.0, 2.0], requires_grad=True)
    for y in (np.ones(2) + x, x + np.ones(2)):
        assert isinstance(y, Tensor)
        assert y.requires_grad
        assert y.dtype == minicnn.float64
    assert (np.float64(2) * x).dtype == minicnn.float32  # a NumPy scalar is a number
    assert (x * np.int64(2)).tolist() == [2, 4]
    assert (np.array([1.0, 5.0]) == x).tolist() == [True, False]


def test_what_is_no_operand_is_left_to_the_other_side() -> None:
    class Other:
        def __radd__(self, tensor: Tensor) -> str:
            return "radd"

    x = minicnn.tensor([1.0])
    assert x + Other() == "radd"
    assert (x == None) is False  # noqa: E711
    assert (x != "text") is True
    with pytest.raises(TypeError, match="unsupported operand"):
        x + "text"
    with pytest.raises(TypeError, match="not supported"):
        x < None  # noqa: B015
    with pytest.raises(TypeError, match="add: expected a tensor, an array or a number, got str"):
        minicnn.add(x, "text")


def test_integers_wrap_as_their_type_does() -> None:
    byte = minicnn.tensor([44, 250], dtype=minicnn.uint8)
    assert (byte + 300).tolist() == [88, 38]
    assert (byte == 300).tolist() == [True, False]
    assert (byte - byte.flip(0)).tolist() == [50, 206]
    assert byte.add(byte, alpha=-2).tolist() == [212, 6]


@pytest.mark.cpu_only("its tensors are on the CPU")
def test_every_form_of_to() -> None:
    x = minicnn.tensor([1.5, 2.5])
    other = minicnn.tensor([1], dtype=minicnn.int32)
    for y in (
        x.to(minicnn.int32), x.to(other), x.to("cpu", minicnn.int32), x.to(device="cpu", dtype=minicnn.int32),
        x.to(dtype=minicnn.int32), x.to(minicnn.int32, True, copy=True), x.to(other, non_blocking=True), x.int(),
        x.type("minicnn.IntTensor"), x.type(minicnn.int32), x.type_as(other), x.to(minicnn.device("cpu"),
        minicnn.int32),
    ):  # fmt: skip
        assert y.dtype == minicnn.int32
        assert y.tolist() == [1, 2]
    for same in (x.to("cpu"), x.to(minicnn.float32), x.to(None, None), x.float(), x.to(x), x.cpu()):
        assert same is x
    assert x.to(minicnn.float32, copy=True) is not x
    assert x.to(minicnn.float32, False, True) is not x
    with pytest.raises(RuntimeError, match="not available"):
        x.to("cuda")
    with pytest.raises(RuntimeError, match="not available"):
        x.to(0)


def test_memory_formats() -> None:
    x = minicnn.tensor(np.arange(24.0).reshape(1, 2, 3, 4))
    channels_last = x.to(memory_format=minicnn.channels_last)
    assert channels_last.array.strides == (192, 8, 64, 16)
    assert channels_last.tolist() == x.tolist()
    assert channels_last.to(memory_format=minicnn.channels_last) is channels_last
    assert channels_last.float().array.strides == (96, 4, 32, 8)  # conversion keeps the order
    assert channels_last.to(memory_format=minicnn.contiguous_format).array.flags.c_contiguous
    with pytest.raises(RuntimeError, match="4-d"):
        x[0].to(memory_format=minicnn.channels_last)


def test_meta() -> None:
    x = minicnn.tensor([1.0]).to("meta")
    assert x.is_meta
    assert x.to(minicnn.float64).dtype == minicnn.float64
    assert x.to("meta") is x
    with pytest.raises(NotImplementedError, match="no values"):
        x.to("cpu")


@pytest.mark.cpu_only("names the types of the CPU")
def test_reports() -> None:
    x = minicnn.tensor([1], dtype=minicnn.uint8)
    assert (x.type(), x.element_size(), x.is_signed(), x.is_floating_point()) == ("minicnn.ByteTensor", 1, False, False)
    assert minicnn.is_floating_point(x.half())
    assert not minicnn.can_cast(minicnn.float64, minicnn.int64)
    assert minicnn.can_cast(minicnn.int64, minicnn.float16)
    assert not minicnn.can_cast(minicnn.int64, np.bool_)


def test_conversions_are_recorded_and_quiet() -> None:
    x = minicnn.tensor([1e30, 2.0], requires_grad=True)
    y = x.half()
    assert y.tolist() == [np.inf, 2]
    (y.float() * 3).sum().backward()
    assert x.grad.tolist() == [3, 3]
    assert x.grad.dtype == minicnn.float32
