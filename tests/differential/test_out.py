"""`out=` as in PyTorch: which functions have it, what is written, and the errors."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from samples import OPS

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")

ONLY_WITH_DIM = {"sum", "prod", "median", "nanmedian"}  # in PyTorch; in minicnn always
NAMES = [
    name
    for name, op in OPS.items()
    if name not in {*ONLY_WITH_DIM, "tensor_split"}
    and isinstance(op.call, str)
    and "." not in op.call
    and op.torch
    and hasattr(torch, op.call)
]


def outcome(lib: Any, call: str, arrays: list[Any], options: dict[str, Any]) -> Any:
    given = [None if a is None else lib.tensor(a) for a in arrays]
    function = getattr(lib, call)
    y = function(*given, **options)
    if not isinstance(y, lib.Tensor):
        return None
    out = lib.empty(0, dtype=y.dtype)
    try:
        assert function(*given, out=out, **options) is out
    except TypeError:
        return "no out"
    return tuple(out.shape), np.allclose(out.numpy(), y.numpy(), equal_nan=True)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_functions_take_it(name: str, compared: Any) -> None:
    op, rng = OPS[name], np.random.default_rng(0)
    sample = next((s for s in op.samples if s.torch and all(s.shapes)), op.samples[0])
    arrays = [None if s is None else np.asarray(op.draw(rng, s)) for s in sample.shapes]
    found, expected = (outcome(lib, str(op.call), arrays, sample.options) for lib in (minicnn, torch))
    assert found == expected
    compared[f"out= {name}"] += 1


CALLS = """
add(a,1,out=L.ones(3,dtype=L.int64)) add(a,1,out=L.ones(3,dtype=L.float64)) add(a,1,out=L.ones(2))
add(a,1,out=L.empty(0)) add(a,1,out=L.ones(4,requires_grad=True)) add(a.clone().requires_grad_(),1,out=L.ones(3))
add(a,1,out=None) add(a,1,out=L.ones(1).expand(3)) eq(a,a,out=L.zeros(3)) argmax(a,out=L.zeros(()))
cumsum(a,0,out=L.zeros(3).double()) sin(L.tensor([1]),out=L.zeros(1).long())
sin(L.tensor([1]),out=L.zeros(1).half()) zeros(3,out=L.zeros(2)) ones(3,out=L.ones(3).int())
ones(3,out=L.ones(3).int(),dtype=L.float32) arange(3,out=L.ones(3)) full((2,),7,out=L.ones(2).int())
nonzero(a,out=L.zeros(2)) max(a,0,out=(L.ones(()),L.ones((),dtype=L.int64))) sort(a,out=(L.ones(3),L.ones(3)))
max(a,0,out=(L.ones(()),L.ones(()))) cat([a,a],out=L.zeros(2)) softmax(a,0,out=L.empty(3))
matmul(a,a,out=L.empty(())) einsum('i,i->i',a,a,out=a) flip(a,(0,),out=L.empty(3)) isnan(a,out=L.empty(3))
where(a>0,a,a,out=L.empty(3)) mean(a,0,out=L.empty(())) linspace(0,1,3,out=L.empty(0)) eye(2,out=L.empty(0))
clamp(a,2,3,out=a) take(a,L.tensor([1]),out=L.empty(1)) gather(a,0,L.tensor([1,1]),out=L.empty(0))
topk(a,2,out=(L.empty(0),L.empty(0,dtype=L.int64)))
""".split()  # noqa: SIM905


@pytest.mark.parametrize("call", CALLS)
def test_calls(call: str, compared: Any) -> None:
    """Values, types and shapes, or the type of the error; and whether there is a warning."""

    def run(lib: Any) -> Any:
        with warnings.catch_warnings(record=True) as given:
            warnings.simplefilter("always")
            try:
                y = eval(f"L.{call}", {"L": lib, "a": lib.tensor([1.0, 2.0, 3.0])})
                parts = y if isinstance(y, tuple) else (y,)
                found: Any = [(str(x.dtype).rpartition(".")[2], tuple(x.shape), x.detach().tolist()) for x in parts]
                if len(parts) > 1:
                    found.append(list(getattr(y, "_fields", ("values", "indices"))))
            except Exception as error:
                found = next(kind for kind in (TypeError, RuntimeError, Exception) if isinstance(error, kind))
        return found, [w.category for w in given if "resized" in str(w.message)]

    found, expected = run(minicnn), run(torch)
    assert repr(found) == repr(expected)
    compared["out= calls"] += 1


@pytest.mark.parametrize("shapes", [((2, 3), (2, 2)), ((2, 2), (3, 3)), ((4,), (0,)), ((2, 3), (6,)), ((), (2,))])
def test_resize(shapes: Any) -> None:
    before, after = shapes
    kept = min(int(np.prod(before)), int(np.prod(after)))
    found = [
        lib.arange(float(np.prod(before))).view(before).resize_(after).reshape(-1)[:kept].tolist()
        for lib in (minicnn, torch)
    ]
    assert found[0] == found[1]
