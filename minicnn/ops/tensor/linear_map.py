"""Linear maps that move elements: a row has the map and its adjoint, and one `Function` runs all rows.

    y = A x,    gx = A^T gy

`View` is for maps whose result shares the memory of their argument, `Map` for maps that copy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from minicnn_kernels.arrays import Array

from ...autograd.engine import Function
from ...device import Meta, meta
from ...memory_formats import tidy


class LinearMapRow(NamedTuple):
    """A linear map of one array.

    Attributes:
        name: the name of the operation, for errors and `grad_fn`.
        forward: (x, *arguments) -> y.
        adjoint: (gy, shape of x, *arguments) -> gx.
        shape: (shape of x, *arguments) -> shape of y, if the map copies and changes the shape.
        linear: (x, *arguments) -> A x, if `forward` adds a constant to it.
        tidy: whether a result in an order of memory that is neither NCHW nor channels-last becomes contiguous.
    """

    name: str
    forward: Callable[..., Array]
    adjoint: Callable[..., Array]
    shape: Callable[..., tuple[int, ...]] | None = None
    linear: Callable[..., Array] | None = None
    tidy: bool = True


class Map(Function):
    """y = A x in new memory."""

    @staticmethod
    def forward(ctx: Any, x: Array, rule: LinearMapRow, *arguments: Any, title: str | None = None) -> Array:
        """Run the map; `title` is its name in the graph, if programs know it by another than the row's."""
        ctx.title, ctx.rule, ctx.arguments, ctx.shape = title or rule.name, rule, arguments, x.shape
        y = rule.forward(x, *arguments)
        return y if ctx.function.view or not rule.tidy else tidy(y)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """Run the adjoint."""
        return ctx.rule.adjoint(gy, ctx.shape, *ctx.arguments), *[None] * (len(ctx.needs_input_grad) - 1)

    @staticmethod
    def tangent(ctx: Any, v: Array, *_: Any) -> Array:
        """Run the map."""
        return (ctx.rule.linear or ctx.rule.forward)(v, *ctx.arguments)

    @staticmethod
    def infer(x: Meta, rule: LinearMapRow, *arguments: Any, title: str | None = None) -> Meta:
        """Return the shape given by the row's rule."""
        return meta(rule.shape(x.shape, *arguments) if rule.shape else x.shape, x.dtype)


class View(Map):
    """y = A x in the memory of x."""

    view = True
    infer = staticmethod(Function.infer)  # NumPy makes the view of a meta array
