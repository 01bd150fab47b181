"""Indices by PyTorch's rules: refused indices, writes and their graph, results of varying size."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor


def numbers(*shape: int) -> Tensor:
    return Tensor(np.arange(float(np.prod(shape))).reshape(shape))


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (5, "index 5|5 is out of bounds for dimension 0 with size 2"),
        ((0, 0, 0), "too many indices"),
        (1.0, "only integers, slices"),
        ("a", "only integers, slices"),
        (Tensor(np.ones(2)), "int64, int32, uint8 or bool"),
        (Tensor(np.ones(2, np.int16)), "int64, int32, uint8 or bool"),
        (Tensor(np.ones(3, bool)), "shape of the mask"),
        ([0, 2], "index 2 is out of bounds"),
        (([0, 1], [0, 1, 2]), "cannot be broadcast"),
        (np.bool_(True), "not a valid index"),
    ],
)
def test_bad_indices(index: Any, message: str) -> None:
    kind = TypeError if isinstance(index, str) else IndexError
    with pytest.raises(kind, match=message):
        numbers(2, 3)[index]
    with pytest.raises(kind, match=message):
        numbers(2, 3)[index] = 0


def test_steps_must_be_positive() -> None:
    with pytest.raises(ValueError, match=r"greater than zero.*flip"):
        numbers(3)[::-1]


def test_lists_of_sequences_stand_for_tuples() -> None:
    x = numbers(2, 3, 4)
    assert x[[[0, 1], [1, 2]]].shape == (2, 4)
    assert x[[0, 1]].shape == (2, 3, 4)
    assert x[[None, 0]].shape == (1, 3, 4)
    assert x[[]].shape == (0, 3, 4)
    assert x[range(2)].shape == (2, 3, 4)
    assert x[minicnn.tensor([1, 0], dtype=minicnn.uint8)].shape == (1, 3, 4)  # a mask
    assert x[minicnn.tensor(1), np.int64(2)].shape == (4,)


def test_values_are_checked() -> None:
    x = numbers(2, 3)
    with pytest.raises(RuntimeError, match=r"value of shape \(2,\) cannot be broadcast to \(3,\)"):
        x[0] = minicnn.ones(2)
    with pytest.raises(RuntimeError, match=r"float64 and the value minicnn\.float32"):
        x[[0]] = minicnn.ones(3)
    x[0] = minicnn.ones(3)  # a slice converts, as copy_ does
    with pytest.raises(TypeError, match="cannot assign a list"):
        x[0] = [1, 2, 3]
    whole = minicnn.zeros(3, dtype=minicnn.uint8)
    whole[0], whole[1:] = 1.7, True
    assert whole.tolist() == [1, 1, 1]
    with pytest.raises(RuntimeError, match="without overflow"):
        whole[0] = 300
    with pytest.raises(RuntimeError, match="cannot be written"):
        minicnn.zeros(1).expand(3)[0] = 1
    x[0] = x[1]
    x[:, 1:] = x[:, :-1]  # overlapping
    assert x.tolist() == [[3, 3, 4], [3, 3, 4]]


def test_recorded_writes() -> None:
    w = minicnn.ones(3, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        w[0] = 1
    with minicnn.no_grad():
        w[0] = 5
    out = minicnn.zeros(2, 3)
    out[0] = w * 2
    out[1][1:] = w[1:]  # through a view, into a tensor that was not recorded
    out.sum().backward()
    assert w.grad.tolist() == [2, 3, 3]
    y = w * 1
    saved = y.exp()
    z = y * y
    y[0] = 0
    with pytest.raises(RuntimeError, match="changed in place"):
        z.sum().backward()
    saved.sum().backward()  # exp saved its result, which was not changed


def test_repeated_indices_add_up() -> None:
    x = minicnn.zeros(3, requires_grad=True)
    x[[0, 0, 2, 0]].sum().backward()
    assert x.grad.tolist() == [3, 0, 1]
    y = minicnn.zeros(3)
    y.index_put_((minicnn.tensor([1, 1]),), minicnn.ones(2), accumulate=True)
    assert y.tolist() == [0, 2, 0]
    y.scatter_add_(0, minicnn.tensor([0, 0]), minicnn.ones(2)).masked_fill_(y == 0, 7).clamp_(max=5)
    assert y.tolist() == [2, 2, 5]


@pytest.mark.parametrize(
    "call",
    [
        lambda x, i: x.gather(0, i), lambda x, i: x.scatter(0, i, 1.0), lambda x, i: x.index_select(0, i[0]),
        lambda x, i: x.take(i), lambda x, i: x.index_add(0, i[0], x[:1]),
    ],
)  # fmt: skip
def test_indices_out_of_bounds(call: Any) -> None:
    with pytest.raises((IndexError, RuntimeError), match="out of"):
        call(numbers(2, 3), minicnn.tensor([[99]]))


def test_sizes_of_gather_and_scatter() -> None:
    x, index = numbers(2, 3), minicnn.zeros(3, 3, dtype=minicnn.int64)
    with pytest.raises(RuntimeError, match="must not be larger than input"):
        x.gather(1, index)
    with pytest.raises(RuntimeError, match="must have as many axes"):
        x.gather(1, index[0])
    with pytest.raises(RuntimeError, match="larger than src"):
        x.scatter(0, index, numbers(2, 3))
    with pytest.raises(RuntimeError, match="int64"):
        x.gather(1, index.float())
    with pytest.raises(RuntimeError, match=r"src is minicnn\.float32 but the tensor is minicnn\.float64"):
        x.scatter_add(0, index[:1], minicnn.ones(1, 3))


def test_order_is_stable_and_nan_is_largest() -> None:
    x = minicnn.tensor([2.0, float("nan"), 1.0, 2.0, -1.0])
    up, down = x.sort(), x.sort(descending=True)
    assert up.indices.tolist() == [4, 2, 0, 3, 1]
    assert down.indices.tolist() == [1, 0, 3, 2, 4]
    assert repr(minicnn.tensor([1, 2]).topk(1)).startswith("minicnn.return_types.topk(\nvalues=tensor([2]")
    values, indices = x[2:].topk(2, largest=False)
    assert (values.tolist(), indices.tolist()) == ([-1, 1], [2, 0])
    with pytest.raises(RuntimeError, match="k out of range"):
        x.topk(6)
    with pytest.raises(RuntimeError, match="k out of range"):
        x.kthvalue(0)


def test_searching() -> None:
    x = minicnn.tensor([[0, 3], [5, 0]])
    assert x.nonzero().tolist() == [[0, 1], [1, 0]]
    assert [i.tolist() for i in x.nonzero(as_tuple=True)] == [[0, 1], [1, 0]]
    values, inverse, counts = minicnn.tensor([3, 1, 3]).unique(return_inverse=True, return_counts=True)
    assert (values.tolist(), inverse.tolist(), counts.tolist()) == ([1, 3], [1, 0, 1], [1, 2])
    assert minicnn.tensor([[1, 2], [1, 2], [0, 9]]).unique(dim=0).tolist() == [[0, 9], [1, 2]]
    assert minicnn.tensor([1, 1, 2, 1]).unique_consecutive().tolist() == [1, 2, 1]
    edges = minicnn.tensor([1, 3, 5])
    assert minicnn.bucketize(minicnn.tensor([1, 2, 6]), edges).tolist() == [0, 1, 3]
    assert minicnn.searchsorted(edges, minicnn.tensor([1, 5]), right=True).tolist() == [1, 3]
    assert minicnn.bincount(minicnn.tensor([1, 1, 3]), minlength=6).tolist() == [0, 2, 0, 1, 0, 0]
    assert minicnn.histc(minicnn.tensor([0.0, 1.0, 1.0, 4.0]), bins=4).tolist() == [1, 2, 0, 1]
    assert minicnn.isin(edges, minicnn.tensor([5, 1])).tolist() == [True, False, True]
    with pytest.raises(NotImplementedError, match="meta"):
        minicnn.zeros(2, device="meta").nonzero()
