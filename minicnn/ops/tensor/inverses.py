"""Inverses, solutions and determinants of square matrices, in the last two axes of a tensor, with their gradients.

NumPy, or CuPy on a GPU, computes them. Each gradient is one formula on tensors, `derivative`: the plain backward runs
it unrecorded, so the gradients have gradients too.

M. Giles, "An extended collection of matrix derivative results for forward and reverse mode algorithmic
differentiation", 2008.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.arrays import beside, xp
from minicnn_kernels.geometry import ShapeError

from ...autograd.engine import Function
from ...autograd.modes import is_grad_enabled, no_grad
from ...compat import return_types
from ...device import Meta, meta
from ...tensor import Array, Tensor
from .arguments import check_tensor
from .expand import broadcast_shapes, expand
from .shape import unsqueeze

__all__ = ["LinAlgError", "det", "inv", "slogdet", "solve"]


class LinAlgError(RuntimeError):
    """A matrix that has no inverse, or no such decomposition."""


class Decomposition(Function):
    """A function of matrices whose gradient is given by `derivative` alone."""

    @staticmethod
    def backward(ctx: Any, *gys: Any) -> Any:
        """Run the formula of `derivative` unrecorded."""
        with no_grad(), np.errstate(all="ignore"):
            found = ctx.function.derivative(ctx, *[None if gy is None else Tensor(gy) for gy in gys])
        found = found if isinstance(found, tuple) else (found,)
        return tuple([None if g is None else g.array for g in found])


def checked(op: str, square: bool = True, **operands: Any) -> None:
    """Check that operands are (stacks of) matrices of float32 or float64, all of one type.

    Raises:
        TypeError: an operand is no tensor.
        RuntimeError: an operand has another type.
        ShapeError: an operand has fewer than two axes, or, with `square`, is not square.
    """
    check_tensor(op, **operands)
    first = next(iter(operands.values())).dtype
    for name, A in operands.items():
        if A.dtype.kind != "f" or A.dtype.itemsize < 4:
            raise RuntimeError(
                f"{op}: Expected a floating point tensor as input, float32 or float64. Got {A.dtype}; convert it with "
                ".float()"
            )
        if A.dtype != first:
            raise RuntimeError(f"{op}: Expected {name} to have dtype {first}, but got {A.dtype}; convert one")
        if A.ndim < 2:
            raise ShapeError(
                f"{op}: The input tensor {name} must have at least 2 dimensions, got shape {tuple(A.shape)}"
            )
        if square and A.shape[-1] != A.shape[-2]:
            raise ShapeError(
                f"{op}: {name} must be batches of square matrices, but they are {A.shape[-2]} by {A.shape[-1]} matrices"
            )


def run(op: str, remedy: str, function: Callable[..., Any], *args: Any, **options: Any) -> Any:
    """Call NumPy; its error names the operation and says what to do.

    Raises:
        LinAlgError: the matrix has no such inverse or decomposition.
    """
    try:
        return function(*args, **options)
    except np.linalg.LinAlgError as error:
        raise LinAlgError(f"linalg.{op}: {error}; {remedy}") from None


def transposed(x: Tensor) -> Tensor:
    """Return the matrices transposed."""
    return x.transpose(-1, -2)


# ------------------------------------------------------------------------------------------------------------ inverses


def as_matrices(B: Tensor, A: Tensor) -> Tensor:
    """B with as many axes as A, for operations on matrices only: `solve` takes some of fewer axes for vectors."""
    return B.reshape((*[1] * (A.ndim - B.ndim), *B.shape)) if B.ndim < A.ndim else B


class Inverse(Decomposition):
    """Y = A^-1; gA = -Y^T gY Y^T."""

    @staticmethod
    def forward(ctx: Any, a: Array) -> Array:
        """Invert."""
        y = run("inv", "the input matrix is singular; pinv takes any matrix", np.linalg.inv, a)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> Tensor:
        """Compute gA."""
        y = transposed(ctx.at_output(0, ctx.saved[0]))
        return -(y @ gy @ y)


class Solve(Decomposition):
    """X = A^-1 B; gB = A^-T gX, gA = -gB X^T."""

    @staticmethod
    def forward(ctx: Any, a: Array, b: Array) -> Array:
        """Solve for each column of B."""
        x = run("solve", "the input matrix is singular; lstsq takes any matrix", np.linalg.solve, a, b)
        ctx.save_for_backward(a, x)
        return x

    @staticmethod
    def derivative(ctx: Any, gx: Tensor) -> tuple[Tensor, Tensor]:
        """Compute gA and gB."""
        a, x = ctx.saved
        gb = Solve.apply(transposed(ctx.at_input(0, a)), gx)
        return -(gb @ transposed(ctx.at_output(0, x))), gb

    @staticmethod
    def infer(a: Meta, b: Meta) -> Meta:
        """Return the shape of B."""
        return meta(b.shape, b.dtype)


def inv(A: Tensor) -> Tensor:
    """The inverse of square matrices: A Y = I.

    Raises:
        LinAlgError: a matrix is singular.
        ShapeError: the matrices are not square.

    >>> minicnn.linalg.inv(minicnn.tensor([[2., 0.], [0., 4.]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.2500]])
    """
    checked("linalg.inv", A=A)
    return Inverse.apply(A)


def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """The solution X of A X = B, or with `left=False` of X A = B, for square matrices A.

    B is a vector, or a stack of vectors with the shape of A without its last axis, or a stack of matrices. Leading axes
    are broadcast.

    Raises:
        LinAlgError: a matrix A is singular.
        ShapeError: A is not square, or B does not fit.

    >>> minicnn.linalg.solve(minicnn.tensor([[2., 0.], [0., 4.]]), minicnn.tensor([1., 1.]))
    tensor([0.5000, 0.2500])
    """
    check_tensor("linalg.solve", A=A, B=B)
    vector = B.ndim == 1 or (A.ndim - 1 == B.ndim and tuple(B.shape) == tuple(A.shape[:-1]))
    X = unsqueeze(B, -1 if left else -2) if vector and B.ndim else B
    checked("linalg.solve", A=A)
    checked("linalg.solve", square=False, A=A, B=X)
    side = -2 if left else -1
    if X.shape[side] != A.shape[-1]:
        raise ShapeError(
            f"linalg.solve: Incompatible shapes of A and B for the equation {'AX = B' if left else 'XA = B'} "
            f"({A.shape[-2]}x{A.shape[-1]} and {X.shape[-2]}x{X.shape[-1]})"
        )
    A, X = (A, X) if left else (transposed(A), transposed(X))
    batch = broadcast_shapes(tuple(A.shape[:-2]), tuple(X.shape[:-2]))
    y = Solve.apply(expand(A, (*batch, *A.shape[-2:])), expand(X, (*batch, *X.shape[-2:])))
    y = y if left else transposed(y)
    return y.squeeze(-1 if left else -2) if vector else y


# -------------------------------------------------------------------------------------------------------- determinants


class Det(Decomposition):
    """y = det A; gA = gy y A^-T, which is gy times the cofactors of A, also where A is singular."""

    @staticmethod
    def forward(ctx: Any, a: Array) -> Array:
        """Compute the determinants; (..., n, n) -> (...)."""
        y = xp(a).asarray(np.linalg.det(a)).astype(a.dtype, copy=False)
        ctx.save_for_backward(a, y)
        return y

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> Tensor:
        """Compute gA."""
        a, y = ctx.saved
        if type(a) is not Meta and bool((y == 0).any()):
            if is_grad_enabled():
                raise LinAlgError("linalg.det: the gradient of the gradient of a singular matrix is not implemented")
            return gy[..., None, None] * Tensor(_cofactors(a))
        return (gy * ctx.at_output(0, y))[..., None, None] * transposed(Inverse.apply(ctx.at_input(0, a)))

    @staticmethod
    def infer(a: Meta) -> Meta:
        """Return a number for each matrix."""
        return meta(a.shape[:-2], a.dtype)


def _cofactors(a: Array) -> Array:
    """Return det(A) A^-T by the singular values: det(U) det(V) U diag(products of the other s) V^T."""
    u, s, vh = np.linalg.svd(a, full_matrices=False)
    own = beside(np.eye(s.shape[-1], dtype=bool), s)
    others = np.where(own, 1, s[..., None, :]).prod(-1)  # (..., n, n) -> (..., n)
    sign = xp(a).asarray(np.linalg.det(u) * np.linalg.det(vh))
    return (sign[..., None, None] * ((u * others[..., None, :]) @ vh)).astype(a.dtype, copy=False)


class LogDet(Decomposition):
    """(sign, log |det A|); gA = gy A^-T."""

    @staticmethod
    def forward(ctx: Any, a: Array) -> tuple[Array, Array]:
        """Compute signs and logarithms; (..., n, n) -> (...)."""
        sign, logs = (xp(a).asarray(part).astype(a.dtype, copy=False) for part in np.linalg.slogdet(a))
        ctx.save_for_backward(a)
        ctx.materialize = False
        return sign, logs

    @staticmethod
    def derivative(ctx: Any, _: Tensor | None, gy: Tensor | None) -> Tensor | None:
        """Compute gA."""
        return None if gy is None else gy[..., None, None] * transposed(Inverse.apply(ctx.at_input(0, ctx.saved[0])))

    @staticmethod
    def infer(a: Meta) -> tuple[Meta, Meta]:
        """Return two numbers for each matrix."""
        return meta(a.shape[:-2], a.dtype), meta(a.shape[:-2], a.dtype)


def det(A: Tensor) -> Tensor:
    """The determinants of square matrices.

    >>> minicnn.linalg.det(minicnn.tensor([[2., 1.], [1., 2.]]))
    tensor(3.)
    """
    checked("linalg.det", A=A)
    return Det.apply(A)


def slogdet(A: Tensor) -> Any:
    """The sign of the determinants, and the logarithm of their absolute values, as `(sign, logabsdet)`.

    >>> minicnn.linalg.slogdet(minicnn.tensor([[0., 1.], [1., 0.]])).sign
    tensor(-1.)
    """
    checked("linalg.slogdet", A=A)
    return return_types.linalg_slogdet(LogDet.apply(A))
