"""Gradients of gradients: the backward of a function, recorded as operations that have a backward themselves.

For y = f(x), backward computes gx = J^T gy, with J = df/dx. If a gradient of gx is wanted (`create_graph`), gy is a
tensor, and gx must be one with a place in the graph. A function says how in one of two ways.

- `derivative(ctx, gy)` is backward, written with operations on tensors. `ctx.at_input(i, array)` and
  `ctx.at_output(j, array)` give a saved array its place in the graph. A backward that is written with NumPy's functions
  need not be written twice: `minicnn.ops.tensor.recorded` runs it on tensors.
- `tangent(ctx, v)` is enough where J is fixed once forward has run: choosing, moving, scaling by constants. Then gx is
  linear in gy, its gradient is J v, and the gradient of that is J^T again. So both are functions here, each the other's
  backward, and derivatives of every order follow.

B. A. Pearlmutter, "Fast exact multiplication by the Hessian", 1994.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minicnn_kernels.arrays import Array, on_device_of, xp

from ..device import Meta, meta
from . import engine, gpu
from .engine import Function, Node

if TYPE_CHECKING:
    from ..tensor import Tensor


def derivative(node: Node, gys: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Return the gradients of a node's inputs from those of its results, recorded.

    Raises:
        NotImplementedError: the function has no derivative of its backward.
    """
    function = node.function
    if function.derivative is not None:
        found = function.derivative(node, *gys)
        return found if isinstance(found, tuple) else (found,)
    return tuple([with_unused(gx, *_arguments(node, function.bends_in)) for gx in _of_fixed(node, gys)])


def _of_fixed(node: Node, gys: Sequence[Tensor | None]) -> tuple[Tensor | None, ...]:
    """Return the gradients of the inputs of a node whose J is fixed, by the plain backward."""
    function = node.function
    if function.tangent is None:
        raise NotImplementedError(
            f"backward: the derivative of the backward of {node.title} is not implemented, so its gradient cannot have "
            "a gradient; leave out create_graph=True, or compute this part with other operations"
        )
    given = tuple([j for j, gy in enumerate(gys) if gy is not None and gy.dtype.kind == "f"])  # not of indices
    wanted = tuple([i for i, edge in enumerate(node.inputs) if edge is not None and node.needs_input_grad[i]])
    results = _Linear.apply(*[gys[j] for j in given], of=node, given=given, wanted=wanted, back=True)
    gxs: list[Tensor | None] = [None] * len(node.inputs)
    for i, gx in zip(wanted, results, strict=True):
        gxs[i] = gx
    return tuple(gxs)


def bent(node: Any, gx: Tensor, *places: int) -> Tensor:
    """Return a gradient that jumps with the arguments at `places` and is constant between the jumps, such as relu's.

    Its gradient there is 0, and not None: as in PyTorch, the penalty of a gradient may be differentiated in a net that
    is linear but for such functions.
    """
    return with_unused(gx, *_arguments(node, places))


def _arguments(node: Node, places: Sequence[int]) -> list[Tensor]:
    """Return the arguments of a node that need a gradient, as tensors with their places in the graph but any values."""
    found = []
    for i in places:
        edge = node.inputs[i]
        if edge is not None and node.needs_input_grad[i]:
            shape, dtype = engine.like(edge)
            found.append(node.at_input(i, np.zeros(shape, dtype) if type(edge) is tuple else edge._array))
    return found


class _Beside(Function):
    """y = x; the other tensors get gradients of zeros."""

    any_device = True

    @staticmethod
    def forward(ctx: Any, x: Array, *others: Array) -> Array:
        """x itself."""
        ctx.likes = [(a.shape, a.dtype) for a in others]
        return x

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array, ...]:
        """Zeros."""
        with on_device_of(gy):
            return gy, *[xp(gy).zeros(*like) for like in ctx.likes]

    @staticmethod
    def tangent(ctx: Any, v: Array | None, *others: Array | None) -> Array:
        """v itself, or zeros."""
        return xp(next(a for a in (v, *others) if a is not None)).zeros(*ctx.outputs[0]) if v is None else v


def with_unused(y: Tensor | None, *others: Any) -> Any:
    """Return a result that does not depend on `others` although it could, such as a scatter to no places.

    As in PyTorch, the gradients of `others` are then zeros and not None.
    """
    unused = [x for x in others if isinstance(x, engine._tensor) and x.requires_grad]
    return y if y is None or not unused else _Beside.apply(y, *unused)


class _Linear(Function):
    """gx = J^T gy (`back`), or y' = J v: a function of some results and some inputs of a node whose J is fixed."""

    any_device = True

    @staticmethod
    def forward(ctx: Any, *xs: Array, of: Node, given: tuple[int, ...], wanted: tuple[int, ...], back: bool) -> Any:
        """Run the node's backward or tangent."""
        ctx.title = f"{of.title}{'Backward' if back else 'Tangent'}"
        ctx.of, ctx.given, ctx.wanted, ctx.back = of, given, wanted, back
        return (transposed if back else along)(of, xs, given, wanted)

    @staticmethod
    def backward(ctx: Any, *ups: Array) -> Any:
        """Run the other one."""
        return (along if ctx.back else transposed)(ctx.of, ups, ctx.wanted, ctx.given)

    @staticmethod
    def derivative(ctx: Any, *ups: Tensor) -> Any:
        """Record the other one."""
        return _Linear.apply(*ups, of=ctx.of, given=ctx.wanted, wanted=ctx.given, back=not ctx.back)

    @staticmethod
    def infer(*xs: Any, of: Node, given: tuple[int, ...], wanted: tuple[int, ...], back: bool) -> Any:
        """Return the shapes of the inputs, or those of the results."""
        return tuple([meta(*(engine.like(of.inputs[k]) if back else of.outputs[k])) for k in wanted])


def transposed(node: Node, gys: Sequence[Array], given: Sequence[int], wanted: Sequence[int]) -> tuple[Array, ...]:
    """Return the gradients of the `wanted` inputs by the plain backward, from those of the `given` results."""
    ups: list[Array | None] = [None] * len(node.outputs)
    for j, gy in zip(given, gys, strict=True):
        ups[j] = gy
    if node.materialize:
        for j, (shape, dtype) in enumerate(node.outputs):
            if ups[j] is None:
                with on_device_of(gys[0]):
                    ups[j] = xp(gys[0]).zeros(shape, dtype)
    needs = node.needs_input_grad
    node.needs_input_grad = tuple([i in wanted for i in range(len(node.inputs))])
    try:
        run: Any = node.function.backward if node.gpu is None else gpu.backward
        found = run(node, *ups)
    finally:
        node.needs_input_grad = needs
    found = found if isinstance(found, tuple) else (found,)
    return tuple([found[i] for i in wanted])


def along(node: Node, vs: Sequence[Array], given: Sequence[int], wanted: Sequence[int]) -> tuple[Array, ...]:
    """Return the derivative of the `wanted` results along changes of the `given` inputs; the other inputs stay."""
    directions: list[Array | None] = [None] * len(node.inputs)
    for i, v in zip(given, vs, strict=True):
        directions[i] = v
    assert node.function.tangent is not None
    found = node.function.tangent(node, *directions) if node.gpu is None else gpu.tangent(node, *directions)
    found = found if isinstance(found, tuple) else (found,)
    return tuple([found[j].reshape(node.outputs[j][0]).astype(node.outputs[j][1], copy=False) for j in wanted])


def zeros(gys: Sequence[Tensor | None], shape: tuple[int, ...], dtype: Any) -> Tensor:
    """Return the gradient of a result that nothing depends on, as a constant tensor."""
    other = next(gy for gy in gys if gy is not None).array
    if type(other) is Meta:
        return engine._tensor(meta(shape, dtype))
    with on_device_of(other):
        return engine._tensor(xp(other).zeros(shape, dtype))
