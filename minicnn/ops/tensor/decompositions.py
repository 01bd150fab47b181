"""Decompositions of matrices, in the last two axes of a tensor, with their gradients.

J. Townsend, "Differentiating the singular value decomposition", 2016; S. F. Walter, L. Lehmann, "Algorithmic
differentiation of linear algebra functions with application in optimum experimental design", 2010.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from minicnn_kernels.arrays import beside

from ...compat import return_types
from ...device import Meta, meta
from ...tensor import Array, Tensor
from .clamp import where
from .concatenate import cat
from .diagonal import diag_embed, tril
from .inverses import Decomposition, Solve, checked, run
from .inverses import transposed as _t
from .shape import unsqueeze

__all__ = ["cholesky", "eigh", "eigvalsh", "qr", "svd", "svdvals"]


class Cholesky(Decomposition):
    """A = L L^T; gA = L^-T S L^-1 / 2, where S is the lower triangle of L^T gL, mirrored."""

    @staticmethod
    def forward(ctx: Any, a: Array) -> Array:
        """Decompose; only the lower triangle of A is read."""
        remedy = "the input is not positive-definite; add a small multiple of the identity"
        y = run("cholesky", remedy, np.linalg.cholesky, a)
        ctx.save_for_backward(y)
        return y

    @staticmethod
    def derivative(ctx: Any, gy: Tensor) -> Tensor:
        """Compute gA."""
        L = ctx.at_output(0, ctx.saved[0])
        half = Solve.apply(_t(L), _mirrored(_t(L) @ gy))
        return _t(Solve.apply(_t(L), _t(half))) / 2


def _mirrored(x: Tensor) -> Tensor:
    """Return the lower triangle, and its mirror image above the diagonal."""
    return tril(x) + _t(tril(x, -1))


class Qr(Decomposition):
    """A = Q R with orthonormal columns of Q and an upper triangle R.

    For at least as many rows as columns, gA = (gQ + Q M) R^-T, where M is the lower triangle of R gR^T - gQ^T Q,
    mirrored.
    Else the first columns X of A = [X, Y] fix Q, and R = [U, V] with V = Q^T Y.
    """

    @staticmethod
    def forward(ctx: Any, a: Array, mode: str) -> tuple[Array, Array]:
        """Decompose; (..., m, n) -> (..., m, k), (..., k, n)."""
        q, r = np.linalg.qr(a, mode)  # type: ignore[call-overload]
        ctx.save_for_backward(a, q, r)
        ctx.mode, ctx.materialize = mode, False
        return q, r

    @staticmethod
    def derivative(ctx: Any, gq: Tensor | None, gr: Tensor | None) -> tuple[Tensor | None, None]:
        """Compute gA."""
        a, q, r = ctx.saved
        m, n = a.shape[-2:]
        if ctx.mode == "complete" and m > n:
            raise RuntimeError(
                "linalg.qr: The QR decomposition is not differentiable when mode='complete' and nrows > ncols; use "
                "mode='reduced'"
            )
        Q, R = ctx.at_output(0, q), ctx.at_output(1, r)
        if m >= n:
            return _qr_gradient(Q, R, gq, gr), None
        Y = ctx.at_input(0, a)[..., m:]
        gu, gv = (None, None) if gr is None else (gr[..., :m], gr[..., m:])
        through = gq if gv is None else Y @ _t(gv) if gq is None else gq + Y @ _t(gv)
        gx = _qr_gradient(Q, R[..., :m], through, gu)
        gy = Q @ gv if gv is not None else Y * 0
        return cat([gx, gy], -1), None

    @staticmethod
    def infer(a: Meta, mode: str) -> tuple[Meta, Meta]:
        """Return the shapes of Q and R."""
        *batch, m, n = a.shape
        k = m if mode == "complete" else min(m, n)
        return meta((*batch, m, k), a.dtype), meta((*batch, k, n), a.dtype)


def _qr_gradient(Q: Tensor, R: Tensor, gq: Tensor | None, gr: Tensor | None) -> Tensor:
    """Return gA for a square R."""
    M = None if gr is None else R @ _t(gr)
    if gq is not None:
        M = -(_t(gq) @ Q) if M is None else M - _t(gq) @ Q
    assert M is not None
    whole = Q @ _mirrored(M) if gq is None else gq + Q @ _mirrored(M)
    return _t(Solve.apply(R, _t(whole)))


class Eigh(Decomposition):
    """A = V diag(w) V^T for symmetric A; gA = V (diag(gw) + skew(V^T gV) / E) V^T.

    E_ij = w_j - w_i, and skew(X) = (X - X^T) / 2.
    """

    @staticmethod
    def forward(ctx: Any, a: Array, lower: bool) -> tuple[Array, Array]:
        """Decompose; only one triangle of A is read. (..., n, n) -> (..., n), (..., n, n)."""
        w, v = run("eigh", "check the input for NaN", np.linalg.eigh, a, "L" if lower else "U")
        ctx.save_for_backward(w, v)
        ctx.materialize = False
        return w, v

    @staticmethod
    def derivative(ctx: Any, gw: Tensor | None, gv: Tensor | None) -> tuple[Tensor | None, None]:
        """Compute gA."""
        w, v = ctx.saved
        W, V = ctx.at_output(0, w), ctx.at_output(1, v)
        inner = None if gw is None else diag_embed(gw)
        if gv is not None:
            inside = _t(V) @ gv  # V stays orthogonal: only the skew part counts
            turned = _apart((inside - _t(inside)) / 2, unsqueeze(W, -2) - unsqueeze(W, -1))
            inner = turned if inner is None else inner + turned
        return None if inner is None else V @ inner @ _t(V), None

    @staticmethod
    def infer(a: Meta, lower: bool) -> tuple[Meta, Meta]:
        """Return the shapes of the eigenvalues and eigenvectors."""
        return meta(a.shape[:-1], a.dtype), meta(a.shape, a.dtype)


def _apart(x: Tensor, differences: Tensor) -> Tensor:
    """Return x / differences, with 0 on the diagonal; equal values elsewhere give Inf: their vectors are not unique."""
    own = Tensor(beside(np.eye(x.shape[-1], dtype=bool), x.array))
    return where(own, 0.0, x / where(own, 1.0, differences))


class Svd(Decomposition):
    """A = U diag(s) V^T, with the singular values s in descending order.

    gA = U (diag(gs) + (skew(U^T gU) / E) diag(s) + diag(s) (skew(V^T gV) / E)) V^T
         + (I - U U^T) gU diag(1/s) V^T + U diag(1/s) gV^T (I - V V^T)
    with E_ij = s_j^2 - s_i^2 and skew(X) = X - X^T.
    """

    @staticmethod
    def forward(ctx: Any, a: Array, full: bool) -> tuple[Array, Array, Array]:
        """Decompose; (..., m, n) -> (..., m, k), (..., k), (..., k, n)."""
        u, s, vh = run("svd", "check the input for NaN", np.linalg.svd, a, full)
        ctx.save_for_backward(u, s, vh)
        ctx.materialize = False
        return u, s, vh

    @staticmethod
    def derivative(ctx: Any, gu: Tensor | None, gs: Tensor | None, gvh: Tensor | None) -> tuple[Tensor | None, None]:
        """Compute gA."""
        u, s, vh = ctx.saved
        k = s.shape[-1]
        beyond = [] if gu is None else [gu[..., k:]]
        beyond += [] if gvh is None else [gvh[..., k:, :]]
        if any(part.numel() and not part.is_meta and bool((part.detach() != 0).any()) for part in beyond):
            raise RuntimeError(
                "linalg.svd: the singular vectors beyond the singular values are not unique, so they have no gradient; "
                "use full_matrices=False"
            )
        gu, gvh = None if gu is None else gu[..., :k], None if gvh is None else gvh[..., :k, :]
        U, S, Vh = ctx.at_output(0, u)[..., :k], ctx.at_output(1, s), ctx.at_output(2, vh)[..., :k, :]
        row, column = unsqueeze(S, -2), unsqueeze(S, -1)
        parts: list[Tensor] = [] if gs is None else [diag_embed(gs)]
        outside: list[Tensor] = []
        if gu is not None:
            inner = _t(U) @ gu
            parts.append(_apart(inner - _t(inner), row**2 - column**2) * row)
            if u.shape[-2] > k:
                outside.append(((gu - U @ inner) / row) @ Vh)
        if gvh is not None:
            inner = Vh @ _t(gvh)
            parts.append(column * _apart(inner - _t(inner), row**2 - column**2))
            if vh.shape[-1] > k:
                outside.append(U @ ((gvh - _t(inner) @ Vh) / column))
        if not parts:
            return None, None
        total = U @ (sum(parts[1:], parts[0])) @ Vh
        for part in outside:
            total = total + part
        return total, None

    @staticmethod
    def infer(a: Meta, full: bool) -> tuple[Meta, Meta, Meta]:
        """Return the shapes of U, s and V^T."""
        *batch, m, n = a.shape
        k = min(m, n)
        shapes = (m, m if full else k), (k,), (n if full else k, n)
        return tuple(meta((*batch, *shape), a.dtype) for shape in shapes)  # type: ignore[return-value]


def cholesky(A: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangle L of A = L L^T for symmetric positive-definite matrices, or with `upper` its transpose.

    Raises:
        LinAlgError: a matrix is not positive-definite.

    >>> minicnn.linalg.cholesky(minicnn.tensor([[4., 2.], [2., 5.]]))
    tensor([[2., 0.],
            [1., 2.]])
    """
    checked("linalg.cholesky", A=A)
    L = Cholesky.apply(_t(A) if upper else A)
    return _t(L) if upper else L


def qr(A: Tensor, mode: str = "reduced") -> Any:
    """A = Q R, as `(Q, R)`, with orthonormal columns of Q and an upper triangle R.

    Args:
        mode: "reduced" for as many columns of Q as A has rows or columns, "complete" for a square Q, "r" for R alone.

    >>> Q, R = minicnn.linalg.qr(minicnn.tensor([[3., 1.], [4., 2.]]))
    >>> minicnn.allclose(Q @ R, minicnn.tensor([[3., 1.], [4., 2.]]), atol=1e-6), round(abs(R[0, 0].item()), 4)
    (True, 5.0)
    """
    checked("linalg.qr", square=False, A=A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(f"linalg.qr: mode must be 'reduced', 'complete' or 'r', got {mode!r}")
    Q, R = Qr.apply(A, "reduced" if mode == "r" else mode)
    return return_types.linalg_qr((Q.new_empty(0), R) if mode == "r" else (Q, R))


def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """The eigenvalues of symmetric matrices, ascending, and orthonormal eigenvectors as columns.

    The gradient through the eigenvectors is that of a function that does not depend on their signs; it is infinite
    where eigenvalues are equal.

    Args:
        UPLO: which triangle is read, "L" or "U".

    >>> minicnn.linalg.eigh(minicnn.tensor([[2., 0.], [0., 1.]])).eigenvalues
    tensor([1., 2.])
    """
    checked("linalg.eigh", A=A)
    if str(UPLO).upper() not in ("L", "U"):
        raise RuntimeError(f"linalg.eigh: Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    return return_types.linalg_eigh(Eigh.apply(A, UPLO.upper() == "L"))


def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of symmetric matrices, ascending.

    >>> minicnn.linalg.eigvalsh(minicnn.tensor([[2., 1.], [1., 2.]]))
    tensor([1., 3.])
    """
    return eigh(A, UPLO)[0]


def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """A = U diag(S) Vh, as `(U, S, Vh)`, with the singular values S in descending order.

    The gradient through U and Vh is that of a function that does not depend on the signs of their vectors; it is
    infinite where singular values are equal.

    Args:
        full_matrices: whether U and Vh are square; else they have as many vectors as there are singular values.
        driver: has no effect; for PyTorch's sake.

    >>> minicnn.linalg.svd(minicnn.tensor([[3., 0.], [0., 4.]])).S
    tensor([4., 3.])
    """
    checked("linalg.svd", square=False, A=A)
    return return_types.linalg_svd(Svd.apply(A, bool(full_matrices)))


def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values, in descending order.

    >>> minicnn.linalg.svdvals(minicnn.tensor([[0., 3.], [4., 0.]]))
    tensor([4., 3.])
    """
    return svd(A, False)[1]
