"""Matrix products: `@` and its named special cases. The fully connected layer is in `ops/linear.py`.

All products end in one function, `Matmul`, which gives matrices and stacks of matrices to the kernel. NumPy multiplies
integers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np

from minicnn_kernels import geometry
from minicnn_kernels import matmul as kernels
from minicnn_kernels.arrays import as_array, on_gpu
from minicnn_kernels.geometry import ShapeError

from ...autograd.engine import Function
from ...autograd.nodes import shown_as
from ...autograd.second_order import with_unused
from ...device import Meta, meta
from ...tensor import Array, Tensor, tensor_method
from .arguments import check_tensor
from .elementwise import recorded
from .operands import KERNEL_TYPES, unbroadcast
from .out import with_out
from .shape import reshape, transpose, unsqueeze

__all__ = [
    "addbmm", "addmm", "addmv", "addr", "baddbmm", "bmm", "chain_matmul", "dot", "ger", "inner", "matmul", "mm", "mv",
    "outer", "vdot",
]  # fmt: skip


# ---------------------------------------------------------------------------------------------------------------- a @ b


def product(a: Array, b: Array) -> Array:
    """a @ b of matrices or stacks of matrices; float16 is summed in float32."""
    if a.dtype == np.float16:
        return product(a.astype(np.float32), b.astype(np.float32)).astype(np.float16)
    if a.dtype.kind == "f" and not on_gpu(a):
        return kernels.matmul_numpy(a, b)
    return as_array(np.matmul(a, b))


class Matmul(Function):
    """y = a @ b over the last two axes, with the others broadcast; saves a and b."""

    @staticmethod
    def public(node: Any) -> tuple[str, type[Any]]:
        """PyTorch's name for two matrices, or for batches of them."""
        return "MmBackward0" if len(node.outputs[0][0]) == 2 else "BmmBackward0", Function.public(node)[1]

    @staticmethod
    def forward(ctx: Any, a: Array, b: Array) -> Array:
        """Run the kernel; integers and float16 have none."""
        ctx.save_for_backward(a, b)
        return kernels.MATMUL(a, b) if a.dtype in KERNEL_TYPES else product(a, b)

    @staticmethod
    def backward(ctx: Any, gy: Array) -> tuple[Array | None, ...]:
        """ga = gy b^T, gb = a^T gy."""
        a, b = ctx.saved
        needs_grad = ctx.needs_input_grad
        if a.dtype in KERNEL_TYPES:
            return kernels.MATMUL_BACKWARD(gy, a, b, needs_grad)
        ga = unbroadcast(product(gy, b.swapaxes(-1, -2)), a.shape) if needs_grad[0] else None
        gb = unbroadcast(product(a.swapaxes(-1, -2), gy), b.shape) if needs_grad[1] else None
        return ga, gb

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> tuple[Tensor | None, ...]:
        """The same with tensors."""
        (a, b), (of_a, of_b) = ctx.saved, ctx.needs_input_grad
        _, sum_to = recorded()
        ga = Matmul.apply(gy, ctx.at_input(1, b).transpose(-1, -2)) if of_a else None
        gb = Matmul.apply(ctx.at_input(0, a).transpose(-1, -2), gy) if of_b else None
        return (
            None if ga is None else sum_to(ga, ga.shape, a.shape, a.dtype),
            None if gb is None else sum_to(gb, gb.shape, b.shape, b.dtype),
        )

    @staticmethod
    def infer(a: Meta, b: Meta) -> Meta:
        """(..., n, k) @ (..., k, m)."""
        return meta((*np.broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1]), a.dtype)


def check(op: str, *operands: Any, ranks: Sequence[int] = ()) -> None:
    """Check that the operands of a product are tensors of one type, with the given numbers of axes.

    Raises:
        TypeError: an operand is not a tensor.
        RuntimeError: the operands have different types, or are bool, for which no product is defined.
        ShapeError: an operand has another number of axes.
    """
    check_tensor(op, **{f"operand {i}": x for i, x in enumerate(operands)})
    for x in operands:
        if x.dtype != operands[0].dtype:
            raise RuntimeError(
                f"{op}: expected operands of the same dtype, got {operands[0].dtype} and {x.dtype}; convert one"
            )
    if operands[0].dtype.kind == "b":
        raise NotImplementedError(f"{op}: not defined for bool tensors; convert them with .int() or .float()")
    if ranks and tuple(x.ndim for x in operands) != tuple(ranks):
        shapes = ", ".join(str(tuple(x.shape)) for x in operands)
        raise ShapeError(f"{op}: expected tensors of {', '.join(map(str, ranks))} axes, got shapes {shapes}")


@tensor_method("matmul")
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """a @ b: the matrix product over the last two axes; a 1-d operand is a row (left) or a column (right).

    Raises:
        ShapeError: the inner sizes differ, or the other axes do not broadcast.
        RuntimeError: the operands have different types.

    >>> a, b = minicnn.tensor([[1., 2.], [3., 4.]]), minicnn.tensor([[1., 0.], [1., 1.]])
    >>> a @ b
    tensor([[3., 2.],
            [7., 4.]])
    >>> minicnn.matmul(minicnn.zeros(8, 2, 3), minicnn.zeros(3, 4)).shape
    minicnn.Size([8, 2, 4])
    """
    check("matmul", input, other)
    geometry.matmul(tuple(input.shape), tuple(other.shape))
    left, right = input.ndim == 1, other.ndim == 1
    a = unsqueeze(input, 0) if left else input
    b = unsqueeze(other, 1) if right else other
    if a.ndim > 2 and b.ndim == 2:  # one large product instead of a stack of small ones
        rows = reshape(a, (math.prod(a.shape[:-1]), a.shape[-1]))  # (..., n, k) -> (... n, k)
        return reshape(Matmul.apply(rows, b), (*a.shape[:-1], *(() if right else b.shape[1:])))
    y: Tensor = Matmul.apply(a, b)
    shape = tuple(y.shape)
    if left or right:
        found = reshape(y, shape[:-2] + (() if left else shape[-2:-1]) + (() if right else shape[-1:]))
        if input.ndim + other.ndim <= 3:
            return shown_as(found, "DotBackward0" if left and right else "MvBackward0", y)
        return found
    return y


@tensor_method("__matmul__")
def _at(self: Tensor, other: Any) -> Any:
    return matmul(self, other) if isinstance(other, Tensor) else NotImplemented


@tensor_method("mm")
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices.

    Raises:
        ShapeError: an operand is no matrix, or the inner sizes differ.

    >>> minicnn.mm(minicnn.tensor([[1, 2]]), minicnn.tensor([[3], [4]]))
    tensor([[11]])
    """
    check("mm", input, mat2, ranks=(2, 2))
    return matmul(input, mat2)


@tensor_method("bmm")
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two stacks of matrices, (B, n, k) and (B, k, m).

    Raises:
        ShapeError: an operand does not have three axes, or the sizes do not fit.

    >>> minicnn.bmm(minicnn.zeros(8, 2, 3), minicnn.zeros(8, 3, 4)).shape
    minicnn.Size([8, 2, 4])
    """
    check("bmm", input, mat2, ranks=(3, 3))
    if input.shape[0] != mat2.shape[0]:
        raise ShapeError(f"bmm: {tuple(input.shape)} and {tuple(mat2.shape)} must have the same number of matrices")
    return matmul(input, mat2)


@tensor_method("mv")
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix and a vector.

    >>> minicnn.mv(minicnn.tensor([[1, 2], [3, 4]]), minicnn.tensor([1, 1]))
    tensor([3, 7])
    """
    check("mv", input, vec, ranks=(2, 1))
    return matmul(input, vec)


@tensor_method("dot")
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The inner product of two vectors of the same size.

    Raises:
        ShapeError: an operand is not 1-d, or the sizes differ.

    >>> minicnn.dot(minicnn.tensor([1, 2]), minicnn.tensor([3, 4]))
    tensor(11)
    """
    check("dot", input, tensor, ranks=(1, 1))
    if input.shape != tensor.shape:
        raise ShapeError(f"dot: the sizes must be equal, got {input.shape[0]} and {tensor.shape[0]}")
    return matmul(input, tensor)


@tensor_method("vdot")
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The inner product of two vectors of the same size: tensors are real, so it is the same as `dot`.

    >>> minicnn.vdot(minicnn.tensor([1, 2]), minicnn.tensor([3, 4]))
    tensor(11)
    """
    return dot(input, other)


@tensor_method("outer")
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The products of each element of one vector with each element of another: (n, m).

    Raises:
        ShapeError: an operand is not 1-d.

    >>> minicnn.outer(minicnn.tensor([1, 2]), minicnn.tensor([3, 4, 5]))
    tensor([[ 3,  4,  5],
            [ 6,  8, 10]])
    """
    check_tensor("outer", input=input, vec2=vec2)
    if input.ndim != 1 or vec2.ndim != 1:
        raise ShapeError(f"outer: expected two 1-d tensors, got {tuple(input.shape)} and {tuple(vec2.shape)}")
    return unsqueeze(input, 1) * vec2


@tensor_method("ger")
def ger(input: Tensor, vec2: Tensor) -> Tensor:
    """`outer`.

    >>> minicnn.ger(minicnn.tensor([1, 2]), minicnn.tensor([3, 4]))
    tensor([[3, 4],
            [6, 8]])
    """
    return outer(input, vec2)


@tensor_method("inner")
def inner(input: Tensor, other: Tensor) -> Tensor:
    """Products summed over the last axes, of shape input.shape[:-1] + other.shape[:-1]; a 0-d tensor is a factor.

    >>> minicnn.inner(minicnn.tensor([[1, 2], [3, 4]]), minicnn.tensor([1, 1]))
    tensor([3, 7])
    """
    check_tensor("inner", input=input, other=other)
    if not input.ndim or not other.ndim:
        return input * other
    check("inner", input, other)
    if input.shape[-1] != other.shape[-1]:
        raise ShapeError(f"inner: the last axes of {tuple(input.shape)} and {tuple(other.shape)} must be equal")
    size = input.shape[-1]
    a, b = (reshape(x, (math.prod(x.shape[:-1]), size)) for x in (input, other))  # (..., k) -> (n, k)
    return reshape(matmul(a, transpose(b, 0, 1)), (*input.shape[:-1], *other.shape[:-1]))


# -------------------------------------------------------------------------------------------------- a product and a sum


def _sum(op: str, input: Tensor, product: Tensor, beta: Any, alpha: Any) -> Tensor:
    """beta input + alpha product; with beta = 0 the input is ignored, even if it is NaN."""
    check_tensor(op, input=input)
    if input.dtype != product.dtype:
        raise RuntimeError(
            f"{op}: the input is {input.dtype} but the product {product.dtype}; convert one with .to(...)"
        )
    if geometry.broadcast(op, tuple(input.shape), tuple(product.shape)) != tuple(product.shape):
        raise ShapeError(f"{op}: an input of shape {tuple(input.shape)} does not broadcast to {tuple(product.shape)}")
    if product.dtype.kind in "iu":  # as in PyTorch, the factors are cut to integers
        alpha, beta = int(alpha), int(beta)
    product = product if alpha == 1 else product * alpha
    y = with_unused(product, input) if beta == 0 else (input if beta == 1 else input * beta) + product
    return y if y.dtype == input.dtype else y.to(input.dtype)


@tensor_method("addmm")
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta input + alpha mat1 @ mat2.

    >>> a = minicnn.tensor([[1., 2.]])
    >>> minicnn.addmm(minicnn.tensor([10.]), a, a.T)
    tensor([[15.]])
    """
    return shown_as(_sum("addmm", input, mm(mat1, mat2), beta, alpha), "AddmmBackward0")


@tensor_method("addmv")
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta input + alpha mat @ vec.

    >>> minicnn.addmv(minicnn.tensor([10, 20]), minicnn.tensor([[1, 2], [3, 4]]), minicnn.tensor([1, 1]))
    tensor([13, 27])
    """
    return _sum("addmv", input, mv(mat, vec), beta, alpha)


@tensor_method("addr")
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta input + alpha outer(vec1, vec2).

    >>> minicnn.addr(minicnn.ones(2, 2), minicnn.tensor([1., 2.]), minicnn.tensor([3., 4.]))
    tensor([[4., 5.],
            [7., 9.]])
    """
    product = outer(vec1, vec2)
    return _sum("addr", input, product.to(input.dtype) if product.dtype.kind == "b" else product, beta, alpha)


@tensor_method("baddbmm")
def baddbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta input + alpha bmm(batch1, batch2).

    >>> minicnn.baddbmm(minicnn.ones(2, 4), minicnn.zeros(8, 2, 3), minicnn.zeros(8, 3, 4)).shape
    minicnn.Size([8, 2, 4])
    """
    return _sum("baddbmm", input, bmm(batch1, batch2), beta, alpha)


@tensor_method("addbmm")
def addbmm(input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta input + alpha times the sum of the matrices in bmm(batch1, batch2).

    >>> minicnn.addbmm(minicnn.ones(2, 4), minicnn.zeros(8, 2, 3), minicnn.zeros(8, 3, 4)).shape
    minicnn.Size([2, 4])
    """
    return _sum("addbmm", input, bmm(batch1, batch2).sum(0, dtype=batch1.dtype), beta, alpha)


# -------------------------------------------------------------------------------------------------------------- several


@with_out
def multi_dot(tensors: Sequence[Tensor]) -> Tensor:
    """The product of several matrices, in the order with the fewest multiplications; the first and last may be vectors.

    The order is found by dynamic programming: Cormen et al., "Introduction to Algorithms", 15.2.

    >>> minicnn.linalg.multi_dot([minicnn.zeros(2, 100), minicnn.zeros(100, 3), minicnn.zeros(3, 5)]).shape
    minicnn.Size([2, 5])
    """
    if len(tensors) < 2:
        raise RuntimeError(f"multi_dot: expected at least 2 tensors, got {len(tensors)}")
    check("multi_dot", *tensors)
    left, right = tensors[0].ndim == 1, tensors[-1].ndim == 1
    chain = [
        unsqueeze(tensors[0], 0) if left else tensors[0],
        *tensors[1:-1],
        unsqueeze(tensors[-1], 1) if right else tensors[-1],
    ]
    if any(x.ndim != 2 for x in chain):
        raise ShapeError(f"multi_dot: expected matrices, got shapes {[tuple(x.shape) for x in tensors]}")
    for a, b in pairwise(chain):
        geometry.matmul(tuple(a.shape), tuple(b.shape))
    y = _chain(chain)
    return reshape(y, (() if left else (y.shape[0],)) + (() if right else (y.shape[1],)))


def _chain(matrices: list[Tensor]) -> Tensor:
    """Return the product of matrices in the cheapest order."""
    n, sides = len(matrices), [*(m.shape[0] for m in matrices), matrices[-1].shape[1]]
    cost = [[0] * n for _ in range(n)]
    cut = [[0] * n for _ in range(n)]
    for length in range(2, n + 1):
        for i in range(n - length + 1):
            j = i + length - 1
            cost[i][j], cut[i][j] = min(
                (cost[i][k] + cost[k + 1][j] + sides[i] * sides[k + 1] * sides[j + 1], k) for k in range(i, j)
            )

    def product(i: int, j: int) -> Tensor:
        return matrices[i] if i == j else matmul(product(i, cut[i][j]), product(cut[i][j] + 1, j))

    return product(0, n - 1)


def chain_matmul(*matrices: Tensor) -> Tensor:
    """The product of several matrices, in the order with the fewest multiplications.

    >>> minicnn.chain_matmul(minicnn.eye(2), minicnn.tensor([[1., 2.], [3., 4.]]), minicnn.eye(2))
    tensor([[1., 2.],
            [3., 4.]])
    """
    given = list(matrices[0]) if len(matrices) == 1 and isinstance(matrices[0], (tuple, list)) else list(matrices)
    if not given:
        raise RuntimeError("chain_matmul: expected at least one matrix")
    return given[0] if len(given) == 1 else multi_dot(given)
