"""Every row of the table of samples on an emulated GPU: as on the CPU, on the GPU, and without a wait for it."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any, NamedTuple

import numpy as np
import pytest
from samples import OPS, Op, Sample

import minicnn
from minicnn import Tensor
from minicnn.autograd import grad
from minicnn_kernels import arrays
from minicnn_kernels.emulated.traffic import DeviceSynchronized, no_waits
from minicnn_kernels.layout import is_channels_last

from .test_ops import close, draw

pytestmark = pytest.mark.usefixtures("gpu")


# Operations that wait for the GPU: their result has as many elements as its values say, CuPy cannot do them, so that
# they are computed on the CPU, an index out of range would read or overwrite other elements, or how they are computed
# depends on values: the gradient of det on whether a matrix is singular, the steps of matrix_exp on its norm.
WAITING = {
    "cummax", "cummin", "det", "embedding", "embedding_bag", "embedding_bag (max)", "gather", "index",
    "index = value", "index_add", "index_copy", "index_fill", "index_put", "index_select", "logcumsumexp",
    "masked_scatter", "masked_select", "matrix_exp", "max_unpool1d", "max_unpool2d", "max_unpool3d", "mode",
    "one_hot", "quantile (several)", "repeat_interleave", "scatter", "scatter_add", "take", "take_along_dim",
    *(f"scatter_reduce ({reduce})" for reduce in ("sum", "prod", "mean", "amax", "amin")),
}  # fmt: skip
# Inverses and decompositions of which a matrix of equal rows has none, or has many.
REGULAR = {
    "cholesky", "cholesky_inverse", "cholesky_solve", "inv", "matrix_power", "qr: Q", "qr: R", "qr: both", "slogdet",
    "solve", "svd: U", "svd: V",
}  # fmt: skip
# Two GPUs, of which the first is the current one: an operation computes where its tensors are.
GPU_FOR = {np.float32: "cuda:0", np.float64: "cuda:1"}


class Library:
    """minicnn with its arrays on a device."""

    def __init__(self, device: str) -> None:
        self.device = device

    def from_numpy(self, array: np.ndarray) -> Tensor:
        return minicnn.from_numpy(array).to(self.device)

    def __getattr__(self, name: str) -> Any:
        return getattr(minicnn, name)


class Layout(NamedTuple):
    """How values lie in memory: `lay` makes the memory, and `look` is the view of it that has the values."""

    lay: Callable[[np.ndarray], np.ndarray]
    look: Callable[[Any, tuple[int, ...]], Any]


def backwards(x: Any) -> Any:
    return x[(slice(None, None, -1),) * x.ndim + (...,)]


def spread_out(x: np.ndarray) -> np.ndarray:
    y = np.full([2 * n for n in x.shape], np.nan)
    y[(slice(None, None, 2),) * x.ndim] = x
    return y


LAYOUTS = {
    "reversed": Layout(backwards, lambda x, shape: backwards(x)),
    "every second": Layout(spread_out, lambda x, shape: x[(slice(None, None, 2),) * x.ndim + (...,)]),
    "transposed": Layout(lambda x: x.T, lambda x, shape: x.T),
    "channels_last": Layout(
        lambda x: np.moveaxis(x, 1, -1) if x.ndim == 4 else x,
        lambda x, shape: np.moveaxis(x, -1, 1) if x.ndim == 4 else x,
    ),
    "repeated": Layout(lambda x: x[:1] if x.ndim else x, lambda x, shape: np.broadcast_to(x, shape)),
}


def placed(values: np.ndarray, layout: Layout | None, device: str, dtype: Any) -> Any:
    """An array of either kind, in a layout."""
    memory = values if layout is None else layout.lay(values)
    memory = np.array(memory, dtype, order="C")
    memory = memory if device == "cpu" else arrays.upload(memory, int(device[-1]))
    return memory if layout is None else layout.look(memory, values.shape)


def run(op: Op, sample: Sample, device: str, dtype: Any, layout: Layout | None = None, waits: bool = True) -> list[Any]:
    """The result and the gradients of a random combination of it, as arrays of the device."""
    given = [None if a is None else Tensor(placed(a, layout, device, dtype), True) for a in draw(op, sample)]
    inputs = [x for x in given if x is not None]
    minicnn.manual_seed(0)
    with minicnn.device(device), no_waits() if not waits else nullcontext():
        y = op.run(Library(device), *given, **sample.options)
        up = Tensor(placed(np.random.default_rng(1).standard_normal(y.shape), layout, device, y.dtype))
        found = grad(y, inputs, up, allow_unused=True)
    return [y.array, *[None if g is None else g.array for g in found]]


def same(found: list[Any], expected: list[Any], dtype: Any) -> None:
    """Compare, and check that everything is on the GPU of the type."""
    assert [g is None for g in found] == [e is None for e in expected]
    pairs = [(a, b) for a, b in zip(found, expected, strict=True) if b is not None]
    assert all(arrays.on_gpu(a) and f"cuda:{a.device.id}" == GPU_FOR[dtype] for a, _ in pairs)
    assert [a.dtype for a, _ in pairs] == [b.dtype for _, b in pairs]
    close([a.get() for a, _ in pairs], [b for _, b in pairs], 1e-5 if dtype is np.float32 else 1e-12)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", OPS)
def test_as_on_the_cpu(name: str, dtype: Any) -> None:
    op = OPS[name]
    for sample in op.samples:
        with minicnn.use(backend="numpy"):
            expected = run(op, sample, "cpu", dtype)
        same(run(op, sample, GPU_FOR[dtype], dtype, waits=name in WAITING), expected, dtype)


@pytest.mark.parametrize(
    ("name", "layout"), [(n, lay) for n in OPS for lay in LAYOUTS if lay != "repeated" or n not in REGULAR]
)
def test_strides_do_not_matter(name: str, layout: str) -> None:
    """Also for the gradient that comes in; what is in channels_last order on the CPU is so on a GPU."""
    op = OPS[name]
    for sample in op.samples:
        with minicnn.use(backend="numpy"):
            expected = run(op, sample, "cpu", np.float64, LAYOUTS[layout])
        found = run(op, sample, GPU_FOR[np.float64], np.float64, LAYOUTS[layout])
        same(found, expected, np.float64)
        if layout == "channels_last":
            for a, b in zip(found, expected, strict=True):
                if b is not None and is_channels_last(b):
                    assert is_channels_last(a)


@pytest.mark.parametrize("name", sorted(WAITING))
def test_what_waits(name: str) -> None:
    """The list above has no operation too many."""
    op = OPS[name]
    with pytest.raises(DeviceSynchronized):
        for sample in op.samples:
            run(op, sample, GPU_FOR[np.float32], np.float32, waits=False)
