"""Creation, indexing, writes and printing beside PyTorch's: the same expressions in both, over tables and at random."""

from __future__ import annotations

import warnings
from collections import Counter
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.autograd import grad

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

CREATIONS = """
tensor([np.float64(1)]) tensor([np.float32(1)]) tensor([np.float32(1),2]) tensor([np.int32(1)])
tensor([np.int32(1),2]) tensor([1,2.0]) tensor([True,2]) tensor([True,2.]) tensor([np.zeros(2),np.ones(2)])
tensor([np.zeros(2,np.float32),[1,2]]) tensor([np.bool_(True)]) tensor(np.float64(3)) tensor(np.int8(3)) tensor([])
tensor([[],[]]) tensor([[1],[2,3]]) tensor([[1,2],3]) tensor([1,[2]]) tensor('a') tensor([None]) tensor(None)
tensor([2**63]) tensor(2**64) tensor(-2**63-1) tensor([L.tensor(1.,dtype=L.float64),2])
tensor([L.tensor([1.]),L.tensor([2.])]) tensor([L.ones(2)]) tensor([L.tensor(1),2.5]) tensor(range(3)) tensor((1,2))
tensor({1}) tensor([[True],[False]]) tensor(np.array(3)) tensor(object()) tensor(np.ones((2,0)))
tensor([np.float16(1)]) tensor([[1.0,2],[3,np.float64(4)]]) tensor([np.array(3)]) tensor([1.7,-1.2],dtype=L.int64)
tensor([300],dtype=L.uint8) tensor([-1],dtype=L.uint8) tensor([1.5],dtype=L.bool) tensor([np.nan],dtype=L.int64)
tensor(1e40,dtype=L.float32) tensor(np.array([300]),dtype=L.uint8) tensor([1e10],dtype=L.int32)
tensor([1],requires_grad=True) arange(3) arange(1,3,0.5) arange(3.) arange(0,3,dtype=L.float64) arange(3,0,-1)
arange(3,0) arange(0,3,0) arange(0,-3,-1.) arange(0,1,0.1) arange(5,dtype=L.bool) arange(np.int64(3))
arange(L.tensor(3)) arange(L.tensor(3.)) arange(end=3) arange(start=1,end=3,step=1) arange(1.5) arange(True)
arange(float('inf')) arange(0,2.5,dtype=L.int64) arange(0.5,3.5,dtype=L.int32) arange(0,10,3) arange(2**62,2**62+2)
linspace(0,1,5) linspace(0,10,3,dtype=L.int64) linspace(0,1,1) linspace(0,1,0) linspace(0,1,-1) linspace(3,1,3)
linspace(0,10,4,dtype=L.int32) linspace(0,1,steps=5,dtype=L.float16) linspace(1,10,steps=10,dtype=L.int64)
linspace(-10,10,6,dtype=L.int64) logspace(0,2,3) logspace(0,2,3,base=2) logspace(0,1,4,dtype=L.int64) full((2,),1)
full((2,),1.) full((2,),True) full([2,2],L.tensor(3)) full((2,),L.tensor([1,2])) full(2,3)
full((2,),3.7,dtype=L.int64) full((2,),300,dtype=L.uint8) zeros(2) zeros((2,3)) zeros() zeros(()) zeros(-1) zeros(2.)
zeros(np.int64(2)) zeros(L.tensor(2)) zeros(size=(2,)) zeros(2,names=None) zeros((2,),(3,))
zeros(2,requires_grad=True,dtype=L.int64) eye(2) eye(2,3) eye(0) eye(-1) eye(n=2,m=3) tril_indices(2,3)
triu_indices(3,3,1) tril_indices(-1,2) zeros_like(L.ones(2),dtype=L.int64) full_like(L.ones(2,dtype=L.int64),3.5)
ones(2).new_tensor([1,2]) ones(2).new_zeros(2,3) ones(2).new_full((2,),3) ones(2,dtype=L.int64).new_full((1,),2.5)
ones(2).new([1,2]) as_tensor([1,2]) as_tensor(np.array([1.]),dtype=L.float32)
asarray(np.ones(2),dtype=L.float32,copy=False) from_numpy([1]) scalar_tensor(3) from_numpy(np.float64(3))
empty(2,3,memory_format=L.channels_last) randint(3,3,(2,)) randint(3,2) randint(300,(2,),dtype=L.uint8)
rand(2,dtype=L.int64) normal(L.zeros(2),-1.) normal(0.,-1.,(2,)) bernoulli(L.tensor([2.])) bernoulli(L.tensor([1,0]))
multinomial(L.tensor([1.,2]),3) multinomial(L.tensor([0.,0]),1) multinomial(L.tensor([1,2]),1)
poisson(L.tensor([-1.]))
"""


def outcome(lib: Any, text: str) -> Any:
    """Type, shape and values of an expression, or the word "error"."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            x = eval(f"L.{text}", {"L": lib, "np": np})
    except Exception as error:
        assert not isinstance(error, (AttributeError, AssertionError, SystemError)), error
        return "error"
    return str(x.dtype).rpartition(".")[2], tuple(x.shape), str(x.tolist())


@pytest.mark.parametrize("text", CREATIONS.split())
def test_creation(text: str, compared: Counter[str]) -> None:
    assert outcome(minicnn, text) == outcome(torch, text)
    compared[text.partition("(")[0]] += 1


def random_part(rng: np.random.Generator, size: int) -> Any:
    """Something to index an axis of that size by."""
    kind = rng.integers(0, 9)
    shape = tuple(rng.integers(1, 3, rng.integers(1, 3)))
    if kind == 0:
        return int(rng.integers(-size, size))
    if kind in (1, 2):
        ends = [int(n) if rng.random() < 0.7 else None for n in rng.integers(-size - 1, size + 2, 2)]
        return slice(*ends, int(rng.integers(1, 3)) if rng.random() < 0.5 else None)
    if kind == 3:
        return None
    if kind == 4:
        return [int(n) for n in rng.integers(-size, size, rng.integers(1, 4))]
    if kind == 5:
        return np.asarray(rng.random(size) < 0.5)
    if kind == 6:
        return bool(rng.random() < 0.7)
    return np.asarray(rng.integers(-size, size, shape), np.int32 if kind == 8 else np.int64)


def random_index(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """A random index that fits a shape, mostly."""
    parts: list[Any] = []
    axis = 0
    while axis < len(shape) and rng.random() < 0.85:
        if rng.random() < 0.1 and len(shape) - axis > 1:  # a mask of two axes
            parts.append(np.asarray(rng.random(shape[axis : axis + 2]) < 0.5))
            axis += 2
            continue
        part = random_part(rng, shape[axis])
        parts.append(part)
        axis += part is not None and not isinstance(part, bool)
    if rng.random() < 0.3:
        at = int(rng.integers(0, len(parts) + 1))
        if all(not isinstance(p, (int, slice, list, np.ndarray)) or isinstance(p, bool) for p in parts[at:]):
            parts.insert(at, ...)
    return tuple(parts) if len(parts) != 1 or rng.random() < 0.5 else parts[0]


def of(lib: Any, index: Any) -> Any:
    """The index with the library's tensors."""
    if isinstance(index, tuple):
        return tuple(of(lib, part) for part in index)
    return lib.from_numpy(index) if isinstance(index, np.ndarray) else index


def attempt(call: Any) -> Any:
    """The result, or None where it is refused."""
    try:
        return call()
    except (IndexError, RuntimeError, ValueError, TypeError):
        return None


@pytest.mark.parametrize("seed", range(400))
def test_indexing(seed: int, compared: Counter[str]) -> None:
    """x[index] and x[index] = value, with the gradients of both."""
    rng = np.random.default_rng(seed)
    shape = tuple(int(n) for n in rng.integers(1, 5, rng.integers(1, 5)))
    array, index = rng.standard_normal(shape), random_index(rng, shape)
    x, t = minicnn.Tensor(array, requires_grad=True), torch.tensor(array, requires_grad=True)
    y, u = attempt(lambda: x[of(minicnn, index)]), attempt(lambda: t[of(torch, index)])
    assert (y is None) == (u is None), index
    if u is None:
        return
    assert y.shape == tuple(u.shape)
    np.testing.assert_array_equal(y.detach().numpy(), u.detach().numpy())
    up = rng.standard_normal(y.shape)
    (mine,), (theirs,) = grad(y, [x], minicnn.Tensor(up)), torch.autograd.grad(u, [t], torch.tensor(up))
    np.testing.assert_allclose(mine.numpy(), theirs.numpy(), atol=1e-12)

    cut = tuple(1 if rng.random() < 0.3 else n for n in y.shape)[int(rng.integers(0, y.ndim + 1)) :]
    value = rng.standard_normal(cut)
    v, w = minicnn.Tensor(value, requires_grad=True), torch.tensor(value, requires_grad=True)
    z, s = x * 1, t * 1
    z[of(minicnn, index)] = v
    s[of(torch, index)] = w
    places = np.zeros(shape)
    np.add.at(places.reshape(-1), torch.arange(t.numel()).reshape(shape)[of(torch, index)].reshape(-1).numpy(), 1)
    if places.max() > 1:
        return  # which of several values stays is nowhere defined
    np.testing.assert_array_equal(z.detach().numpy(), s.detach().numpy())
    up = rng.standard_normal(shape)
    for a, b in zip(grad(z, [x, v], minicnn.Tensor(up)), torch.autograd.grad(s, [t, w], torch.tensor(up)), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), atol=1e-12)
    compared["index"] += 1


@pytest.mark.parametrize(
    "index",
    [
        5, (0, 0, 0), 1.0, slice(None, None, -1), [[0, 1], [1, 2]], [0, slice(0, 1)], [None, 0], [], range(2),
        [True, False], (..., ...), np.int64(1), np.array(1), np.bool_(True), np.array([0, 1], np.uint8),
        np.array([0, 1], np.int16), np.array([0.5]), np.array([True]), (True, False), (0, [0, 1], ..., [1, 0]), "a",
        (np.array([], bool),),
    ],
    ids=repr,
)  # fmt: skip
def test_odd_indices(index: Any) -> None:
    results = []
    for lib in (minicnn, torch):
        x = lib.arange(24).reshape(2, 3, 4)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            y = attempt(lambda x=x, lib=lib: x[of(lib, index)])
        results.append(None if y is None else y.tolist())
    assert results[0] == results[1]


def random_array(rng: np.random.Generator) -> np.ndarray:
    """An array of any type, size and magnitude."""
    shape = tuple(rng.integers(0, 6, rng.integers(0, 5)))
    values = np.asarray(rng.standard_normal(shape) * 10.0 ** rng.integers(-6, 10))
    values = np.asarray(np.round(values) if rng.random() < 0.3 else values)
    if values.size and rng.random() < 0.3:
        values.reshape(-1)[rng.integers(0, values.size)] = rng.choice([np.nan, np.inf, -np.inf, 0, -0.0])
    with np.errstate(all="ignore"):
        return np.asarray(values.astype(rng.choice(["f4", "f8", "f2", "i8", "i4", "u1", "?", "i1"])))


def words(lib: Any, array: np.ndarray) -> str:
    """The text of a tensor; the name of the library is longer than PyTorch's, so where its line breaks is left out."""
    text = repr(lib.from_numpy(array)).replace("torch.", "minicnn.")
    return text.replace(",\n       dtype", ", dtype")


@pytest.mark.parametrize("seed", range(200))
def test_repr(seed: int, compared: Counter[str]) -> None:
    array = random_array(np.random.default_rng(seed))
    assert words(minicnn, array) == words(torch, array)
    compared["repr"] += 1


@pytest.mark.parametrize("options", [
    {}, {"precision": 2}, {"sci_mode": True}, {"sci_mode": False}, {"threshold": 10}, {"edgeitems": 1, "threshold": 5},
    {"linewidth": 40}, {"profile": "short"}, {"profile": "full"}, {"edgeitems": 0, "threshold": 3},
], ids=str)  # fmt: skip
def test_print_options(options: dict[str, Any], compared: Counter[str]) -> None:
    rng = np.random.default_rng(0)
    for lib in (minicnn, torch):
        lib.set_printoptions(**options)
    try:
        for shape in ((), (3,), (12,), (30, 4), (3, 4, 5), (1001,), (30, 50), (7, 7, 30), (5, 5, 5, 9)):
            for array in (rng.standard_normal(shape), rng.standard_normal(shape) * 1e6, rng.integers(0, 99, shape)):
                array = np.asarray(array)
                assert words(minicnn, array) == words(torch, array)
                compared["set_printoptions"] += 1
    finally:
        for lib in (minicnn, torch):
            lib.set_printoptions(profile="default")


def test_arrays_go_to_and_fro() -> None:
    """PyTorch and minicnn look at the same memory, whoever made it."""
    theirs = torch.arange(6.0).reshape(2, 3)
    minicnn.from_dlpack(theirs)[0, 0] = 7
    minicnn.from_numpy(theirs.numpy())[0, 1] = 8
    minicnn.utils.dlpack.from_dlpack(torch.utils.dlpack.to_dlpack(theirs))[0, 2] = 9
    assert theirs.tolist() == [[7, 8, 9], [3, 4, 5]]
    mine = minicnn.zeros(2, 3)
    torch.from_dlpack(mine)[0, 0] = 7
    torch.from_numpy(mine.numpy())[0, 1] = 8
    torch.utils.dlpack.from_dlpack(minicnn.utils.dlpack.to_dlpack(mine))[0, 2] = 9
    assert mine.tolist() == [[7, 8, 9], [0, 0, 0]]
    assert torch.tensor(mine.numpy()).tolist() == mine.tolist()


SUBSCRIPTS = [
    ("i,i->", (3,), (3,)), ("i,j", (3,), (2,)), ("ij,jk", (2, 3), (3, 4)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)),
    ("...ij,...jk", (2, 1, 3, 4), (5, 4, 2)), ("ij->ji", (2, 3)), ("ii", (3, 3)), ("ii->i", (3, 3)), ("ij->", (2, 3)),
    ("i...->...", (2, 3, 4)), ("bn,anm,bm->ba", (2, 5), (3, 5, 4), (2, 4)), ("bijk->bki", (2, 3, 4, 5)),
    ("zA", (2, 3)),     ("ij,ij->ij", (2, 3), (2, 3)), ("ij,ij,ij->i", (2, 3), (2, 1), (1, 3)), ("aab,bc->ac",
    (2, 2, 3), (3, 4)), ("...", (2, 3)),     ("i...j,j->...i", (2, 3, 4), (4,)), (" i j , j k -> i k ", (2,
    3), (3, 4)),
    ("ij,kj->", (2, 3), (4, 3)), ("i,->i", (3,), ()),
    ("...a,b...->ab", (2, 3), (4, 2)), ("b...ij->...ji", (2, 5, 3, 4)),
]  # fmt: skip
BAD_SUBSCRIPTS = [
    ("ij,jk", (2, 3)), ("i", (2, 3)), ("ij->k", (2, 3)), ("ij->ii", (2, 3)), ("ij,jk", (2, 3), (4, 2)), ("i1", (2, 3)),
    ("ii", (2, 3)), ("......", (2, 3)), ("ijk", (2, 3)),
]  # fmt: skip


@pytest.mark.parametrize("case", SUBSCRIPTS, ids=str)
def test_einsum(case: Any, compared: Counter[str]) -> None:
    equation, *shapes = case
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape) for shape in shapes]
    mine = [minicnn.Tensor(np.asarray(a), requires_grad=True) for a in arrays]
    theirs = [torch.tensor(a, requires_grad=True) for a in arrays]
    y, u = minicnn.einsum(equation, *mine), torch.einsum(equation, *theirs)
    assert y.shape == tuple(u.shape)
    np.testing.assert_allclose(y.detach().numpy(), u.detach().numpy(), rtol=1e-12, atol=1e-12)
    up = np.asarray(rng.standard_normal(y.shape))
    for a, b in zip(grad(y, mine, minicnn.Tensor(up)), torch.autograd.grad(u, theirs, torch.tensor(up)), strict=True):
        np.testing.assert_allclose(a.numpy(), b.numpy(), rtol=1e-12, atol=1e-12)
    compared["einsum"] += 1


@pytest.mark.parametrize("case", BAD_SUBSCRIPTS, ids=str)
def test_bad_einsum(case: Any) -> None:
    equation, *shapes = case
    for lib in (minicnn, torch):
        with pytest.raises(RuntimeError):
            lib.einsum(equation, *(lib.ones(*shape) for shape in shapes))


def test_einsum_by_numbers() -> None:
    for lib in (minicnn, torch):
        a, b = lib.arange(6.0).reshape(2, 3), lib.arange(12.0).reshape(3, 4)
        assert lib.einsum(a, [0, 1], b, [1, 2], [2, 0]).tolist() == (a @ b).T.tolist()
        assert lib.einsum(a, [..., 5], [5, ...]).tolist() == a.T.tolist()
