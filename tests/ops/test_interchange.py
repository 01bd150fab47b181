"""Tensors and NumPy: protocols, shared memory, functions of NumPy on tensors."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

import minicnn
from minicnn.utils.dlpack import from_dlpack, to_dlpack


def test_dlpack_shares_memory() -> None:
    x = minicnn.zeros(2, 3)
    array = np.from_dlpack(x)
    assert np.shares_memory(array, x.array)
    assert x.__dlpack_device__() == (1, 0)
    for y in (from_dlpack(x), minicnn.from_dlpack(array), from_dlpack(to_dlpack(x)), minicnn.asarray(x)):
        y[0, 0] += 1
    assert x[0, 0] == 4
    assert not np.shares_memory(minicnn.from_dlpack(x, copy=True).array, x.array)
    with pytest.raises(BufferError, match="detach"):
        to_dlpack(minicnn.ones(1, requires_grad=True))


def test_arrays_of_tensors() -> None:
    x = minicnn.arange(3.0)
    assert np.asarray(x) is x.numpy()
    assert np.array(x) is not x.numpy()
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    w = minicnn.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="detach"):
        np.asarray(w)
    assert np.shares_memory(w.numpy(force=True), w.array)


def test_numpys_functions() -> None:
    w = minicnn.ones(3, requires_grad=True)
    y = np.arange(3.0) * w - np.float32(1)
    assert y.dtype == minicnn.float64
    y.sum().backward()
    assert w.grad.tolist() == [0, 1, 2]
    assert np.sin(minicnn.zeros(2)).tolist() == [0, 0]
    assert isinstance(np.maximum(minicnn.zeros(2), 1), minicnn.Tensor)
    assert (np.ones(2) > minicnn.zeros(2)).tolist() == [True, True]
    array = np.ones(2)
    array += minicnn.ones(2)
    assert array.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="detach"):
        np.sin(w)


def test_copies() -> None:
    result = minicnn.tensor([2, 1]).sort()
    for twin in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert twin.values.tolist() == [1, 2]
    assert copy.deepcopy(minicnn.channels_last) is minicnn.channels_last
    assert 2 in minicnn.tensor([1, 2])
    assert [x.item() for x in reversed(minicnn.arange(3))] == [2, 1, 0]
