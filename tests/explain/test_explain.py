"""`explain`: each number of any layer is the sum that the explanation says, and the worked examples of the courses."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn
from minicnn import nn
from minicnn.explain import ConvTrace, conv_trace, conv_transpose_trace, explain
from minicnn.nn import functional as F
from minicnn_kernels import geometry
from minicnn_kernels.conv2d.im2col.columns import im2col
from minicnn_kernels.geometry import ShapeError

Shape = tuple[int, ...]


def whole(rng: Any, *shape: int) -> minicnn.Tensor:
    """Small whole numbers, whose sums are exact in any order."""
    return minicnn.tensor(rng.integers(-3, 4, shape).astype(np.float64))


def every_sum_is_right(trace: Any) -> None:
    for name, of in (("y", "output"), ("x", "input_gradient"), ("w", "weight_gradient")):
        for cell in np.ndindex(*getattr(trace, name).shape) if hasattr(trace, of) else ():
            found = getattr(trace, of)(*cell)
            assert found.total == found.value, f"{found.name}: {found.lines()}"


@st.composite
def convolutions(draw: Any) -> tuple[Shape, Shape, dict[str, Any]]:
    """The shapes of x and w, and the other arguments."""
    groups, per_group, filters = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel, dilation = (tuple(draw(st.integers(1, 3)) for _ in "hw") for _ in range(2))
    stride, padding = (tuple(draw(st.integers(low, 3)) for _ in "hw") for low in (1, 0))
    least = [max(1, d * (k - 1) + 1 - 2 * p) for k, d, p in zip(kernel, dilation, padding, strict=True)]
    size = tuple(n + draw(st.integers(0, 3)) for n in least)
    x = draw(st.integers(1, 2)), groups * per_group, *size
    options = {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}
    return x, (groups * filters, per_group, *kernel), options


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.booleans())
def test_every_number_of_a_convolution(case: Any, flipped: bool) -> None:
    x, w, options = case
    rng = np.random.default_rng(0)
    g = geometry.conv2d(x, w, None, **options)
    trace = conv_trace(
        whole(rng, *x), whole(rng, *w), whole(rng, w[0]), **options, flipped=flipped, grad=whole(rng, *g.y_shape)
    )
    every_sum_is_right(trace)
    # the window is the column of im2col
    col = im2col(trace.x, g)
    n, o, i, j = (size - 1 for size in g.y_shape)
    found = trace.output(n, o, i, j).left.values.reshape(w[1:])
    found = found[:, ::-1, ::-1] if flipped else found
    np.testing.assert_array_equal(found.ravel(), col[n, o // (g.o // g.groups), :, i * g.ow + j])


@settings(max_examples=40, deadline=None)
@given(convolutions(), st.integers(0, 1))
def test_every_number_of_a_transposed_convolution(case: Any, more: int) -> None:
    x, w, options = case
    rng = np.random.default_rng(0)
    x = (x[0], w[0], *x[2:])
    more = min(more, *(max(s, d) - 1 for s, d in zip(options["stride"], options["dilation"], strict=True)))
    try:
        y = geometry.conv_transpose2d(x, w, None, **options, output_padding=more).x_shape
    except ShapeError:  # all of the output would be cut off
        return
    trace = conv_transpose_trace(
        whole(rng, *x), whole(rng, *w), whole(rng, y[1]), **options, output_padding=more, grad=whole(rng, *y)
    )
    every_sum_is_right(trace)


@pytest.mark.parametrize("mode", ["zeros", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [(1, 2), "same", "valid"])
def test_padding_modes(mode: str, padding: Any) -> None:
    rng = np.random.default_rng(0)
    x, w = whole(rng, 2, 2, 5, 6), whole(rng, 3, 2, 2, 4)
    y = conv_trace(x, w, padding=padding, padding_mode=mode).y
    every_sum_is_right(conv_trace(x, w, padding=padding, padding_mode=mode, grad=whole(rng, *y.shape)))


# -------------------------------------------------------------------------------------------------------- all layers


def layers() -> dict[str, tuple[Callable[[], nn.Module], Shape]]:
    return {
        "conv1d": (lambda: nn.Conv1d(4, 6, 3, 2, 1, groups=2), (2, 4, 7)),
        "conv1d alone": (lambda: nn.Conv1d(2, 3, 2, padding="same", padding_mode="circular"), (2, 5)),
        "conv2d": (lambda: nn.Conv2d(2, 3, (3, 2), (2, 1), (1, 0), (1, 2)), (2, 2, 5, 6)),
        "conv2d alone": (lambda: nn.Conv2d(2, 3, 3, padding="same", bias=False), (2, 4, 5)),
        "flipped": (lambda: nn.Conv2d(2, 3, 3, flipped=True), (1, 2, 4, 5)),
        "transposed 1d": (lambda: nn.ConvTranspose1d(2, 4, 3, 2, 1, 1, 2), (2, 2, 5)),
        "transposed 2d": (lambda: nn.ConvTranspose2d(2, 3, 3, 2, 1, 1), (2, 2, 3, 4)),
        "largest 1d": (lambda: nn.MaxPool1d(3, 2, 1), (2, 2, 8)),
        "largest 2d": (lambda: nn.MaxPool2d((3, 2), (2, 1), (1, 0), (1, 2), ceil_mode=True), (2, 2, 6, 7)),
        "largest alone": (lambda: nn.MaxPool2d(2, return_indices=True), (2, 6, 7)),
        "average 1d": (lambda: nn.AvgPool1d(3, 2, 1), (2, 2, 8)),
        "average 2d": (lambda: nn.AvgPool2d(3, 2, 1, ceil_mode=True), (2, 2, 6, 7)),
        "average inside": (lambda: nn.AvgPool2d(3, 2, 1, count_include_pad=False), (2, 2, 6, 7)),
        "average by 5": (lambda: nn.AvgPool2d(2, divisor_override=5), (2, 2, 6, 7)),
        "adaptive average": (lambda: nn.AdaptiveAvgPool2d((3, 2)), (2, 2, 7, 5)),
        "adaptive average 1d": (lambda: nn.AdaptiveAvgPool1d(3), (2, 2, 7)),
        "adaptive largest": (lambda: nn.AdaptiveMaxPool2d((3, None)), (2, 2, 7, 5)),
        "adaptive largest 1d": (lambda: nn.AdaptiveMaxPool1d(1), (2, 2, 7)),
        "linear": (lambda: nn.Linear(4, 3), (2, 4)),
        "linear of a vector": (lambda: nn.Linear(4, 3, bias=False), (4,)),
        "linear of images": (lambda: nn.Linear(4, 3), (2, 3, 4)),
        "batch norm": (lambda: nn.BatchNorm2d(3), (4, 3, 2, 3)),
        "batch norm of vectors": (lambda: nn.BatchNorm1d(3, affine=False), (5, 3)),
        "batch norm in evaluation": (lambda: nn.BatchNorm2d(3).eval(), (4, 3, 2, 3)),
    }


@pytest.mark.parametrize("name", layers())
def test_the_numbers_are_those_of_the_layer(name: str) -> None:
    """Of every cell, value and sum against the layer that runs on the tape; the layer stays as it was."""
    make, shape = layers()[name]
    minicnn.manual_seed(0)
    layer = make().double()
    for p in layer.parameters():
        p.data.copy_(minicnn.randn(*p.shape))
    if isinstance(layer, nn.BatchNorm2d) and not layer.training:
        assert layer.running_mean is not None and layer.running_var is not None
        layer.running_mean.copy_(minicnn.randn(3))
        layer.running_var.copy_(minicnn.rand(3) + 0.5)
    before = {key: value.clone() for key, value in layer.state_dict().items()}
    x = minicnn.randn(*shape, dtype=minicnn.float64)
    run = (lambda x: layer(x)[0]) if getattr(layer, "return_indices", False) else layer
    leaf = x.clone().requires_grad_()
    y = run(leaf)
    gy = minicnn.randn(*y.shape, dtype=minicnn.float64)
    y.backward(gy)
    expected = {"cell": y, "grad_cell": leaf.grad}
    weight = getattr(layer, "weight", None)
    if weight is not None:
        expected["weight_cell"] = weight.grad
        layer.zero_grad()
    layer.load_state_dict(before)
    for argument, numbers in expected.items():
        for cell in itertools.islice(np.ndindex(*numbers.shape), 0, None, 3):
            (found,) = explain(layer, x, grad=gy, **{argument: cell}).sums
            exact = numbers[cell].item()
            assert found.value == pytest.approx(exact, rel=1e-12, abs=1e-14), (argument, cell)
            assert found.total == pytest.approx(exact, rel=1e-9, abs=1e-12), (argument, cell, found.lines())
    for key, value in layer.state_dict().items():
        assert minicnn.equal(value, before[key]), key
    assert all(p.grad is None for p in layer.parameters())


def test_functions_as_layers() -> None:
    rng = np.random.default_rng(0)
    x, w, b = whole(rng, 1, 2, 5, 5), whole(rng, 3, 2, 3, 3), whole(rng, 3)
    layer = nn.Conv2d(2, 3, 3, 2, 1).double()
    layer.load_state_dict({"weight": w, "bias": b})
    cells = {"cell": (0, 2, 1, 1), "grad_cell": (0, 1, 2, 2), "weight_cell": (1, 1, 0, 2)}
    as_function = explain(F.conv2d, x, w, bias=b, stride=2, padding=1, **cells)
    assert str(as_function).partition("\n")[2] == str(explain(layer, x, **cells)).partition("\n")[2]
    assert str(as_function).startswith("conv2d\n\ny[0, 2, 1, 1]\n-------------\n")
    assert explain(F.max_pool2d, x, 2, cell=(-1, -1, -1, -1)).sums[0].name == "y[0, 1, 1, 1]"


# --------------------------------------------------------------------------------------------- examples of the courses


def test_the_cross_over_a_picture() -> None:
    """The first three positions of a 3x3 cross over a 5x5 picture: 10, 11 and 12."""
    x = minicnn.tensor([[5, 2, 1, 3, 5], [4, 3, 2, 3, 4], [0, 2, 1, 2, 2.0]]).reshape(1, 1, 3, 5)
    w = minicnn.tensor([[1, 0, 1], [0, 1, 0], [1, 0, 1.0]]).reshape(1, 1, 3, 3)
    found = [explain(F.conv2d, x, w, cell=(0, 0, 0, j)).sums[0] for j in range(3)]
    assert [one.value for one in found] == [one.total for one in found] == [10, 11, 12]
    assert found[0].products.tolist() == [5, 0, 1, 0, 3, 0, 0, 0, 1]
    text = str(explain(F.conv2d, x, w, cell=(0, 0, 0, 0)))
    words = " ".join(text.split())
    assert "x[0, 0] w[0, 0] products, sum 10" in words and "5 2 1 1 0 1 5 0 1" in words
    assert "row 0 of w as a matrix" in words and "[1 0 1 0 1 0 1 0 1] · [5 2 1 4 3 2 0 2 1] = 10." in words


def test_what_is_said_of_a_gradient() -> None:
    x, conv = minicnn.ones(1, 1, 4, 4), nn.Conv2d(1, 1, 3, bias=False)
    text = " ".join(str(explain(conv, x, grad_cell=(0, 0, 1, 1))).split())
    assert "This pixel lies in 4 windows: 4 outputs depend on it." in text
    assert all(f"gy[0, 0, {i}, {j}] * w[0, 0, {1 - i}, {1 - j}]" in text for i in (0, 1) for j in (0, 1))
    assert "No window has this pixel" in str(explain(nn.Conv2d(1, 1, 1, 2), x, grad_cell=(0, 0, 1, 1)))
    assert "used in all 4 windows of the batch" in str(explain(conv, x, weight_cell=(0, 0, 0, 0)))
    largest = explain(nn.MaxPool2d(2), x, cell=(0, 0, 0, 0), grad_cell=(0, 0, 1, 1))
    assert "[1] 1" in str(largest) and "in none of them it was the largest" in str(largest)


def test_many_channels_and_terms_are_cut() -> None:
    x, conv = minicnn.randn(1, 64, 9, 9), nn.Conv2d(64, 2, 3)
    explanation = explain(conv, x, cell=(0, 1, 2, 3), weight_cell=(0, 0, 1, 1))
    text = str(explanation)
    assert "and 60 more channels" in text and len(text) < 6000 and max(map(len, text.splitlines())) <= 120
    assert len(explanation.sums[0].products) == 576  # all of them


def test_html() -> None:
    html = explain(nn.MaxPool2d(2), minicnn.arange(16.0).reshape(1, 1, 4, 4), cell=(0, 0, 0, 0))._repr_html_()
    assert html.count("<table") == html.count("</table>") == 1 and html.count("<td") == 4
    assert '#f5c242">5</td>' in html


def test_numbers_that_are_not_finite() -> None:
    x = minicnn.tensor([[np.nan, np.inf], [1e9, 1e-9]]).reshape(1, 1, 2, 2)
    text = str(explain(F.conv2d, x, minicnn.ones(1, 1, 2, 2), grad_cell=(0, 0, 0, 0), cell=(0, 0, 0, 0)))
    assert "nan" in text and "inf" in text and "1e+09" in text and "1e-09" in text


# -------------------------------------------------------------------------------------------------------------- errors


def test_errors_name_the_remedy() -> None:
    x = minicnn.ones(1, 1, 4, 4)
    conv = nn.Conv2d(1, 1, 3)
    with pytest.raises(IndexError, match=r"no cell \(0, 0, 2, 0\) in y of shape \(1, 1, 2, 2\)"):
        explain(conv, x, cell=(0, 0, 2, 0))
    with pytest.raises(IndexError, match=r"no cell \(0, 0\) in gw of shape \(1, 1, 3, 3\)"):
        explain(conv, x, weight_cell=(0, 0))
    with pytest.raises(TypeError, match=r"MaxPool2d.* has no weights"):
        explain(nn.MaxPool2d(2), x, weight_cell=(0,))
    with pytest.raises(TypeError, match=r"takes the layers Conv1d, .*, not a ReLU"):
        explain(nn.ReLU(), x)
    with pytest.raises(TypeError, match="not a Sequential; explain its parts"):
        explain(nn.Sequential(conv), x)
    with pytest.raises(TypeError, match="x must be a tensor, got 3"):
        explain(conv, 3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="a layer is called with x alone"):
        explain(conv, x, 3)
    with pytest.raises(ShapeError, match=r"takes \(N, C, H, W\) or \(C, H, W\), got shape \(4,\)"):
        explain(conv, minicnn.ones(4))
    with pytest.raises(ShapeError, match=r"grad must have the shape of the output, \(1, 1, 2, 2\), got \(1, 1, 4, 4\)"):
        explain(conv, x, grad=x)
    with pytest.raises(ShapeError, match="conv2d"):
        explain(conv, minicnn.ones(1, 2, 4, 4))


def test_traces_are_their_own() -> None:
    """The arrays of a trace share no memory with the layer."""
    conv, x = nn.Conv2d(1, 1, 3), minicnn.ones(1, 1, 4, 4)
    trace = conv_trace(x, conv.weight, conv.bias)
    assert isinstance(trace, ConvTrace) and not np.shares_memory(trace.w, conv.weight.detach().numpy())
    assert not np.shares_memory(trace.x, x.numpy()) and conv.weight.grad is None


def test_explanations_inside_no_grad() -> None:
    with minicnn.no_grad():
        found = explain(nn.Linear(2, 1, bias=False), minicnn.ones(1, 2), weight_cell=(0, 1))
    assert found.sums[0].total == 1 and found.sums[0].value == 1


def test_a_weight_of_a_batch_norm_has_one_index() -> None:
    with pytest.raises(IndexError, match=r"no cell \(1, 1\) in ggamma"):
        explain(nn.BatchNorm2d(3), minicnn.randn(2, 3, 2, 2), weight_cell=(1, 1))


@pytest.mark.parametrize("shape", [(8, 2), (2, 2), (2, 4, 3)])
def test_the_upstream_gradient_of_a_linear_layer_has_the_shape_of_its_output(shape: tuple[int, ...]) -> None:
    with pytest.raises(ShapeError, match=r"the shape of the output, \(2, 4, 2\), got"):
        explain(nn.Linear(3, 2), minicnn.randn(2, 4, 3), grad_cell=(0, 0, 0), grad=minicnn.randn(*shape))
