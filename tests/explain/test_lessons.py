"""What pictures of lessons show, as arrays: activations, kernels, the matrix of a convolution, windows, versions."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import nn, transforms
from minicnn.explain import (
    activation_curve,
    connections,
    fitting,
    known_kernels,
    respond,
    sample_image,
    shrinkage,
    versions,
)
from minicnn.explain.known_kernels import edge, gabor, gabor_bank, gaussian
from minicnn.explain.versions import picture
from minicnn.nn import functional as F
from minicnn_kernels.geometry import ShapeError

# ---------------------------------------------------------------------------------------------- activation functions


@pytest.mark.parametrize(
    ("name", "value", "slope", "spans", "mean"),
    [
        ("sigmoid", lambda x: 1 / (1 + np.exp(-x)), lambda x: np.exp(-x) / (1 + np.exp(-x)) ** 2, 2, 0.5),
        ("tanh", np.tanh, lambda x: 1 / np.cosh(x) ** 2, 2, 0),
        ("relu", lambda x: np.maximum(x, 0), lambda x: np.where(x > 0, 1.0, 0), 1, 1 / np.sqrt(2 * np.pi)),
        ("silu", lambda x: x / (1 + np.exp(-x)), None, 2, 0.2066),  # twice: far left, and around its lowest point
        ("elu", lambda x: np.where(x > 0, x, np.exp(x) - 1), None, 1, 0.1605),
    ],
)
def test_activation_curves(name: str, value: object, slope: object, spans: int, mean: float) -> None:
    curve = activation_curve(name, -6, 6, 601)
    np.testing.assert_allclose(curve.y, value(curve.x), atol=1e-12)
    if slope is not None:
        np.testing.assert_allclose(curve.slope, slope(curve.x), atol=1e-12)
    np.testing.assert_allclose(np.gradient(curve.y, curve.x)[1:-1], curve.slope[1:-1], atol=0.6)  # 0.5 at the kink
    assert len(curve.spans()) == spans and curve.mean == pytest.approx(mean, abs=1e-3)
    assert curve.zero_centred == (name == "tanh")
    steep = np.abs(curve.slope).max()
    for a, b in curve.spans():
        inside = (curve.x >= a) & (curve.x <= b)
        assert (np.abs(curve.slope[inside]) < 0.05 * steep).all()
    covered = sum(np.count_nonzero((curve.x >= a) & (curve.x <= b)) for a, b in curve.spans())
    assert covered == np.count_nonzero(curve.saturated)


def test_activation_curves_of_own_functions() -> None:
    def cube(x: minicnn.Tensor) -> minicnn.Tensor:
        return x * x * x

    curve = activation_curve(cube, -1, 1, 101)
    assert curve.name == "cube" and curve.zero_centred
    np.testing.assert_allclose(curve.slope, 3 * curve.x**2, atol=1e-12)
    assert activation_curve(nn.Tanh()).name == "Tanh"
    with minicnn.no_grad():
        np.testing.assert_allclose(activation_curve("relu").slope[[0, -1]], [0, 1])
    straight = activation_curve(lambda x: x * 2)
    assert not straight.saturated.any() and straight.spans() == []
    for arguments, message in (
        (("no_such",), "minicnn.nn.functional has no function 'no_such'"),
        (("relu", 1, 1), "needs finite low < high and 2 points or more"),
        (("relu", -float("inf"), 1), "needs finite low < high"),
        ((lambda x: x.sum(),), "must be elementwise"),
    ):
        with pytest.raises(ValueError, match=message):
            activation_curve(*arguments)


# ----------------------------------------------------------------------------------------------------------- kernels


def test_known_kernels_do_what_they_are_known_for() -> None:
    ramp = np.tile(np.arange(20.0), (12, 1))  # brighter to the right
    flat = np.full((9, 11), 3.0)
    inside = np.s_[3:-3, 3:-3]
    np.testing.assert_allclose(respond(ramp, edge())[inside], 6)  # 3 rows, a difference of 2
    np.testing.assert_allclose(respond(ramp, edge("horizontal"))[inside], 0)
    np.testing.assert_allclose(respond(ramp.T, edge("horizontal"))[inside], 6)
    kernels = known_kernels()
    np.testing.assert_allclose(respond(ramp, kernels["Laplacian"])[inside], 0)
    np.testing.assert_allclose(respond(ramp, kernels["sharpen"])[inside], ramp[inside])
    np.testing.assert_allclose(respond(ramp, gaussian(1.0))[inside], ramp[inside], atol=1e-12)
    for name, kernel in kernels.items():
        total = 3.0 if name in ("sharpen", "Gaussian, sigma 2") else 0.0
        np.testing.assert_allclose(respond(flat, kernel), total, atol=1e-12, err_msg=name)
    corner = np.zeros((8, 8))
    corner[4:, 4:] = 1
    found = respond(corner, kernels["corners"])
    assert np.abs(found).max() == np.abs(found[3:5, 3:5]).max() and not found[:, :2].any()


def test_a_gaussian_has_its_sigma() -> None:
    kernel = gaussian(2.0, 25)
    a = np.arange(25) - 12
    assert kernel.sum() == pytest.approx(1) and (kernel.sum(0) * a**2).sum() == pytest.approx(4, rel=1e-3)
    assert gaussian(1.5).shape == (11, 11)


def test_gabor_kernels_see_one_direction() -> None:
    rows, columns = np.mgrid[:41, :41]
    for angle in (0, 30, 90, 135):
        u = columns * np.cos(np.deg2rad(angle)) + rows * np.sin(np.deg2rad(angle))
        stripes = np.cos(2 * np.pi * u / 6)
        energy = {
            name: np.abs(respond(stripes, kernel)[10:-10, 10:-10]).max()
            for name, kernel in (gabor_bank(6) | gabor_bank(4)).items()
        }
        best = max(energy, key=energy.get)
        assert best == f"Gabor {angle}\N{DEGREE SIGN}" and energy[best] > 2 * sorted(energy.values())[0]
    assert len(gabor_bank(4, (0, 90))) == 8
    np.testing.assert_allclose(gabor(0, phase=90), -gabor(0, phase=90)[:, ::-1], atol=1e-12)  # an edge is odd


def test_each_channel_by_itself() -> None:
    image = np.random.default_rng(0).random((6, 9, 3))
    found = respond(image, gaussian(1.0))
    assert found.shape == image.shape
    for c in range(3):
        np.testing.assert_allclose(found[..., c], respond(image[..., c], gaussian(1.0)))
    np.testing.assert_allclose(respond(image[..., 0], np.array([[0.0, 0, 1]]))[:, :-1], image[:, 1:, 0])  # not flipped


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: edge("up"), "direction must be vertical or horizontal"),
        (lambda: edge(size=4), "edge: size must be odd, got 4"),
        (lambda: gaussian(0.0, 3), "sigma must be above 0"),
        (lambda: gabor(wavelength=0), "sigma and wavelength must be above 0"),
        (lambda: respond(np.zeros(4), edge()), "the image must be"),
        (lambda: respond(np.zeros((4, 4)), np.zeros((2, 3))), "with odd sides"),
        (lambda: sample_image("dog"), "name must be china or flower"),
    ],
)
def test_errors_of_kernels(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]


def test_the_photograph() -> None:
    image = sample_image("flower", 40)
    assert image.shape == (40, 60, 3) and 0 <= image.min() < 0.1 and 0.9 < image.max() <= 1


# ---------------------------------------------------------------------------------------- the matrix of a convolution


@pytest.mark.parametrize(
    ("filters", "size", "options"),
    [
        ((1, 1, 3, 3), (1, 5, 5), {}),
        ((3, 2, 3, 2), (2, 6, 5), {"stride": (2, 1), "padding": (1, 0)}),
        ((4, 1, 2, 3), (2, 7, 8), {"groups": 2, "dilation": (1, 2), "padding": 2}),
        ((2, 3, 1, 1), (3, 4, 2), {}),
    ],
)
def test_the_matrix_gives_the_same_numbers(filters: tuple[int, ...], size: tuple[int, ...], options: dict) -> None:
    minicnn.manual_seed(0)
    w, x = minicnn.randn(*filters, dtype=minicnn.float64), minicnn.randn(1, *size, dtype=minicnn.float64)
    found = connections(w, size, **options)
    y = F.conv2d(x, w, **options)
    np.testing.assert_allclose(found.matrix @ x.numpy().ravel(), y.numpy().ravel(), atol=1e-12)
    assert found.output == tuple(y.shape[1:]) and found.image == size
    np.testing.assert_array_equal(found.matrix != 0, found.weight >= 0)
    assert found.connected == np.count_nonzero(found.matrix)
    np.testing.assert_array_equal(np.unique(found.weight[found.weight >= 0]), np.arange(w.numel()))


def test_a_weight_of_zero_is_a_connection() -> None:
    found = connections(np.zeros((1, 1, 2, 2)), (1, 3, 3))
    assert found.connected == 16 and not found.matrix.any()
    with pytest.raises(ValueError, match="the matrix would be 10,000 x 10,404; give a smaller image"):
        connections(np.zeros((1, 1, 3, 3)), (1, 102, 102))
    with pytest.raises(ShapeError, match="expects 2 input channels"):
        connections(np.zeros((1, 2, 3, 3)), (1, 5, 5))


# -------------------------------------------------------------------------------------------------- windows that fit


def test_windows_that_fit() -> None:
    one = fitting(7, 3, 2)
    assert (one.starts, one.unused, one.fits, one.exact) == ((0, 2, 4), (), True, 3.0)
    one = fitting(7, 3, 3)
    assert (one.starts, one.unused, one.fits) == ((0, 3), (6,), False) and one.exact == pytest.approx(7 / 3)
    one = fitting(7, 3, 3, 1)
    assert one.starts == (-1, 2, 5) and one.fits
    one = fitting(4, 3, 3, 1)
    assert one.starts == (-1, 2) and fitting(5, 2, 4, 1).unused == (5,)  # in the padding
    for size, kernel, stride, padding in ((9, 4, 3, 0), (12, 5, 2, 2), (6, 1, 4, 0), (8, 3, 5, 1)):
        one = fitting(size, kernel, stride, padding)
        y = F.conv2d(minicnn.zeros(1, 1, size, size), minicnn.zeros(1, 1, kernel, kernel), None, stride, padding)
        assert len(one.starts) == y.shape[2]
        assert not one.unused or one.unused[-1] == size + padding - 1
    with pytest.raises(ShapeError, match="the window is larger than the input"):
        fitting(3, 5)
    with pytest.raises(ShapeError, match="fitting: stride must be at least 1, got 0"):
        fitting(3, 2, 0)


def test_maps_that_shrink() -> None:
    assert shrinkage(32, 5, 3) == [32, 28, 24, 20]
    assert shrinkage(32, 5, 2, padding=2) == [32, 32, 32]
    assert shrinkage(7, 3, 10) == [7, 5, 3, 1]  # then no window fits
    assert shrinkage(32, 2, 5, stride=2) == [32, 16, 8, 4, 2, 1]
    assert shrinkage(5, 3, 0) == [5]
    with pytest.raises(ShapeError, match="stride must be at least 1"):
        shrinkage(5, 3, 1, stride=0)


# ---------------------------------------------------------------------------------------------------- random versions


def test_versions_are_seeded_and_leave_the_program_alone() -> None:
    image = minicnn.rand(3, 12, 16)
    transform = transforms.Compose([transforms.RandomCrop(8), transforms.RandomHorizontalFlip()])
    state = minicnn.get_rng_state()
    first, again, other = (versions(image, transform, 6, seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(minicnn.get_rng_state(), state)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    assert {a.shape for a in first} == {(8, 8, 3)} and len({a.tobytes() for a in first}) > 3
    assert any((a != b).any() for a, b in zip(first, other, strict=True))


def test_pictures_of_all_kinds() -> None:
    from PIL import Image

    assert picture(minicnn.zeros(1, 4, 5)).shape == (4, 5) and picture(np.zeros((4, 5))).shape == (4, 5)
    assert picture(minicnn.zeros(3, 4, 5)).shape == (4, 5, 3)
    assert picture(Image.new("L", (5, 4))).shape == (4, 5) and picture(Image.new("RGBA", (5, 4))).shape == (4, 5, 3)
    for wrong in (minicnn.zeros(2, 4, 5), minicnn.zeros(1, 1, 4, 5), "image", None):
        with pytest.raises(TypeError, match="picture: expected a PIL image, or a tensor"):
            picture(wrong)
    with pytest.raises(ShapeError, match="versions: n must be at least 1, got 0"):
        versions(minicnn.zeros(1, 4, 4), lambda x: x, 0)
