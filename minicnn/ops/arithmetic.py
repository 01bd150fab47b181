"""Elementwise arithmetic: one table of functions and derivatives, one `Function` that runs it.

A row is the NumPy function and, per operand, the factor-by-factor gradient. The argument names of a gradient say what
it needs
to have been saved: `a` and `b` are the operands, `y` the result, `gy` the gradient of the result. Derivatives that take
broadcast operands give a gradient of the broadcast shape, which is then summed back (`unbroadcast`).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from minicnn_kernels import geometry

from ..autograd.engine import Function
from ..autograd.modes import is_grad_enabled
from ..tensor import Array, Tensor, tensor_method
from .operands import as_operand, unbroadcast


class Row(NamedTuple):
    """A function of one or two arrays, its gradients, and the names of what they need."""

    function: Callable[..., Array]
    gradients: tuple[Callable[..., Array], ...]
    needs: tuple[str, ...]


def _row(function: Callable[..., Array], *gradients: Callable[..., Array]) -> Row:
    names = [name for gradient in gradients for name in inspect.signature(gradient).parameters if name != "gy"]
    return Row(function, gradients, tuple(dict.fromkeys(names)))


def _pow_exponent(gy: Array, y: Array, a: Array) -> Array:
    """d(a^b)/db = y ln a, with 0 ln 0 = 0: the limit from the right."""
    return gy * np.where(y == 0, 0, y * np.log(np.where(y == 0, 1, a)))


def _pow_base(gy: Array, a: Array, b: Any) -> Array:
    """d(a^b)/da = b a^(b-1), and 0 where b is 0, at a = 0 too."""
    return gy * np.where(b == 0, 0, b * np.power(a, np.where(b == 0, 1, b - 1)).astype(gy.dtype, copy=False))


TABLE = {
    "add": _row(np.add, lambda gy: gy, lambda gy: gy),
    "sub": _row(np.subtract, lambda gy: gy, lambda gy: -gy),
    "mul": _row(np.multiply, lambda gy, b: gy * b, lambda gy, a: gy * a),
    "div": _row(np.true_divide, lambda gy, b: gy / b, lambda gy, a, b: -gy * a / (b * b)),
    "pow": _row(np.power, _pow_base, _pow_exponent),
    "neg": _row(np.negative, lambda gy: -gy),
    "exp": _row(np.exp, lambda gy, y: gy * y),
    "log": _row(np.log, lambda gy, a: gy / a),
    "sqrt": _row(np.sqrt, lambda gy, y: gy / (2 * y)),
    "abs": _row(np.abs, lambda gy, a: gy * np.sign(a)),
}


class Elementwise(Function):
    """y = row.function(a[, b]); ga = sum over broadcast axes of the row's gradient."""

    @staticmethod
    def forward(ctx: Any, *operands: Any, op: str) -> Array:
        """Run the row `op` of the table."""
        row = TABLE[op]
        ctx.name, ctx.row = op.capitalize(), row
        ctx.shapes = [np.shape(operand) for operand in operands]
        with np.errstate(all="ignore"):  # 1/0 is Inf and log(-1) is NaN without a word, as in PyTorch
            y = np.asarray(row.function(*operands))
        values = dict(zip("ab", operands, strict=False), y=y)
        ctx.numbers = {name: values[name] for name in row.needs if not isinstance(values[name], np.ndarray)}
        ctx.names = [name for name in row.needs if name not in ctx.numbers]
        ctx.save_for_backward(*(values[name] for name in ctx.names))
        return y

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """The row's gradients, for the operands that need one."""
        have = {"gy": gy, **ctx.numbers, **dict(zip(ctx.names, ctx.saved, strict=True))}
        found: list[Array | None] = []
        for gradient, shape, needed in zip(ctx.row.gradients, ctx.shapes, ctx.needs_input_grad, strict=True):
            arguments = (have[name] for name in inspect.signature(gradient).parameters) if needed else ()
            with np.errstate(all="ignore"):
                found.append(unbroadcast(np.asarray(gradient(*arguments)), shape) if needed else None)
        return tuple(found)


def _run(op: str, *operands: Any) -> Tensor:
    """Check the operands of an operation and run it; Python numbers take on the type of the tensor."""
    operands = tuple(as_operand(operand, op) for operand in operands)
    tensors = [operand for operand in operands if isinstance(operand, Tensor)]
    if len(tensors) == 2:
        geometry.broadcast(op, tensors[0].shape, tensors[1].shape)
    makes_float = op in ("div", "exp", "log", "sqrt") or any(isinstance(operand, float) for operand in operands)
    if makes_float and all(t.dtype.kind in "iub" for t in tensors):  # an integer tensor in a float operation: float32
        operands = tuple(Tensor(o.array.astype(np.float32)) if isinstance(o, Tensor) else o for o in operands)
    return Elementwise.apply(*operands, op=op)


@tensor_method("add", "__add__", "__radd__")
def add(a: Any, b: Any) -> Tensor:
    """a + b, elementwise with broadcasting."""
    return _run("add", a, b)


@tensor_method("sub", "__sub__")
def sub(a: Any, b: Any) -> Tensor:
    """a - b, elementwise with broadcasting."""
    return _run("sub", a, b)


@tensor_method("mul", "__mul__", "__rmul__")
def mul(a: Any, b: Any) -> Tensor:
    """a * b, elementwise with broadcasting."""
    return _run("mul", a, b)


@tensor_method("div", "__truediv__")
def div(a: Any, b: Any) -> Tensor:
    """a / b, elementwise with broadcasting; integers give float32."""
    return _run("div", a, b)


@tensor_method("pow", "__pow__")
def pow(a: Any, b: Any) -> Tensor:
    """a ** b, elementwise with broadcasting."""
    return _run("pow", a, b)


@tensor_method("neg", "__neg__")
def neg(a: Any) -> Tensor:
    """-a."""
    return _run("neg", a)


@tensor_method("exp")
def exp(a: Any) -> Tensor:
    """e ** a."""
    return _run("exp", a)


@tensor_method("log")
def log(a: Any) -> Tensor:
    """The natural logarithm; -Inf at 0 and NaN below, as in NumPy."""
    return _run("log", a)


@tensor_method("sqrt")
def sqrt(a: Any) -> Tensor:
    """The square root; NaN below 0."""
    return _run("sqrt", a)


@tensor_method("abs", "__abs__")
def abs(a: Any) -> Tensor:
    """|a|; the gradient at 0 is 0."""
    return _run("abs", a)


for _reflected, _function in (("__rsub__", sub), ("__rtruediv__", div), ("__rpow__", pow)):
    tensor_method(_reflected)(lambda self, other, _function=_function: _function(other, self))


def _in_place(op: Callable[..., Tensor]) -> Callable[[Tensor, Any], Tensor]:
    """`a op= b`: in place where nothing is recorded, else the name is bound to a new result, as `a = a op b`.

    So `out += identity` in a forward pass is differentiable, and `p -= lr * p.grad` inside no_grad() changes p.
    """

    def operate(self: Tensor, other: Any) -> Tensor:
        recorded = self.requires_grad or (isinstance(other, Tensor) and other.requires_grad)
        if not (recorded and is_grad_enabled()):
            return self.copy_(op(self, other))
        if self.requires_grad and self.is_leaf:
            raise RuntimeError(
                f"{op.__name__}: a leaf tensor that requires a gradient would be changed in place while recording; "
                "use no_grad() around an update of parameters, or write a = a + b for a new tensor"
            )
        return op(self, other)

    return operate


for _name, _function in (("__iadd__", add), ("__isub__", sub), ("__imul__", mul), ("__itruediv__", div)):
    tensor_method(_name)(_in_place(_function))


# ---------------------------------------------------------------------------------------------------- comparisons,
# types


def _comparison(name: str, function: Callable[[Any, Any], Array]) -> None:
    def compare(self: Tensor, other: Any) -> Tensor:
        other = as_operand(other, name)
        return Tensor(np.asarray(function(self.array, other.array if isinstance(other, Tensor) else other)))

    tensor_method(f"__{name}__", name)(compare)


for _name, _compare in (
    ("eq", np.equal), ("ne", np.not_equal), ("lt", np.less), ("le", np.less_equal), ("gt", np.greater),
    ("ge", np.greater_equal),
):  # fmt: skip
    _comparison(_name, _compare)


class Cast(Function):
    """The same values in another type; the gradient is cast back."""

    @staticmethod
    def forward(ctx: Any, x: Array, dtype: Any) -> Array:
        """Cast."""
        ctx.dtype = x.dtype
        return x.astype(dtype)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array, None]:
        """Cast back."""
        return gy.astype(ctx.dtype), None


@tensor_method("to", "type")
def to(x: Tensor, *target: Any, dtype: Any = None, device: Any = None) -> Tensor:
    """The tensor in another type or on a device: `t.to(minicnn.float64)`, `t.to("cpu")`, `t.to(other)`."""
    from ..device import Device

    for item in target:
        if isinstance(item, Tensor):
            dtype = item.dtype
        elif isinstance(item, (str, Device)) and not (isinstance(item, str) and item in np.sctypeDict):
            device = item
        else:
            dtype = item
    Device(device or "cpu")
    return x if dtype is None or np.dtype(dtype) == x.dtype else Cast.apply(x, np.dtype(dtype))


for _name, _dtype in (
    ("float", np.float32), ("double", np.float64), ("half", np.float16), ("long", np.int64), ("int", np.int32),
    ("bool", np.bool_),
):  # fmt: skip
    tensor_method(_name)(lambda self, _dtype=_dtype: to(self, dtype=_dtype))
