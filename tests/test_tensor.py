"""Tensor: construction, types, interchange with NumPy, repr, refused arguments."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import minicnn
from minicnn import Tensor


def test_construction_and_types() -> None:
    assert minicnn.tensor([1.0, 2.0]).dtype == minicnn.float32
    assert minicnn.tensor([1, 2]).dtype == minicnn.int64
    assert minicnn.tensor([True]).dtype == np.bool_
    assert minicnn.tensor(np.ones(2)).dtype == minicnn.float64
    assert minicnn.tensor([1, 2], dtype=minicnn.float64).tolist() == [1.0, 2.0]
    assert minicnn.tensor([minicnn.tensor(1.0), minicnn.tensor(2.0)]).tolist() == [1.0, 2.0]
    array = np.zeros(3)
    assert Tensor(array).array is array
    assert minicnn.tensor(array).array is not array
    for bad in ("text", [[1], [1, 2]], object()):
        with pytest.raises((TypeError, ValueError, RuntimeError), match="tensor: "):
            minicnn.tensor(bad)


def test_numbers_take_on_the_tensors_type() -> None:
    x = minicnn.tensor([1.0, 2.0])
    for y in (x + 1, 1 + x, x * 2.5, 2**x, x / 3, np.float64(2) * x, x * np.float64(2), np.ones(2, np.float32) + x):
        assert isinstance(y, Tensor)
        assert y.dtype == minicnn.float32
    counts = minicnn.tensor([1, 2])
    assert (counts + 1).dtype == minicnn.int64
    assert (counts / 2).dtype == minicnn.float32
    assert (counts + 0.5).dtype == minicnn.float32
    assert (x == minicnn.tensor([1.0, 3.0])).tolist() == [True, False]


def test_numpy_shares_memory_and_checks_gradients() -> None:
    array = np.zeros(3, np.float32)
    x = minicnn.from_numpy(array)
    array[0] = 5
    assert x.numpy()[0] == 5
    assert np.asarray(x).sum() == 5
    x.requires_grad_()
    with pytest.raises(RuntimeError, match=r"detach\(\)\.numpy\(\)"):
        x.numpy()
    assert x.detach().numpy() is array


def test_items_and_truth() -> None:
    assert minicnn.tensor([[3]]).item() == 3
    assert float(minicnn.tensor(2.5)) == 2.5
    assert [10, 20, 30][minicnn.tensor(1)] == 20
    assert bool(minicnn.tensor([1]))
    with pytest.raises(RuntimeError, match=r"shape \(2,\) has 2 elements"):
        minicnn.tensor([1, 2]).item()
    with pytest.raises(RuntimeError, match="ambiguous"):
        bool(minicnn.tensor([1, 2]))
    with pytest.raises(TypeError, match="only an integer tensor of one element can be an index"):
        [1, 2][minicnn.tensor(1.0)]


def test_writing_in_place() -> None:
    x = minicnn.tensor([[1.0, 2.0], [3.0, 4.0]])
    x[0] = minicnn.tensor([9.0, 8.0])
    x[x > 8.5] = 0
    assert x.tolist() == [[0, 8], [3, 4]]
    alias = x
    x *= 2
    assert alias is x
    assert x.tolist() == [[0, 16], [6, 8]]
    x.data = np.ones((2, 2), np.float32)
    assert x.tolist() == [[1, 1], [1, 1]]
    with pytest.raises(TypeError, match=r"cannot put minicnn\.int64 values into a minicnn\.float32 tensor"):
        x.data = np.ones((2, 2), np.int64)


def test_repr() -> None:
    assert repr(minicnn.tensor([1.0, 2.0])) == "tensor([1., 2.])"
    assert repr(minicnn.tensor([1.0], requires_grad=True)) == "tensor([1.], requires_grad=True)"
    assert repr(minicnn.tensor([1.0], requires_grad=True) * 2) == "tensor([2.], grad_fn=<MulBackward0>)"
    assert repr(minicnn.tensor(np.zeros(1))) == "tensor([0.], dtype=minicnn.float64)"
    assert "containing:\ntensor([0.]" in repr(minicnn.nn.Parameter(np.zeros(1, np.float32)))


def test_copies() -> None:
    x = minicnn.tensor([1.0, 2.0], requires_grad=True)
    twin = copy.deepcopy(x)
    assert twin.requires_grad
    assert twin.array is not x.array
    assert pickle.loads(pickle.dumps(x)).tolist() == [1, 2]
    y = x.clone()
    y.sum().backward()
    assert x.grad.tolist() == [1, 1]
    with pytest.raises(RuntimeError, match="only leaf tensors can be copied deeply"):
        copy.deepcopy(x * 2)


def test_devices_and_casts() -> None:
    x = minicnn.tensor([1.5])
    assert x.to("cpu") is x
    assert x.to(minicnn.int64).tolist() == [1]
    assert x.double().dtype == minicnn.float64
    assert str(x.device) == "cpu"
    with pytest.raises(RuntimeError, match="'cuda' is not available; compute on 'cpu'"):
        x.to("cuda")
    y = minicnn.tensor([2.0], requires_grad=True)
    (y.double() * 3).backward()
    assert y.grad.dtype == minicnn.float32


def test_generators() -> None:
    minicnn.manual_seed(3)
    state = minicnn.default_generator.get_state()
    first = minicnn.default_generator.numpy.random(3)
    minicnn.default_generator.set_state(state)
    assert np.array_equal(first, minicnn.default_generator.numpy.random(3))
    assert minicnn.manual_seed(-1).initial_seed() == 2**64 - 1  # as PyTorch's
    with pytest.raises(ValueError, match="64 bits"):
        minicnn.manual_seed(2**64)
