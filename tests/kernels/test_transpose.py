"""Copies from one order of memory to the other are exact."""

from __future__ import annotations

import numpy as np
import pytest

from minicnn_kernels import layout, transpose, use

SHAPES = [
    (40, 512, 3, 3),
    (3, 64, 33, 21),
    (2, 1, 100, 100),
    (9000, 2, 1, 1),
    (1, 33, 65, 31),
    (0, 3, 4, 5),
    (2, 3, 4, 5),
    (30, 16, 8, 8),
    (40, 70, 9, 17),
]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_both_orders(shape: tuple[int, ...], dtype: type) -> None:
    x = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    channels_last = layout.as_order(x, True)
    assert np.shares_memory(layout.as_order(channels_last, True), channels_last) or not x.size
    assert channels_last.dtype == dtype and channels_last.transpose(0, 2, 3, 1).flags.c_contiguous
    np.testing.assert_array_equal(channels_last, x)
    first = layout.as_order(channels_last, False)
    assert first.dtype == dtype and first.flags.c_contiguous
    np.testing.assert_array_equal(first, x)
    turned = layout.as_order(x[:, ::-1], True)  # neither order
    np.testing.assert_array_equal(turned, x[:, ::-1])


def test_the_numpy_backend_compiles_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transpose, "transpose", None)  # would raise
    x = np.zeros((4, 64, 16, 16), np.float32)
    with use("numpy"):
        assert layout.is_channels_last(layout.as_order(x, True))
    with pytest.raises(TypeError):
        layout.as_order(x, True)
