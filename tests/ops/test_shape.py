"""Operations on shapes: shared memory, refused and accepted arguments; the table of samples has their numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import ShapeError, Tensor
from minicnn_kernels.arrays import share_memory


def numbers(*shape: int) -> Tensor:
    return Tensor(np.arange(float(np.prod(shape))).reshape(shape))


def test_views_share_memory_and_count_writes() -> None:
    x = numbers(2, 3, 4)
    views = [
        x.view(6, 4), x.permute(2, 0, 1), x.transpose(0, 1), x[1], x[:, 1:], x[None], x.unsqueeze(0), x.squeeze(),
        x.T.mT, x.diagonal(), x.unfold(2, 2, 2), x.narrow(1, 0, 2), x.select(0, 1), *x.split(2, 2),
        *x.unbind(1), x.flatten(),
    ]  # fmt: skip
    for view in views:
        assert share_memory(view._array, x._array)
        before = x._version
        view.zero_()
        assert x._version > before
    for copy in (x.clone(), x.flip(0), x.roll(1), x.repeat(1, 1, 1), x[[0]], x.tril(), x.diag_embed()):
        assert not share_memory(copy._array, x._array)


def test_view_refuses_what_memory_does_not_allow() -> None:
    x = numbers(2, 3)
    assert x.T.reshape(6).tolist() == [0, 3, 1, 4, 2, 5]
    with pytest.raises(RuntimeError, match=r"view: shape \(6,\) needs another order.*use .reshape"):
        x.T.view(6)
    assert x.T.view(3, 1, 2).shape == (3, 1, 2)
    with pytest.raises(TypeError, match="view: size must be ints"):
        x.view(np.float32)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: x.reshape(5), r"shape \(5,\) is invalid for 6 elements"),
        (lambda x: x.reshape(-1, -1), "at most one -1"),
        (lambda x: x.reshape(4, -1), "invalid for 6 elements"),
        (lambda x: x[:0].reshape(0, -1), "can be any size"),
        (lambda x: x.flatten(1, 0), "comes after end_dim"),
        (lambda x: x.permute(0), "not an order of the 2 axes"),
        (lambda x: x.expand(2, 4), "does not expand"),
        (lambda x: x.expand(3), "does not expand"),
        (lambda x: x.repeat(2), "for each of 2 axes"),
        (lambda x: x[0].mT, "expected matrices"),
        (lambda x: x[None].t(), "at most 2 axes"),
        (lambda x: minicnn.cat([x, x[:, :1]]), "differ in more than dimension 0"),
        (lambda x: minicnn.cat([x, x[0, 0]]), "0-d and has no axis"),
        (lambda x: minicnn.stack([x, x[:1]]), "shapes must be equal"),
        (lambda x: minicnn.stack([]), "at least one tensor"),
        (lambda x: x.split([1, 2]), "add up to 2"),
        (lambda x: x.hsplit(2), "do not divide"),
        (lambda x: x.movedim((0, 1), (0,)), "2 source axes"),
        (lambda x: minicnn.meshgrid(x, x), "0-d or 1-d"),
        (lambda x: minicnn.broadcast_tensors(x, x.T), "do not broadcast"),
        (lambda x: x[0].tril(), "at least 2 axes"),
        (lambda x: x.unflatten(0, (3, 1)), "invalid for 2 elements"),
    ],
)
def test_shape_errors(call: Any, message: str) -> None:
    with pytest.raises(ShapeError, match=message):
        call(numbers(2, 3))


@pytest.mark.parametrize(
    "call",
    [
        lambda x: x.transpose(0, 2), lambda x: x.unsqueeze(-4), lambda x: x.squeeze(5), lambda x: x.flip(2),
        lambda x: x.unbind(2), lambda x: x.diagonal(0, 0, 3), lambda x: minicnn.cat([x], 2), lambda x: x.roll(1, 7),
    ],
)  # fmt: skip
def test_axes_out_of_range(call: Any) -> None:
    with pytest.raises(IndexError, match="out of range"):
        call(numbers(2, 3))


def test_axes_named_twice() -> None:
    x = numbers(2, 3)
    for call in (lambda: x.permute(0, 0), lambda: x.flip(0, -2), lambda: x.diagonal(0, 1, -1)):
        with pytest.raises(RuntimeError, match="appears twice"):
            call()


def test_sizes_come_in_every_form() -> None:
    x = numbers(2, 3)
    size = minicnn.Size([3, 2])
    for y in (
        x.reshape(3, 2),
        x.reshape((3, 2)),
        x.reshape([3, 2]),
        x.reshape(size),
        x.reshape(shape=(3, 2)),
        x.view(size),
    ):
        assert y.shape == (3, 2)
    assert minicnn.reshape(x, (minicnn.tensor(3), np.int64(2))).shape == (3, 2)
    assert minicnn.cat([x, x], axis=1).shape == (2, 6)
    assert x.unsqueeze(axis=0).shape == (1, 2, 3)
    with pytest.raises(TypeError, match="missing argument"):
        x.reshape()


def test_values_of_maps_without_a_second_definition() -> None:
    x = numbers(3, 4)
    assert x.diagonal(-1).tolist() == [4, 9]
    assert x.diagonal(2).tolist() == [2, 7]
    assert minicnn.tensor([1, 2]).diag(-1).tolist() == [[0, 0, 0], [1, 0, 0], [0, 2, 0]]
    assert x.roll(1, 1)[0].tolist() == [3, 0, 1, 2]
    assert x.rot90()[:, 0].tolist() == [3, 2, 1, 0]
    assert x[0].unfold(0, 2, 2).tolist() == [[0, 1], [2, 3]]
    assert minicnn.tensor([1, 2]).repeat_interleave(2).tolist() == [1, 1, 2, 2]
    assert minicnn.addmm(minicnn.ones(1, 1), minicnn.ones(1, 2), minicnn.ones(2, 1), beta=3, alpha=5).item() == 13
    assert minicnn.einsum("ij,j->i", x, minicnn.ones(4, dtype=x.dtype)).tolist() == [6, 22, 38]


def test_memory_formats() -> None:
    x = numbers(2, 3, 4, 5)
    channels_last = x.contiguous(memory_format=minicnn.channels_last)
    assert channels_last.stride() == (60, 1, 15, 3)
    assert channels_last.is_contiguous(memory_format=minicnn.channels_last)
    assert not channels_last.is_contiguous()
    assert channels_last.contiguous().stride() == (60, 20, 5, 1)
    assert channels_last.clone().stride() == channels_last.stride()  # preserve_format
    assert minicnn.zeros_like(channels_last).stride() == channels_last.stride()
    assert x[:, ::2].clone().is_contiguous()
    assert x.contiguous() is x
    assert x[1, 1:].storage_offset() == 80
    assert x.stride(-2) == 5
    with pytest.raises(RuntimeError, match="4 axes"):
        x[0].contiguous(memory_format=minicnn.channels_last)
    assert repr(minicnn.channels_last) == "minicnn.channels_last"


def test_joins_promote_types() -> None:
    x = minicnn.cat([minicnn.tensor([1]), minicnn.tensor([2.5])])
    assert (x.dtype, x.tolist()) == (minicnn.float32, [1, 2.5])
    assert minicnn.stack([minicnn.tensor(True), minicnn.tensor(3)]).dtype == minicnn.int64


def test_in_place_shapes() -> None:
    x = numbers(2, 1, 3)
    assert x.squeeze_(1).t_().unsqueeze_(0) is x
    assert x.shape == (1, 3, 2)
    w = minicnn.ones(2, 1, requires_grad=True)
    with pytest.raises(RuntimeError, match="leaf"):
        w.squeeze_()
    y = (w * 2).squeeze_()
    y.sum().backward()
    assert w.grad.shape == (2, 1)


def test_empty_operands_of_a_join_get_empty_gradients() -> None:
    for dim in (0, 1):
        e, x, f = minicnn.zeros(0, requires_grad=True), minicnn.ones(2, 3, requires_grad=True), minicnn.zeros(0)
        y = minicnn.cat([e * 2, x, f], dim)
        (y * 3).sum().backward()
        assert e.grad.shape == (0,) and x.grad.tolist() == [[3] * 3] * 2
    both = minicnn.cat([minicnn.zeros(0).double().requires_grad_(), minicnn.zeros(0)], 1)
    assert both.shape == (0,) and both.dtype == minicnn.float64 and both.requires_grad
    assert minicnn.cat([minicnn.zeros(0).double(), minicnn.ones(2)]).dtype == minicnn.float64


def test_sources_that_go_nowhere_get_zeros() -> None:
    index = minicnn.zeros(0, dtype=minicnn.int64)
    for op in ("scatter", "scatter_add"):
        x, source = minicnn.ones(3, requires_grad=True), minicnn.ones(2, requires_grad=True)
        getattr(x, op)(0, index, source).sum().backward()
        assert source.grad.tolist() == [0, 0] and x.grad.tolist() == [1, 1, 1]
    c, a = minicnn.full((3,), float("nan"), requires_grad=True), minicnn.ones(2, 2)
    minicnn.addmm(c, a, minicnn.ones(2, 3), beta=0).sum().backward()
    assert c.grad.tolist() == [0, 0, 0]
