"""Functions without gradients, methods in place, errors: the same calls in both libraries."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

# L is the library; a 1-d, m a (3, 3) matrix, w a (2, 3) one, i integers, all float64 but i.
CALLS = """
L.gcd(i,L.tensor([4,6,0,9])) L.lcm(i,L.tensor([4,6,0,9])) L.gcd(a,a) L.nextafter(a,-a) L.nextafter(i,i) L.frexp(a)
L.frexp(a*1e300) L.frexp(L.tensor([0.,L.inf,-L.inf,5e-324],dtype=L.float64)) L.frexp(i) L.angle(a) L.angle(i)
L.conj(a) a.is_conj() a.resolve_conj() a.is_neg() a.is_sparse a.is_quantized a.is_nested a.is_xpu a.is_mps a.is_mkldnn
a.is_sparse_csr a.is_shared() a.is_inference() a.to_dense() str(a.layout).split('.')[1] isinstance(a.layout,L.layout)
a.is_distributed() L.histogram(a,4) L.histogram(a,4,range=(-1.,1.)) L.histogram(a,4,weight=a.abs(),density=True)
L.histogram(i,3) L.histogram(a,L.tensor([-2.,0.,1.,3.],dtype=L.float64)) L.histogram(a,0) L.histogram(L.zeros(0),2)
L.histogram(L.ones(3),2) L.histogramdd(w.t(),[2,3]) L.histogramdd(w.t(),2,range=[-1.,1.,-2.,2.]) L.histogramdd(a,2)
L.histogramdd(w.t(),[2]) L.cov(i) L.cov(w,fweights=L.tensor([1,2,3]))
L.cov(w,aweights=L.tensor([.1,.2,.3],dtype=L.float64))
L.cov(w,fweights=L.tensor([1,2,3]),aweights=L.tensor([.1,.2,.3],dtype=L.float64),correction=0) L.cov(L.zeros(2,2,2))
L.cov(w,fweights=L.tensor([1,2])) L.cov(w,fweights=L.tensor([1,2,-3])) L.cov(a[:1]) L.corrcoef(a) L.cov(a[0])
L.gradient(i) L.gradient(a[:1]) L.gradient(w,dim=1) L.gradient(w,spacing=[1.,2.]) L.gradient(w,spacing=[1.])
L.gradient(a,edge_order=3) L.gradient(w,spacing=(L.tensor([0.,2.]),L.tensor([0.,1.,4.]))) L.trapezoid(i)
L.trapezoid(w,dx=2,dim=0) L.trapezoid(w,L.ones(2)) L.trapz(a) L.trapezoid(a,x=a,dx=2) L.vander(i) L.vander(i,N=0)
L.vander(i,N=1) L.vander(i,2,increasing=True) L.vander(w) L.vander(i,N=-1) L.linalg.vander(i) L.linalg.vander(w,N=3)
L.linalg.vander(a[:1]) L.renorm(w,2,0,1) L.renorm(a,2,0,1) L.renorm(w,0,0,1) w.renorm_(1,1,.5) m.fill_diagonal_(7)
w.fill_diagonal_(7) a.fill_diagonal_(1) L.zeros(7,2).fill_diagonal_(1,wrap=True) L.zeros(7,2).fill_diagonal_(1)
L.zeros(2,2,2).fill_diagonal_(3) w.sum_to_size(2) w.sum_to_size(2,1) w.sum_to_size(1) w.sum_to_size(3)
L.select_scatter(w,a,0,0) L.select_scatter(w,a[:3],0,5) L.slice_scatter(w,a,0) L.diagonal_scatter(m,a)
L.slice_scatter(w,w,step=0) L.as_strided(m,(2,2),(1,3)) L.as_strided(m,(2,2),(1,3),1) L.as_strided(m,(4,4),(3,1))
L.as_strided(m,(2,),(1,1)) L.as_strided(m,(2,),(-1,)) a.apply_(lambda x:x*2) a.map_(a*3,lambda x,y:x+y)
a.apply_(lambda x:1) L.linalg.inv(m*0) L.linalg.inv(w) L.linalg.inv(a) L.linalg.inv(L.ones(2,2).long())
L.linalg.det(w) L.det(m*0) L.linalg.slogdet(m*0) L.logdet(-m@m.mT) L.linalg.solve(m,w) L.linalg.solve(m*0,m)
L.linalg.solve(m,m.float()) L.linalg.cholesky(-m@m.mT) L.linalg.cholesky_ex(m@m.mT) L.linalg.inv_ex(m)
L.linalg.matrix_rank(m) L.linalg.matrix_rank(m*0) L.linalg.matrix_rank(m@m.mT,hermitian=True)
L.linalg.matrix_rank(m,tol=1.) L.linalg.matrix_rank(m,atol=1.,rtol=.5) L.linalg.matrix_rank(L.zeros(0,3))
L.linalg.matrix_rank(L.zeros(2,0,3)) L.linalg.pinv(m,rtol=.5) L.linalg.pinv(m,atol=1.) L.pinverse(m)
L.linalg.pinv(L.zeros(0,3)) L.linalg.pinv(L.zeros(2,3)) L.linalg.matrix_power(m,0) L.linalg.matrix_power(w,2)
m.matrix_power(3) L.linalg.lstsq(w.t(),m) L.linalg.lstsq(w,w) L.linalg.lstsq(w.t(),m,driver='gelsd')
L.linalg.lstsq(w,m) L.linalg.eigvalsh(w) L.linalg.eigh(m,UPLO='X') L.linalg.qr(w,mode='x') L.linalg.svdvals(a)
L.linalg.qr(w.t(),mode='r')[1].abs() L.linalg.qr(w.t(),mode='complete')[0].shape L.linalg.svd(w)[2].shape
L.svd(w)[2].shape L.svd(w,some=False)[2].shape L.svd(w,compute_uv=False)[1] L.qr(w)[1].abs()
L.cholesky(m@m.mT,upper=True) L.linalg.cond(m*0+1,'fro') L.linalg.cond(m,1) L.linalg.cond(w,1) L.linalg.cond(w)
L.linalg.diagonal(w) L.linalg.vecdot(w,w,dim=0) L.linalg.vecdot(a,w)
L.linalg.tensorsolve(L.eye(6).reshape(2,3,6),w.float()) L.linalg.tensorinv(L.eye(6).reshape(6,2,3),ind=1).shape
L.linalg.tensorinv(L.eye(6).reshape(2,3,6),ind=0) L.linalg.tensorinv(w) L.linalg.matrix_exp(m)
L.linalg.matrix_exp(m*30).log() L.matrix_exp(w) L.linalg.solve_triangular(m,m,upper=True) m.det() m.inverse()
m.slogdet() m.logdet() m.pinverse() m.matrix_exp() (m@m.mT).cholesky() m.qr()[1].abs() m.svd()[1]
issubclass(L.linalg.LinAlgError,RuntimeError) L.linalg.inv(L.zeros(0,0)) L.linalg.det(L.zeros(2,0,0))
L.linalg.solve(L.zeros(0,2,2),L.zeros(0,2,1)) L.linalg.svdvals(L.zeros(0,3)) L.linalg.eigvalsh(L.zeros(0,0))
L.linalg.qr(L.zeros(3,0))[0] L.linalg.cholesky(L.zeros(0,0)) L.linalg.solve(m,m,left=False) L.linalg.solve(m,a[:3])
L.linalg.solve(L.eye(2).expand(3,2,2),L.ones(3,2)) L.resize_as_(a,w).shape w.view(L.int64) w.view(L.int32)
w.view(dtype=L.int16).shape w.view(L.float64) w.t().view(L.int32) w.view(3,-1) w.view((6,)) w.view(-1)
L.zeros(3,dtype=L.int8).view(L.int32) L.zeros(4,dtype=L.int8).view(L.int32) L.ones(()).view(L.int32)
L.ones(()).view(L.int8)
""".split()  # noqa: SIM905


def plain(lib: Any, value: Any) -> Any:
    if isinstance(value, (tuple, list)):
        return [plain(lib, part) for part in value]
    if isinstance(value, lib.Tensor):
        return str(value.dtype).rpartition(".")[2], tuple(value.shape), np.asarray(value.detach(), np.float64)
    return value


def same(a: Any, b: Any) -> None:
    if isinstance(a, np.ndarray):
        np.testing.assert_allclose(a, b, 1e-5, 1e-7)
    elif isinstance(a, (list, tuple)):
        assert isinstance(b, (list, tuple)) and len(a) == len(b), (a, b)
        for x, y in zip(a, b, strict=True):
            same(x, y)
    else:
        assert a == b, (a, b)


@pytest.mark.parametrize("call", CALLS)
def test_call(call: str, compared: Any) -> None:
    """Values, types and shapes, or the kind of error."""

    def run(lib: Any) -> Any:
        rng = np.random.default_rng(3)
        a, m, w = (lib.tensor(rng.standard_normal(s)) for s in ((4,), (3, 3), (2, 3)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                return plain(lib, eval(call, {"L": lib, "a": a, "m": m, "w": w, "i": lib.tensor([12, 8, 5, 6])}))
            except Exception as error:
                kinds = (RuntimeError, IndexError, TypeError, Exception)
                return "error", next(kind.__name__ for kind in kinds if isinstance(error, kind))

    found, expected = run(minicnn), run(torch)
    same(found, expected)
    compared[f"call {call.split('(')[0]}"] += 1


NAMED = """
frexp(m) histogram(m,2) linalg.slogdet(m) linalg.inv_ex(m) linalg.lstsq(m,m) linalg.qr(m) linalg.svd(m) svd(m) qr(m)
linalg.eigh(m)
""".split()  # noqa: SIM905


@pytest.mark.parametrize("call", NAMED)
def test_names_of_results(call: str) -> None:
    ours, theirs = (eval(f"L.{call}", {"L": lib, "m": lib.eye(2)}) for lib in (minicnn, torch))
    assert type(ours).__name__ == type(theirs).__name__
    assert all(hasattr(theirs, name) for name in ours._fields)
