"""The emulated CuPy by itself: results as CuPy gives them, and mistakes that would be silent on a GPU."""

from __future__ import annotations

import copy
import operator
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import scipy.special

from minicnn_kernels.emulated import cupy as cp
from minicnn_kernels.emulated import cupyx
from minicnn_kernels.emulated.api import API, EmulationError
from minicnn_kernels.emulated.traffic import DeviceSynchronized, counting, no_waits, traffic

HOST = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
ROW = np.ones(4, np.float32)


def there(a: Any) -> Any:
    return cp.asarray(a)


def run(expression: str) -> Any:
    """The value of an expression; x is HOST on the GPU, i and j are indices there, m is a mask."""
    names = {"x": there(HOST), "i": there([1, 0]), "j": there([1, 1]), "m": there(HOST) > 5, "big": there([7])}
    return eval(
        expression, names | {"np": np, "cp": cp, "cupyx": cupyx, "host": HOST, "row": ROW, "special": scipy.special}
    )


# ------------------------------------------------------------------------------------------------------------- refused

MISTAKES = [
    ("np.zeros(4) + x", TypeError, "Unsupported type"),  # an array made on the CPU meets one on a GPU
    ("x + np.zeros(4)", TypeError, "Unsupported type"),
    ("x - row[0:1]", TypeError, "Unsupported type"),
    ("x * np.array(2.0)", TypeError, "Unsupported type"),
    ("x @ np.ones((4, 2))", TypeError, "NumPy array of shape"),
    ("np.where(x > 0, x, row)", TypeError, "NumPy array of shape"),
    ("np.concatenate([x, host])", TypeError, "NumPy array of shape"),
    ("np.maximum(x, row)", TypeError, "Unsupported type"),
    ("np.add(x, 1, out=np.empty_like(host))", TypeError, "Output arguments"),
    ("x.__iadd__(row)", TypeError, "Unsupported type"),
    ("np.asarray(x)", TypeError, "Implicit conversion"),  # a hidden copy to the CPU
    ("np.array(x)", TypeError, "Implicit conversion"),
    ("np.ascontiguousarray(x)", TypeError, "Implicit conversion"),
    ("np.zeros((2, 3, 4)).__setitem__(..., x)", TypeError, "Implicit conversion"),
    ("cp.ascontiguousarray(host)", TypeError, "incorrect type"),
    ("cp.sum([1, 2])", TypeError, "asarray"),
    ("x.__setitem__(..., host)", ValueError, "fill"),
    ("x.__setitem__(0, [1, 2, 3, 4])", ValueError, "fill"),
    ("x[np.array([0])]", EmulationError, "index from the CPU"),  # an index on the CPU, which CuPy copies each time
    ("x[[0]]", EmulationError, "index from the CPU"),
    ("x[:, np.array([0, 1])]", EmulationError, "index from the CPU"),
    ("x[host > 3]", EmulationError, "index from the CPU"),
    ("x.__setitem__(np.array([0]), 1.0)", EmulationError, "index from the CPU"),
    ("x.__setitem__(i, host)", EmulationError, "values from the CPU"),
    ("np.take(x, np.array([0]), 1)", EmulationError, "index from the CPU"),
    ("x.take([0], 1)", EmulationError, "index from the CPU"),
    ("np.add.at(x, np.array([0]), 1.0)", EmulationError, "index from the CPU"),
    ("np.add.at(x, i, host)", EmulationError, "values from the CPU"),
    ("cp.add.reduceat(x, [0, 1])", EmulationError, "from the CPU"),
    ("x.sum(1, initial=0)", TypeError, "initial"),  # more than CuPy has
    ("np.sum(x, 1, initial=0)", TypeError, "initial"),
    ("np.sum(x, 1, where=m)", TypeError, "where"),
    ("np.add(x, x, where=m)", TypeError, "Wrong arguments"),
    ("np.maximum.reduce(x)", NotImplementedError, "reduce"),
    ("np.maximum.accumulate(x)", NotImplementedError, "accumulate"),
    ("np.multiply.at(x, i, 2.0)", NotImplementedError, "at"),
    ("np.ones(2, like=x)", TypeError, "device"),
    ("np.insert(x, 0, 1)", TypeError, "no implementation"),
    ("np.exp(x.astype('O'))", ValueError, "Unsupported dtype"),
    ("x.flags.writeable", AttributeError, "writeable"),
    ("x.ctypes", AttributeError, "ctypes"),
    ("cp.nothing", AttributeError, "nothing"),
    ("cupyx.scipy.special.nothing", AttributeError, "nothing"),
    ("hash(x)", TypeError, "unhashable"),
    ("bool(x)", ValueError, "ambiguous"),
    ("float(x)", TypeError, "."),
    ("x.item()", ValueError, "size 1"),
    ("len(x[0, 0, 0])", TypeError, "unsized"),
    ("list(x[0, 0, 0])", TypeError, "0-d"),
    ("x[0.5]", IndexError, "."),
    ("x[x]", IndexError, "integer or boolean"),
    ("x[2]", IndexError, "out of bounds"),
    ("x + None", TypeError, "."),
    ("x.sort(kind='quicksort')", ValueError, "stable"),
    ("np.from_dlpack(x)", BufferError, "no memory on a GPU"),
    ("cp.from_dlpack(host)", BufferError, "asarray"),
    ("cp.asarray(['a'])", ValueError, "Unsupported dtype"),
    ("cp.asarray(np.zeros(2, '>f4'))", ValueError, "Unsupported dtype"),
    ("x.view('u1') + 300", OverflowError, "."),
    ("x[0].astype(int).__iadd__(0.5)", TypeError, "cast"),
]
UNDEFINED = [
    ("x[big]", "wrap"),  # out of range
    ("x[:, big]", "wrap"),
    ("np.take(x, big, 1)", "wrap"),
    ("np.take_along_axis(x, big.reshape(1, 1, 1), 0)", "wrap"),
    ("x.__setitem__(big, 1.0)", "wrap"),
    ("np.add.at(x, big, 1.0)", "wrap"),
    ("x.__setitem__(j, x)", "two values"),  # one place, two values
    ("x.__setitem__((slice(None), j), x[:, :2])", "two values"),
    ("np.broadcast_to(x[0, 0], (5, 4)).__setitem__(..., x[0, :1])", "broadcast"),
    ("np.add(x[0], 1, out=np.broadcast_to(x[0, 0], (3, 4)))", "broadcast"),
    ("np.broadcast_to(x[0, 0], (3, 4)).__iadd__(1)", "broadcast"),
    ("np.copyto(np.broadcast_to(x[0, 0], (3, 4)), x[0])", "broadcast"),
    ("x[0].ravel()[1:].__setitem__(..., x[0].ravel()[:-1])", "overlap"),
    ("cp.asarray([np.nan]).astype(int)", "another integer"),  # a float that fits no integer
    ("cp.asarray([-1.0]).astype('u1')", "another integer"),
    ("cp.asarray([3e9]).astype('i4')", "another integer"),
    ("cp.asarray([1e19]).astype(int)", "another integer"),
    ("cp.zeros(2, int).__setitem__(..., cp.asarray([1.0, np.inf]))", "another integer"),
    ("cp.zeros(2, int).__setitem__(i, cp.asarray([1.0, np.inf]))", "another integer"),
]


@pytest.mark.parametrize(("expression", "kind", "words"), MISTAKES)
def test_mistakes_are_refused(expression: str, kind: type[Exception], words: str) -> None:
    with pytest.raises(kind, match=words):
        run(expression)


@pytest.mark.parametrize(("expression", "words"), UNDEFINED)
def test_undefined_results_are_refused(expression: str, words: str) -> None:
    with pytest.raises(EmulationError, match=words):
        run(expression)


def test_what_is_like_those_but_right() -> None:
    x = there(HOST.copy())
    x[there([1, 1])] = 2.0  # one value
    x[there([1, 1])] = cp.zeros((2, 3, 4))  # two that are the same
    x[there([1, 0])] = there(HOST)
    assert x.get().tolist() == HOST[[1, 0]].tolist()
    assert there([2.9, -0.9]).astype("u1").tolist() == [2, 0]
    assert there([-128.9, 127.9]).astype("i1").tolist() == [-128, 127]
    x[0, 0, 1:] = x[0, 0, :3].copy()
    x[0, ..., ::-1] = x[0]  # other strides: CuPy copies the source when they overlap
    y = np.broadcast_to(cp.ones((3, 0)), (2, 3, 0))
    y += 1  # nothing is written


# ------------------------------------------------------------------------------------------------------------- results

SAME = [
    "x + 1", "1 - x", "x / 3", "2.0 ** x[0, 0]", "x ** 2", "x ** 0.5", "x // 2", "x % 3", "-x", "abs(x - 4)", "x < 4",
    "x == x[0]", "~(x > 3)", "divmod(x, 3)[1]", "x @ x[0].T", "x.sum((0, 2))", "x.mean(1, keepdims=True)", "x.max(0)",
    "x.argmax(2)", "x.argmin()", "np.argmax(x, axis=1)", "x.cumsum(1)", "x.std(0)", "np.where(x > 3, x, 0)", "x[i]",
    "x[i, 1]", "x[:, i]", "x[..., None, i]", "x[m]", "x[m[0, 0, 0]]", "x.take(i, 1)",
    "np.take_along_axis(x, i[:, None, None], 0)", "np.concatenate([x, x], 1)", "np.stack([x, x], -1)",
    "np.pad(x, ((0, 0), (1, 2), (0, 1)))", "np.clip(x, 2, 7)", "np.flip(x, 1)", "np.repeat(x, 2, 1)",
    "np.tile(x, (1, 2, 1))", "np.roll(x, 1, 2)", "np.einsum('abc,dbc->ad', x, x)",
    "np.tensordot(x, x, ([1, 2], [1, 2]))", "np.sort(-x, 1)", "np.argsort(x < 4, 2)",
    "np.searchsorted(x[0, 0], x[1] / 4)", "np.diff(x, axis=2)", "np.cumsum(x)", "np.prod(x[:, 1:], 2)",
    "np.any(x > 22, 0)", "np.count_nonzero(x)", "np.isfinite(1 / x)", "np.log(x)", "np.logaddexp(x, 1)",
    "np.copysign(x, -1)", "np.sinc(x)", "special.erf(x)", "special.expit(x)", "special.xlogy(x, x)",
    "x.astype('f8').dtype.num", "np.float32(2) * x", "np.float64(2) * x", "x.shape", "np.bincount(i)",
    "np.nonzero(x > 20)[2]", "np.split(x, [1], 2)[1]", "np.moveaxis(x, 0, 2)", "np.swapaxes(x, 0, 1)",
    "np.add.reduce(x, (0, 1))", "np.add.accumulate(x, 1)", "np.multiply.outer(x[0], x[0, 0])",
    "np.linalg.norm(x[0], axis=1)", "np.zeros_like(x)", "np.full_like(x, 3)", "np.allclose(x, x)",
    "np.array_equal(x, x + 1)", "x.T", "x.reshape(-1, 2)", "np.isnan(x).any()", "np.minimum(x, 3, dtype='f8')",
    "x.clip(None, 5)", "np.tril(x[0])", "np.var(x, 0, ddof=1)", "np.fft.irfft2(np.fft.rfft2(x[0]), (3, 4))",
]  # fmt: skip


@pytest.mark.parametrize("expression", SAME)
def test_results_are_those_of_numpy(expression: str) -> None:
    """Values and types, and arrays of CuPy at any rank."""
    found = run(expression)
    names = {"x": HOST, "i": np.array([1, 0]), "m": HOST > 5, "np": np, "special": scipy.special}
    with np.errstate(all="ignore"):
        expected = eval(expression, names)
    if not isinstance(found, (tuple, int)):
        assert type(found) is cp.ndarray and found.dtype == np.asarray(expected).dtype
        assert found.flags.c_contiguous or found.base is not None
        found = found.get()
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_results_are_in_c_order() -> None:
    x = there(HOST.copy()).T
    for y in (x + 1, np.exp(x), x.sum(1), x.copy(), np.where(x > 1, x, 0), x[there([1, 0])], np.concatenate([x, x])):
        assert y.flags.c_contiguous, y.strides
    for y in (x.astype("f8"), np.zeros_like(x), cp.array(x), np.empty_like(x), x.copy("K")):  # these keep it
        assert y.flags.f_contiguous, y.strides


def test_results_with_gaps() -> None:
    """CuPy computes these with the axis last, or gives columns of one array: a kernel has to copy them first."""
    x = there(HOST)
    for y in (np.cumsum(x, 1), x.cumprod(0), np.argsort(x, 1), np.nonzero(x)[0], np.add.accumulate(x, 0)):
        assert not y.flags.c_contiguous and y.base is not None
    for y in (np.cumsum(x, 2), np.cumsum(x), x.argsort(), np.argwhere(x), np.sort(x, 0)):
        assert y.flags.c_contiguous and y.base is None
    with pytest.raises(NotImplementedError, match="non-contiguous"):
        x[:, ::2].sort()


def test_values_that_are_not_those_of_numpy() -> None:
    x = there([-1.0, 2.0, 9.0])
    assert x.clip(0, 5).tolist() == [0, 2, 5] and x.clip(5, 0).tolist() == [0, 0, 0]
    assert np.clip(x, np.nan, 5).tolist() == [-1, 2, 5]  # NumPy: NaN
    assert np.isnan(x % np.inf).all() and (x % 2).tolist() == [1, 0, 1] and (x // 2).tolist() == [-1, 1, 4]


def test_new_memory_is_poisoned() -> None:
    assert np.isnan(cp.empty(3)).all() and np.isnan(cp.empty_like(there(HOST)) + 1).all()
    assert cp.empty(2, np.int64).tolist() == [-127, -127] and cp.empty(2, np.uint8).tolist() == [129, 129]
    assert np.isnan(cp.ndarray((2,), np.float32)).all() and np.isnan(cp.cuda.alloc(8).bytes.view("f8"))


def test_at_adds_as_often_as_an_index_comes() -> None:
    x = cp.zeros(3, np.float32)
    np.add.at(x, there([0, 2, 0]), there([1.0, 2.0, 4.0]))
    cupyx.scatter_max(x, there([1]), 3.0)
    assert x.tolist() == [5, 3, 2]
    with pytest.raises(TypeError, match="int16"):
        np.add.at(cp.zeros(3, np.int16), there([0]), 1)


def test_every_name_is_there_or_says_that_it_is_not() -> None:
    missing = []
    for name in [*API["function"], *API["ufunc"]]:
        space, _, last = name.rpartition(".")
        try:
            getattr(operator.attrgetter(space)(cp) if space else cp, last)
        except NotImplementedError as error:
            assert "is not emulated" in str(error)
            missing.append(name)
    assert "asarray" not in missing and len(missing) < 60


def test_lists_of_special_functions_name_what_cupy_has() -> None:
    from minicnn_kernels.emulated import functions, methods

    for names in (functions.KEEP_ORDER, functions.WAITING, functions.VIEWS, functions.IN_PLACE, functions.CALLING_BACK):
        assert names <= set(API["function"])
    for names in (methods.WAITING, methods.VIEWS, methods.REDUCTIONS, methods.LAYOUT):
        assert names <= set(API["method"])
    assert set(API["function"]) >= functions.ABOUT_TYPES | functions.NUMBERS_AS_ARRAYS
    assert set(methods.BINARY.values()) | set(methods.UNARY.values()) <= set(API["ufunc"])


def test_views_share_memory() -> None:
    x = there(HOST.copy())
    x[0].reshape(-1)[3] = 50.0
    np.diagonal(x[1])[...] = -1.0
    x.T[0, 1, 0] += 1
    assert x[0, 0, 3].item() == 50 and x[1].diagonal().tolist() == [-1, -1, -1] and x[0, 1, 0].item() == 5
    assert x[0, 0].base is x and x.data.ptr + 16 == x[0, 1].data.ptr
    raw = cp.ndarray((4,), np.float32, x.data)  # made by hand on the same memory
    assert raw.tolist() == x[0, 0].tolist()


def test_copies() -> None:
    x = there(HOST)[:, ::2]
    for y in (copy.copy(x), copy.deepcopy(x), pickle.loads(pickle.dumps(x)), cp.array(x), x.copy()):
        assert type(y) is cp.ndarray and y.tolist() == x.tolist() and y.base is None
    assert cp.asarray(x) is x and cp.ascontiguousarray(x) is not x
    assert type(x.__dlpack__(dl_device=(1, 0))).__name__ == "PyCapsule"  # np.from_dlpack(x, device="cpu")
    assert cp.asnumpy(x).tolist() == x.get().tolist() == x.tolist() and cp.get_array_module(x) is cp
    assert cp.asarray([x[0], x[1]]).tolist() == x.tolist()


def test_numba_is_not_imported() -> None:
    code = "import sys; from minicnn_kernels.emulated import cupy, cupyx; print({'numba', 'scipy'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


# ------------------------------------------------------------------------------------------------------------- traffic

WAITS = [
    "x.get()", "x.sum().item()", "x.tolist()", "float(x[0, 0, 0])", "bool(x[0, 0, 0])", "repr(x)", "x[m]",
    "np.nonzero(x)", "np.unique(x)", "x.__setitem__(m, 0.0)", "cp.asarray(host, blocking=True)",
    "cp.cuda.Device().synchronize()", "cp.cuda.Stream().synchronize()", "cp.asnumpy(x)", "f'{x[0, 0, 0]:.2f}'",
    "max(x[0, 0])", "np.where(x > 1)", "i.choose(cp.ones((2, 2)))", "x.put(i, 1.0)", "np.bincount(i)",
]  # fmt: skip


@pytest.mark.parametrize("expression", WAITS)
def test_waits_are_found(expression: str) -> None:
    with counting() as seen:
        run(expression)
    assert seen.waits
    with pytest.raises(DeviceSynchronized, match="waits for the GPU"), no_waits():
        run(expression)


def test_work_does_not_wait() -> None:
    with no_waits(), counting() as seen:
        x = there(HOST)
        y = (np.where(x > 3, x * 2, 0).sum(0) / 3.0)[1:, ::2].reshape(-1)
        y[...] = cp.full(y.shape, 2.0)
    assert (seen.to_device, seen.to_host, seen.waits) == (1, 0, 0)
    traffic.reset()
    assert y.get().tolist() == [2.0] * 4 and (traffic.to_host, traffic.waits) == (1, 1)
