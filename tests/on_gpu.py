"""`pytest --device cuda`: the same tests on a GPU, a real one or else the emulated one.

The default device is then "cuda": `nn.Linear(2, 3)` and `minicnn.ones(2)` of a test are on the GPU. But the tests are
written with NumPy's arrays, and the library keeps these apart from a GPU, as PyTorch does: `Tensor(array)` is on the
CPU, and `x.numpy()` raises. So, while tests run on a GPU, a few functions do something else for a *test file*:

    Tensor(array), nn.Parameter(array), nn.Buffer(array), minicnn.from_numpy(array)     copy the array to the GPU
    x + array, y.backward(array)                                                        copy it too
    x.numpy(), x.array, np.asarray(x)        copy the values to the CPU; writing into the copy raises
    minicnn.use(backend="numpy")             computes with the numpy rows on the GPU
    minicnn.use(backend="cuda-emulated")     computes with the cuda rows on the GPU
    minicnn.use(backend="python" or "numba") skips the test: it is about the CPU

Who calls is seen from the file of the calling function (functions of NumPy in between do not count). For everything
else, and so for the library itself, the functions are as they are: its own mistakes stay visible.

A test that cannot be true on a GPU is marked `@pytest.mark.cpu_only("why")`, and is skipped.
"""

from __future__ import annotations

import functools
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

TESTS = str(Path(__file__).parent)
NUMPY = str(Path(np.__file__).parent)


def use() -> None:
    """Let a GPU be the default device of this process, and adapt what test files call."""
    import minicnn
    from minicnn import nn
    from minicnn.device import set_default_device
    from minicnn_kernels import arrays, dispatch

    try:
        arrays.gpu().zeros(1)
    except RuntimeError:  # no CuPy, or no driver
        arrays.emulate()
    set_default_device("cuda")
    tensor = minicnn.Tensor
    for made in (tensor, nn.Parameter, nn.Buffer):
        _patch(made, "__init__", _uploads)
    _patch(minicnn, "from_numpy", lambda original: lambda array: original(array).to("cuda"))
    _patch(tensor, "numpy", _downloads)
    _patch(tensor, "__array__", lambda original: lambda x, *args, **options: np.array(_host(x), *args, **options))
    _patch(tensor, "__array_ufunc__", _uploads_operands)
    _patch(tensor, "backward", _uploads)
    for module in (minicnn, dispatch):
        _patch(module, "use", _other_backends)
    property_ = tensor.array
    tensor.array = property(_for_tests(property_.fget, lambda original: _host))  # type: ignore[arg-type, assignment]


def _patch(owner: Any, name: str, changed: Callable[[Any], Any]) -> None:
    setattr(owner, name, _for_tests(getattr(owner, name), changed))


def _for_tests(original: Any, changed: Callable[[Any], Any]) -> Any:
    """The function, which is `changed(original)` if a test file calls it."""
    other = changed(original)

    @functools.wraps(original)
    def call(*args: Any, **options: Any) -> Any:
        return (other if _is_test(sys._getframe(1)) else original)(*args, **options)

    return call


def _is_test(frame: Any) -> bool:
    while frame is not None and frame.f_code.co_filename.startswith(NUMPY):
        frame = frame.f_back
    file = "" if frame is None else frame.f_code.co_filename
    return file.startswith(TESTS) and file != __file__


def _host(x: Any) -> Any:
    """The values of a tensor in a NumPy array; from a GPU a copy, which is read-only, so that no write is lost."""
    from minicnn_kernels.arrays import on_gpu

    moved = x.detach().to("cpu")._array  # keeps the order in memory
    if on_gpu(x._array):
        moved.flags.writeable = False
    return moved


def _uploads(original: Any) -> Any:
    def method(self: Any, *args: Any, **options: Any) -> None:
        given = [_there(a) if isinstance(a, (np.ndarray, np.generic)) else a for a in args]
        return original(self, *given, **options)

    return method


def _there(array: Any) -> Any:
    from minicnn import Tensor

    return Tensor(np.asarray(array)).to("cuda")._array


def _downloads(original: Any) -> Any:
    def numpy(self: Any, *, force: bool = False) -> Any:
        if (self.requires_grad and not force) or self.is_meta:
            return original(self, force=force)  # raises
        return _host(self)

    return numpy


def _uploads_operands(original: Any) -> Any:
    from minicnn import Tensor

    def ufunc(self: Any, function: Any, method: str, *inputs: Any, **options: Any) -> Any:
        given = [Tensor(_there(x)) if isinstance(x, np.ndarray) else x for x in inputs]
        return original(self, function, method, *given, **options)

    return ufunc


def _other_backends(original: Any) -> Any:
    def use(backend: Any = None, *args: Any, **options: Any) -> Any:
        if backend in ("python", "numba"):
            pytest.skip("on the CPU only: computes with the backend python or numba")
        return original({"numpy": "cupy", "cuda-emulated": "cuda"}.get(backend, backend), *args, **options)

    return use


@pytest.fixture(autouse=True)
def _default_device() -> Iterator[None]:
    """Before each test the GPU is the default device, whatever the test before it has set.

    After it the GPU must still answer: errors of a kernel show when a program waits. If it does not, each further test
    of the process would fail; a worker of pytest-xdist ends, so that this test is reported, and another takes over.
    """
    from minicnn.device import set_default_device
    from minicnn_kernels import arrays

    set_default_device("cuda")
    yield
    try:
        arrays.gpu().cuda.Device().synchronize()
    except Exception:
        if "PYTEST_XDIST_WORKER" not in os.environ:
            raise
        traceback.print_exc(file=sys.__stderr__)
        os._exit(70)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip the tests that hold on the CPU only, and those that go to a GPU themselves."""
    for item in items:
        marker = item.get_closest_marker("cpu_only")
        if marker:
            item.add_marker(pytest.mark.skip(reason=f"on the CPU only: {marker.args[0]}"))
        elif "gpu" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.skip(reason="moves its tensors to a GPU itself"))
