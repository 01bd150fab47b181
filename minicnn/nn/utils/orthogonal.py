"""Orthogonal weights as a parametrisation: Q^T Q = I, or Q Q^T = I for a matrix with more columns than rows.

With the trained matrix X (n, k), n >= k, and the skew-symmetric A = tril(X) - tril(X)^T, filled up to (n, n):

    matrix_exp     Q = exp(A)                          the first k columns
    cayley         Q = (I - A / 2)^-1 (I + A / 2)      the first k columns
    householder    Q = H_1 ... H_k D,   H_i = I - 2 v_i v_i^T / |v_i|^2,   v_i = column i of X below a 1 on the diagonal

D holds the signs of X's diagonal. The product of reflections takes three matrix products, with V = (v_1 ... v_k):

    H_1 ... H_k = I - V T V^T,   T = (I + S U)^-1 S,   S = diag(2 / |v_i|^2),   U = V^T V above the diagonal

With a trivialisation Q is multiplied from the left by a fixed matrix B: training starts with X = -I, where the maps
give I, and the weight may be set to any orthogonal matrix. M. Lezcano-Casado, "Trivializations for gradient-based
optimization on manifolds", 2019, https://arxiv.org/abs/1909.09501; T. Joffrain et al., "Accumulating Householder
transformations, revisited", 2006, https://doi.org/10.1145/1141885.1141886.
"""

from __future__ import annotations

import numpy as np

from minicnn_kernels.arrays import beside, host

from ...autograd import no_grad
from ...ops.tensor.concatenate import cat
from ...ops.tensor.creation import eye
from ...ops.tensor.decompositions import qr
from ...ops.tensor.inverses import solve
from ...ops.tensor.linear_algebra import matrix_exp
from ...ops.tensor.sampling import randn
from ...ops.tensor.zeros_like import zeros_like
from ...tensor import Tensor
from ..module import Module

__all__ = ["MAPS"]

MAPS = ("matrix_exp", "cayley", "householder")


def _identity(n: int, k: int, like: Tensor) -> Tensor:
    return eye(n, k, dtype=like.dtype, device=like.device)


def _reflections(x: Tensor) -> Tensor:
    """Return the first k columns of the product of the reflections."""
    n, k = x.shape[-2:]
    v = x.tril(-1) + _identity(n, k, x)
    products = v.transpose(-1, -2) @ v  # (k, k)
    scale = 2 / products.diagonal(0, -2, -1).unsqueeze(-1)  # (k, 1)
    right = scale * v[..., :k, :].transpose(-1, -2)  # S V^T I, the first k columns
    return _identity(n, k, x) - v @ solve(_identity(k, k, x) + scale * products.triu(1), right)


def _skew(x: Tensor) -> Tensor:
    """Return A (n, n)."""
    n, k = x.shape[-2:]
    a = x.tril()
    if n != k:
        a = cat([a, a.new_zeros(*a.shape[:-2], n, n - k)], -1)
    return a - a.transpose(-1, -2)


def _orthogonal_factor(x: Tensor) -> Tensor:
    """Return Q of x = Q R, with a positive diagonal of R."""
    q, r = qr(x)
    return q * r.diagonal(0, -2, -1).sign().unsqueeze(-2)


class _Orthogonal(Module):
    """The parametrisation.

    Args:
        weight: the weight (..., n, k), for its shape.
        orthogonal_map: one of `MAPS`.
        use_trivialization: as above.
    """

    base: Tensor | None

    def __init__(self, weight: Tensor, orthogonal_map: str, *, use_trivialization: bool = True) -> None:
        super().__init__()
        self.shape, self.orthogonal_map, self.trivial = weight.shape, orthogonal_map, use_trivialization
        if use_trivialization:
            self.register_buffer("base", None)

    def forward(self, x: Tensor) -> Tensor:
        """Return the orthogonal matrix."""
        wide = x.shape[-2] < x.shape[-1]
        x = x.transpose(-1, -2) if wide else x
        n, k = x.shape[-2:]
        if self.orthogonal_map == "householder":
            q = _reflections(x) * x.diagonal(0, -2, -1).detach().int().to(x.dtype).unsqueeze(-2)
        elif self.orthogonal_map == "matrix_exp":
            q = matrix_exp(_skew(x))[..., :k]
        else:
            half, unit = _skew(x) / 2, _identity(n, n, x)
            q = solve(unit - half, unit + half)[..., :k]
        if self.trivial and self.base is not None:
            q = self.base @ q
        return q.transpose(-1, -2) if wide else q

    @no_grad()
    def right_inverse(self, value: Tensor) -> Tensor:
        """Return an X whose matrix is the orthogonal factor of `value`.

        Raises:
            ValueError: the shape differs.
            NotImplementedError: a logarithm would be needed: give use_trivialization=True.
        """
        if value.shape != self.shape:
            raise ValueError(
                f"Expected a matrix or batch of matrices of shape {self.shape!r}. Got a tensor of shape "
                f"{value.shape!r}."
            )
        wide = value.shape[-2] < value.shape[-1]
        q = value.transpose(-1, -2) if wide else value
        n, k = q.shape[-2:]
        if self.trivial:
            if n != k:  # further columns, so that B is square
                q = cat([q, randn(*q.shape[:-2], n, n - k, dtype=q.dtype, device=q.device)], -1)
            self.base = _orthogonal_factor(q)
            x = zeros_like(value)
            x.diagonal(0, -2, -1).fill_(-1)
            return x
        if self.orthogonal_map != "householder":
            raise NotImplementedError(
                "It is not possible to assign to the matrix exponential or the Cayley parametrizations when "
                "use_trivialization=False."
            )
        packed, tau = np.linalg.qr(host(q.array), mode="raw")  # LAPACK's reflections, of the transposed memory
        x = Tensor(beside(np.array(packed.swapaxes(-1, -2)), q.array))
        diagonal = x.diagonal(0, -2, -1)
        diagonal.sign_()
        diagonal[Tensor(beside(tau == 0, q.array))] *= -1  # no reflection there, where the forward reflects
        return x.transpose(-1, -2) if wide else x
