"""The compiled loops of SGD and Adam: the numbers of the rules in NumPy, to the bit, whatever the arrays are like."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn, optim
from minicnn.optim import compiled, elementwise

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"weight_decay": 0.1, "maximize": True}),
    ("SGD", {"momentum": 0.9, "weight_decay": 0.1}),
    ("SGD", {"momentum": 0.9, "dampening": 0.3, "maximize": True}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("Adam", {"weight_decay": 0.1}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {"weight_decay": 0.1, "maximize": True}),
]
SHAPES = [(), (0, 3), (7,), (5, 3, 3, 2), (compiled.LARGE + 3,), (130, 4, 9, 9)]


def run(name: str, options: dict[str, Any], dtype: Any, backend: str, last: bool = False) -> list[Any]:
    """The parameters and states after three steps; in channels-last memory with gradients now in one order, now not."""
    rng = np.random.default_rng(0)
    params = [nn.Parameter(np.asarray(rng.standard_normal(shape), dtype)) for shape in SHAPES]
    if last:
        for p in params[3::2]:
            p.data = p.data.contiguous(memory_format=minicnn.channels_last)
    optimizer = getattr(optim, name)(params, lr=0.01, **options)
    for step in range(3):
        for p in params:
            g = minicnn.Tensor(np.asarray(rng.standard_normal(p.shape), dtype))
            p.grad = g.contiguous(memory_format=minicnn.channels_last) if last and step and p.ndim == 4 else g
        before = [p.grad.numpy().copy() for p in params]
        with minicnn.use(backend=backend):
            optimizer.step()
        assert all(np.array_equal(p.grad.numpy(), g) for p, g in zip(params, before, strict=True))
    states = [value.numpy() for p in params for value in optimizer.state[p].values() if value is not None]
    return [*(p.detach().numpy() for p in params), *states]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_the_same_bits(name: str, options: dict[str, Any], dtype: type, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run(name, options, dtype, "numpy")
    if "amsgrad" not in options:  # NumPy's pieces are not used where the loop is there
        monkeypatch.setattr(elementwise, "_by_pieces", None)
    for last in (False, True):
        found = run(name, options, dtype, "numba", last)
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert a.dtype == b.dtype and np.array_equal(a, b)


def test_not_compiled_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half precision, gaps in memory, read-only gradients, and where NumPy is asked for."""
    monkeypatch.setattr(compiled, "descend", None)
    wide = np.ones((4, 6), np.float32)
    readonly = np.broadcast_to(np.float32(1), (4, 3)).copy()
    readonly.flags.writeable = False
    for array, grad, backend in (
        (np.ones(3, np.float16), np.ones(3, np.float16), None),
        (wide[:, ::2], np.ones((4, 3), np.float32), None),
        (np.ones((4, 3), np.float32), readonly, None),
        (np.ones((4, 3), np.float32), np.ones((4, 3), np.float32), "numpy"),
    ):
        p = nn.Parameter(array)
        p.grad = minicnn.Tensor(grad)
        with minicnn.use(backend=backend):
            optim.SGD([p], lr=0.5).step()
        assert np.array_equal(p.detach().numpy(), np.full_like(array, 0.5))
    assert np.array_equal(wide[:, 1::2], np.ones((4, 3)))
