"""The mechanism of elementwise operations: rows of a table, and one `Function` that runs every row.

A row has the NumPy function of one to three operands, and a gradient for each operand. The argument names of a
gradient say which values must be saved for it: `a`, `b` and `c` are the operands, `y` the result, `gy` the gradient of
the result; other names are options of the call. A gradient of a broadcast operand has the broadcast shape first;
`unbroadcast` then sums it back to the shape of the operand.

    hypot = binary("hypot", np.hypot, lambda gy, a, y: gy * a / y, lambda gy, b, y: gy * b / y, text="...")

Types follow PyTorch's promotion: all operands are converted to one type, which is also the type of the result.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels.arrays import GPU_TYPES, as_array

from ...autograd.engine import Function
from ...autograd.nodes import shown_places
from ...device import Meta, meta
from ...dtypes import default_type
from ...tensor import Array, Tensor, tensor_method
from .arguments import check_tensor
from .examples import shown
from .operands import unbroadcast
from .promotion import as_operand, number_type, result_type

BOOL = np.dtype(np.bool_)


class ElementwiseRow(NamedTuple):
    """A function of up to three arrays, with its gradients.

    Attributes:
        name: the name of the operation, for errors and `grad_fn`.
        function: takes arrays (or numbers) and options, and returns the result.
        gradients: one for each operand, or none if the result is constant almost everywhere.
        needs: the argument names of each gradient.
        kind: "same": the result has the operands' common type; "float": integers are first converted to the default
            floating-point type; "bool": the result is a truth value.
        refuse: the kinds of types ("b", "i", "u", "f") that the operation does not take.
        summed: for some rows, a function of a gradient's needs and the shape of its operand, which was broadcast: the
            gradient, already summed over the broadcast axes, or None where that is not faster.
    """

    name: str
    function: Callable[..., Any]
    gradients: tuple[Callable[..., Any], ...]
    needs: tuple[tuple[str, ...], ...]
    kind: str = "same"
    refuse: str = ""
    title: str = ""
    summed: Callable[..., Any] | None = None
    kept_for: dict[tuple[bool, ...], tuple[str, ...]] = {}  # noqa: RUF012 - `row` gives each row its own

    def kept(self, needed: tuple[bool, ...]) -> tuple[str, ...]:
        """Return the names of the operands, and of the result, that the needed gradients use and that must be saved."""
        if needed not in self.kept_for:
            names = [name for names, wanted in zip(self.needs, needed, strict=False) if wanted for name in names]
            self.kept_for[needed] = tuple(dict.fromkeys(name for name in names if name in ("a", "b", "c", "y")))
        return self.kept_for[needed]


def row(
    name: str, function: Callable[..., Any], *gradients: Callable[..., Any], kind: str = "same", refuse: str = ""
) -> ElementwiseRow:
    """Make a row; the needs of its gradients are read from their signatures."""
    needs = tuple(g.__code__.co_varnames[: g.__code__.co_argcount] for g in gradients)
    return ElementwiseRow(name, function, gradients, needs, kind, refuse, name.capitalize(), kept_for={})


def flat(gy: Array) -> Array:
    """Return 0, the gradient of a function that is constant almost everywhere."""
    return np.zeros_like(gy)


class Elementwise(Function):
    """y = f(a[, b[, c]]); the gradient of an operand is the row's gradient, summed over its broadcast axes."""

    @staticmethod
    def forward(
        ctx: Any, *operands: Any, row: ElementwiseRow, dtype: np.dtype[Any], out: Array | None = None, **options: Any
    ) -> Array:
        """Convert the operands to `dtype` and run the row, into the memory of `out` if it is given."""
        values = [_in_type(operand, dtype) for operand in operands]
        with np.errstate(all="ignore"):  # as in PyTorch, 1/0 is Inf and log(-1) is NaN, without a warning
            if out is not None:
                y = as_array(row.function(*values, out=out))
            elif ctx.gpu is None:
                y = np.asarray(row.function(*values, **options))
            else:
                y = in_memory_order(row.function, *values, **options)
        if y.dtype is not dtype and y.dtype != dtype and row.kind != "bool":
            y = y.astype(dtype)
        ctx.title = row.title
        if True in ctx.needs_input_grad:
            ctx.row, ctx.options = row, options
            ctx.operands = [(o.shape, o.dtype) if hasattr(o, "shape") else None for o in operands]
            ctx.names = row.kept(ctx.needs_input_grad)
            have = dict(zip("abc", values, strict=False), y=y)
            ctx.save_for_backward(*[have[name] for name in ctx.names])
        return y

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """Compute the row's gradients for the operands that need one."""
        have = {"gy": gy, **ctx.options, **saved(ctx)}
        found: list[Array | None] = [None] * len(ctx.needs_input_grad)
        with np.errstate(all="ignore"):
            for i, needed in enumerate(ctx.needs_input_grad):
                if needed:
                    shape, dtype = ctx.operands[i]
                    function, values = ctx.row.gradients[i], [have[name] for name in ctx.row.needs[i]]
                    if ctx.row.summed is not None and ctx.gpu is None and shape != gy.shape:
                        found[i] = ctx.row.summed(*values, shape)
                        if found[i] is not None:
                            continue
                    if ctx.gpu is None:
                        gradient = np.asarray(function(*values))
                    else:
                        gradient = in_memory_order(function, *values)
                    gradient = np.broadcast_to(gradient, gy.shape) if gradient.shape != gy.shape else gradient
                    found[i] = unbroadcast(gradient, shape).astype(dtype, copy=False)
        return tuple(found)

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        """Run the row's gradients on tensors."""
        gradient, sum_to = recorded()
        have: dict[str, Any] = {"gy": gy, **ctx.options}
        for name, value in saved(ctx).items():
            have[name] = ctx.at_output(0, value) if name == "y" else _at_operand(ctx, "abc".index(name), value)
        found: list[Tensor | None] = [None] * len(ctx.needs_input_grad)
        for i, needed in enumerate(ctx.needs_input_grad):
            if needed:
                gx = gradient(ctx.row.gradients[i], [have[name] for name in ctx.row.needs[i]], gy)
                found[i] = sum_to(gx, gy.shape, *ctx.operands[i])
        return tuple(found)

    @staticmethod
    def shown(node: Any) -> list[int]:
        """As in PyTorch, a number counts as a tensor in `x + 1` and the like."""
        return [0, 1] if node.title in ("Add", "Sub", "Mul", "Div") and node.face is None else shown_places(node)

    @staticmethod
    def infer(*operands: Any, row: ElementwiseRow, dtype: np.dtype[Any], **_: Any) -> Meta:
        """Return the broadcast shape."""
        return meta(np.broadcast_shapes(*map(np.shape, operands)), BOOL if row.kind == "bool" else dtype)


def recorded() -> Any:
    """Return what runs a gradient on tensors, and what undoes broadcasting; they need the operations of other files."""
    module = import_module(f"{__package__}.recorded")
    return module.gradient, module.sum_to


def _at_operand(ctx: Any, i: int, value: Any) -> Any:
    """Return a saved operand as a tensor in the graph, in the type that the row computes in; a number as it is."""
    if ctx.operands[i] is None:
        return value
    dtype = ctx.operands[i][1]
    if value.dtype == dtype:
        return ctx.at_input(i, value)
    return ctx.at_input(i, value.astype(dtype)).to(value.dtype)


def saved(ctx: Any) -> dict[str, Any]:
    """Return the saved values by name; if there are none, the backward pass may run twice through the graph."""
    return dict(zip(ctx.names, ctx.saved, strict=True)) if ctx.names else {}


def in_memory_order(function: Callable[..., Any], *values: Any, **options: Any) -> Any:
    """Return function(*values, **options), which is elementwise, in the memory order of the arrays among the values.

    NumPy does so by itself. CuPy's results are in C order whatever the order of the operands; so the operands are given
    to it with their axes as they lie in memory, which is also the fastest way through it.
    """
    arrays = [v for v in values if type(v) in GPU_TYPES]
    shape = np.broadcast_shapes(*[a.shape for a in arrays])
    whole = [a for a in arrays if a.shape == shape]
    rank = len(shape)
    if rank < 2 or not whole or True in [a.flags.c_contiguous for a in whole]:
        return function(*values, **options)
    order = sorted(range(rank), key=lambda axis: -abs(whole[0].strides[axis]))
    turned = [
        v.reshape((1,) * (rank - v.ndim) + v.shape).transpose(order) if type(v) in GPU_TYPES else v for v in values
    ]
    return function(*turned, **options).transpose([order.index(axis) for axis in range(rank)])


def _in_type(operand: Any, dtype: np.dtype[Any]) -> Any:
    """Convert the operand to the type of the operation; a Python number stays, so that NumPy uses the array's type."""
    if isinstance(operand, np.ndarray) or type(operand) in GPU_TYPES:
        return operand if operand.dtype is dtype else operand.astype(dtype, copy=False)
    if dtype.kind == "f" or dtype.kind == "b":
        return operand
    return np.asarray(operand).astype(dtype)[()]  # 300 as uint8 is 44


def run(row: ElementwiseRow, *operands: Any, **options: Any) -> Any:
    """Check the operands of a row and run it.

    Raises:
        TypeError: an operand is neither a tensor nor a number.
        NotImplementedError: the operation is not defined for the type.
        ShapeError: the shapes cannot be broadcast.
    """
    operands = tuple([o if isinstance(o, Tensor) else as_operand(o, row.name) for o in operands])
    tensors = [o for o in operands if isinstance(o, Tensor)]
    if not tensors:
        tensors = [Tensor(np.asarray(operands[0], number_type(operands[0])))]
        operands = (tensors[0], *operands[1:])
    dtype = common_type(row, operands, tensors)
    shape = tensors[0]._array.shape
    for other in tensors[1:]:
        if other._array.shape != shape:
            shape = geometry.broadcast(row.name, shape, other._array.shape)
    return Elementwise.apply(*operands, row=row, dtype=dtype, **options)


_REMEDY = {"b": "e.g. with .int(), or use a logical operation (& | ^ ~)", "f": "e.g. with .long()"}
_REMEDY |= dict.fromkeys("iu", "e.g. with .float()")


def common_type(row: ElementwiseRow, operands: tuple[Any, ...], tensors: list[Tensor]) -> np.dtype[Any]:
    """Return the type that the row computes in, after checking that the row takes it."""
    dtype = tensors[0]._array.dtype
    alike = dtype.kind == "f" or len(tensors) == len(operands)  # numbers do not widen a float
    if not alike or any(other._array.dtype is not dtype for other in tensors[1:]):
        dtype = result_type(*operands)
    if row.kind == "float" and dtype.kind != "f":
        dtype = default_type()
    if dtype.kind in row.refuse:
        raise NotImplementedError(f"{row.name}: not defined for {dtype} tensors; convert them, {_REMEDY[dtype.kind]}")
    return dtype


def unary(
    name: str,
    function: Callable[..., Any],
    *gradients: Callable[..., Any],
    text: str,
    kind: str = "float",
    refuse: str = "",
    methods: tuple[str, ...] = (),
) -> Callable[[Tensor], Tensor]:
    """Make a function of one tensor from a row, and add it to Tensor as a method."""
    made = row(name, function, *(gradients if kind == "bool" else gradients or (flat,)), kind=kind, refuse=refuse)

    def operation(input: Tensor) -> Tensor:
        check_tensor(name, input=input)
        return run(made, input)

    return _entered(operation, name, text, methods)


def binary(
    name: str,
    function: Callable[..., Any],
    *gradients: Callable[..., Any],
    text: str,
    kind: str = "same",
    refuse: str = "",
    methods: tuple[str, ...] = (),
) -> Callable[[Any, Any], Tensor]:
    """Make a function of two tensors or numbers from a row, and add it to Tensor as a method."""
    made = row(name, function, *gradients, kind=kind, refuse=refuse)

    def operation(input: Any, other: Any) -> Tensor:
        return run(made, input, other)

    return _entered(operation, name, text, methods)


def _entered(operation: Callable[..., Tensor], name: str, text: str, methods: tuple[str, ...]) -> Any:
    operation.__name__ = operation.__qualname__ = name
    operation.__doc__ = text + shown(name)
    return tensor_method(name, *methods)(operation)
