"""Receptive fields: the courses' numbers, and against the pixels that truly change a cell."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import minicnn
from minicnn import ShapeError, models, nn
from minicnn.analysis import Box, empirical_receptive_field, properties, receptive_field, trace
from minicnn.nn import functional as F

Tensor = minicnn.Tensor


def conv(k: Any, s: Any = 1, p: Any = 0, d: Any = 1) -> nn.Conv2d:
    return nn.Conv2d(1, 1, k, s, p, d)


def test_the_numbers_of_the_courses() -> None:
    for count, size in ((2, 5), (3, 7)):
        field = receptive_field(nn.Sequential(*[conv(3) for _ in range(count)]), (1, 12, 12))
        assert field.size == (size, size)
    layers: list[nn.Module] = []
    channels = 3
    for width in [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0]:
        layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU()] if width else [nn.MaxPool2d(2)]
        channels = width or channels
    with minicnn.device("meta"):
        vgg = nn.Sequential(*layers, nn.Flatten(), nn.Linear(512 * 7 * 7, 4096))
    field = receptive_field(vgg, (3, 224, 224))
    sizes = {layer.name: layer.field.size for layer in field.layers}
    assert sizes["28"] == (196, 196) and sizes["30"] == (212, 212) and field.size == (404, 404)
    assert field.decision is not None and field.decision.name == "32" and field.covers
    assert "32 (Linear) is the first layer to see the whole image of 224 x 224 pixels." in str(field)
    assert sizes["31"] == (212, 212) and field.layers[-2].field.box(0, 6) == field.layers[-3].field.box(0, 6)
    lenet = receptive_field(minicnn.models.LeNet5(), (1, 32, 32))
    assert {layer.name: layer.field.size for layer in lenet.layers}["features.5"] == (16, 16)


def test_size_stride_offset_and_boxes() -> None:
    field = receptive_field(nn.Sequential(conv((3, 5), (2, 1), (1, 0)), nn.MaxPool2d(2)), (1, 9, 11))
    assert (field.size, field.stride, field.offset) == ((5, 6), (4, 2), (1, 2.5))
    assert field.cells == (2, 3) and field.image == (9, 11) and not field.covers and field.decision is None
    assert field.box(0, 0) == Box(0, 0, 3, 5) and field.box(0, 0, clipped=False) == Box(-1, 0, 3, 5)
    assert field.box(-1, 2) == field.box(1, 2) == Box(3, 4, 7, 9)
    assert (field.box(0, 0).height, field.box(0, 0).width) == (4, 6)
    for cell in ((2, 0), (0, 3), (-3, 0)):
        with pytest.raises(IndexError, match=r"no cell .* in a map of 2 x 3"):
            field.box(*cell)


class Branches(nn.Module):
    """A sum or a concatenation of branches."""

    def __init__(self, join: str, *branches: nn.Module) -> None:
        super().__init__()
        self.join, self.branches = join, nn.ModuleList(branches)

    def forward(self, x: Tensor) -> Tensor:
        found = [branch(x) for branch in self.branches]
        if self.join == "cat":
            y: Tensor = minicnn.cat(found, 1).mean(1, keepdim=True)
            return y
        return sum(found[1:], found[0])


class Function(nn.Module):
    """Any function as a layer."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def influence(net: nn.Module, size: tuple[int, ...]) -> dict[tuple[int, int], Box]:
    """For each cell the rectangle around the pixels with a gradient; weights of one, so that none cancel."""
    net.double().eval()
    for parameter in net.parameters():
        nn.init.ones_(parameter)
    x = minicnn.ones(1, *size, dtype=minicnn.float64, requires_grad=True)
    y = net(x)
    found = {}
    for i, j in np.ndindex(*y.shape[2:]):
        (gx,) = minicnn.autograd.grad(y[:, :, i, j].sum(), x, retain_graph=True)
        rows, columns = (np.nonzero(gx.numpy().any(axes))[0] for axes in ((0, 1, 3), (0, 1, 2)))
        found[i, j] = Box(rows[0], columns[0], rows[-1], columns[-1]) if len(rows) else Box(0, 0, -1, -1)
    return found


def check(net: nn.Module, size: tuple[int, int, int]) -> None:
    field = receptive_field(net, size)
    for cell, box in influence(net, size).items():
        ours = field.box(*cell)
        assert (ours.height * ours.width, box.height * box.width) == (0, 0) or ours == box, (cell, ours, box, net)


sizes = st.integers(1, 3)


@st.composite
def layer(draw: st.DrawFn) -> nn.Module:
    k, s, d = ((draw(sizes), draw(sizes)) for _ in range(3))
    p = draw(st.integers(0, 2)), draw(st.integers(0, 2))
    kind = draw(st.sampled_from(["conv", "conv", "conv", "pool", "branches", "cat", "up", "pad", "open", "crop"]))
    if kind == "pool":
        return nn.AvgPool2d(k, s, (min(p[0], k[0] // 2), min(p[1], k[1] // 2)), ceil_mode=draw(st.booleans()))
    if kind in ("branches", "cat"):
        n = draw(st.sampled_from([1, 3, 5]))
        other = draw(st.sampled_from([nn.Identity(), conv(1), conv(3, padding := 1, 1), conv((1, 3), 1, (0, 1))]))
        assert padding == 1
        return Branches("cat" if kind == "cat" else "add", conv(n, 1, d[0] * (n // 2), d[0]), other)
    if kind == "up":
        mode = draw(st.sampled_from(["nearest", "bilinear"]))
        return nn.Upsample(scale_factor=draw(st.sampled_from([1.5, 2])), mode=mode)
    if kind == "pad":
        return draw(
            st.sampled_from([nn.ZeroPad2d((1, 0, 2, 1)), nn.ReflectionPad2d((1, 1, 0, 2)), nn.ReplicationPad2d(1)])
        )
    if kind == "open":
        return nn.ConvTranspose2d(1, 1, k, s, (min(p[0], k[0] - 1), min(p[1], k[1] - 1)), dilation=d)
    if kind == "crop":
        return Function(draw(st.sampled_from([lambda x: x[..., 1:, ::2], lambda x: x.flip(3), lambda x: x[:, :, :-1]])))
    return conv(k, s, p, d)


@settings(max_examples=60, deadline=None)
@given(st.lists(layer(), min_size=1, max_size=4), st.integers(5, 11), st.integers(5, 11))
def test_boxes_are_the_pixels_that_count(layers: list[nn.Module], height: int, width: int) -> None:
    net = nn.Sequential(*layers)
    try:
        y = net(minicnn.zeros(1, 1, height, width))
    except ShapeError:  # a window does not fit
        return
    if y.numel() <= 400:
        check(net, (1, height, width))


class Shuffled(nn.Module):
    """Channel split, branch, concatenation and channel shuffle, as in ShuffleNet v2."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, 1)
        return F.channel_shuffle(minicnn.cat([a, self.conv(b)], 1), 2)


@pytest.mark.parametrize(
    ("net", "size"),
    [
        (nn.Sequential(nn.Conv2d(1, 4, 3), Shuffled(), Shuffled()), (1, 8, 9)),
        (nn.Sequential(conv(3), nn.AdaptiveAvgPool2d((3, 2)), conv(2)), (1, 9, 10)),
        (nn.Sequential(conv(3, 2), nn.AdaptiveAvgPool2d(1), conv(1)), (1, 8, 9)),
        (nn.Sequential(nn.PixelUnshuffle(2), nn.Conv2d(4, 4, 3, padding=1), nn.PixelShuffle(2)), (1, 8, 6)),
        (nn.Sequential(conv(3), Function(lambda x: x + x.mean((2, 3), keepdim=True))), (1, 6, 7)),
        (nn.Sequential(conv(3), Function(lambda x: minicnn.cat([x, x[..., :2]], 3)), conv((1, 3))), (1, 6, 7)),
        (nn.Sequential(conv((2, 3)), Function(lambda x: x.transpose(2, 3)), conv((1, 2))), (1, 6, 7)),
        (nn.Sequential(nn.Flatten(), nn.Linear(30, 12), nn.Unflatten(1, (1, 3, 4)), conv(3, 1, 1)), (1, 5, 6)),
        (nn.Sequential(conv(3), nn.AvgPool2d(2, 2, ceil_mode=True), nn.Upsample((5, 9), mode="bilinear")), (1, 9, 11)),
    ],
)  # fmt: skip
def test_boxes_of_special_nets(net: nn.Module, size: tuple[int, int, int]) -> None:
    check(net, size)


def test_max_pooling_is_as_average_pooling() -> None:
    """Of a window, only the largest value has a gradient, but each could be the largest."""
    for window in ({"stride": 1}, {"stride": 2, "padding": 1}, {"stride": 2, "ceil_mode": True}):
        fields = [receptive_field(nn.Sequential(conv(3), pool(3, **window)), (1, 8, 9)) for pool in
                  (nn.MaxPool2d, nn.AvgPool2d)]  # fmt: skip
        assert len({(f.size, f.stride, f.offset, f.box(1, 1), f.box(-1, -1)) for f in fields}) == 1


def test_a_map_that_is_flattened() -> None:
    """Each value has the field of its cell, and a linear layer the field of them all."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Flatten())
    flat, whole = receptive_field(net, (1, 6, 7)), receptive_field(nn.Sequential(*net, nn.Linear(40, 1)), (1, 6, 7))
    assert flat.cells == (1, 40) and flat.size == (3, 3) and flat.box(0, 20 + 2 * 5 + 4) == Box(2, 4, 4, 6)
    assert whole.cells == (1, 1) and whole.size == (6, 7) and whole.box() == Box(0, 0, 5, 6) and whole.covers
    dense = receptive_field(nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), (1, 28, 28))
    assert dense.size == (28, 28)


def test_a_dilated_kernel_at_the_edge() -> None:
    """The taps -1 and 1 of the first row see only pixel 1, though the window covers pixel 0."""
    field = receptive_field(conv((2, 1), 1, (1, 0), (2, 1)), (1, 5, 5))
    assert field.box(0, 0) == Box(1, 0, 1, 0) and field.box(0, 0, clipped=False) == Box(-1, 0, 1, 0)


def test_context_is_kept_apart_from_the_window() -> None:
    """With squeeze-and-excitation each cell depends on everything, yet its window is that of the convolutions."""
    net = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.SqueezeExcitation(8, 2), nn.Conv2d(8, 8, 3, padding=1))
    field = receptive_field(net, (3, 16, 20))
    assert field.size == (5, 5) and field.context and field.covers
    assert field.box(8, 8) == Box(0, 0, 15, 19)
    normed = receptive_field(nn.Sequential(conv(3), nn.GroupNorm(1, 1)), (1, 16, 20))
    assert normed.size == (3, 3) and normed.context
    assert not receptive_field(nn.Sequential(conv(3), nn.BatchNorm2d(1)), (1, 16, 20)).context


def test_signals_vectors_and_errors() -> None:
    field = receptive_field(nn.Sequential(nn.Conv1d(2, 3, 3, 2), nn.MaxPool1d(2)), (2, 20))
    assert (field.size, field.stride, field.cells, field.box(0, 1)) == ((1, 5), (1, 4), (1, 4), Box(0, 4, 0, 8))
    with pytest.raises(ValueError, match=r"must be \(C, H, W\) or \(C, L\), .* got \(4,\)"):
        receptive_field(nn.Linear(4, 2), (4,))
    with pytest.raises(ValueError, match="sides up to 32,768 pixels"):
        receptive_field(conv(3), (1, 8, 10**8))
    with pytest.raises(ShapeError, match=r"expects 1 input channel, .* happens in the forward of Conv2d"):
        receptive_field(conv(3), (3, 8, 8))
    with pytest.raises(ShapeError, match="no output of the net depends on the input"):
        receptive_field(Function(lambda x: minicnn.zeros(2, 3)), (1, 4, 4))


@pytest.mark.parametrize("function", [receptive_field, empirical_receptive_field, trace, properties])
@pytest.mark.parametrize(
    ("model", "remedy"),
    [("resnet18", r"get_model\('resnet18'\)"), (nn.ReLU, r"ReLU is a class: give ReLU\("), (3, "give a net")],
)
def test_what_is_no_net(function: Any, model: Any, remedy: str) -> None:
    with pytest.raises(TypeError, match=f"{function.__name__}: the net must be a Module, got .*{remedy}"):
        function(model, (1, 8, 8))


def test_the_errors_name_the_layer() -> None:
    with pytest.raises(ShapeError, match=r"happens in classifier\.1 \(Linear\).*needs 400 values and gets 256"):
        receptive_field(minicnn.models.LeNet5(), (1, 28, 28))
    with pytest.raises(ShapeError, match=r"happens in 1 \(BatchNorm2d\).*needs 1 channel and gets 4"):
        properties(nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(1)))
    for number in (1, -2):
        with pytest.raises(ValueError, match=f"no input {number}, as input_size has 1 shape; give .* from 0 to 0"):
            receptive_field(conv(3), (1, 8, 8), input=number)
    with pytest.raises(TypeError, match="receptive_field: input must be an int, got 'x'"):
        receptive_field(conv(3), (1, 8, 8), input="x")  # type: ignore[arg-type]


def test_two_inputs() -> None:
    class Two(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = conv(3, 1, 1), conv(5, 1, 2)

        def forward(self, x: Tensor, y: Tensor) -> Tensor:
            found: Tensor = self.a(x) + self.b(y)
            return found

    for number, size in ((0, 3), (1, 5)):
        assert receptive_field(Two(), [(1, 9, 9), (1, 9, 9)], input=number).size == (size, size)


# ---------------------------------------------------------------------------------------------------------- empirical


def test_the_empirical_field_lies_in_the_theoretical_one() -> None:
    minicnn.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 3, dilation=2), nn.Conv2d(4, 3, (3, 1)))
    net[0].eval()
    found = empirical_receptive_field(net, (2, 15, 17), cell=(1, 2))
    assert found.box == receptive_field(net, (2, 15, 17)).box(1, 2)
    assert found.weights.shape == (15, 17) and found.weights.sum() == pytest.approx(1)
    assert [m.training for m in net.modules()] == [True, False, True, True, True]
    assert all(p.grad is None for p in net.parameters())
    first = empirical_receptive_field(net, (2, 15, 17), layer="0", cell=(0, 0))
    assert first.box == Box(0, 0, 2, 2) and first.share == pytest.approx(9 / (15 * 17), abs=0.01)


def test_the_effective_size_grows_as_the_root_of_the_depth() -> None:
    """A product of averages is nearly a normal distribution: k of 3 pixels have the variance 2k/3."""
    for depth in (2, 8):
        net = nn.Sequential(*[nn.AvgPool2d(3, 1, 1) for _ in range(depth)])
        found = empirical_receptive_field(net, (1, 31, 41))
        assert found.size == pytest.approx((4 * np.sqrt(depth * 2 / 3),) * 2)


def test_errors_of_the_empirical_field() -> None:
    net = nn.Sequential(conv(3), nn.Identity())
    with pytest.raises(ValueError, match=r"no cell \(9, 0\) in a map of \(6, 6\)"):
        empirical_receptive_field(net, (1, 8, 8), cell=(9, 0))
    with pytest.raises(AttributeError, match=r"Sequential has no layer 'x'; its layers are 0, 1$"):
        empirical_receptive_field(net, (1, 8, 8), layer="x")
    with pytest.raises(AttributeError, match=r"LeNet5 has no layer 'feature'; similar names are features, "):
        empirical_receptive_field(minicnn.models.LeNet5(), (1, 32, 32), layer="feature")
    with pytest.raises(ShapeError, match=r"happens in classifier\.1 \(Linear\).*needs 400 values and gets 256"):
        empirical_receptive_field(minicnn.models.LeNet5(), (1, 28, 28))
    with minicnn.device("meta"), pytest.raises(ValueError, match="the net is on the device meta and has no numbers"):
        empirical_receptive_field(conv(3), (1, 8, 8))
    for cell in (3, (1,), (1, 2, 3), ("a", 0), (0.5, 0), "12"):
        with pytest.raises(TypeError, match=r"cell must be \(row, column\), two whole numbers, got "):
            empirical_receptive_field(net, (1, 8, 8), cell=cell)  # type: ignore[arg-type]
    for count, message in ((0, "count must be at least 1, got 0"), ("3", "count must be an int, got '3'")):
        with pytest.raises(ValueError, match=f"empirical_receptive_field: {message}"):
            empirical_receptive_field(net, (1, 8, 8), count=count)  # type: ignore[arg-type]
    for shape in ((0, 1, 8, 8), (2, 3, 8, 8), (1, 8, 8)):
        with pytest.raises(ValueError, match=r"images must be \(N, C, H, W\) = \(N, 1, 8, 8\), with N from 1, got "):
            empirical_receptive_field(net, (1, 8, 8), images=minicnn.zeros(*shape))
    with pytest.raises(ValueError, match="empirical_receptive_field: input_size must be a shape such as"):
        empirical_receptive_field(net, 8)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"must be \(C, H, W\)"):
        empirical_receptive_field(net, (8,))


def channel(x: Tensor) -> Tensor:
    y = minicnn.cat([x, x, x], 1)
    y[:, 0] = 0
    y[:, 1] = y[:, 2] * 2
    return y.sum(1, keepdim=True)


def shifted(x: Tensor) -> Tensor:
    y = minicnn.zeros_like(x)
    y[:, :, 1:] = x[:, :, :-1]
    return y


def spaced(x: Tensor) -> Tensor:
    y = minicnn.zeros(x.shape[0], 1, 2 * x.shape[2], x.shape[3] + 2, dtype=x.dtype)
    y[:, 0, ::2, 1:-1] = x[:, 0]
    return y


def added(x: Tensor) -> Tensor:
    y = x * 1
    y[..., 2:, :] = y[..., 2:, :] + x[..., :-2, :]
    return y


def at_numbers(x: Tensor) -> Tensor:
    y = minicnn.cat([x, x], 1)
    y[:, minicnn.tensor([0])] = 0
    return y.sum(1, keepdim=True)


@pytest.mark.parametrize(("function", "size"), [(channel, 5), (shifted, 5), (spaced, 3), (added, 7), (at_numbers, 5)])
def test_writes_at_an_index(function: Callable[[Tensor], Tensor], size: int) -> None:
    net = nn.Sequential(conv(3, 1, 1), Function(function), conv(3 if function is not spaced else 1))
    check(net, (1, 9, 8))
    assert receptive_field(net, (1, 9, 8)).size[0] == size


@pytest.mark.parametrize(
    ("function", "size"),
    [
        (lambda x: minicnn.cat([x, x], 1)[:, [1, 0, 1]].sum(1, keepdim=True), 5),
        (lambda x: x[:, [[0, 0], [0, 0]]].sum((1, 2)).unsqueeze(1), 5),
        (lambda x: x.index_select(1, minicnn.tensor([0, 0])).sum(1, keepdim=True), 5),
        (lambda x: x[[0] * x.shape[0], :, 1:], 5),
        (lambda x: x.take_along_dim(minicnn.zeros(1, 2, 1, 1, dtype=minicnn.int64), 1).sum(1, keepdim=True), 5),
        (lambda x: x.gather(1, minicnn.zeros(x.shape[0], 1, 4, 3, dtype=minicnn.int64)), 5),
    ],
)  # fmt: skip
def test_elements_at_an_index(function: Callable[[Tensor], Tensor], size: int) -> None:
    """Of channels or images: the window is as without it."""
    net = nn.Sequential(conv(3, 1, 1), Function(function), conv(3))
    check(net, (1, 9, 8))
    assert receptive_field(net, (1, 9, 8)).size == (size, size)


def test_rows_at_an_index() -> None:
    """The net's own numbers are known; of others, each row could be any. Columns are as before."""
    for function, rows in (
        (lambda x: x[:, :, [2, -8]], (1, 3)),
        (lambda x: x.index_select(2, minicnn.arange(3).flip(0)), (1, 3)),
        (lambda x: x[:, :, minicnn.ones_like(x)[0, 0, :, 0].long()], (0, 8)),
        (lambda x: x.gather(2, minicnn.ones_like(x).long()), (0, 8)),
    ):
        found = receptive_field(nn.Sequential(conv(3, 1, 1), Function(function), conv((1, 3))), (1, 9, 8))
        assert found.box(0, 0) == Box(rows[0], 0, rows[1], 3) and found.size[1] == 5


def test_the_axes_of_indices_come_first_if_these_are_not_neighbours() -> None:
    pairs = Function(lambda x: minicnn.cat([x, x], 1)[:, [0, 1], :, [2, 2]].permute(1, 2, 0).unsqueeze(1))
    found = receptive_field(nn.Sequential(conv(3, 1, 1), pairs, conv((3, 1))), (1, 9, 8))  # (2, N, H) -> (N, 1, H, 2)
    assert found.box(2, 0) == Box(1, 1, 5, 3) and found.size[0] == 5


def test_the_sparse_layer_of_lenet() -> None:
    layers = {one.name: one.field for one in receptive_field(models.lenet5_1998(), (1, 32, 32)).layers}
    assert layers["C3.cat"].size == (14, 14) and layers["S4.sum"].size == (16, 16) and layers["C5"].size == (32, 32)
