"""`out=`: write the result of a function into a tensor that exists, and the methods that resize a tensor.

`accept_out` gives the parameter to all functions of a family that have it in PyTorch. The function computes its result
as always; the result is then written into `out`, which is returned. So `out` may be one of the operands.
"""

from __future__ import annotations

import inspect
import math
import warnings
from collections.abc import Callable, Iterator
from functools import wraps
from typing import Any

import numpy as np

from minicnn_kernels.arrays import address, is_array, on_device_of, xp

from ...autograd import own_order
from ...autograd.modes import is_grad_enabled, no_grad
from ...device import Meta, meta
from ...dtypes import of_array
from ...tensor import Array, Tensor, tensor_method
from . import inplace
from .arguments import ints, no_tensor

# Functions of these families that have no `out=` in PyTorch: those whose results are views, tuples or no tensors, and
# those that are composed of others there.
_NAMES = """
    rsub allclose equal is_nonzero is_same_size isclose isfinite isinf isnan isreal chunk dsplit hsplit split
    split_with_sizes tensor_split unbind unsafe_chunk unsafe_split vsplit as_tensor asarray from_numpy
    get_default_dtype scalar_tensor set_default_dtype tensor block_diag diag_embed diagflat diagonal
    diagonal_copy trace einsum flip fliplr flipud repeat_interleave roll rot90 tile put index_put narrow select
    masked_fill masked_scatter dist tril_indices triu_indices rand_like randint_like randn_like poisson
    index_fill argwhere bincount unique unique_consecutive positive std_mean var_mean count_nonzero histogramdd
    cov corrcoef gradient logdet matrix_exp select_scatter diagonal_scatter trapezoid trapz cumulative_trapezoid
    vander as_strided empty_strided conj is_conj is_neg resolve_conj resolve_neg
"""
_WITHOUT = frozenset(_NAMES.split())
_OF_INDICES = frozenset({"argmax", "argmin", "argsort", "nonzero", "searchsorted", "bucketize", "multinomial"})


def accept_out(*families: Any) -> None:
    """Give the functions of these modules the parameter `out`, except those that have none in PyTorch."""
    for family in families:
        for name in family.__all__:
            function = getattr(family, name)
            if inspect.isfunction(function) and name not in _WITHOUT and not name.endswith("_"):
                setattr(family, name, with_out(function))


def with_out(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function with a parameter `out`, a tensor, or a tuple of them, into which the result is written."""
    signature = inspect.signature(function)
    if "out" in signature.parameters:
        return function
    parameters = list(signature.parameters.values())
    place = next((i for i, p in enumerate(parameters) if p.kind is p.VAR_KEYWORD), len(parameters))
    parameters.insert(place, inspect.Parameter("out", inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Any))
    factory = "device" in signature.parameters and "dtype" in signature.parameters

    @wraps(function)
    def call(*args: Any, out: Any = None, **options: Any) -> Any:
        if out is None:
            return function(*args, **options)
        return _into(function, out, args, options, factory)

    call.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    return call


def _into(function: Callable[..., Any], out: Any, args: tuple[Any, ...], options: dict[str, Any], factory: bool) -> Any:
    """Call a function and write its results into the tensors `out`, which are returned."""
    op, several = function.__name__, isinstance(out, (tuple, list))
    outs = tuple(out) if several else (out,)
    for one in outs:
        if not isinstance(one, Tensor):
            raise no_tensor(op, "out", one)
    if is_grad_enabled() and any(x.requires_grad for x in (*outs, *_tensors(args), *_tensors(options.values()))):
        raise RuntimeError(
            f"{op}(): functions with out=... arguments don't support automatic differentiation, but one of the "
            "arguments requires grad. Leave out= away, or call the function in no_grad()"
        )
    if factory:
        options = _of_the_type(op, outs[0], options)
    with no_grad():
        found = function(*args, **options)
    results = found if isinstance(found, tuple) else (found,)
    if len(results) != len(outs) or several != isinstance(found, tuple):
        raise TypeError(f"{op}: out= must be {'a tuple of ' if len(results) > 1 else ''}{len(results)} tensor(s)")
    for i, (one, result) in enumerate(zip(outs, results, strict=True)):
        if (i or op in _OF_INDICES) and one.dtype != result.dtype:
            raise RuntimeError(f"{op}: Expected out tensor to have dtype {result.dtype}, but got {one.dtype} instead")
        _check_type(op, result, one)
        _fit(one, result.array.shape, factory)
        inplace._write(one, f"{op}: out=", result)
    return type(found)(outs) if isinstance(found, tuple) else out


def _of_the_type(op: str, out: Tensor, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a function that makes new tensors, with the type and device of `out`."""
    dtype = options.get("dtype")
    if dtype is not None and np.dtype(dtype) != out.array.dtype:
        raise RuntimeError(
            f"{op}: dtype {of_array[np.dtype(dtype)]} does not match dtype of out parameter ({out.dtype})"
        )
    return {**options, "dtype": out.dtype, "device": out.device}


def _check_type(op: str, result: Tensor, out: Tensor) -> None:
    """Check that a result can be converted to the type of `out`.

    Raises:
        RuntimeError: a float would become an integer, or a number a truth value.
    """
    if not inplace.types.can_cast(result.array.dtype, out.array.dtype):
        raise RuntimeError(
            f"{op}: result type {result.dtype} can't be cast to the desired output type {out.dtype}; "
            f"make out with dtype={result.dtype}"
        )


def _tensors(values: Any) -> Iterator[Tensor]:
    """Yield the tensors among arguments, also those in a list or tuple."""
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def _fit(out: Tensor, shape: tuple[int, ...], silent: bool) -> None:
    """Give `out` the shape of a result; with a warning if it has another shape and elements."""
    if out.array.shape == shape:
        return
    if out.array.size and not silent:
        warnings.warn(
            f"An output with one or more elements was resized since it had shape {list(out.shape)}, which does not "
            f"match the required output shape {list(shape)}. This behavior is deprecated, and in a future PyTorch "
            "release outputs will not be resized unless they have zero elements. You can explicitly reuse an out "
            "tensor t by resizing it, inplace, to zero elements with t.resize_(0).",
            stacklevel=4,
        )
    out._array = _resized(own_order.settle(out).array, shape)


def _memory(a: Array) -> Array:
    """Return the elements of the array and all that follow in its memory, in order, as a 1-d view; or a copy."""
    root: Any = a
    while is_array(root.base) and type(root.base) is type(a):
        root = root.base
    if not (root.flags.c_contiguous and a.size) or root.dtype != a.dtype:
        return a.reshape(-1)
    return root.reshape(-1)[(address(a) - address(root)) // a.itemsize :]


def _resized(a: Array, shape: tuple[int, ...]) -> Array:
    """Return an array of another shape, on the same memory if it is large enough; new elements have any values."""
    if type(a) is Meta:
        return meta(shape, a.dtype)
    flat, size = _memory(a), math.prod(shape)
    if flat.size < size:
        with on_device_of(a):
            longer = xp(a).empty(size, a.dtype)
            longer[: flat.size] = flat
        flat = longer
    return flat[:size].reshape(shape)


@tensor_method("resize_")
def resize_(self: Tensor, *sizes: Any, memory_format: Any = None) -> Tensor:
    """Change the shape in place, whatever the number of elements: the memory keeps its elements, in their order there.

    More elements than the memory holds get new memory; their values are any.

    Raises:
        RuntimeError: the tensor requires a gradient, or a size is negative.

    >>> x = minicnn.tensor([[1, 2], [3, 4]])
    >>> x.resize_(3)
    tensor([1, 2, 3])
    """
    shape = ints("resize_", "sizes", sizes)
    if self.requires_grad:
        raise RuntimeError("resize_: cannot resize variables that require grad; use reshape, or resize x.data")
    if any(n < 0 for n in shape):
        raise RuntimeError(f"resize_: sizes must not be negative, got {list(shape)}")
    self._array = _resized(own_order.settle(self)._array, shape)
    if memory_format is not None:
        self._array = self.contiguous(memory_format=memory_format)._array
    return self


@tensor_method("resize_as_")
def resize_as_(self: Tensor, the_template: Tensor, *, memory_format: Any = None) -> Tensor:
    """`resize_` to the shape of another tensor.

    >>> minicnn.zeros(3).resize_as_(minicnn.ones(2, 1)).shape
    minicnn.Size([2, 1])
    """
    return resize_(self, tuple(the_template.shape), memory_format=memory_format)
