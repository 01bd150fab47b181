"""Pointwise convolution on Numba: the scratch memory that it asks for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from minicnn_kernels import conv2d, geometry, runtime


def test_pixels_left_out_without_a_stride_are_gathered_in_memory_of_their_own(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The convolution whose gx is a transposed 1x1 convolution with dilation 2 and output padding 1."""
    g = geometry.conv_transpose2d((2, 3, 40, 50), (3, 4, 1, 1), output_padding=1, dilation=2)
    assert (g.oh, g.ow, g.h, g.w, g.sh) == (40, 50, 41, 51, 1)
    asked: list[int] = []

    def noting(name: str, size: int, dtype: Any) -> Any:
        asked.append(size)
        return runtime.workspace(name, size, dtype)

    monkeypatch.setattr(conv2d.pointwise, "workspace", noting)
    x, w = (
        rng.standard_normal(shape).transpose(0, 2, 3, 1).copy().transpose(0, 3, 1, 2)
        for shape in (g.x_shape, g.w_shape)
    )
    y = conv2d.FORWARD(x, w, None, g, algorithm="pointwise", backend="numba")
    np.testing.assert_allclose(y, conv2d.FORWARD(x, w, None, g, algorithm="pointwise", backend="numpy"), atol=1e-12)
    assert asked == [conv2d.pointwise._size(g, True, 8) * g.c]
