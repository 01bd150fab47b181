"""Functions of matrices that are composed of products and decompositions: ranks, pseudoinverses, powers.

The matrices are in the last two axes.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from minicnn_kernels.geometry import ShapeError, whole

from ...compat import return_types
from ...tensor import Array, Tensor, tensor_method
from .arguments import check_tensor
from .clamp import maximum, where
from .concatenate import cat, stack
from .creation import eye, full
from .decompositions import cholesky, eigvalsh, qr, svd, svdvals
from .diagonal import diagonal, tril, triu
from .expand import expand
from .inverses import Decomposition, LinAlgError, LogDet, as_matrices, checked, det, inv, slogdet, solve
from .matmul import matmul
from .norm import matrix_norm
from .reduction import sum

__all__ = [
    "cholesky_ex", "cholesky_inverse", "cholesky_solve", "cond", "inv_ex", "linalg_diagonal", "logdet", "lstsq",
    "matrix_exp", "matrix_power", "matrix_rank", "old_cholesky", "old_qr", "old_svd", "pinv", "pinverse",
    "solve_triangular", "tensorinv", "tensorsolve", "vander", "vecdot",
]  # fmt: skip


class PseudoInverse(Decomposition):
    """P = A^+, from the singular values above a limit.

    gA = -P^T gP P^T + (I - A P) gP^T P P^T + P^T P gP^T (I - P A).

    G. H. Golub, V. Pereyra, "The differentiation of pseudo-inverses", 1973.
    """

    @staticmethod
    def forward(ctx: Any, a: Array, atol: Any, rtol: float) -> Array:
        """Invert the singular values above max(atol, rtol s_0); (..., m, n) -> (..., n, m)."""
        u, s, vh = np.linalg.svd(a, full_matrices=False)
        limit = np.maximum(atol, rtol * s[..., :1]) if s.shape[-1] else s
        large = s > limit
        y = (vh.swapaxes(-1, -2) * (large / np.where(large, s, 1))[..., None, :]) @ u.swapaxes(-1, -2)
        y = y.astype(a.dtype, copy=False)
        ctx.save_for_backward(a, y)
        return y

    @staticmethod
    def derivative(ctx: Any, gp: Tensor) -> tuple[Tensor, None, None]:
        """Compute gA."""
        a, p = ctx.saved
        A, P = ctx.at_input(0, a), ctx.at_output(0, p)
        Pt, gt = P.mT, gp.mT
        left, right = gt @ P @ Pt, Pt @ P @ gt
        return left - A @ (P @ left) + right - (right @ P) @ A - Pt @ gp @ Pt, None, None

    @staticmethod
    def infer(a: Any, atol: Any, rtol: float) -> Any:
        """Return the transposed shape."""
        return a.swapaxes(-1, -2)


def _limits(A: Tensor, atol: Any, rtol: Any) -> tuple[float, float]:
    """Return the absolute and relative limit below which a singular value counts as 0."""
    least = max(A.shape[-2:]) * float(np.finfo(A.array.dtype).eps)
    relative = rtol if rtol is not None else 0.0 if atol is not None and float(atol) > 0 else least
    return float(0 if atol is None else atol), float(relative)


def pinv(A: Tensor, rcond: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """The pseudoinverse, of matrices of any shape: X = A^+ gives the least |A X B - B| for every B.

    Args:
        rcond, rtol: a singular value below this part of the largest counts as 0; max(m, n) times the type's eps.
        hermitian: whether the matrices are symmetric, so that only the lower triangle is read.
        atol: a singular value below this counts as 0.

    >>> minicnn.linalg.pinv(minicnn.tensor([[2., 0.], [0., 0.]]))
    tensor([[0.5000, 0.0000],
            [0.0000, 0.0000]])
    """
    checked("linalg.pinv", square=hermitian, A=A)
    A = tril(A) + tril(A, -1).mT if hermitian else A
    return PseudoInverse.apply(A, *_limits(A, atol, rcond if rtol is None else rtol))


@tensor_method("pinverse")
def pinverse(input: Tensor, rcond: float = 1e-15) -> Tensor:
    """`minicnn.linalg.pinv` under its older name.

    >>> minicnn.pinverse(minicnn.tensor([[4.]]))
    tensor([[0.2500]])
    """
    return pinv(input, rcond)


def matrix_rank(A: Tensor, tol: Any = None, hermitian: bool = False, *, atol: Any = None, rtol: Any = None) -> Tensor:
    """The number of singular values that are not 0 up to rounding.

    Args:
        tol, atol: a value up to this counts as 0; a number, or a tensor with one for each matrix.
        hermitian: whether the matrices are symmetric, so that eigenvalues can be taken.
        rtol: a value up to this part of the largest counts as 0; max(m, n) times the type's eps.

    >>> minicnn.linalg.matrix_rank(minicnn.tensor([[1., 2.], [2., 4.]]))
    tensor(1)
    """
    checked("linalg.matrix_rank", square=hermitian, A=A)
    atol = tol if atol is None else atol
    if isinstance(atol, Tensor) and rtol is None:
        rtol = where(atol > 0, 0.0, _limits(A, None, None)[1])
    if isinstance(atol, Tensor) or isinstance(rtol, Tensor):
        absolute, relative = (x.unsqueeze(-1) if isinstance(x, Tensor) else x or 0 for x in (atol, rtol))
    else:
        absolute, relative = _limits(A, atol, rtol)
    values = eigvalsh(A.detach()).abs() if hermitian else svdvals(A.detach())
    if not values.shape[-1]:
        return sum(values, -1).long()
    largest = values.amax(-1, keepdim=True) * relative
    return sum(values > (maximum(largest, absolute) if isinstance(absolute, Tensor) else largest.clamp(absolute)), -1)


def cond(A: Tensor, p: Any = None) -> Tensor:
    """The condition number |A| |A^-1| in a matrix norm; by default of the singular values, largest over smallest.

    >>> minicnn.linalg.cond(minicnn.tensor([[4., 0.], [0., 2.]]))
    tensor(2.)
    """
    checked("linalg.cond", square=p not in (None, 2, -2), A=A)
    if p in (None, 2, -2):
        values = svdvals(A)
        return values[..., 0] / values[..., -1] if p != -2 else values[..., -1] / values[..., 0]
    try:
        return matrix_norm(A, p) * matrix_norm(inv(A), p)
    except LinAlgError:
        return full(A.shape[:-2], math.inf, dtype=A.dtype, device=A.device)


@tensor_method("logdet")
def logdet(input: Tensor) -> Tensor:
    """The logarithm of the determinants; NaN for a negative one, -Inf for 0.

    >>> minicnn.logdet(minicnn.tensor([[1., 0.], [0., 1.]]))
    tensor(0.)
    """
    checked("logdet", A=input)
    sign, logs = LogDet.apply(input)
    return where(sign < 0, math.nan, logs)


def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """`inv` as `(inverse, info)`: instead of an error, `info` is 1 for a singular matrix, and its inverse NaN."""
    return return_types.linalg_inv_ex(_with_info(inv, A, check_errors))


def cholesky_ex(A: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """`cholesky` as `(L, info)`: instead of an error, `info` is 1 for a matrix that is not positive-definite."""
    return return_types.linalg_cholesky_ex(_with_info(lambda a: cholesky(a, upper=upper), A, check_errors))


def _with_info(function: Callable[[Tensor], Tensor], A: Tensor, check_errors: bool) -> tuple[Tensor, Tensor]:
    """Return the results matrix by matrix, with NaN where there is none, and 1 there in the second tensor, else 0."""
    zeros = full(A.shape[:-2], 0, dtype=np.int32, device=A.device)
    try:
        return function(A), zeros
    except LinAlgError:
        if check_errors:
            raise
    if A.ndim == 2:
        return A * math.nan, zeros + 1
    results, infos = zip(*(_with_info(function, part, False) for part in A), strict=True)
    return stack(results), stack(infos)


@tensor_method("cholesky")
def old_cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """`minicnn.linalg.cholesky` under its older name, `minicnn.cholesky`."""
    return cholesky(input, upper=upper)


@tensor_method("qr")
def old_qr(input: Tensor, some: bool = True) -> Any:
    """`minicnn.linalg.qr` under its older name, `minicnn.qr`; `some` is "reduced"."""
    return return_types.qr(tuple(qr(input, "reduced" if some else "complete")))


@tensor_method("svd")
def old_svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """`minicnn.linalg.svd` under its older name, `minicnn.svd`, which returns `(U, S, V)`, with V not transposed."""
    U, S, Vh = svd(input, not some)
    return return_types.svd((U, S, Vh.mT) if compute_uv else (U * 0, S, Vh.mT * 0))


@tensor_method("cholesky_solve")
def cholesky_solve(B: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """The solution X of A X = B, from the triangle L of A = L L^T, or with `upper` of A = L^T L.

    >>> minicnn.cholesky_solve(minicnn.tensor([[4.]]), minicnn.tensor([[2.]]))  # 2 * 2 * x = 4
    tensor([[1.]])
    """
    checked("cholesky_solve", square=False, B=B, L=L)
    L = triu(L).mT if upper else tril(L)
    return solve(L.mT, solve(L, as_matrices(B, L)))


@tensor_method("cholesky_inverse")
def cholesky_inverse(L: Tensor, upper: bool = False) -> Tensor:
    """The inverse of A = L L^T, from the triangle L, or with `upper` of A = L^T L.

    >>> minicnn.cholesky_inverse(minicnn.tensor([[2.]]))
    tensor([[0.2500]])
    """
    checked("cholesky_inverse", L=L)
    return cholesky_solve(eye(L.shape[-1], dtype=L.dtype, device=L.device), L, upper)


def solve_triangular(A: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False) -> Tensor:
    """The solution X of A X = B for triangular A, or with `left=False` of X A = B; the other triangle is not read.

    Args:
        upper: whether A is an upper triangle.
        unitriangular: whether the diagonal counts as 1.

    >>> A = minicnn.tensor([[2., 0.], [1., 1.]])
    >>> minicnn.linalg.solve_triangular(A, minicnn.tensor([[2.], [3.]]), upper=False)
    tensor([[1.],
            [2.]])
    """
    checked("linalg.solve_triangular", A=A)
    checked("linalg.solve_triangular", square=False, A=A, B=B)
    strict = int(unitriangular)
    T = triu(A, strict) if upper else tril(A, -strict)
    B = as_matrices(B, A)
    return solve(T + eye(A.shape[-1], dtype=A.dtype, device=A.device) if unitriangular else T, B, left=left)


def lstsq(A: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None) -> Any:
    """The X with the least |A X - B|, and among several the smallest, by the pseudoinverse.

    Args:
        driver: "gelsy", the default, "gels", "gelsd" or "gelss": what is returned besides the solution.

    Returns:
        `(solution, residuals, rank, singular_values)`. The residuals, except for "gelsy", are the sums of squares for
        each column of B, if A has more rows than columns and full rank; the rank is given except for "gels", the
        singular values for "gelsd" and "gelss". What is not given is an empty tensor.

    >>> A = minicnn.tensor([[1., 0.], [1., 1.], [1., 2.]])  # the line through (0, 1), (1, 3), (2, 5)
    >>> minicnn.linalg.lstsq(A, minicnn.tensor([[1.], [3.], [5.]])).solution
    tensor([[1.0000],
            [2.0000]])
    """
    check_tensor("linalg.lstsq", A=A, B=B)
    vector = A.ndim - 1 == B.ndim and tuple(B.shape) == tuple(A.shape[:-1])
    X = B.unsqueeze(-1) if vector else B
    checked("linalg.lstsq", square=False, A=A, B=X)
    if driver not in (None, "gels", "gelsy", "gelsd", "gelss"):
        raise RuntimeError(f"linalg.lstsq: driver must be 'gels', 'gelsy', 'gelsd' or 'gelss', got {driver!r}")
    if A.shape[-2] != X.shape[-2]:
        raise ShapeError(f"linalg.lstsq: input.size(-2) should match other.size(-2), got {A.shape} and {B.shape}")
    solution = pinv(A, rcond) @ X
    none, rank, (m, n) = A.new_empty(0), matrix_rank(A, rtol=rcond), A.shape[-2:]
    known = driver not in (None, "gelsy") and m > n and not A.is_meta and bool((rank == n).all())
    return return_types.linalg_lstsq(
        solution.squeeze(-1) if vector else solution,
        sum((A @ solution - X) ** 2, -2) if known else A.reshape(-1)[:0] + X.reshape(-1)[:0],  # empty: in the graph
        rank if driver != "gels" else none.long(),
        svdvals(A.detach()) if driver in ("gelsd", "gelss") else none,
    )


# -------------------------------------------------------------------------------------------------------------- powers


@tensor_method("matrix_power")
def matrix_power(A: Tensor, n: int) -> Tensor:
    """The n-th power of square matrices, by repeated squaring; for negative n of their inverses.

    >>> minicnn.linalg.matrix_power(minicnn.tensor([[1., 1.], [0., 1.]]), 5)
    tensor([[1., 5.],
            [0., 1.]])
    """
    checked("linalg.matrix_power", A=A)
    n = whole(n, "linalg.matrix_power", "n")
    base = A if n >= 0 else inv(A)
    n = abs(n)
    result: Tensor | None = None
    while n:
        if n % 2:
            result = base if result is None else matmul(result, base)
        n //= 2
        base = matmul(base, base) if n else base
    if result is not None:
        return result if result is not A else A.clone()
    return A.clone().copy_(eye(A.shape[-1], dtype=A.dtype, device=A.device))  # in the graph, with a gradient of 0


@tensor_method("matrix_exp")
def matrix_exp(A: Tensor) -> Tensor:
    """e^A = sum_k A^k / k!: the series for A / 2^s, which has a norm below 1/2, squared s times.

    C. Moler, C. Van Loan, "Nineteen dubious ways to compute the exponential of a matrix", 2003.

    >>> minicnn.linalg.matrix_exp(minicnn.tensor([[0., 1.], [0., 0.]]))
    tensor([[1., 1.],
            [0., 1.]])
    """
    checked("linalg.matrix_exp", A=A)
    size = 0.0 if A.is_meta or not A.numel() else float(matrix_norm(A.detach(), 1).max().item())
    s = max(0, math.frexp(size)[1] + 1) if math.isfinite(size) else 0
    x = A / 2**s
    term = expand(eye(A.shape[-1], dtype=A.dtype, device=A.device), tuple(A.shape))
    total = term
    for k in range(1, 17):  # (1/2)^17 / 17! is below the eps of float64
        term = matmul(term, x) / k
        total = total + term
    for _ in range(s):
        total = matmul(total, total)
    return total


# -------------------------------------------------------------------------------------------------------------- others


def linalg_diagonal(A: Tensor, *, offset: int = 0, dim1: int = -2, dim2: int = -1) -> Tensor:
    """The diagonals of matrices, as a new last axis; a view. `minicnn.diagonal` with other defaults.

    >>> minicnn.linalg.diagonal(minicnn.zeros(8, 3, 4)).shape
    minicnn.Size([8, 3])
    """
    return diagonal(A, offset, dim1, dim2)


def vecdot(x: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The sum of the products along an axis: the dot products of stacks of vectors.

    >>> minicnn.linalg.vecdot(minicnn.tensor([[1., 2.], [3., 4.]]), minicnn.tensor([1., 1.]))
    tensor([3., 7.])
    """
    check_tensor("linalg.vecdot", x=x, y=y)
    return sum(x * y, dim)


def vander(x: Tensor, *, N: int | None = None) -> Tensor:
    """The matrix of powers x_i^j for j = 0, ..., N-1: Vandermonde's; (..., n) -> (..., n, N).

    >>> minicnn.linalg.vander(minicnn.tensor([2, 3]), N=3)
    tensor([[1, 2, 4],
            [1, 3, 9]])
    """
    check_tensor("linalg.vander", x=x)
    x = x if x.ndim else x.reshape(1)
    n = x.shape[-1] if N is None else whole(N, "linalg.vander", "N")
    if n <= 1:
        raise RuntimeError(f"linalg.vander: expected N > 1, got shape {tuple(x.shape)}, N={N}")
    ones = x.new_ones((*x.shape, 1))
    powers = x.unsqueeze(-1).expand(*x.shape, n - 1).cumprod(-1)
    return cat([ones.to(powers.dtype), powers], -1)


def tensorinv(A: Tensor, ind: int = 2) -> Tensor:
    """The inverse of the linear map from the last axes of A to its first `ind` axes.

    >>> minicnn.linalg.tensorinv(minicnn.eye(6).reshape(2, 3, 6)).shape
    minicnn.Size([6, 2, 3])
    """
    check_tensor("linalg.tensorinv", A=A)
    if ind <= 0:
        raise RuntimeError(f"linalg.tensorinv: Expected a strictly positive integer for 'ind', got {ind}")
    to, of = tuple(A.shape[:ind]), tuple(A.shape[ind:])
    if math.prod(to) != math.prod(of):
        raise ShapeError(f"linalg.tensorinv: the products of {to} and {of} must be equal")
    return inv(A.reshape(math.prod(to), math.prod(of))).reshape(*of, *to)


def tensorsolve(A: Tensor, B: Tensor, dims: Any = None) -> Tensor:
    """The X with tensordot(A, X, X.ndim) = B; `dims` are axes of A that are moved to its end first.

    >>> minicnn.linalg.tensorsolve(minicnn.eye(6).reshape(2, 3, 6), minicnn.ones(2, 3)).shape
    minicnn.Size([6])
    """
    check_tensor("linalg.tensorsolve", A=A, B=B)
    if dims is not None:
        A = A.movedim(tuple(dims), tuple(range(A.ndim - len(dims), A.ndim)))
    of = tuple(A.shape[B.ndim :])
    if math.prod(of) != B.numel():
        raise ShapeError(f"linalg.tensorsolve: expected as many unknowns {of} as equations {tuple(B.shape)}")
    return solve(A.reshape(B.numel(), math.prod(of)), B.reshape(-1)).reshape(of)


for _name, _function in (("det", det), ("inverse", inv), ("slogdet", slogdet)):
    tensor_method(_name)(_function)
