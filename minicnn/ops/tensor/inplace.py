"""In-place methods: `x.add_(y)` overwrites the memory of x with x + y.

If nothing is recorded, the result is only written into the memory. If operations are recorded, three things happen,
so that the gradients are those of a program without in-place operations:

1. The function runs on a snapshot: a tensor with x's place in the graph and a copy of its values. So the values that
   the function saves for backward are not overwritten by its own result. Functions that do not save their input
   (relu, sums and differences) need no copy and write straight into the memory.
2. The result is written into x's memory, and its version number goes up. Operations that had saved the old values
   raise in backward.
   Where nothing but x refers to its memory, as mostly in a net, an activation does without both copies: the snapshot
   keeps the old memory, and x gets that of the result (`_exchange`).
3. x takes the place of the result in the graph, so that the gradient of later results passes through the function.
   All other tensors on the same memory are updated too (`autograd/inplace.py`).
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arrays import as_array, on_device_of, on_gpu, share_memory, writeable
from minicnn_kernels.geometry import ShapeError
from minicnn_kernels.layout import is_channels_last
from minicnn_kernels.memory import Owner

from ...autograd import anomaly, observe, own_order
from ...autograd.inplace import check_view, check_writable, replace
from ...autograd.modes import is_grad_enabled
from ...device import Meta
from ...tensor import Array, Tensor, tensor_method
from . import arithmetic, clamp, comparison, cumulative, types, unary
from .arguments import no_tensor
from .elementwise import flat, row, run
from .promotion import OPERANDS, as_operand

# PyTorch has these methods as functions too: minicnn.exp_(x) is x.exp_().
_FUNCTIONS = [
    "abs_", "acos_", "acosh_", "arccos_", "arccosh_", "arcsin_", "arcsinh_", "arctan_", "arctanh_", "asin_", "asinh_",
    "atan_", "atanh_", "ceil_", "clamp_", "clamp_max_", "clamp_min_", "clip_", "cos_", "cosh_", "deg2rad_", "erf_",
    "erfc_", "exp2_", "exp_", "expm1_", "fill_", "fix_", "floor_", "frac_", "ldexp_", "log10_", "log1p_", "log2_",
    "log_", "logit_", "nan_to_num_", "neg_", "negative_", "rad2deg_", "reciprocal_", "round_", "rsqrt_", "sin_",
    "sinc_", "sinh_", "sqrt_", "square_", "tan_", "trunc_", "xlogy_", "zero_",
]  # fmt: skip
__all__ = ["in_place", "overwrite", *_FUNCTIONS]


def overwrite(
    x: Tensor, op: str, function: Callable[[Tensor], Tensor], *others: Any, straight: bool = False, fresh: bool = False
) -> Tensor:
    """Write `function(x)` into the memory of x, and give x its place in the graph; `others` are its other arguments.

    With `straight`, the function itself writes into the memory of the tensor that it gets, and returns that tensor; see
    `takes_straight`. With `fresh`, the memory of its result is new; then x may get that memory.

    Raises:
        RuntimeError: x is a leaf that requires a gradient, or a view of one, while operations are recorded; the memory
            cannot be written; or x cannot hold the type of the result.
        ShapeError: the result has another shape.
    """
    if not isinstance(x, Tensor):
        raise no_tensor(op, "input", x)
    recorded = is_grad_enabled() and (x.requires_grad or any(isinstance(o, Tensor) and o.requires_grad for o in others))
    if recorded:
        check_writable(x, op)
    elif x._views and is_grad_enabled():
        check_view(x, op)
    if straight:
        return _straight(x, function, recorded)
    if fresh and _is_alone(x):
        return _exchange(x, op, function)
    if not recorded:
        return _write(x, op, function(x))
    with on_device_of(x._array):
        before = own_order.mark(Tensor(x._array.copy(order="K")))
    before._requires_grad, before._edge = x.requires_grad, x._edge
    after = function(before)
    replace(_write(x, op, after), after)
    return x


def takes_straight(x: Any, *others: Any) -> bool:
    """Return whether a kernel may write its result straight into x: floats in dense memory, which the other operands
    share exactly or not at all.

    False under `detect_anomaly`, which looks at the operands after the result.
    """
    if not isinstance(x, Tensor) or x.is_meta or not writeable(x._array) or anomaly.enabled():
        return False
    a = x._array
    if a.dtype not in (np.float32, np.float64) or not (a.flags.c_contiguous or is_channels_last(a)):
        return False
    return all(o._array is a or (type(o._array) is type(a) and not share_memory(o._array, a)) for o in others)


def _straight(x: Tensor, function: Callable[[Tensor], Tensor], recorded: bool) -> Tensor:
    """Let the function write into the memory of x; a result that it saved is then this memory in its new version."""
    before = Tensor(x._array)
    before._requires_grad, before._edge = x._requires_grad, x._edge
    after = function(before)
    x._counter[0] += 1
    if observe.observers:
        observe.written(x, after)
    if recorded:
        _of_new_version(x, after)
        replace(x, after)
    return x


def _holders(x: Tensor) -> tuple[int, int]:
    """Return how many references there are to the array of x, and to the one whose view it is."""
    base = x._array.base
    return sys.getrefcount(x._array), sys.getrefcount(base) if type(base) is np.ndarray else 0


_ALONE = {_holders(Tensor(np.empty((2, 2)))), _holders(Tensor(np.empty((2, 2)).T))}


def _is_alone(x: Tensor) -> bool:
    """Return whether nothing but x refers to its memory: no view, no other tensor, no function that has saved it, and
    no object that lends its memory to NumPy, such as a bytearray or a file.
    """
    root = x._array.base
    if type(root) is np.ndarray:
        root = root.base
    return (
        type(x._array) is np.ndarray
        and (root is None or type(root) is Owner)
        and x._array.flags.writeable
        and (x._order is None or x._order is own_order.FRESH)
        and not (x._requires_grad and x._edge is None)  # a parameter, whose address an optimiser may know
        and _holders(x) in _ALONE
        and not (observe.observers or anomaly.enabled())
    )


def _exchange(x: Tensor, op: str, function: Callable[[Tensor], Tensor]) -> Tensor:
    """Let x have the memory of the result, and the function's input the old memory of x, of which x is alone.

    To the program x has the same values, strides and version as if the result had been written into its memory.
    """
    before = Tensor(x._array)
    before._order, before._requires_grad, before._edge = x._order, x._requires_grad, x._edge
    after = function(before)
    a, b = x._array, after._array
    same = type(b) is np.ndarray and b.dtype == a.dtype and b.shape == a.shape and b.strides == a.strides
    if not (same and b.flags.writeable and after._order is before._order) or np.may_share_memory(a, b):
        x._array = a.copy(order="K")
        _write(x, op, after)
    else:
        x._array = b
        x._counter[0] += 1
        _of_new_version(x, after)
    if after._requires_grad or x._requires_grad:
        replace(x, after)
    return x


def _of_new_version(x: Tensor, after: Tensor) -> None:
    """Where the function saved its result, which is now the memory of x: that is this memory in its new version."""
    node = after._edge[0] if after._edge else None
    if node is not None and node._saved:
        now = x._counter, x._counter[0]
        node._versions = [
            now if a is x._array else v for a, v in zip(node._saved, node._versions, strict=True)
        ]  # fmt: skip


def _write(x: Tensor, op: str, result: Tensor) -> Tensor:
    """Write the result into the memory of x, after checking that it fits."""
    a, b = x._array, result._array
    if b.shape != a.shape:
        raise ShapeError(
            f"{op}: the memory of the tensor, of shape {x.shape}, cannot hold the result, of shape {result.shape}; "
            "use the function that is not in place"
        )
    if not types.can_cast(b.dtype, a.dtype):
        raise RuntimeError(
            f"{op}: the result is {result.dtype}, which cannot be cast to the tensor's {x.dtype}; convert the tensor"
        )
    if type(a) is not Meta:
        on_cpu = type(a) is np.ndarray and type(b) is np.ndarray
        if not on_cpu and on_gpu(a) != on_gpu(b):
            raise RuntimeError(
                f"{op}: Expected all tensors to be on the same device, but the tensor is on {x.device} and the result "
                f"on {result.device}; move one of them with .to(...)"
            )
        if not (a.flags.writeable if on_cpu else writeable(a)):
            raise RuntimeError(
                f"{op}: unsupported operation: the memory cannot be written; it is read-only, or several elements of "
                "an expanded tensor share a place; change a clone()"
            )
        with np.errstate(all="ignore"):
            if on_cpu:
                a[...] = b
            else:
                with on_device_of(a):
                    a[...] = b
    x._counter[0] += 1
    if observe.observers:
        observe.written(x, result)
    return x


def memory_to_write(x: Tensor) -> Array | None:
    """Return the array of a tensor that only keeps values, such as a running mean, and count a write to it.

    None if the write must go through `copy_`: the tensor is on a GPU, is read-only, has a gradient or views that have
    one, has a hidden order of memory, or somebody observes operations.
    """
    a = x._array
    if type(a) is not np.ndarray or x._requires_grad or x._order is not None or observe.observers:
        return None
    if not a.flags.writeable or (x._views and any(t is not None and t._requires_grad for t in [r() for r in x._views])):
        return None
    x._counter[0] += 1
    return a


def in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Return the in-place form of a function of a tensor: `in_place(relu)(x)` writes relu(x) into x and returns x."""
    op = f"{function.__name__}_"

    @functools.wraps(function)
    def method(self: Tensor, *args: Any, **options: Any) -> Tensor:
        return overwrite(self, op, lambda x: function(x, *args, **options), *args, *options.values())

    method.__name__ = method.__qualname__ = op
    method.__doc__ = f"`{function.__name__}`, in place: the result overwrites the tensor, which is returned."
    return method


def _sum_in_place(name: str, function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make `add_` or `sub_`; it writes straight into the memory if the other operand is a tensor of the same layout."""
    op, general = f"{name}_", in_place(function)

    @functools.wraps(general)
    def method(self: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
        alike = isinstance(other, Tensor) and alpha == 1 and type(alpha) is int and other.dtype == self.dtype
        if not (alike and other.array.shape == self.array.shape and takes_straight(self, other)):
            return general(self, other, alpha=alpha)
        row = arithmetic.IN_PLACE[name]
        return overwrite(self, op, lambda x: run(row, x, other, out=x._array), other, straight=True)

    return method


_METHODS = {
    arithmetic: """
        addcdiv addcmul atan2 arctan2 copysign div divide float_power floor_divide fmod heaviside hypot ldexp lerp
        mul multiply pow remainder true_divide xlogy
    """,
    clamp: "clamp clamp_max clamp_min clip",
    unary: """
        abs absolute acos acosh arccos arccosh arcsin arcsinh arctan arctanh asin asinh atan atanh ceil cos cosh deg2rad
        digamma erf erfc erfinv exp exp2 expm1 fix floor frac lgamma log log10 log1p log2 logit nan_to_num neg negative
        rad2deg reciprocal round rsqrt sgn sign sin sinc sinh sqrt square tan trunc
    """,
    comparison: """
        bitwise_and bitwise_left_shift bitwise_not bitwise_or bitwise_right_shift bitwise_xor eq ge greater
        greater_equal gt le less less_equal logical_and logical_not logical_or logical_xor lt ne not_equal
    """,
    cumulative: "cumprod cumsum",
}


def _filled(a: Array, b: Any) -> Array:
    y = np.empty_like(a)
    y[...] = b
    return y


_fill = row("fill", _filled, flat, lambda gy: gy)


def _truth_in_place(function: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Make the in-place form of a comparison; its truth values get the type of the tensor that they overwrite."""

    @functools.wraps(function)
    def compare(input: Tensor, *others: Any) -> Tensor:
        return run(_fill, input, function(input, *others).to(input.array.dtype))

    return compare


for _family, _names in _METHODS.items():
    for _name in _names.split():
        _function = getattr(_family, _name)
        tensor_method(f"{_name}_")(in_place(_truth_in_place(_function) if _family is comparison else _function))


add_, sub_ = (_sum_in_place(f.__name__, f) for f in (arithmetic.add, arithmetic.sub))
tensor_method("add_")(add_)
tensor_method("sub_", "subtract_")(sub_)

# -------------------------------------------------------------------------------------------------- overwritten wholly

# The second operand; the first stays in the graph, with a gradient of 0.
_copied = row("copy_", lambda a, b: b.copy(), lambda gy: flat(gy), lambda gy: gy)


@tensor_method("copy_")
def copy_(self: Tensor, src: Any, non_blocking: bool = False) -> Tensor:
    """Overwrite the elements with those of `src`, broadcast and converted to this tensor's type; recorded.

    >>> minicnn.zeros(2, 2).copy_(minicnn.tensor([1, 2]))
    tensor([[1., 2.],
            [1., 2.]])
    """
    source = as_operand(src, "copy_") if isinstance(src, OPERANDS) else Tensor(src)
    if not isinstance(source, Tensor):
        source = Tensor(as_array(source))
    if source.is_meta and not self.is_meta:
        raise NotImplementedError("copy_: a tensor on device 'meta' has no values to copy")
    if is_grad_enabled() and (self.requires_grad or source.requires_grad):
        return overwrite(self, "copy_", lambda x: run(_copied, x, _expanded(source, x)), source)
    return _write(self, "copy_", _expanded(source, self))


def _expanded(value: Tensor, x: Tensor) -> Tensor:
    """Return a tensor with the type, device and shape of x."""
    return value.to(x.device, x.dtype).expand(x.array.shape)


@tensor_method("fill_")
def fill_(self: Tensor, value: Any) -> Tensor:
    """Overwrite all elements with one value, a number or a 0-d tensor, converted to this tensor's type.

    >>> minicnn.zeros(3).fill_(7)
    tensor([7., 7., 7.])
    """
    if isinstance(value, Tensor) and value.ndim:
        raise RuntimeError(f"fill_: the value must be a number or a 0-d tensor, got shape {value.shape}")
    if isinstance(value, Tensor):
        one: Any = value.to(self.device, self.dtype)
    else:
        with np.errstate(all="ignore"):
            one = np.asarray(value).astype(self.dtype).item()
    return overwrite(self, "fill_", lambda x: run(_fill, x, one), one)


@tensor_method("zero_")
def zero_(self: Tensor) -> Tensor:
    """Overwrite all elements with 0.

    >>> minicnn.ones(3).zero_()
    tensor([0., 0., 0.])
    """
    return fill_(self, 0)


# ------------------------------------------------------------------------------------------------ augmented assignment


def _augmented(name: str, method: Callable[..., Tensor]) -> None:
    """Make the operator `a op= b`, which is `a.op_(b)`."""

    def operate(self: Tensor, other: Any) -> Any:
        return method(self, other) if isinstance(other, OPERANDS) else NotImplemented

    operate.__name__ = f"__i{name}__"
    tensor_method(operate.__name__)(operate)


_augmented("add", add_)
_augmented("sub", sub_)
for _name, _function in (
    ("mul", arithmetic.mul), ("truediv", arithmetic.div),
    ("floordiv", arithmetic.floor_divide), ("mod", arithmetic.remainder), ("pow", arithmetic.pow),
    ("and", comparison.bitwise_and), ("or", comparison.bitwise_or), ("xor", comparison.bitwise_xor),
    ("lshift", comparison.bitwise_left_shift), ("rshift", comparison.bitwise_right_shift),
):  # fmt: skip
    _augmented(_name, in_place(_function))

for _name in _FUNCTIONS:
    globals()[_name] = getattr(Tensor, _name)
