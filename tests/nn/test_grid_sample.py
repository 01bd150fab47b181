"""Looking images up at places: known maps, the edges, and what is refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.nn import functional as F

X = minicnn.tensor(np.random.default_rng(0).standard_normal((2, 3, 4, 6)))
SAME = minicnn.tensor([[[1.0, 0, 0], [0, 1, 0]]] * 2).double()


@pytest.mark.parametrize("mode", ["bilinear", "nearest", "bicubic"])
@pytest.mark.parametrize("corners", [True, False])
def test_the_identity_gives_the_image(mode: str, corners: bool) -> None:
    grid = F.affine_grid(SAME, X.shape, align_corners=corners)
    for padding in ("zeros", "border", "reflection"):
        y = F.grid_sample(X, grid, mode, padding, align_corners=corners)
        minicnn.testing.assert_close(y, X)
        assert y.is_contiguous()


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("corners", [True, False])
def test_a_finer_grid_interpolates(mode: str, corners: bool) -> None:
    grid = F.affine_grid(SAME, (2, 3, 7, 11), align_corners=corners)
    y = F.grid_sample(X, grid, mode, "border", align_corners=corners)
    minicnn.testing.assert_close(y, F.interpolate(X, (7, 11), mode=mode, align_corners=corners))


def test_a_mirror_and_a_quarter_turn() -> None:
    mirror = SAME * minicnn.tensor([-1.0, 1, 1]).double()
    y = F.grid_sample(X, F.affine_grid(mirror, X.shape, align_corners=False), align_corners=False)
    minicnn.testing.assert_close(y, X.flip(3))
    turn = minicnn.tensor([[[0.0, 1, 0], [-1, 0, 0]]] * 2).double()
    y = F.grid_sample(X, F.affine_grid(turn, (2, 3, 6, 4), align_corners=True), align_corners=True)
    minicnn.testing.assert_close(y, X.rot90(-1, (2, 3)))


def test_volumes_along_the_depth_axis() -> None:
    x = minicnn.tensor([1.0, 3.0, 9.0]).reshape(1, 1, 3, 1, 1)
    z = minicnn.tensor([-1.0, -0.5, 0.0, 1.0]).reshape(1, 4, 1, 1, 1)
    grid = minicnn.cat([z * 0, z * 0, z], -1)
    assert F.grid_sample(x, grid, align_corners=True).flatten().tolist() == [1, 2, 3, 9]


def places(*us: float) -> minicnn.Tensor:
    """Places in a row of two pixels with align_corners: the centres are at 0 and 1."""
    return minicnn.tensor([[[[2 * u - 1, 0.0] for u in us]]])


@pytest.mark.parametrize(
    ("padding", "expected"),
    [("zeros", [5.0, 10.0, 6.0, 0.0, 0.0]), ("border", [10, 10, 14, 20, 10]), ("reflection", [15, 10, 14, 10, 15])],
)
def test_outside_of_the_image(padding: str, expected: list[float]) -> None:
    x = minicnn.tensor([[[[10.0, 20.0]]]])
    found = F.grid_sample(x, places(-0.5, 0.0, 0.4, 2.0, -2.5), "bilinear", padding, align_corners=True).flatten()
    expected = [14.0 if value == 6 else value for value in expected]  # 0.4 is inside
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-5)


def test_the_gradient_of_a_place_stops_at_the_border() -> None:
    x, grid = minicnn.tensor([[[[10.0, 20.0]]]]), places(-0.1, 0.0, 0.5, 1.0, 1.5).requires_grad_()
    F.grid_sample(x, grid, padding_mode="border", align_corners=True).sum().backward()
    assert grid.grad[0, 0, :, 0].tolist() == [0, 0, 5, 0, 0]


def test_nearest_gives_places_no_gradient() -> None:
    grid = places(0.2, 0.5, 0.9).requires_grad_()
    y = F.grid_sample(minicnn.tensor([[[[10.0, 20.0]]]]), grid, "nearest", align_corners=True)
    assert y.flatten().tolist() == [10, 10, 20]  # a half is rounded to the even pixel
    y.sum().backward()
    assert grid.grad.abs().sum().item() == 0


def test_places_that_are_no_numbers_are_outside() -> None:
    grid = minicnn.tensor([[[[np.nan, 0.0], [np.inf, 0.0], [1e30, 0.0]]]])
    for mode in ("bilinear", "nearest", "bicubic"):
        assert F.grid_sample(minicnn.ones(1, 1, 2, 2), grid, mode, align_corners=False).abs().sum().item() == 0


def test_half_precision_and_meta() -> None:
    half = F.grid_sample(X.half(), minicnn.zeros(2, 1, 1, 2).half(), align_corners=False)
    assert half.dtype == minicnn.float16 and half.shape == (2, 3, 1, 1)
    meta = F.grid_sample(X.to("meta"), minicnn.zeros(2, 5, 4, 2, dtype=X.dtype, device="meta"), align_corners=False)
    assert meta.is_meta and meta.shape == (2, 3, 5, 4)


def test_the_old_default_is_told() -> None:
    with pytest.warns(UserWarning, match="align_corners=False since 1.3.0"):
        F.grid_sample(X, minicnn.zeros(2, 1, 1, 2).double())
    with pytest.warns(UserWarning, match="align_corners=False since 1.3.0"):
        F.affine_grid(SAME, X.shape)


@pytest.mark.parametrize(
    ("call", "kind", "text"),
    [
        (lambda g: F.grid_sample(X, g, "linear"), ValueError, "expected mode to be 'bilinear', 'nearest' or 'bicubic'"),
        (lambda g: F.grid_sample(X, g, padding_mode="wrap"), ValueError, "expected padding_mode to be 'zeros'"),
        (lambda g: F.grid_sample(X, g.float()), RuntimeError, "expected input and grid to have same dtype"),
        (lambda g: F.grid_sample(X[:, 0], g), RuntimeError, "expected grid to have size 1 in last dimension"),
        (lambda g: F.grid_sample(X[:, 0], g[..., :1]), RuntimeError, "expected 4D or 5D input and grid with same"),
        (lambda g: F.grid_sample(X[:1], g), RuntimeError, "expected grid and input to have same batch size"),
        (lambda g: F.grid_sample(X, g[..., :1]), RuntimeError, "expected grid to have size 2 in last dimension"),
        (lambda g: F.grid_sample(X[:, :, :0], g), RuntimeError, "dimension 2 being empty"),
        (lambda g: F.affine_grid(SAME.long(), X.shape), ValueError, "Expected theta to have floating point type"),
        (lambda g: F.affine_grid(SAME[:, :1], X.shape), ValueError, "of shape Nx2x3"),
        (lambda g: F.affine_grid(SAME, (2, 3, 4)), NotImplementedError, "only supports 4D and 5D sizes"),
        (lambda g: F.affine_grid(SAME, (2, 3, 0, 4), False), ValueError, "Expected non-zero, positive output size"),
    ],
)
def test_refused(call: Any, kind: type[Exception], text: str) -> None:
    with pytest.raises(kind, match=text):
        call(minicnn.zeros(2, 1, 1, 2).double())


def test_one_pixel_is_the_middle() -> None:
    with pytest.warns(UserWarning, match="unit-size grids"):
        grid = F.affine_grid(SAME, (2, 1, 1, 3), align_corners=True)
    assert grid[0, 0].tolist() == [[-1, 0], [0, 0], [1, 0]]
