"""Inverses, decompositions and what is composed of them: their equations, errors and special cases."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, linalg
from minicnn.autograd import grad, gradcheck

RNG = np.random.default_rng(5)
A: Any = Tensor(RNG.standard_normal((2, 4, 3)))
M: Any = Tensor(RNG.standard_normal((2, 3, 3)) + 3 * np.eye(3))


def close(a: Any, b: Any) -> None:
    assert tuple(a.shape) == tuple(b.shape)
    np.testing.assert_allclose(np.asarray(a.cpu()), np.asarray(b.cpu() if isinstance(b, Tensor) else b), atol=1e-10)


def test_equations() -> None:
    eye = minicnn.eye(3, dtype=minicnn.float64).expand(2, 3, 3)
    close(linalg.inv(M) @ M, eye)
    close(M @ linalg.solve(M, A.mT), A.mT)
    close(linalg.solve(M, A, left=False) @ M, A)
    L = linalg.cholesky(M @ M.mT)
    close(L @ L.mT, M @ M.mT)
    close(linalg.cholesky(M @ M.mT, upper=True), L.mT)
    close(minicnn.cholesky_inverse(L), linalg.inv(M @ M.mT))
    many = L[[0, 1, 0]]  # as many matrices as rows: one matrix on the right is no stack of vectors
    close(linalg.solve_triangular(many, eye[0], upper=False), linalg.inv(many))
    close(minicnn.cholesky_inverse(many), linalg.inv(many @ many.mT))
    close(minicnn.cholesky_solve(eye[0], many), linalg.inv(many @ many.mT))
    for mode in ("reduced", "complete"):
        Q, R = linalg.qr(A, mode)
        close(Q @ R, A)
    U, S, Vh = linalg.svd(A, full_matrices=False)
    close((U * S.unsqueeze(-2)) @ Vh, A)
    U, S, V = minicnn.svd(A)
    close((U * S.unsqueeze(-2)) @ V.mT, A)
    w, V = linalg.eigh(M + M.mT)
    close((V * w.unsqueeze(-2)) @ V.mT, M + M.mT)
    P = linalg.pinv(A)
    close(A @ P @ A, A)
    close(P @ A @ P, P)
    close(linalg.det(M), S.new_tensor(np.linalg.det(M.cpu().numpy())))
    sign, logs = linalg.slogdet(M)
    close(sign * logs.exp(), linalg.det(M))
    close(linalg.matrix_power(M, 3), M @ M @ M)
    close(linalg.matrix_power(M, -2) @ M @ M, eye)
    close(linalg.matrix_exp(M) @ linalg.matrix_exp(-M), eye)
    close(linalg.vecdot(A, A), (A * A).sum(-1))


def test_a_rotation_is_an_exponential() -> None:
    angle = 3.0
    y = linalg.matrix_exp(minicnn.tensor([[0.0, -angle], [angle, 0.0]], dtype=minicnn.float64))
    close(y, np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]))


def test_ranks_and_pseudoinverses_count_small_singular_values_as_0() -> None:
    x = minicnn.tensor([[1.0, 2.0], [2.0, 4.0]])
    assert linalg.matrix_rank(x).item() == 1
    assert linalg.matrix_rank(x, hermitian=True).item() == 1
    assert linalg.matrix_rank(minicnn.diag(minicnn.tensor([4.0, 1.0])), atol=2.0).item() == 1
    assert linalg.matrix_rank(minicnn.diag(minicnn.tensor([4.0, 1.0])), rtol=0.5).item() == 1
    assert linalg.matrix_rank(minicnn.zeros(2, 0, 3)).tolist() == [0, 0]
    np.testing.assert_allclose(linalg.pinv(x).cpu().numpy(), x.cpu().numpy() / 25, atol=1e-6)
    assert linalg.cond(x).item() > 1e6
    assert linalg.cond(minicnn.zeros(2, 2), "fro").item() == np.inf


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_the_gradient_of_the_determinant_of_a_singular_matrix_is_its_cofactors(rank: int) -> None:
    u, v = (np.linalg.qr(RNG.standard_normal((3, 3)))[0] for _ in range(2))
    x = Tensor((u[:, :rank] * np.arange(1, rank + 1)) @ v[:rank], requires_grad=True)
    x.data.copy_(Tensor(np.round(x.detach().numpy(), 12)))
    if rank < 2:
        singular = Tensor(np.outer([1.0, 2.0, 3.0], [1.0, 0.0, 2.0]) * rank, requires_grad=True)  # an exact 0
        (gx,) = grad(linalg.det(singular), singular)
        np.testing.assert_allclose(gx.numpy(), 0, atol=1e-12)
    zero = Tensor(np.array([[1.0, 2.0, 0.0], [3.0, 4.0, 0.0], [5.0, 6.0, 0.0]]), requires_grad=True)
    (gx,) = grad(linalg.det(zero), zero)
    np.testing.assert_allclose(gx.numpy(), [[0, 0, -2], [0, 0, 4], [0, 0, -2]], atol=1e-12)
    assert gradcheck(linalg.det, (x,), atol=1e-6)


def test_errors_name_the_remedy() -> None:
    zeros = minicnn.zeros(2, 2)
    if A.device.type == "cpu":  # CuPy does not look for singular matrices
        with pytest.raises(linalg.LinAlgError, match="pinv takes any matrix"):
            linalg.inv(zeros)
        with pytest.raises(linalg.LinAlgError, match="lstsq takes any matrix"):
            linalg.solve(zeros, zeros)
        with pytest.raises(linalg.LinAlgError, match="not positive-definite"):
            linalg.cholesky(-minicnn.eye(2))
        inverse, info = linalg.inv_ex(minicnn.stack([minicnn.eye(2), zeros]))
        assert info.tolist() == [0, 1]
        assert inverse[0].tolist() == [[1, 0], [0, 1]]
        assert bool(inverse[1].isnan().all())
    with pytest.raises(RuntimeError, match="batches of square matrices, but they are 4 by 3"):
        linalg.inv(A)
    with pytest.raises(RuntimeError, match="at least 2 dimensions"):
        linalg.det(minicnn.ones(2))
    with pytest.raises(RuntimeError, match=r"convert it with \.float"):
        linalg.inv(minicnn.ones(2, 2, dtype=minicnn.int64))
    with pytest.raises(RuntimeError, match="Expected B to have dtype"):
        linalg.solve(M, M.float())
    with pytest.raises(RuntimeError, match="AX = B"):
        linalg.solve(M, A)
    w = A.clone().requires_grad_()
    with pytest.raises(RuntimeError, match="mode='reduced'"):
        linalg.qr(w, "complete")[0].sum().backward()
    with pytest.raises(RuntimeError, match="full_matrices=False"):
        linalg.svd(w)[0].sum().backward()
    linalg.svd(w)[1].sum().backward()  # the values have a gradient


def test_least_squares() -> None:
    x = minicnn.tensor([[1.0, 0.0], [1.0, 1.0], [1.0, 2.0]])
    y = minicnn.tensor([[1.0], [3.0], [6.0]])
    found = linalg.lstsq(x, y, driver="gelsd")
    np.testing.assert_allclose(found.solution.cpu().numpy(), [[5 / 6], [2.5]], rtol=1e-5)
    np.testing.assert_allclose(found.residuals.cpu().numpy(), [1 / 6], rtol=1e-4)
    assert found.rank.item() == 2
    assert found.singular_values.shape == (2,)
    with pytest.raises(RuntimeError, match="driver"):
        linalg.lstsq(x, y, driver="none")


def test_matrices_without_elements_and_meta_tensors() -> None:
    assert linalg.det(minicnn.zeros(2, 0, 0)).tolist() == [1, 1]
    assert linalg.inv(minicnn.zeros(0, 3, 3)).shape == (0, 3, 3)
    assert linalg.pinv(minicnn.zeros(0, 3)).shape == (3, 0)
    assert linalg.qr(minicnn.zeros(3, 0)).R.shape == (0, 0)
    x = minicnn.zeros(5, 4, 3, device="meta")
    assert [part.shape for part in linalg.svd(x)] == [(5, 4, 4), (5, 3), (5, 3, 3)]
    assert linalg.lstsq(x, x).solution.shape == (5, 3, 3)
    assert linalg.solve(x.mT @ x, x.mT).shape == (5, 3, 4)


def test_limits_triangles_and_gradients_of_zero() -> None:
    x = minicnn.eye(2).expand(3, 2, 2)
    assert linalg.matrix_rank(x, atol=minicnn.tensor([0.0, 0.5, 2.0])).tolist() == [2, 2, 0]
    assert linalg.matrix_rank(x, minicnn.tensor(0.5), rtol=2.0).tolist() == [0, 0, 0]
    close(linalg.pinv(M.tril(), hermitian=True), linalg.pinv(M.tril() + M.tril(-1).mT))
    close(linalg.vander(minicnn.tensor(3), N=3), minicnn.tensor([[1, 3, 9]]))
    m = M.clone().requires_grad_()
    for y in (linalg.matrix_power(m, 0), linalg.slogdet(m).sign):
        (found,) = grad([y.sum()], [m], allow_unused=True)
        assert y.requires_grad and (found is None or not found.any())
    a = A.clone().requires_grad_()
    assert linalg.lstsq(a, a).residuals.requires_grad
    assert gradcheck(lambda a: linalg.svd(a)[0][..., :3].abs(), (a,))  # no gradient beyond the singular values
    s = (m + m.mT).detach().requires_grad_()
    (found,) = grad([linalg.eigh(s)[1].sum()], [s])
    close(found, found.mT)
