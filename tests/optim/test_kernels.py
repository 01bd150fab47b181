"""The kernels of SGD and Adam: compiled code gives NumPy's numbers, bit for bit, for all kinds of arrays."""

from __future__ import annotations

import copy
import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn, optim
from minicnn.optim import first_order
from minicnn_kernels.optimizers import Weights, sgd, weights

CASES: list[tuple[str, dict[str, Any]]] = [
    ("SGD", {}),
    ("SGD", {"weight_decay": 0.1, "maximize": True}),
    ("SGD", {"momentum": 0.9, "weight_decay": 0.1}),
    ("SGD", {"momentum": 0.9, "dampening": 0.3, "maximize": True}),
    ("SGD", {"momentum": 0.9, "nesterov": True}),
    ("Adam", {"weight_decay": 0.1}),
    ("Adam", {"amsgrad": True}),
    ("AdamW", {"amsgrad": True, "maximize": True}),
    ("AdamW", {"weight_decay": 0.1, "maximize": True}),
]
SHAPES = [(), (0, 3), (7,), (5, 3, 3, 2), (weights.LARGE + 3,), (130, 4, 9, 9)]


def run(name: str, options: dict[str, Any], dtype: Any, backend: str, last: bool = False) -> list[Any]:
    """The parameters and states after three steps; in channels_last memory, gradients with varying order."""
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


@pytest.mark.parametrize("backend", ["numba", "cuda-emulated"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(("name", "options"), CASES, ids=str)
def test_the_same_bits(
    name: str, options: dict[str, Any], dtype: type, backend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The bits of a real GPU are others: there a product and a sum are one operation, which is rounded once."""
    expected = run(name, options, dtype, "numpy")
    monkeypatch.setattr(Weights, "update_each", None)  # the numpy row
    for last in (False, True):
        found = run(name, options, dtype, backend, last)
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert a.dtype == b.dtype and np.array_equal(a, b)


def misaligned(a: Any) -> Any:
    """The same numbers in memory that starts one byte after a multiple of their size."""
    return np.frombuffer(bytearray(b"." + a.tobytes()), a.dtype, offset=1).reshape(a.shape)


def readonly(a: Any) -> Any:
    a = a.copy()
    a.flags.writeable = False
    return a


@pytest.mark.cpu_only("has numbers in the other byte order, which a GPU does not have")
def test_not_compiled_where_it_cannot_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half precision, gaps in memory, read-only arrays, and the backend numpy."""
    monkeypatch.setattr(sgd, "_threaded", None)
    wide = np.ones((4, 6), np.float32)
    for array, backend in (
        (np.ones(3, np.float16), None),
        (np.ones(3, ">f4"), None),
        (np.ones((0, 3), np.float32), None),
        (misaligned(np.ones(3, np.float32)), None),
        (wide[:, ::2], None),
        (np.ones((4, 3), np.float32), "numpy"),
    ):
        p = nn.Parameter(array)
        p.grad = minicnn.Tensor(np.ones_like(array))
        with minicnn.use(backend=backend):
            optim.SGD([p], lr=0.5).step()
        assert np.array_equal(p.detach().numpy(), np.full_like(array, 0.5))
    assert np.array_equal(wide[:, 1::2], np.ones((4, 3)))


def same_as_numpy(make: Callable[[], tuple[list[Any], list[Any]]], steps: int = 3) -> None:
    """Compiled steps with parameters and gradients (arrays) as `make` gives them have the numbers of NumPy's pieces."""
    found = []
    for backend in ("numba", "cuda-emulated", "numpy"):
        arrays, grads = make()
        made = {id(a): nn.Parameter(a) for a in arrays}
        params = [made[id(a)] for a in arrays]  # the same array twice is the same parameter twice
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # which is warned of
            optimizer = optim.SGD(params, lr=0.5, momentum=0.9, dampening=0.25, weight_decay=0.1)
        for _ in range(steps):
            for p, g in zip(params, grads, strict=True):
                p._grad = minicnn.Tensor(g)
            with minicnn.use(backend=backend):
                optimizer.step()
        found.append([*arrays, *grads, *(optimizer.state[p]["momentum_buffer"].numpy() for p in params)])
    for *several, b in zip(*found, strict=True):
        assert all(a.dtype == b.dtype and np.array_equal(a, b) for a in several)


@pytest.mark.cpu_only("has numbers in the other byte order, which a GPU does not have")
def test_gradients_of_any_kind() -> None:
    def make() -> tuple[list[Any], list[Any]]:
        rng = np.random.default_rng(2)
        g = rng.standard_normal((5, 4, 3, 2)).astype(np.float32)
        grads = [
            readonly(g), misaligned(g), g.astype(np.float64), g.astype(np.float16), g.astype(">f4"), g[::-1],
            np.repeat(g, 2, 1)[:, ::2], np.asfortranarray(g), np.broadcast_to(g[:1], g.shape), np.ones((1, 1), int),
        ]  # fmt: skip
        last = np.ascontiguousarray(g.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
        kinds = [g, np.asfortranarray(g), last, np.ascontiguousarray(g.transpose(2, 0, 3, 1)).transpose(1, 3, 0, 2)]
        xs = [x.copy(order="K") for kind in kinds for x in [kind] * (len(grads) - 1)]
        return [*xs, np.ones((1, 1), np.float32)], [*grads[:-1] * len(kinds), grads[-1]]

    same_as_numpy(make)
    arrays, grads = make()
    for k in range(len(arrays)):  # and each alone, so that no other leads it off the fast way
        same_as_numpy(lambda k=k: ([arrays[k].copy(order="K")], [grads[k]]), 2)  # type: ignore[misc]


@pytest.mark.parametrize("size", [6, 3 * weights.LARGE])
def test_order_matters_where_memory_is_shared(size: int) -> None:
    """A parameter twice, two that overlap, and gradients that share memory with a parameter, or with a part of it."""

    def make(case: int) -> tuple[list[Any], list[Any]]:
        rng = np.random.default_rng(case)
        a, b, c, d = (rng.standard_normal(size).astype(np.float32) for _ in range(4))
        return [
            ([a, a, b], [c, d, d]),
            ([a, b, a[1:]], [c, d, d[1:]]),
            ([a, b, a[::2]], [c, d, d[::2]]),
            ([b, a.reshape(2, -1), c], [c, b.reshape(2, -1), d]),
            ([a, b], [b, a]),
            ([a, b], [a, d]),
            ([a[1:], b], [a[:-1], d]),
            ([a[1:], b[1:]], [b[:-1], d[1:]]),
            ([a, b], [c, c]),
            ([a[1:], a, b], [c[1:], d, c]),
            ([a, a[1:2], a[3:4], b], [c, d[1:2], d[3:4], c]),
            ([a[::2], b[: size // 2]], [c[::2], a[: size // 2]]),
            ([b, a[::2]], [d, b[::2]]),
            ([a, b], [c, a[::-1]]),
            ([a[::2], b[: size // 2]], [c[::2], a[::2]]),
        ][case]

    for case in range(15):
        same_as_numpy(lambda case=case: make(case))  # type: ignore[misc]


def test_types_that_are_mixed() -> None:
    def make() -> tuple[list[Any], list[Any]]:
        rng = np.random.default_rng(3)
        arrays = [rng.standard_normal(7).astype(kind) for kind in "efdfe"]
        wide = rng.standard_normal((4, 6)).astype(np.float32)
        return [*arrays, wide[:, ::2]], [*(np.ones_like(a) for a in arrays), np.ones((4, 3), np.float32)]

    same_as_numpy(make)


@pytest.mark.parametrize("name", ["SGD", "Adam"])
def test_what_changes_between_steps(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The addresses are looked up once, and again whenever an array has been replaced."""
    made: list[int] = []

    class Counted(Weights):
        def __init__(self, *args: Any) -> None:
            super().__init__(*args)
            made.append(1)

    monkeypatch.setattr(first_order, "Weights", Counted)

    def less(optimizer: Any, params: list[Any]) -> None:
        params[1].grad = None

    def replaced(optimizer: Any, params: list[Any]) -> None:
        params[0].data = minicnn.Tensor(params[0].detach().numpy().copy())
        params[0].grad = minicnn.Tensor(np.ones((2, 3)))

    def reshaped(optimizer: Any, params: list[Any]) -> None:
        params[0].data = params[0].data.reshape(3, 2)
        params[0].grad = minicnn.Tensor(np.ones((3, 2)))
        for key, value in optimizer.state[params[0]].items():
            optimizer.state[params[0]][key] = value.reshape(3, 2) if value.ndim else value

    def buffer(optimizer: Any, params: list[Any]) -> None:
        key = "momentum_buffer" if name == "SGD" else "exp_avg_sq"
        optimizer.state[params[1]][key] = minicnn.Tensor(np.full(5, 2.0))

    def forgotten(optimizer: Any, params: list[Any]) -> None:
        optimizer.state.clear()

    def without(optimizer: Any, params: list[Any]) -> None:
        if name == "SGD":  # as PyTorch saves it before the first step
            optimizer.state[params[1]]["momentum_buffer"] = None
        else:
            optimizer.state[params[1]] = {}

    def loaded(optimizer: Any, params: list[Any]) -> None:
        optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))

    def rate(optimizer: Any, params: list[Any]) -> None:
        optimizer.param_groups[0].update(lr=0.3, weight_decay=0.1, maximize=True)

    def other(optimizer: Any, params: list[Any]) -> None:
        if name == "SGD":
            optimizer.param_groups[0]["momentum"] = 0
        else:
            for p in params:
                optimizer.state[p]["max_exp_avg_sq"] = minicnn.Tensor(np.ones(p.shape))
            optimizer.param_groups[0]["amsgrad"] = True

    def turned(optimizer: Any, params: list[Any]) -> None:
        optimizer.param_groups[0]["params"].reverse()

    def more(optimizer: Any, params: list[Any]) -> None:
        params.append(nn.Parameter(np.ones(4)))
        params[-1].grad = minicnn.Tensor(np.ones(4))
        optimizer.param_groups[0]["params"].append(params[-1])

    for change, count in [
        (None, 1), (less, 2), (replaced, 2), (reshaped, 2), (buffer, 2), (forgotten, 2), (without, 2), (loaded, 2),
        (rate, 1), (other, 2), (turned, 2), (more, 2),
    ]:  # fmt: skip
        found = []
        for backend in ("numpy", "numba", "cuda-emulated"):
            made.clear()
            params = [nn.Parameter(np.arange(6.0).reshape(2, 3)), nn.Parameter(np.arange(5.0))]
            for p in params:
                p.grad = minicnn.Tensor(np.cos(p.detach().numpy()))
            options = {"momentum": 0.9, "dampening": 0.5} if name == "SGD" else {}
            optimizer = getattr(optim, name)(params, lr=0.1, **options)
            with minicnn.use(backend=backend):
                for step in range(5):
                    if step == 3 and change:
                        change(optimizer, params)
                    optimizer.step()
            states = [v.numpy() for p in params for v in optimizer.state[p].values()]
            found.append([*(p.detach().numpy() for p in params), *states])
        assert len(made) == count, change
        assert all(np.array_equal(a, b) and np.array_equal(a, c) for a, b, c in zip(*found, strict=True)), change


@pytest.mark.cpu_only("is about read-only memory, which a GPU does not have")
def test_errors_after_the_first_step() -> None:
    """Parameters that have become read-only, and gradients that do not fit."""
    p, q = (nn.Parameter(np.ones(3)) for _ in range(2))
    optimizer = optim.SGD([p, q], lr=0.5, momentum=0.5)
    p.grad = q.grad = minicnn.Tensor(np.ones(3))
    optimizer.step()
    for array in (q.detach().numpy(), optimizer.state[p]["momentum_buffer"].numpy()):
        array.flags.writeable = False
        before = array.copy()
        with pytest.raises(ValueError, match="read-only"):
            optimizer.step()
        assert np.array_equal(array, before)
        array.flags.writeable = True
    optimizer.step()
    before = p.detach().numpy().copy()
    optimizer.state[p]["momentum_buffer"] = minicnn.Tensor(np.ones(1))
    with pytest.raises(ValueError, match="dimension size of 1 does not match"):
        optimizer.step()
    q._grad = minicnn.Tensor(np.ones(2))
    with pytest.raises(RuntimeError, match=r"of shape .*3.* has shape .*2"):
        optimizer.step()
    q.grad = minicnn.Tensor(np.ones(3))
    optimizer.param_groups[0]["capturable"] = True
    with pytest.raises(AssertionError, match="set it to False"):
        optimizer.step()
    assert np.array_equal(p.detach().numpy(), before)


@pytest.mark.cpu_only("is about read-only memory, which a GPU does not have")
def test_a_read_only_parameter_stops_the_step_before_anything_changes() -> None:
    p, q = (nn.Parameter(np.ones(3)) for _ in range(2))
    optimizer = optim.Adam([p, q])
    p.grad = q.grad = minicnn.Tensor(np.ones(3))
    optimizer.step()
    before, count = p.tolist(), optimizer.state[p]["step"].item()
    q.detach().numpy().flags.writeable = False
    with pytest.raises(ValueError, match=r"Adam: a parameter of shape \(3,\) is read-only; .*clone"):
        optimizer.step()
    assert p.tolist() == before and optimizer.state[p]["step"].item() == count


@pytest.mark.cpu_only("resizes a NumPy array")
def test_an_array_that_was_resized() -> None:
    array = np.ones(4_000_000, np.float32)
    p = minicnn.Tensor(array).requires_grad_()
    optimizer = optim.SGD([p], lr=0.5)
    p.grad = minicnn.ones(4_000_000)
    optimizer.step()
    array.resize(10, refcheck=False)
    with pytest.raises(RuntimeError, match=r"of shape \(10,\) has shape \(4000000,\)"):
        optimizer.step()
    p.grad = minicnn.ones(10)
    optimizer.step()
    assert p.tolist() == [0.0] * 10


def test_a_gradient_in_memory_of_parameters_that_overlap() -> None:
    """They are changed one by one, in their order: the gradient of c is a after its step."""
    found = []
    for backend in ("numpy", "numba", "cuda-emulated"):
        memory = np.ones(12, np.float32)
        a, b = (minicnn.Tensor(part).requires_grad_() for part in (memory[:8], memory[4:]))
        c = minicnn.zeros(8).requires_grad_()
        optimizer = optim.SGD([a, c, b], lr=0.1)
        a.grad = minicnn.Tensor(np.arange(8, dtype=np.float32))
        b.grad, c.grad = minicnn.ones(8), a.detach()
        with minicnn.use(backend=backend):
            optimizer.step()
        found.append([a.tolist(), b.tolist(), c.tolist()])
    assert found[0] == found[1] == found[2]


def test_weights_go_with_their_groups_and_gradients() -> None:
    p, q = (nn.Parameter(np.ones(3)) for _ in range(2))
    optimizer = optim.SGD([p], lr=0.5)
    for x in (p, q):
        x.grad = minicnn.Tensor(np.ones(3))
        optimizer.param_groups.clear()
        optimizer.add_param_group({"params": [x]})
        optimizer.step()
        assert len(optimizer._weights) == 1
    q.grad = None
    optimizer.step()
    assert not optimizer._weights


@pytest.mark.parametrize("how", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies_change_their_own_parameters(how: Any) -> None:
    p = nn.Parameter(np.ones(3))
    p.grad = minicnn.Tensor(np.ones(3))
    optimizer = optim.SGD([p], lr=0.5, momentum=0.5)
    optimizer.step()
    other = how(optimizer)
    (q,) = other.param_groups[0]["params"]
    q.grad = minicnn.Tensor(np.ones(3))
    other.step()
    assert p.tolist() == [0.5] * 3 and q.tolist() == [-0.25] * 3
    assert p._version == 1 and optimizer.state[p]["momentum_buffer"].tolist() == [1.0] * 3


@pytest.mark.parametrize("chunks", [1, 2, 3, 7, 50])
def test_any_number_of_shares(chunks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shares that begin and end inside a tensor or hold several, and more shares than numbers."""
    monkeypatch.setattr(weights, "LARGE", 0)
    monkeypatch.setattr(weights, "threads", lambda: chunks)

    def make() -> tuple[list[Any], list[Any]]:
        rng = np.random.default_rng(5)
        return tuple([rng.standard_normal(size) for size in (1, 3, 20, 1, 1, 7)] for _ in range(2))  # type: ignore

    same_as_numpy(make)


def test_without_compiling_for_a_debugger() -> None:
    """With NUMBA_DISABLE_JIT=1 the loops and their call are plain Python."""
    names = "gradients_of_any_kind or types_that_are_mixed or what_changes"
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", __file__, "-k", names]
    done = subprocess.run(command, env={**os.environ, "NUMBA_DISABLE_JIT": "1"}, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
