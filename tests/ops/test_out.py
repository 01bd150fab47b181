"""`out=`: the result goes into a tensor that exists; and tensors that are resized."""

from __future__ import annotations

import inspect
from typing import Any

import numpy as np
import pytest
from samples import OPS

import minicnn
from minicnn import Tensor

NAMES = [name for name in OPS if isinstance(OPS[name].call, str) and OPS[name].call in dir(minicnn)]


def takes_out(name: str) -> bool:
    return "out" in inspect.signature(getattr(minicnn, OPS[name].call)).parameters  # type: ignore[arg-type]


@pytest.mark.parametrize("name", [name for name in NAMES if takes_out(name)])
def test_the_result_is_written(name: str) -> None:
    """For the samples of every operation: into a tensor of the right shape, and into an empty one, which grows."""
    op, rng = OPS[name], np.random.default_rng(0)
    for sample in op.samples:
        given = [None if s is None else Tensor(np.asarray(op.draw(rng, s), np.float64)) for s in sample.shapes]
        function = getattr(minicnn, str(op.call))
        expected = function(*given, **sample.options)
        several = isinstance(expected, tuple)
        for fresh in (minicnn.full_like, lambda y, value: minicnn.empty(0, dtype=y.dtype)):
            outs = tuple(fresh(y, 0) for y in (expected if several else (expected,)))
            found = function(*given, out=outs if several else outs[0], **sample.options)
            for one, out, y in zip(
                found if several else (found,), outs, expected if several else (expected,), strict=True
            ):
                assert one is out
                np.testing.assert_array_equal(out.numpy(), y.numpy())
                assert out.dtype is y.dtype


def test_an_operand_may_be_the_output() -> None:
    x = minicnn.tensor([1.0, 2.0, 3.0])
    assert minicnn.cumsum(x, 0, out=x) is x
    assert x.tolist() == [1, 3, 6]
    assert minicnn.flip(x, (0,)).tolist() == [6, 3, 1]
    square = minicnn.tensor([[0.0, 1.0], [2.0, 3.0]])
    minicnn.mm(square, square, out=square)
    assert square.tolist() == [[2, 3], [6, 11]]
    part = square[0]
    assert minicnn.add(part, 1, out=part) is part
    assert square.tolist() == [[3, 4], [6, 11]]


def test_outputs_of_several_results_keep_their_names() -> None:
    x = minicnn.tensor([[1.0, 5.0], [7.0, 2.0]])
    values, indices = minicnn.empty(2), minicnn.empty(2, dtype=minicnn.int64)
    found = minicnn.max(x, 1, out=(values, indices))
    assert found.values is values and found.indices is indices
    assert indices.tolist() == [1, 0]
    with pytest.raises(TypeError, match="a tuple of 2 tensor"):
        minicnn.max(x, 1, out=values)
    with pytest.raises(RuntimeError, match=r"Expected out tensor to have dtype minicnn\.int64"):
        minicnn.sort(x, out=(minicnn.empty(2, 2), minicnn.empty(2, 2)))


def test_types() -> None:
    x = minicnn.tensor([1.5, 2.5])
    assert minicnn.mul(x, 2, out=minicnn.empty(2, dtype=minicnn.float64)).dtype is minicnn.float64
    assert minicnn.gt(x, 2, out=minicnn.empty(2)).tolist() == [0, 1]
    with pytest.raises(RuntimeError, match="can't be cast to the desired output type"):
        minicnn.mul(x, 2, out=minicnn.empty(2, dtype=minicnn.int64))
    with pytest.raises(TypeError, match="out must be a Tensor"):
        minicnn.mul(x, 2, out=x.numpy())


def test_new_tensors_have_the_type_of_the_output() -> None:
    out = minicnn.empty(0, dtype=minicnn.float64)
    assert minicnn.arange(3, out=out) is out
    assert out.tolist() == [0, 1, 2]
    minicnn.manual_seed(1)
    drawn = minicnn.randn(3, out=minicnn.empty(3, dtype=minicnn.float64))
    minicnn.manual_seed(1)
    assert drawn.tolist() == minicnn.randn(3, dtype=minicnn.float64).tolist()
    assert minicnn.zeros(3, out=minicnn.ones(2, dtype=minicnn.int32)).tolist() == [0, 0, 0]
    with pytest.raises(RuntimeError, match="does not match dtype of out parameter"):
        minicnn.ones(3, dtype=minicnn.float32, out=out)


def test_gradients_are_refused() -> None:
    x, w = minicnn.ones(2), minicnn.ones(2, requires_grad=True)
    for call in (
        lambda: minicnn.add(x, w, out=minicnn.empty(2)),
        lambda: minicnn.add(x, x, out=w),
        lambda: minicnn.stack([x, w], out=minicnn.empty(2, 2)),
    ):
        with pytest.raises(RuntimeError, match="don't support automatic differentiation"):
            call()
    with minicnn.no_grad():
        assert minicnn.add(x, w, out=w) is w
    assert w.tolist() == [2, 2]
    assert w.requires_grad


def test_a_write_counts_as_a_change() -> None:
    x = minicnn.ones(2, requires_grad=True)
    factor = minicnn.ones(2)
    y = x * factor
    minicnn.add(factor, 1, out=factor)
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_shapes() -> None:
    x, out = minicnn.ones(3), minicnn.zeros(2)
    with pytest.warns(UserWarning, match=r"was resized since it had shape \[2\]"):
        minicnn.add(x, 1, out=out)
    assert out.tolist() == [2, 2, 2]
    with pytest.raises(RuntimeError, match="expanded"):
        minicnn.add(x, 1, out=minicnn.ones(1).expand(3))
    meta = minicnn.empty(0, device="meta")
    assert minicnn.add(x.to("meta"), 1, out=meta).shape == (3,)


def test_resize() -> None:
    memory: Any = minicnn.arange(6.0)
    x = memory.view(2, 3)
    assert x.resize_(2, 2) is x
    assert x.tolist() == [[0, 1], [2, 3]]
    x[0, 0] = 9
    assert memory[0] == 9
    assert x.resize_((3, 2)).tolist() == [[9, 1], [2, 3], [4, 5]]  # the memory has kept its elements
    assert x.resize_(7)[:6].tolist() == [9, 1, 2, 3, 4, 5]
    assert memory[2:].resize_(2, 2).tolist() == [[2, 3], [4, 5]]
    assert minicnn.ones(2).resize_(0).shape == (0,)
    assert minicnn.ones(2, 3).t().resize_(6).shape == (6,)
    assert minicnn.ones(4).resize_as_(minicnn.zeros(2, 1)).shape == (2, 1)
    assert minicnn.empty(2, device="meta").resize_(5).shape == (5,)
    with pytest.raises(RuntimeError, match="cannot resize variables that require grad"):
        minicnn.ones(2, requires_grad=True).resize_(3)
    with pytest.raises(RuntimeError, match="must not be negative"):
        minicnn.ones(2).resize_(-1)
