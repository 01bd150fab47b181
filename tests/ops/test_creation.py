"""New tensors: the type that data gives, ranges, factory arguments, refused data."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

import minicnn

f4, f8, i4, i8, u1, b1 = minicnn.float32, minicnn.float64, minicnn.int32, minicnn.int64, minicnn.uint8, minicnn.bool


@pytest.mark.parametrize(
    ("data", "dtype", "values"),
    [
        ([1, 2.0], f4, [1, 2]),
        ([True, 2], i8, [1, 2]),
        ([True], b1, [True]),
        ([], f4, []),
        ([[], []], f4, [[], []]),
        (range(3), i8, [0, 1, 2]),
        (np.float64(3), f8, 3),
        ([np.float64(1), 2], f8, [1, 2]),
        ([np.int32(1), np.int32(2)], i4, [1, 2]),
        ([np.int32(1), 2], i8, [1, 2]),
        ([np.zeros(2, np.float32), [1, 2]], f4, [[0, 0], [1, 2]]),
        ([minicnn.tensor(1.0, dtype=f8), 2], f8, [1, 2]),
        ([minicnn.tensor([1.0]), minicnn.tensor([2.0])], f4, [1, 2]),
    ],
)
def test_tensor_infers_the_type(data: Any, dtype: Any, values: Any) -> None:
    x = minicnn.tensor(data)
    assert (x.dtype, x.tolist()) == (dtype, values)


@pytest.mark.parametrize(
    ("data", "error", "message"),
    [
        ([[1], [2, 3]], ValueError, "length 1 at dim 1"),
        ([[1, 2], 3], TypeError, "expected a sequence"),
        ([1, [2]], TypeError, "list"),
        ("a", TypeError, "str"),
        (None, RuntimeError, "NoneType"),
        ([None], RuntimeError, "NoneType"),
        ({1}, RuntimeError, "set"),
        ([2**63], ValueError, "64"),
        (-(2**63) - 1, ValueError, "64 bits"),
        ([1 + 2j], TypeError, "real"),
        (np.array(["a"]), TypeError, "<U1"),
        (np.array([1, 2], ">i4"), TypeError, ">i4"),
        (np.ones(1, np.complex64), TypeError, "complex64"),
        ([minicnn.ones(2)], ValueError, "stack"),
    ],
)
def test_what_is_no_tensor(data: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        minicnn.tensor(data)


def test_values_that_do_not_fit() -> None:
    for data, dtype in (([300], u1), ([float("nan")], i8), ([1e10], i4), (True + 300, minicnn.int8)):
        with pytest.raises(RuntimeError, match=r"cannot be converted to type \w+ without overflow"):
            minicnn.tensor(data, dtype=dtype)
    assert minicnn.tensor([-1], dtype=u1).tolist() == [255]
    assert minicnn.tensor([1.7, -1.2], dtype=i8).tolist() == [1, -1]
    assert minicnn.tensor(np.array([300]), dtype=u1).tolist() == [44]  # an array wraps around, as in PyTorch
    with pytest.raises(RuntimeError, match="overflow"):
        minicnn.full((2,), 300, dtype=u1)


@pytest.mark.cpu_only("NumPy's memory is that of the CPU")
def test_copies_and_shared_memory() -> None:
    array = np.zeros(2, np.float32)
    for shared in (minicnn.from_numpy(array), minicnn.as_tensor(array), minicnn.asarray(array)):
        assert np.shares_memory(shared.array, array)
    for copy in (minicnn.tensor(array), minicnn.asarray(array, copy=True), minicnn.as_tensor(array, dtype=f8)):
        assert not np.shares_memory(copy.array, array)
    with pytest.raises(ValueError, match="copy=False forbids"):
        minicnn.asarray(array, dtype=f8, copy=False)
    with pytest.raises(TypeError, match=r"expected np\.ndarray"):
        minicnn.from_numpy([1])
    array.flags.writeable = False
    with pytest.warns(UserWarning, match="not writable"):
        minicnn.from_numpy(array)
    x = minicnn.ones(2)
    with pytest.warns(UserWarning, match="clone"):
        assert minicnn.tensor(x).array is not x.array
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert minicnn.as_tensor(x) is x


def test_ranges() -> None:
    assert minicnn.arange(3).dtype == i8
    assert minicnn.arange(0, 1, 0.25).tolist() == [0, 0.25, 0.5, 0.75]
    assert minicnn.arange(start=3, end=0, step=-1).tolist() == [3, 2, 1]
    assert minicnn.arange(0.5, 3.5, dtype=i4).tolist() == [0, 1, 2]
    assert minicnn.arange(2**62, 2**62 + 2).tolist() == [2**62, 2**62 + 1]
    assert minicnn.linspace(0, 10, 4, dtype=i4).tolist() == [0, 3, 6, 10]
    assert minicnn.linspace(0, 1, 1).tolist() == [0]
    assert minicnn.linspace(3, 1, 3).tolist() == [3, 2, 1]
    assert minicnn.logspace(0, 2, 3, base=2).tolist() == [1, 2, 4]
    for bad in ((0, 3, 0), (3, 0), (0, float("inf"))):
        with pytest.raises(RuntimeError, match=r"step|range"):
            minicnn.arange(*bad)
    with pytest.raises(RuntimeError, match="non-negative"):
        minicnn.linspace(0, 1, -1)


def test_sizes() -> None:
    for x in (minicnn.zeros(2, 3), minicnn.zeros((2, 3)), minicnn.zeros([2, 3]), minicnn.zeros(size=(2, 3))):
        assert x.shape == (2, 3)
    assert minicnn.zeros(()).shape == ()
    assert minicnn.eye(2, 3).tolist() == [[1, 0, 0], [0, 1, 0]]
    assert minicnn.tril_indices(2, 3).tolist() == [[0, 1, 1], [0, 0, 1]]
    assert minicnn.triu_indices(3, 3, 1).tolist() == [[0, 0, 1], [1, 2, 2]]
    with pytest.raises(RuntimeError, match="non-negative"):
        minicnn.zeros(-1)
    for bad in (lambda: minicnn.zeros(), lambda: minicnn.zeros(2.0), lambda: minicnn.full(2, 3)):
        with pytest.raises(TypeError):
            bad()


@pytest.fixture
def double() -> Iterator[None]:
    minicnn.set_default_dtype(f8)
    yield
    minicnn.set_default_dtype(f4)


@pytest.mark.usefixtures("double")
def test_the_default_type() -> None:
    for x in (minicnn.zeros(1), minicnn.tensor(1.0), minicnn.rand(1), minicnn.arange(1.0), minicnn.full((1,), 1.0)):
        assert x.dtype == f8


FACTORIES = [
    lambda **o: minicnn.zeros(2, 3, **o), lambda **o: minicnn.full((2, 3), 1.0, **o), lambda **o: minicnn.eye(2, **o),
    lambda **o: minicnn.tensor([1.0], **o), lambda **o: minicnn.rand(2, **o), lambda **o: minicnn.randn(2, **o),
    lambda **o: minicnn.arange(3.0, **o), lambda **o: minicnn.linspace(0, 1, 3, **o),
    lambda **o: minicnn.normal(0.0, 1.0, (2,), **o), lambda **o: minicnn.ones_like(minicnn.zeros(2, device="cpu"), **o),
    lambda **o: minicnn.zeros(2, device="cpu").new_zeros(3, **o), lambda **o: minicnn.empty(2, **o),
]  # fmt: skip


@pytest.mark.cpu_only("it is about a machine without a GPU")
@pytest.mark.parametrize("make", FACTORIES)
def test_factory_arguments(make: Any) -> None:
    x = make(dtype=f8, device="meta", requires_grad=True)
    assert (x.dtype, x.is_meta, x.requires_grad) == (f8, True, True)
    assert make(device="cpu", dtype=minicnn.float16).dtype == minicnn.float16
    assert not make().requires_grad
    with pytest.raises(RuntimeError, match="not available"):
        make(device="cuda")
    with pytest.raises(TypeError, match=r"unexpected|got"):
        make(nonsense=1)


def test_the_default_device() -> None:
    with minicnn.device("meta"):
        assert minicnn.zeros(2).is_meta
        assert minicnn.randint(3, (2,)).is_meta
        assert minicnn.tensor([1.0]).is_meta
        assert not minicnn.zeros(2, device="cpu").is_meta
    huge = minicnn.empty(10**6, 10**6, device="meta")
    assert huge.numel() == 10**12


@pytest.mark.cpu_only("only memory of the CPU can be pinned")
def test_out_and_layout() -> None:
    assert minicnn.zeros(1, pin_memory=True, layout=minicnn.strided).tolist() == [0]
    out = minicnn.ones(1)
    assert minicnn.zeros(1, out=out) is out and out.tolist() == [0]
    with pytest.raises(TypeError, match="out= is not supported"):
        minicnn.randint_like(out, 3, out=out)
    with pytest.raises(TypeError, match="the only layout"):
        minicnn.zeros(1, layout="sparse")


def test_like_another() -> None:
    x = minicnn.ones(2, dtype=i8)
    assert minicnn.full_like(x, 3.5).tolist() == [3, 3]
    assert minicnn.zeros_like(x, dtype=f4).dtype == f4
    assert x.new_tensor([1.5]).dtype == i8
    assert x.new_full((2,), 7).tolist() == [7, 7]
    assert x.new_ones(2, 2).shape == (2, 2)
    assert x.new(3).shape == (3,)
    assert x.new([1, 2]).tolist() == [1, 2]


@pytest.mark.parametrize("value", [2**63, 10**19, 2**64 - 1])
def test_a_large_integer_fills_floating_types(value: int) -> None:
    for kind in (f4, f8):
        like = minicnn.ones(2, dtype=kind)
        for x in (minicnn.full((2,), value, dtype=kind), minicnn.full_like(like, value), like.new_full((2,), value)):
            assert x.dtype == kind and x.tolist() == [float(kind.type(value))] * 2
    assert minicnn.full((2,), value, dtype=minicnn.bool).tolist() == [True] * 2
    for kind in (None, i8, u1):
        with pytest.raises(RuntimeError, match=r"full: .* does not fit"):
            minicnn.full((2,), value, dtype=kind)
    with pytest.raises(RuntimeError, match="without overflow"):
        minicnn.full((2,), value, dtype=minicnn.float16)
