"""Derivatives of functions: products with the Jacobian and the Hessian, and these matrices themselves.

For y = f(x), with J = dy/dx, and for a scalar y also H = d2y/dx2:

    vjp         v^T J               one backward pass
    jvp         J v                 w -> w^T J is linear in w, so a backward pass through it gives J v
    vhp, hvp    v^T H, H v          a backward pass through the backward pass
    jacobian    J, a row for each element of y
    hessian     H, the Jacobian of the gradient

A function takes a tensor or several, and returns a tensor or several; inputs and outputs keep that form. The results
are detached unless `create_graph` is True.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import numpy as np

from minicnn_kernels.arrays import on_device_of, xp

from ..compat.missing import answer as _answer
from . import backpropagation, engine
from .backpropagation import grad
from .modes import enable_grad

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def vjp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(outputs, v^T J): the product of a vector with the Jacobian.

    Args:
        func: takes the inputs, returns tensors.
        inputs: a tensor or a tuple of tensors.
        v: like the outputs; it may be left out for one output with one element.
        create_graph: give the results places in the graph.
        strict: raise if an output does not depend on an input, instead of giving zeros; and with `create_graph`, if
            a result does not.

    Raises:
        RuntimeError: v does not have the form of the outputs; or what `strict` forbids.

    >>> from minicnn.autograd.functional import vjp
    >>> y, found = vjp(lambda x: x**2, minicnn.tensor([1.0, 2.0]), minicnn.tensor([1.0, 10.0]))
    >>> found
    tensor([ 2., 40.])
    """
    call = _Call("vjp", func, inputs, create_graph)
    found = call.products(call.outputs, call.vectors(v, call.outputs, "the outputs"), strict)
    call.varying(found, strict)
    return call.given(call.outputs, call.several_out), call.given(found, call.several_in)


def jvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(outputs, J v): the product of the Jacobian with a vector, the derivative of func along v.

    Args:
        func, inputs, create_graph, strict: as in `vjp`.
        v: like the inputs; it may be left out for one input with one element.

    >>> from minicnn.autograd.functional import jvp
    >>> y, found = jvp(lambda x: (x**2).sum(), minicnn.tensor([1.0, 2.0]), minicnn.tensor([1.0, 10.0]))
    >>> found
    tensor(42.)
    """
    call = _Call("jvp", func, inputs, create_graph)
    v = call.vectors(v, call.inputs, "the inputs")
    with enable_grad():
        w = [_zeros(y).requires_grad_() for y in call.outputs]
        rows = call.products(call.outputs, w, strict, graph=True)  # w^T J, as a function of w
        used = [(row, one) for row, one in zip(rows, v, strict=True) if row.requires_grad]
        found: Sequence[Any] = [None] * len(w)
        if used:
            found = grad([row for row, _ in used], w, [one for _, one in used], None, create_graph, allow_unused=True)
    found = [_zeros(y) if one is None else one for one, y in zip(found, call.outputs, strict=True)]
    call.varying(found, strict)
    return call.given(call.outputs, call.several_out), call.given(found, call.several_out)


def vhp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(output, v^T H): the product of a vector with the Hessian of a function with one output of one element.

    Args:
        func, inputs, create_graph, strict: as in `vjp`.
        v: like the inputs; it may be left out for one input with one element.

    >>> from minicnn.autograd.functional import vhp
    >>> vhp(lambda x: (x**3).sum(), minicnn.tensor([1.0, 2.0]), minicnn.tensor([1.0, 10.0]))[1]  # H = diag(6 x)
    tensor([  6., 120.])
    """
    return _hessian_product("vhp", func, inputs, v, create_graph, strict)


def hvp(
    func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """(output, H v): the product of the Hessian with a vector; H is symmetric, so it is `vhp`, which is as fast.

    >>> from minicnn.autograd.functional import hvp
    >>> hvp(lambda x: (x**3).sum(), minicnn.tensor([1.0, 2.0]), minicnn.tensor([1.0, 10.0]))[1]
    tensor([  6., 120.])
    """
    return _hessian_product("hvp", func, inputs, v, create_graph, strict)


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian: for an output of shape (a, b) and an input of shape (c,), a tensor (a, b, c).

    Args:
        func, inputs, create_graph, strict: as in `vjp`.
        vectorize, strategy: have no effect: the rows are computed one after the other, by backward passes. As in
            PyTorch, `vectorize` and `strict` do not go together.

    Returns:
        A tensor; with several inputs a tuple of them, with several outputs a tuple of what one output would give.

    >>> from minicnn.autograd.functional import jacobian
    >>> jacobian(lambda x: x**2, minicnn.tensor([1.0, 2.0]))
    tensor([[2., 0.],
            [0., 4.]])
    """
    _check_options("jacobian", strict, vectorize, strategy)
    call = _Call("jacobian", func, inputs, create_graph)
    table = []
    for number, y in enumerate(call.outputs):
        rows: list[list[Any]] = [[] for _ in call.inputs]
        for k in range(y.array.size):
            for column, gx in zip(rows, call.products([y], [_unit(y, k)], strict, number=number), strict=True):
                column.append(gx)
        for column in rows:
            call.varying(column, strict)
        with enable_grad() if create_graph else nullcontext():
            table.append([_stacked(column, y, x) for column, x in zip(rows, call.inputs, strict=True)])
    found = [call.given(row, call.several_in) for row in table]
    return tuple(found) if call.several_out else found[0]


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The Hessian of a function with one output of one element: for an input of shape (n,), a tensor (n, n).

    Args:
        func, inputs, create_graph, strict, vectorize: as in `jacobian`.
        outer_jacobian_strategy: as the `strategy` there.

    Returns:
        A tensor; with several inputs a tuple of tuples, H[i][j] of the inputs i and j.

    Raises:
        RuntimeError: func has another output than one element.

    >>> from minicnn.autograd.functional import hessian
    >>> hessian(lambda x: x[0] ** 2 * x[1], minicnn.tensor([1.0, 2.0]))
    tensor([[4., 2.],
            [2., 0.]])
    """
    _check_options("hessian", strict, vectorize, outer_jacobian_strategy)
    _as_list("hessian", inputs, "The inputs given to hessian")
    several = isinstance(inputs, (tuple, list))

    def gradient(*points: Any) -> Any:
        y = func(*points)
        _only_one("hessian", _as_list("hessian", y, "The outputs of the user-provided function given to hessian"))
        y = y[0] if isinstance(y, (tuple, list)) else y
        if strict and not y.requires_grad:
            raise RuntimeError(f"hessian: {_NO_GRADIENT.format(0)}")
        found: Sequence[Any] = [None] * len(points)
        if y.requires_grad:
            found = grad(y, points, None, None, True, allow_unused=True)
        _second("hessian", found, strict)
        found = tuple([_zeros(x) if gx is None else gx for gx, x in zip(found, points, strict=True)])
        return found if several else found[0]

    return jacobian(gradient, inputs, create_graph, False, vectorize, outer_jacobian_strategy)


def _hessian_product(
    name: str, func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool, strict: bool
) -> tuple[Any, Any]:
    call = _Call(name, func, inputs, create_graph)
    _only_one(name, call.outputs)
    v = call.vectors(v, call.inputs, "the inputs")
    with enable_grad():
        gradients = call.products(call.outputs, [None], strict, graph=True)
        _second(name, gradients, strict)
        used = [(gx, one) for gx, one in zip(gradients, v, strict=True) if gx.requires_grad]
    found = call.products([gx for gx, _ in used], [one for _, one in used], strict)
    return call.given(call.outputs, False), call.given(found, call.several_in)


def _only_one(name: str, outputs: list[Any]) -> None:
    if len(outputs) != 1:
        raise RuntimeError(f"{name}: The function given to {name} should return a single Tensor, got {len(outputs)}")
    if outputs[0].array.size != 1:
        raise RuntimeError(
            f"{name}: The Tensor returned by the function given to {name} should contain a single element, got the "
            f"shape {tuple(outputs[0].shape)}"
        )


def _as_list(name: str, given: Any, what: str) -> list[Any]:
    """Return a tensor, or several, as a list."""
    found = list(given) if isinstance(given, (tuple, list)) else [given]
    wrong = [type(x).__name__ for x in found if not isinstance(x, engine._tensor)]
    if wrong or not found:
        got = wrong[0] if wrong else "nothing"
        raise TypeError(f"{name}: {what} must be either a Tensor or a tuple of Tensors, got {got}")
    return found


def _check_options(name: str, strict: bool, vectorize: bool, strategy: str) -> None:
    if strategy not in ("reverse-mode", "forward-mode"):
        raise ValueError(f"{name}: strategy should be 'reverse-mode' or 'forward-mode', got {strategy!r}")
    if strict and vectorize:
        raise RuntimeError(f"{name}: strict=True and vectorize=True are not supported together; leave vectorize out")


_STRICT = "This is not allowed in strict mode; pass strict=False for zeros."
_NO_GRADIENT = f"Output {{}} of the user-provided function does not require gradients. {_STRICT}"


def _second(name: str, gradients: Sequence[Any], strict: bool) -> None:
    """Raise, if strict, where a first derivative does not depend on the inputs, so that the second one is 0."""
    for i, gx in enumerate(gradients):
        if strict and (gx is None or not gx.requires_grad):
            raise RuntimeError(
                f"{name}: The jacobian of the user-provided function with respect to input {i} is independent of the "
                f"inputs. {_STRICT}"
            )


class _Call:
    """One call of a function: its inputs and outputs as lists, and the form in which they were given."""

    def __init__(self, name: str, func: Callable[..., Any], inputs: Any, create_graph: bool) -> None:
        self.name, self.create_graph = name, create_graph
        self.several_in = isinstance(inputs, (tuple, list))
        given = _as_list(name, inputs, f"The inputs given to {name}")
        with enable_grad():
            if create_graph:  # a new place in the graph, from which gradients go on to the given tensor
                self.inputs = [x.view(x.shape) if x.requires_grad else x.detach().requires_grad_() for x in given]
            else:
                self.inputs = [x.detach().requires_grad_() for x in given]
            found = func(*self.inputs)
        self.several_out = isinstance(found, (tuple, list))
        self.outputs = _as_list(name, found, f"The outputs of the user-provided function given to {name}")

    def vectors(self, v: Any, like: list[Any], what: str) -> list[Any]:
        """Return v as a list that fits to some tensors."""
        if v is None:
            if len(like) != 1 or like[0].array.size != 1:
                of = "input to the user-provided function is" if like is self.inputs else (
                    "user-provided function returns")  # fmt: skip
                raise RuntimeError(
                    f"{self.name}: The vector v can only be None if the {of} a single Tensor with a single element; "
                    f"{what} have the shapes {[tuple(x.shape) for x in like]}"
                )
            return [_unit(like[0], 0)]
        found = _as_list(self.name, v, f"The v given to {self.name}")
        if len(found) != len(like):
            wanted = "a single Tensor." if len(like) == 1 else f"{len(like)} Tensors, like {what},"
            raise RuntimeError(f"{self.name}: The given v should contain {wanted} It contains {len(found)}")
        for i, (one, x) in enumerate(zip(found, like, strict=True)):
            if one.shape != x.shape:
                entry = f"Entry {i} in v" if len(like) > 1 else "v"
                raise RuntimeError(
                    f"{self.name}: {entry} has invalid size: should be {x.shape!r}, as {what}, but got {one.shape!r}"
                )
        return found

    def products(
        self, outputs: list[Any], ups: list[Any], strict: bool, graph: bool = False, number: int | None = None
    ) -> list[Any]:
        """Return up^T J for each input; zeros for one that no output depends on. `number`: that of a single output."""
        graph = graph or self.create_graph
        for i, y in enumerate(outputs):
            if strict and not y.requires_grad:
                raise RuntimeError(f"{self.name}: {_NO_GRADIENT.format(number or i)}")
        used = [(y, up) for y, up in zip(outputs, ups, strict=True) if y.requires_grad]
        found: Sequence[Any] = [None] * len(self.inputs)
        if used:
            found = grad([y for y, _ in used], self.inputs, [up for _, up in used], True, graph, allow_unused=True)
        for i, gx in enumerate(found):
            if strict and gx is None:
                which = "The output" if number is None else f"Output {number}"
                raise RuntimeError(
                    f"{self.name}: {which} of the user-provided function is independent of input {i}. {_STRICT}"
                )
        return [_zeros(x) if gx is None else gx for gx, x in zip(found, self.inputs, strict=True)]

    def varying(self, found: Sequence[Any], strict: bool) -> None:
        """Raise, if strict, where a result that is to have a graph does not depend on the inputs."""
        for i, one in enumerate(found):
            if strict and self.create_graph and not one.requires_grad:
                raise RuntimeError(
                    f"{self.name}: The jacobian of the user-provided function is independent of input {i}. {_STRICT}"
                )

    def given(self, tensors: Sequence[Any], several: bool) -> Any:
        """Return tensors in the form in which they were given, detached unless they are to have a graph."""
        found = tuple([t if self.create_graph else t.detach() for t in tensors])
        return found if several else found[0]


def _zeros(like: Any) -> Any:
    with on_device_of(like.array):
        return engine._tensor(np.zeros_like(like.array))


def _unit(like: Any, k: int) -> Any:
    """The tensor with 1 at element k, and 0 elsewhere."""
    with on_device_of(like.array):
        array = xp(like.array).zeros(like.array.size, like.array.dtype)
        array[k] = 1
    return engine._tensor(array.reshape(like.array.shape))


def _stacked(rows: list[Any], y: Any, x: Any) -> Any:
    """Return the rows of a Jacobian as one tensor of the shapes of y and x."""
    shape = (*y.shape, *x.shape)
    if not rows:
        return _zeros(x).reshape(-1)[:0].reshape(shape)
    return backpropagation.stack(rows).reshape(shape)


_answer(globals())
