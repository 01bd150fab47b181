"""Every row of the table of samples: backends against the definition, gradients, adjoints, strides."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from samples import OPS, Op, Sample

import minicnn
from minicnn import Tensor
from minicnn.autograd import grad, gradcheck
from minicnn_kernels import BACKENDS as BACKEND_NAMES
from minicnn_kernels import TABLES, arrays, runtime

SAMPLES = [(name, i, OPS[name], sample) for name in OPS for i, sample in enumerate(OPS[name].samples)]
CASES = [pytest.param(op, sample, id=f"{name}-{i}") for name, i, op, sample in SAMPLES]
ON_KERNELS = [
    pytest.param(op, sample, kernel, id=f"{name}-{i}-{'-'.join(kernel)}")
    for name, i, op, sample in SAMPLES
    for kernel in op.kernels
]


def draw(op: Op, sample: Sample, dtype: Any = np.float64) -> list[np.ndarray | None]:
    rng = np.random.default_rng(7)
    return [None if s is None else np.asarray(op.draw(rng, s), dtype) for s in sample.shapes]


def tensors(arrays: list[np.ndarray | None]) -> list[Tensor | None]:
    return [None if a is None else Tensor(a, requires_grad=True) for a in arrays]


def run(
    op: Op, sample: Sample, arrays: list[np.ndarray | None], upstream: np.ndarray | None = None
) -> list[np.ndarray]:
    """Return the result, and the gradients of a fixed random combination of it."""
    inputs = tensors(arrays)
    y = op.run(minicnn, *inputs, **sample.options)
    up = np.random.default_rng(1).standard_normal(y.shape) if upstream is None else upstream
    given = [x for x in inputs if x is not None]
    found = grad(y, given, Tensor(up.astype(y.dtype, copy=False)), allow_unused=True)
    return [
        y.detach().numpy(),
        *(np.zeros(x.shape) if g is None else g.numpy() for g, x in zip(found, given, strict=True)),
    ]


def close(found: list[np.ndarray], expected: list[np.ndarray], tolerance: float) -> None:
    for a, b in zip(found, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance * max(1, np.abs(b).max(initial=0)))


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)], ids=["float64", "float32"])
@pytest.mark.parametrize(("op", "sample", "kernel"), ON_KERNELS)
def test_backends_agree_with_the_definition(
    op: Op, sample: Sample, kernel: tuple[str, ...], dtype: Any, tolerance: float
) -> None:
    """Compare results and gradients; for operations without kernels, compare float32 with float64."""
    arrays = draw(op, sample, dtype)
    with minicnn.use(backend="python", algorithm="direct"):
        expected = run(op, sample, [None if a is None else a.astype(np.float64) for a in arrays])
    with minicnn.use(*kernel):
        found = run(op, sample, arrays)
    assert found[0].dtype == dtype
    close(found, expected, tolerance)


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_gradients(op: Op, sample: Sample) -> None:
    """Compare with finite differences, on the fastest kernel; the test above compares the others with it."""
    inputs = tensors(draw(op, sample))
    with minicnn.use(*op.kernels[-1]):
        assert gradcheck(lambda *x: op.run(minicnn, *x, **sample.options), inputs, eps=1e-5, atol=1e-8, rtol=1e-6)


LINEAR = [
    pytest.param(op, sample, i, kernel, id=f"{name}-{n}-input{i}-{'-'.join(kernel)}")
    for name, n, op, sample in SAMPLES
    for i in op.linear
    for kernel in op.kernels
    if sample.shapes[i] is not None
]


@pytest.mark.parametrize(("op", "sample", "i", "kernel"), LINEAR)
def test_backward_is_the_adjoint_of_forward(op: Op, sample: Sample, i: int, kernel: tuple[str, ...]) -> None:
    """<A x, v> = <x, A^T v>, with A x = f(x) - f(0) in input i: exact up to rounding, without finite differences."""
    inputs = tensors(draw(op, sample))
    with minicnn.use(*kernel):
        y = op.run(minicnn, *inputs, **sample.options)
        without = [Tensor(np.zeros(x.shape)) if k == i else x for k, x in enumerate(inputs)]
        offset = op.run(minicnn, *without, **sample.options)
        v = np.random.default_rng(2).standard_normal(y.shape)
        (gx,) = grad(y, inputs[i], Tensor(v))
    forward = float(((y - offset).detach().numpy() * v).sum())
    backward = float((inputs[i].detach().numpy() * gx.numpy()).sum())
    size = float(np.abs((y - offset).detach().numpy() * v).sum())
    assert abs(forward - backward) <= 1e-13 * max(size, 1)


def layouts(x: np.ndarray) -> list[np.ndarray]:
    """The same values in other strides: every second of a larger array, reversed, Fortran order, channels_last."""
    if not x.ndim:
        return [x]
    spaced = np.empty([2 * n for n in x.shape])[tuple(slice(None, None, 2) for _ in x.shape)]
    spaced[...] = x
    turned = np.ascontiguousarray(x[tuple(slice(None, None, -1) for _ in x.shape)])
    found = [spaced, turned[tuple(slice(None, None, -1) for _ in x.shape)], np.asfortranarray(x)]
    if x.ndim == 4:
        found.append(np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2))
    return found


@pytest.mark.parametrize(("op", "sample", "kernel"), ON_KERNELS)
def test_strides_do_not_matter(op: Op, sample: Sample, kernel: tuple[str, ...]) -> None:
    arrays = draw(op, sample)
    with minicnn.use(*kernel):
        expected = run(op, sample, arrays)
        shape = expected[0].shape
        up = np.asarray(np.random.default_rng(1).standard_normal(shape))
        for i in range(4):
            strided = [None if a is None else layouts(a)[i % len(layouts(a))] for a in arrays]
            before = [None if a is None else a.copy() for a in strided]
            close(run(op, sample, strided, layouts(up)[i % len(layouts(up))]), expected, 1e-13)
            for a, b in zip(strided, before, strict=True):
                assert a is None or np.array_equal(a, b), "an input was changed"
        flat = np.broadcast_to(np.float64(0.5), shape)  # an upstream gradient without strides, as .sum() makes
        close(run(op, sample, arrays, flat), run(op, sample, arrays, flat.copy()), 1e-13)


@pytest.mark.parametrize(("op", "sample", "kernel"), ON_KERNELS)
def test_allocated_gradients_share_no_memory(op: Op, sample: Sample, kernel: tuple[str, ...]) -> None:
    """With `backward_allocates`, a gradient becomes `.grad` without a copy, and others are added to it in place."""
    with minicnn.use(*kernel):
        y = op.run(minicnn, *tensors(draw(op, sample)), **sample.options)
        if y.grad_fn is None or not y.grad_fn.function.backward_allocates:
            return
        node, up = y.grad_fn, np.asarray(np.random.default_rng(1).standard_normal(y.shape))
        up = up if node.gpu is None else arrays.upload(up, node.gpu)
        ups = [up, *(None for _ in node.outputs[1:])]
        found = node.function.backward(node, *ups)
        kept = [a for a in (up, *node.saved, *vars(node).values()) if arrays.is_array(a)]
        kept += [*runtime._workspaces.values()]
        gradients = [a for a in (found if isinstance(found, tuple) else (found,)) if a is not None]
    for i, a in enumerate(gradients):
        assert arrays.writeable(a) and not any(arrays.share_memory(a, b) for b in (*kept, *gradients[:i]))


@pytest.mark.parametrize("channels_last", [False, True])
def test_pooling_of_read_only_arrays(channels_last: bool) -> None:
    """A broadcast array of one image is contiguous, but must not be written to."""
    x = minicnn.randn(1, 3, 4, 4)
    x = (x.to(memory_format=minicnn.channels_last) if channels_last else x).requires_grad_()
    y, index = minicnn.nn.functional.max_pool2d(x, 2, return_indices=True)
    up = minicnn.tensor([0.5]).expand(1, 3, 2, 2)
    assert not up.array.flags.writeable
    (gx,) = grad(y, x, up)
    assert gx.sum().item() == 6 and (gx != 0).sum().item() == 12
    y.array.flags.writeable = False
    back = minicnn.nn.functional.max_unpool2d(y.detach().requires_grad_(), index, 2)
    wide = minicnn.tensor([2.0]).expand(1, 3, 4, 4)
    back.backward(wide)
    assert back.sum().item() == pytest.approx(y.sum().item())


@pytest.mark.parametrize(("op", "sample"), CASES)
def test_meta_tensors_have_the_shape_and_type_of_real_ones(op: Op, sample: Sample) -> None:
    arrays = draw(op, sample, np.float32)
    real = op.run(minicnn, *tensors(arrays), **sample.options)
    inputs = [None if t is None else t.to("meta").requires_grad_() for t in tensors(arrays)]
    inferred = op.run(minicnn, *inputs, **sample.options)
    assert inferred.is_meta
    assert (inferred.shape, inferred.dtype, inferred.requires_grad) == (real.shape, real.dtype, real.requires_grad)
    if inferred.requires_grad:
        given = [x for x in inputs if x is not None]
        for x, gx in zip(given, grad(inferred, given, inferred.detach(), allow_unused=True), strict=True):
            assert gx is None or (gx.is_meta and gx.shape == x.shape and gx.dtype == x.dtype)


@pytest.mark.parametrize("name", OPS)
def test_results_are_not_scratch_memory(name: str) -> None:
    """A second call does not change what the first one returned."""
    op, sample = OPS[name], OPS[name].samples[0]
    first = run(op, sample, draw(op, sample))
    kept = [a.copy() for a in first]
    run(op, sample, [None if a is None else a * 0.9 for a in draw(op, sample)])
    for a, b in zip(first, kept, strict=True):
        assert np.array_equal(a, b)


def test_every_row_of_every_kernel_table_is_reached(monkeypatch: pytest.MonkeyPatch) -> None:
    """The samples reach all existing kernels of the CPU, so that none is untested; those in CUDA: `tests/kernels`."""
    reached = set()
    for table in TABLES:
        for row, kernel in [(row, kernel) for row, kernel in table.rows.items() if row[1] != "cuda"]:
            spy = partial(_note, reached, (table.op, *row), kernel)
            monkeypatch.setitem(table.rows, row, spy)
        monkeypatch.setattr(table, "_picked", {})
    algorithms = {algorithm for table in TABLES for algorithm in table.algorithms}
    for name in OPS:
        op = OPS[name]
        several = len({kernel[1:] for kernel in op.kernels}) > 1  # some algorithms cannot do every sample
        for sample in op.samples if several else op.samples[:1]:
            for backend in BACKEND_NAMES:
                for algorithm in algorithms if several else ("auto",):
                    with minicnn.use(backend=backend, algorithm=algorithm):
                        run(op, sample, draw(op, sample))
    # The kernels of optimisers and of images' transforms are no operations; samples: `tests/kernels/samples`.
    updates = {"sgd", "adam", "warp", "warp grid"}
    rows = {(table.op, *row) for table in TABLES if table.op not in updates for row in table.rows if row[1] != "cuda"}
    missing = rows - reached
    assert not missing, f"no sample in the folder tests/samples leads to {sorted(missing)}"


def _note(reached: set[Any], row: Any, kernel: Any, *args: Any) -> Any:
    reached.add(row)
    return kernel(*args)


def test_the_first_layers_input_gradient_is_not_computed(monkeypatch: pytest.MonkeyPatch) -> None:
    from minicnn_kernels import conv2d

    asked = []
    real = conv2d.BACKWARD.rows["im2col", "numpy"]
    monkeypatch.setitem(conv2d.BACKWARD.rows, ("im2col", "numpy"), lambda *a: asked.append(a[-1]) or real(*a))
    monkeypatch.setattr(conv2d.BACKWARD, "_picked", {})
    x, w = Tensor(np.ones((1, 1, 4, 4))), Tensor(np.ones((1, 1, 2, 2)), requires_grad=True)
    with minicnn.use(backend="numpy"):
        minicnn.nn.functional.conv2d(x, w).sum().backward()
    monkeypatch.setattr(conv2d.BACKWARD, "_picked", {})
    assert asked == [(False, True, False)]
