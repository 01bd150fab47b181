"""Tensors and NumPy: protocols, shared memory, functions of NumPy on tensors."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest
from minicnn.utils.dlpack import from_dlpack, to_dlpack

import minicnn


@pytest.mark.cpu_only("NumPy reads memory of the CPU only")
def test_dlpack_shares_memory() -> None:
    x = minicnn.zeros(2, 3)
    array = np.from_dlpack(x)
    assert np.shares_memory(array, x.array)
    assert x.__dlpack_device__() == (1, 0)
    for y in (from_dlpack(x), minicnn.from_dlpack(array), from_dlpack(to_dlpack(x)), minicnn.asarray(x)):
        y[0, 0] += 1
    assert x[0, 0] == 4
    assert not np.shares_memory(minicnn.from_dlpack(x, copy=True).array, x.array)
    with pytest.raises(BufferError, match="detach"):
        to_dlpack(minicnn.ones(1, requires_grad=True))


@pytest.mark.cpu_only("NumPy reads memory of the CPU only")
def test_arrays_of_tensors() -> None:
    x = minicnn.arange(3.0)
    assert np.asarray(x) is x.numpy()
    assert np.array(x) is not x.numpy()
    assert np.asarray(x, dtype=np.float64).dtype == np.float64
    w = minicnn.ones(2, requires_grad=True)
    with pytest.raises(RuntimeError, match="detach"):
        np.asarray(w)
    assert np.shares_memory(w.numpy(force=True), w.array)


@pytest.mark.cpu_only("NumPy reads memory of the CPU only")
def test_numpys_functions() -> None:
    w = minicnn.ones(3, requires_grad=True)
    y = np.arange(3.0) * w - np.float32(1)
    assert y.dtype == minicnn.float64
    y.sum().backward()
    assert w.grad.tolist() == [0, 1, 2]
    assert np.sin(minicnn.zeros(2)).tolist() == [0, 0]
    assert isinstance(np.maximum(minicnn.zeros(2), 1), minicnn.Tensor)
    assert (np.ones(2) > minicnn.zeros(2)).tolist() == [True, True]
    array = np.ones(2)
    array += minicnn.ones(2)
    assert array.tolist() == [2, 2]
    with pytest.raises(RuntimeError, match="detach"):
        np.sin(w)


def test_copies() -> None:
    result = minicnn.tensor([2, 1]).sort()
    for twin in (copy.deepcopy(result), pickle.loads(pickle.dumps(result))):
        assert twin.values.tolist() == [1, 2]
    assert copy.deepcopy(minicnn.channels_last) is minicnn.channels_last
    assert 2 in minicnn.tensor([1, 2])
    assert [x.item() for x in reversed(minicnn.arange(3))] == [2, 1, 0]


@pytest.mark.cpu_only("NumPy reads memory of the CPU only")
def test_what_numpy_computes_of_a_tensor_is_a_tensor() -> None:
    x = minicnn.tensor([[3.0, 1.0, 2.0], [4.0, 6.0, 5.0]])
    for found, expected in (
        (np.transpose(x), [[3, 4], [1, 6], [2, 5]]),
        (np.reshape(x, (3, 2)), [[3, 1], [2, 4], [6, 5]]),
        (np.clip(x, 2, 4), [[3, 2, 2], [4, 4, 4]]),
        (np.argmax(x), 4),
        (np.cumsum(x, axis=1), [[3, 4, 6], [4, 10, 15]]),
        (np.argsort(x[0]), [1, 2, 0]),
        (np.round(x / 4), [[1, 0, 0], [1, 2, 1]]),
        (np.isnan(x[0]), [False] * 3),
        (np.real(x[0]), [3, 1, 2]),
    ):
        assert isinstance(found, minicnn.Tensor) and found.tolist() == expected
    assert isinstance(np.stack([x, x]), np.ndarray) and isinstance(x.to_numpy(), np.ndarray)
    with pytest.raises(RuntimeError, match="detach"):
        np.transpose(x.requires_grad_())


def test_several_elements_are_no_number() -> None:
    for kind in (float, int, complex):
        for x in (minicnn.ones(2), minicnn.zeros(0)):
            with pytest.raises(ValueError, match=rf"{kind.__name__}: a tensor of shape .* elements, not one"):
                kind(x)
        assert kind(minicnn.ones(1, 1)) == 1
    with pytest.raises(TypeError, match="of one element can be an index"):
        [1, 2][minicnn.tensor([0, 1])]


def _drawings(lib: Any) -> dict[str, Any]:
    """Return calls of pyplot, with arrays that `lib` makes from NumPy's."""
    import matplotlib.pyplot as plt

    x, z, colors = np.linspace(0, 1, 6, dtype=np.float32), np.arange(12.0).reshape(3, 4), np.arange(48.0) / 48
    across, up = (lib(a) for a in np.meshgrid(np.arange(4.0), np.arange(3.0)))
    x, y, z, half, few = lib(x), lib(x * x), lib(z), lib(np.array(0.5)), lib(np.array([1.0, 5.0]))
    return {
        "plot": lambda: plt.plot(x, y),
        "plot of columns": lambda: plt.plot(z),
        "plot of rows": lambda: plt.plot([row for row in z]),  # noqa: C416
        "scatter": lambda: plt.scatter(x, y, c=y, s=y * 100),
        "imshow": lambda: plt.imshow(z, vmin=z.min(), vmax=z.max()),
        "imshow in colour": lambda: plt.imshow(lib(colors.reshape(4, 4, 3))),
        "hist": lambda: plt.hist(y, bins=x),
        "hist of columns": lambda: plt.hist(z),
        "bar": lambda: plt.bar(x, y, width=half, yerr=y),
        "contour": lambda: plt.contour(across, up, z, levels=few),
        "contourf": lambda: plt.contourf(z),
        "errorbar": lambda: plt.errorbar(x, y, yerr=[y, y], xerr=half),
        "fill_between": lambda: plt.fill_between(x, y - 1, y + 1, where=y > 0.3),
        "pcolormesh": lambda: plt.pcolormesh(across, up, z),
        "quiver": lambda: plt.quiver(across, up, z, z),
        "boxplot": lambda: plt.boxplot(z),
        "stem": lambda: plt.stem(x, y),
        "lines": lambda: (plt.axhline(half), plt.axvline(y[1]), plt.xlim(x.min(), x.max()), plt.xticks(x)),
    }


@pytest.mark.filterwarnings("ignore")
@pytest.mark.cpu_only("NumPy reads memory of the CPU only")
def test_pyplot_draws_tensors_as_arrays() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    def pixels(draw: Any) -> bytes:
        plt.close("all")
        figure = plt.figure(figsize=(2, 2), dpi=50)
        draw()
        figure.canvas.draw()
        return bytes(figure.canvas.buffer_rgba())

    tensors, arrays = _drawings(minicnn.from_numpy), _drawings(lambda array: array)
    for name in arrays:
        assert pixels(tensors[name]) == pixels(arrays[name]), name
    plt.close("all")
