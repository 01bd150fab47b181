"""Gradients of operands that have no part in a result: None, zeros or an empty tensor, as in PyTorch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn

torch = pytest.importorskip("torch", reason="compares with PyTorch")

Op = Callable[..., Any]


def none(lib: Any) -> Any:
    return lib.zeros(0, dtype=lib.int64)


def truth(lib: Any, value: bool) -> Any:
    return lib.full((3,), value, dtype=lib.bool)


def assigned(a: Any, index: Any, b: Any) -> Any:
    c = a * 1
    c[index] = b
    return c


# An operation of a library and of tensors of these shapes.
OPS: dict[str, tuple[Op, tuple[Any, ...]]] = {
    "cat": (lambda lib, a, b: lib.cat([a, b], 1), ((2, 3), (0,))),
    "cat first": (lambda lib, a, b: lib.cat([a, b], -1), ((0,), (2, 3))),
    "cat three": (lambda lib, a, b, c: lib.cat([a, b, c]), ((0,), (2, 3), (0,))),
    "cat along an empty axis": (lambda lib, a, b: lib.cat([a, b]), ((2, 3), (0, 3))),
    "cat of empty ones": (lambda lib, a, b: lib.cat([a, b], 1), ((0,), (0,))),
    "cat of another type": (lambda lib, a, b: lib.cat([a.float(), b]), ((2, 3), (0,))),
    "cat to a constant": (lambda lib, a: lib.cat([lib.ones(2, 3).double(), a]), ((0,),)),
    "cat, then more": (lambda lib, a, b: lib.cat([a * 2, b * 2], 1) * 3, ((2, 3), (0,))),
    "hstack": (lambda lib, a, b: lib.hstack([a, b]), ((2, 3), (0,))),
    "vstack": (lambda lib, a, b: lib.vstack([a, b]), ((2, 3), (0, 3))),
    "dstack": (lambda lib, a, b: lib.dstack([a, b]), ((2, 0), (2, 0))),
    "stack": (lambda lib, a, b: lib.stack([a, b], 1), ((0, 2), (0, 2))),
    "stack, one used": (lambda lib, a, b: lib.stack([a, b])[0], ((2,), (2,))),
    "column_stack": (lambda lib, a, b: lib.column_stack([a, b]), ((2, 3), (2, 0))),
    "block_diag": (lambda lib, a, b: lib.block_diag(a, b), ((2, 2), (0, 3))),
    "where": (lambda lib, a, b: lib.where(truth(lib, True), a, b), ((3,), (3,))),
    "where, empty": (lambda lib, a, b: lib.where(none(lib) > 0, a, b), ((0,), (1,))),
    "index_put": (lambda lib, a, b: a.index_put((none(lib),), b), ((3,), (0,))),
    "scatter": (lambda lib, a, b: a.scatter(0, none(lib), b), ((3,), (0,))),
    "scatter_": (lambda lib, a, b: (a * 1).scatter_(0, none(lib), b), ((3,), (0,))),
    "scatter_add": (lambda lib, a, b: a.scatter_add(0, none(lib), b), ((3,), (0,))),
    "scatter_reduce": (lambda lib, a, b: a.scatter_reduce(0, none(lib), b, "amax"), ((3,), (0,))),
    "gather": (lambda lib, a: a.gather(0, none(lib)), ((3,),)),
    "index_select": (lambda lib, a: a.index_select(0, none(lib)), ((3, 2),)),
    "index": (lambda lib, a: a[none(lib)], ((3, 2),)),
    "mask": (lambda lib, a: a[truth(lib, False)], ((3, 2),)),
    "masked_fill": (lambda lib, a, b: a.masked_fill(truth(lib, True), b), ((3,), ())),
    "masked_scatter": (lambda lib, a, b: a.masked_scatter(truth(lib, False), b), ((3,), (0,))),
    "index_add": (lambda lib, a, b: a.index_add(0, none(lib), b), ((3, 2), (0, 2))),
    "index_copy": (lambda lib, a, b: a.index_copy(0, none(lib), b), ((3, 2), (0, 2))),
    "index_reduce": (lambda lib, a, b: a.index_reduce(0, none(lib), b, "amax"), ((3, 2), (0, 2))),
    "index_fill": (lambda lib, a, b: a.index_fill(0, none(lib), b), ((3, 2), ())),
    "put": (lambda lib, a, b: a.put(none(lib), b), ((3, 2), (0,))),
    "assignment": (lambda lib, a, b: assigned(a, slice(None), b), ((3,), (3,))),
    "assignment of nothing": (lambda lib, a, b: assigned(a, slice(0, 0), b), ((3,), (0,))),
    "copy_": (lambda lib, a, b: (a * 1).copy_(b), ((3,), (3,))),
    "fill_": (lambda lib, a, b: (a * 1).fill_(b), ((3,), ())),
    "split": (lambda lib, a: a.split([2, 3, 0])[2], ((5,),)),
    "unbind": (lambda lib, a: a.unbind(1)[1], ((3, 2),)),
    "var_mean": (lambda lib, a: lib.var_mean(a)[1], ((3,),)),
    "meshgrid": (lambda lib, a, b: lib.meshgrid(a, b, indexing="ij")[1], ((2,), (3,))),
    "addmm": (lambda lib, c, a, b: lib.addmm(c, a, b, beta=0), ((3,), (2, 2), (2, 3))),
    "addmv": (lambda lib, c, a, b: lib.addmv(c, a, b, beta=0), ((2,), (2, 2), (2,))),
    "baddbmm": (lambda lib, c, a, b: lib.baddbmm(c, a, b, beta=0), ((1, 2, 2),) * 3),
    "addmm, factor": (lambda lib, c, a, b: lib.addmm(c, a, b, alpha=0), ((2, 3), (2, 2), (2, 3))),
    "product of nothing": (lambda lib, a, b: a @ b, ((2, 0), (0, 3))),
    "expand": (lambda lib, a: a.expand(0, 3), ((3,),)),
    "empty sum": (lambda lib, a: a.sum(0), ((0, 3),)),
    "broadcast": (lambda lib, a, b: a * b, ((0, 3), (1, 3))),
    "linear": (lambda lib, a, w, b: lib.nn.functional.linear(a, w, b), ((0, 3), (2, 3), (2,))),
    "conv2d": (lambda lib, a, w, b: lib.nn.functional.conv2d(a, w, b), ((0, 1, 5, 5), (2, 1, 3, 3), (2,))),
    "ignored": (lambda lib, a: lib.nn.functional.nll_loss(a, lib.tensor([-100, -100])), ((2, 3),)),
}


def gradients(lib: Any, op: Op, shapes: tuple[Any, ...]) -> Any:
    rng = np.random.default_rng(0)
    leaves = [lib.tensor(rng.uniform(1, 2, shape), requires_grad=True) for shape in shapes]
    result = op(lib, *leaves)
    result.sum().backward()
    found = [None if x.grad is None else (list(x.grad.shape), np.round(x.grad.tolist(), 9).tolist()) for x in leaves]
    return list(result.shape), found


@pytest.mark.filterwarnings("ignore:index_reduce")
@pytest.mark.parametrize("name", OPS)
def test_as_in_pytorch(name: str) -> None:
    ours, theirs = (str(gradients(lib, *OPS[name])) for lib in (minicnn, torch))
    assert ours == theirs
