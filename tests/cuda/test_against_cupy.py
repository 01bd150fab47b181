"""The emulated CuPy against the installed one, which needs no GPU for what it is asked here.

CuPy's arrays can lie on host memory (`UnownedMemory` with a device number). Then all works that only looks: views,
strides, flags, refusals, the choice of types. Skipped where CuPy is not installed.
"""

from __future__ import annotations

import gc
import importlib.util
import inspect
import itertools
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn_kernels.emulated import cupy as emulated
from minicnn_kernels.emulated import cupyx as emulatedx
from minicnn_kernels.emulated.api import API
from minicnn_kernels.emulated.functions import _OWN

cupy = pytest.importorskip("cupy", reason="CuPy is not installed: pip install cupy-cuda13x, no GPU needed")
import cupyx.scipy.special  # noqa: E402


def real(host: np.ndarray[Any, Any]) -> Any:
    """A CuPy array on the memory of a NumPy array."""
    base = host if host.base is None else host.base
    memory = cupy.cuda.UnownedMemory(base.ctypes.data, max(base.nbytes, 1), base, device_id=0)
    pointer = cupy.cuda.MemoryPointer(memory, host.ctypes.data - base.ctypes.data)
    return cupy.ndarray(host.shape, host.dtype, pointer, host.strides)


def both(host: np.ndarray[Any, Any]) -> tuple[tuple[Any, Any], tuple[Any, Any]]:
    """The two arrays, each with its module."""
    return (real(host), cupy), (emulated.asarray(host), emulated)


def test_the_list_of_names_is_that_of_the_installed_version() -> None:
    if emulated.__version__ != cupy.__version__:
        pytest.skip(f"the list is of CuPy {emulated.__version__}, installed is {cupy.__version__}")
    spec = importlib.util.spec_from_file_location("write_cupy_api", Path(__file__).with_name("write_cupy_api.py"))
    assert spec is not None and spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    names = Path(emulated.__file__).with_name("cupy_api.txt").read_text(encoding="utf-8").splitlines()
    assert names == list(script.lines())


DTYPES = "?bBhHiIqQefd"
OPERANDS = [*DTYPES, True, 3, 2.5, 1 << 63, np.float16(2.5), np.float32(2.5), np.float64(2.5), np.int32(3), np.uint8(3)]
UFUNCS = [("ufunc", name) for name in API["ufunc"]] + [("special", name) for name in API["special"]]


@pytest.mark.parametrize(("kind", "name"), UFUNCS)
def test_types_of_elementwise_functions(kind: str, name: str) -> None:
    """The loop that CuPy would run, for every pair of types and of types and numbers."""
    from cupy._core import _scalar

    theirs, ours = (
        (getattr(cupy, name), getattr(emulated, name))
        if kind == "ufunc"
        else (getattr(cupyx.scipy.special, name), getattr(emulatedx.scipy.special, name))
    )
    operands = OPERANDS if theirs.nin < 3 else "?iqQefd"
    for kinds in itertools.product(operands, repeat=theirs.nin):
        given: list[Any] = []
        args: list[Any] = []
        for k in kinds:
            host = np.ones(2, k) if isinstance(k, str) else None
            given.append(_scalar.CScalar(k) if host is None else real(host))
            args.append(k if host is None else emulated.ones(2, k))
        try:
            op = theirs._ops.guess_routine(theirs.name, {}, given, None, None)
            expected = "".join(np.dtype(t).char for t in op.in_types), "".join(np.dtype(t).char for t in op.out_types)
        except TypeError:
            expected = None
        try:
            found = ours.loop(args)
            loop = tuple("".join(t.char for t in types) for types in found)
        except TypeError:
            loop = None
        assert loop == expected, (name, kinds)


@pytest.mark.parametrize("name", API["ufunc"])
def test_types_for_a_named_type_of_the_result(name: str) -> None:
    theirs, ours = getattr(cupy, name), getattr(emulated, name)
    for dtype in map(np.dtype, DTYPES):
        try:
            op = theirs._ops.guess_routine(theirs.name, {}, [], dtype, theirs._out_ops)
            expected = tuple(map(np.dtype, op.in_types)), tuple(map(np.dtype, op.out_types))
        except TypeError:
            expected = None
        try:
            found = ours._loop_of(dtype)
        except TypeError:
            found = None
        assert found == expected, (name, dtype)


def kernels() -> dict[str, Any]:
    """CuPy's reductions and the ufuncs that have no name, by their names in messages."""
    kinds = ("_SimpleReductionKernel", "ufunc")
    return {o.name: o for o in gc.get_objects() if type(o).__name__ in kinds}


REDUCTIONS = [
    "sum",
    "prod",
    "max",
    "min",
    "any",
    "all",
    "argmax",
    "argmin",
    "mean",
    "count_nonzero",
    "nansum",
    "nanmax",
]


@pytest.mark.parametrize("name", REDUCTIONS)
def test_types_of_reductions(name: str) -> None:
    kernel = kernels()[f"cupy_{name}"]
    for kind in "?bBhHiIqQefd":
        op = kernel._ops.guess_routine(kernel.name, {}, [real(np.ones(2, kind))], None, kernel._ops)
        expected = np.dtype(op.out_types[0])
        if name == "mean" and kind in "?bBhHiIqQ":  # for these CuPy asks for another loop
            expected = np.dtype("d")
        assert getattr(np, name)(emulated.ones((2, 3), kind)).dtype == expected, kind
        assert getattr(emulated, name)(emulated.ones((2, 3), kind), 0).dtype == expected, kind


@pytest.mark.parametrize("name", ["sum", "prod"])
def test_types_that_reductions_may_be_told(name: str) -> None:
    kernel = kernels()[f"cupy_{name}_with_dtype"]
    for kind, dtype in itertools.product(DTYPES, map(np.dtype, DTYPES)):
        op = kernel._ops.guess_routine(kernel.name, {}, [real(np.ones(2, kind))], dtype, kernel._ops)
        assert getattr(np, name)(emulated.ones(2, kind), dtype=dtype).dtype == np.dtype(op.out_types[0])


@pytest.mark.parametrize(("name", "call"), [("cupy_where", "where"), ("cupy_clip", "clip")])
def test_types_of_where_and_clip(name: str, call: str) -> None:
    from cupy._core import _scalar

    kernel, first = kernels()[name], np.ones(2, bool)
    for kinds in itertools.product("?bBiqefd", repeat=2 if call == "where" else 1):
        for number in (None, True, 3, 2.5, np.float32(2.5), np.float64(2.5), np.int32(3)):
            hosts: list[Any] = [np.ones(2, k) for k in kinds]
            hosts = [first, *hosts] if call == "where" else [hosts[0], number, number]
            if number is None and call == "clip":
                continue
            if call == "where" and number is not None:
                hosts[2] = number
            given = [real(h) if isinstance(h, np.ndarray) else _scalar.CScalar(h) for h in hosts]
            op = kernel._ops.guess_routine(kernel.name, {}, given, None, None)
            found = getattr(np, call)(*[emulated.asarray(h) if isinstance(h, np.ndarray) else h for h in hosts])
            assert found.dtype == np.dtype(op.out_types[0]), (kinds, number)


VIEWS = [
    "x.reshape(6, 4)", "x.reshape(-1)", "x.transpose(2, 0, 1)", "x.T", "x[1]", "x[:, ::2]", "x[::-1]", "x[..., None]",
    "x[:, :, 1:3]", "x.swapaxes(0, 2)", "x.squeeze()", "x[:1].squeeze()", "x.ravel()", "x[0, 0, 0]", "x.view('i4')",
    "np.broadcast_to(x, (5, 2, 3, 4))", "np.moveaxis(x, 0, 1)", "np.expand_dims(x, 1)", "np.flip(x, 1)",
    "np.split(x, 2)[1]", "np.array_split(x, 2, 2)[1]", "np.rot90(x)", "np.transpose(x)", "np.swapaxes(x, 0, 1)",
    "x.diagonal()", "xp.lib.stride_tricks.as_strided(x, (2, 2), (4, 8))", "np.squeeze(x[:1])", "np.ravel(x)",
    "x[1:1]", "x[None]", "x[0][0][0]", "x[-1, 1:, ::-1]", "x.mT", "x.real", "x.view('i2')", "x.view('u1')",
    "x.reshape((2, 12))", "x.reshape(2, -1)", "x.reshape(x.shape)", "np.reshape(x, (4, 6))", "x.transpose()",
    "x.transpose((1, 0, 2))", "x.transpose(None)", "np.rollaxis(x, 2)", "x.T.T",
    "np.broadcast_to(x[:, :1], (2, 3, 4))", "np.hsplit(x, 3)[1]", "np.vsplit(x, 2)[0]", "np.dsplit(x, 2)[1]",
    "np.flipud(x)", "np.fliplr(x)", "x.astype('f4', copy=False)", "x.conj()",
    "xp.ascontiguousarray(x)", "xp.asfortranarray(x.T)", "x.squeeze(())", "x[...]", "x[()]",
    "np.expand_dims(x, (0, 4))", "np.diagonal(x, 1, 1, 2)", "x.reshape(24, order='C')",
    "x.T.reshape(24, order='F')", "x.T.ravel('F')", "x.view()", "x.mT.mT", "x[:, 0]", "x[0, ..., 0]", "x[1:, None, 2]",
    "np.broadcast_arrays(x, x[0])[1]", "x.reshape(1, 24)[0]",
    "np.moveaxis(x, (0, 1), (2, 0))", "x.flatten and x", "np.real(x)",
]  # fmt: skip


@pytest.mark.parametrize("expression", VIEWS)
def test_views(expression: str) -> None:
    """Shape, strides, flags, and whether it is a view."""
    host = np.arange(24, dtype=np.float32).reshape(2, 3, 4).copy()
    r, e = (eval(expression, {"x": x, "np": np, "xp": m}) for x, m in both(host))
    assert (r.shape, r.strides, r.dtype) == (e.shape, e.strides, e.dtype)
    assert (r.flags.c_contiguous, r.flags.f_contiguous) == (e.flags.c_contiguous, e.flags.f_contiguous)
    assert (r.flags.fnc, r.flags.forc) == (e.flags.fnc, e.flags.forc)
    if "stride_tricks" not in expression:  # which in CuPy does not say whose view it is
        assert (r.flags.owndata, r.base is None) == (e.flags.owndata, e.base is None)


def test_arguments_of_functions_written_by_hand() -> None:
    for name, function in _OWN.items():
        assert list(inspect.signature(function).parameters) == [
            p.strip("*") for p in API["function"][name] if p != "*"
        ], name
    for name in API["method"]:
        method = vars(emulated.ndarray).get(name)
        if inspect.isfunction(method) and "args" not in inspect.signature(method).parameters:
            assert list(inspect.signature(method).parameters)[1:] == API["method"][name], name


@pytest.mark.parametrize("name", ["Device", "Stream", "Event", "MemoryPool", "PinnedMemoryPool", "MemoryPointer"])
def test_classes_of_cuda(name: str) -> None:
    """They have only what CuPy's have, and the arguments of their methods have CuPy's names."""
    ours, theirs = getattr(emulated.cuda, name), getattr(cupy.cuda, name)
    for method in [m for m in dir(ours) if not m.startswith("_")]:
        if (name, method) in {("Stream", "queue"), ("Event", "mark"), ("MemoryPointer", "bytes")}:
            continue  # how the emulation works
        assert hasattr(theirs, method) or method in ("is_non_blocking", "ptr", "device_id"), method
        found = getattr(ours, method)
        if callable(found) and not inspect.isclass(found):
            names = [p for p in inspect.signature(found).parameters if p != "self"]
            try:
                expected = [p for p in inspect.signature(getattr(theirs, method)).parameters if p != "self"]
            except ValueError:
                continue  # Cython does not tell
            assert names == expected, method


def test_names_of_modules() -> None:
    for ours, theirs in ((emulated, cupy), (emulated.cuda, cupy.cuda), (emulatedx, cupyx)):
        for name in ours.__all__:
            assert hasattr(theirs, name), name
    for name in vars(emulated.cuda.runtime):
        assert hasattr(cupy.cuda.runtime, name), name
    for space in ("memory", "pinned_memory", "stream"):
        for name in vars(getattr(emulated.cuda, space)):
            assert hasattr(getattr(cupy.cuda, space), name), name
    for name in emulated._CONSTANTS:
        assert getattr(emulated, name) is getattr(cupy, name) or name == "nan", name
    for name in vars(emulated.ndarray):
        assert hasattr(cupy.ndarray, name) or name[0] == "_" != name[1] or name == "__weakref__", name


REFUSED = [
    "np.asarray(x)", "np.ascontiguousarray(x)", "np.array(x)", "x.flags.writeable", "x.max(1, initial=0)",
    "x.sum(1, where=x)", "np.maximum.reduce(x)", "np.maximum.accumulate(x)", "np.logaddexp.accumulate(x)",
    "np.nanquantile(x, 0.5)", "xp.indices((2, 2), sparse=True)", "np.ones(2, like=x)", "np.full(2, 1.0, like=x)",
    "np.lib.stride_tricks.as_strided(x, (2,), (4,))", "hash(x)", "x.astype('O')", "x.ctypes", "x.put_along_axis",
    "np.testing.assert_array_equal(x, x)", "x.__array_interface__", "len(x[0, 0, 0])", "xp.nditer(x)", "x.nbytes()",
    "x.min(initial=0)", "x[5]", "x[0, 0, 0, 0]", "x[..., ...]", "x.reshape(5)", "x.transpose(0, 0, 1)",
    "x.transpose(0, 1)", "x.swapaxes(0, 5)", "x.squeeze(0)", "np.expand_dims(x, 9)", "np.split(x, 5)", "x.item()",
    "np.broadcast_to(x, (3, 3, 4))", "len(x[0, 0, 0])", "iter(x[0, 0, 0])", "bool(x)", "x.set([1])", "x.set(host)",
    "x.set(host.astype('f8'))", "x.astype('f4', casting='safe')", "x.astype('f4', subok=True)", "xp.sum(x, foo=1)",
    "xp.zeros()", "xp.concatenate([x], foo=1)", "xp.arange()", "xp.pad(x)", "x.sort(kind='quicksort')",
    "x.argsort(kind='mergesort')", "x.cumsum(keepdims=True)", "np.take(x, 0, mode='clip')",
    "x.take(0, 1, None, 'clip')",
    "x.mean(where=x)", "np.var(x, mean=1.0)", "np.mean(x, where=x)", "np.max(x, initial=1)", "np.any(x, where=x)",
    "x.nonexistent", "xp.nonexistent", "np.add(x, x, where=False)", "np.add(x)", "xp.add(x, x, x, x)", "xp.exp()",
    "x.view('f8', 'f8', 'f8')", "x[:, :, :3].view('f8')", "x.T.view('f8')", "x[0, 0, 0].view('f8')", "np.fix.at(x, 0)",
    "x.__dlpack__(copy=True)",
    "memoryview(x)", "x.mT[0, 0].mT", "setattr(x, 'dtype', 'f8')", "x.choose()",
    "np.partition(x)", "x.diagonal(0, 5)", "np.diagonal(x, 0, 0, 7)", "np.moveaxis(x, 5, 0)",
    "np.flip(x, 3)", "np.transpose(x, (1, 0))", "np.reshape(x, (7, 7))", "x.reshape(-1, -1)",
    "xp.where(x, x, x, x)", "np.sum(x, 1, initial=0)", "xp.zeros(2, device='cpu')",
]  # fmt: skip


@pytest.mark.parametrize("expression", REFUSED)
def test_refusals(expression: str) -> None:
    """What CuPy cannot do, its emulation cannot either, and with the same kind of error."""
    host = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    kinds = []
    for x, module in both(host):
        with pytest.raises(Exception) as caught, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of NumPy, on the way to the error
            eval(expression, {"x": x, "np": np, "xp": module, "host": np.ones(4, np.float32)})
        assert "InsufficientDriver" not in str(caught.value)
        kinds.append(kind_of(caught.value))
    assert kinds[0] is kinds[1], kinds


def kind_of(error: BaseException) -> type:
    kinds = (TypeError, AttributeError, NotImplementedError, ValueError, IndexError, BufferError, Exception)
    return next(kind for kind in kinds if isinstance(error, kind))
