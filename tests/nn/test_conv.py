"""Layers of convolution, padding, folding and upsampling: PyTorch's arguments, attributes, errors and repr."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import Tensor, nn
from minicnn.nn.conv import _ConvNd

REPRS: dict[str, nn.Module] = {  # as PyTorch 2 prints them
    "Conv2d(3, 4, kernel_size=(3, 3), stride=(1, 1))": nn.Conv2d(3, 4, 3),
    "Conv2d(4, 6, kernel_size=(3, 2), stride=(2, 1), padding=(1, 1), dilation=(2, 2), groups=2, bias=False, "
    "padding_mode=reflect)": nn.Conv2d(4, 6, [3, 2], (2, 1), 1, 2, 2, False, "reflect"),
    "Conv2d(3, 4, kernel_size=(2, 2), stride=(1, 1), padding=same)": nn.Conv2d(3, 4, 2, padding="same"),
    "Conv1d(3, 4, kernel_size=(3,), stride=(2,), padding=(1,))": nn.Conv1d(3, 4, 3, 2, 1),
    "ConvTranspose2d(3, 4, kernel_size=(3, 3), stride=(2, 2), padding=(1, 1), output_padding=(1, 1))":
        nn.ConvTranspose2d(3, 4, 3, 2, 1, 1),
    "ConvTranspose1d(4, 2, kernel_size=(3,), stride=(2,), dilation=(2,), groups=2)":
        nn.ConvTranspose1d(4, 2, 3, 2, groups=2, dilation=2),
    "Conv2d(1, 1, kernel_size=(3, 3), stride=(3, 3), fit=strict, flipped=True)":
        nn.Conv2d(1, 1, 3, 3, fit="strict", flipped=True),
    "ZeroPad2d((1, 1, 1, 1))": nn.ZeroPad2d(1),
    "ZeroPad1d((1, 2))": nn.ZeroPad1d((1, 2)),
    "ConstantPad2d(padding=(2, 2, 2, 2), value=3.5)": nn.ConstantPad2d(2, 3.5),
    "ConstantPad1d(padding=(2, 2), value=3)": nn.ConstantPad1d(2, 3),
    "ReflectionPad2d((1, 2, 3, 4))": nn.ReflectionPad2d((1, 2, 3, 4)),
    "ReplicationPad1d((3, 3))": nn.ReplicationPad1d(3),
    "CircularPad2d((1, 1, 1, 1))": nn.CircularPad2d(1),
    "Fold(output_size=4, kernel_size=(2, 2), dilation=1, padding=0, stride=1)": nn.Fold(4, (2, 2)),
    "Unfold(kernel_size=3, dilation=1, padding=(1, 2), stride=1)": nn.Unfold(3, padding=(1, 2)),
    "Upsample(scale_factor=2.0, mode='nearest')": nn.Upsample(scale_factor=2),
    "Upsample(scale_factor=(2.0, 3.0), mode='bilinear')": nn.Upsample(scale_factor=(2, 3), mode="bilinear"),
    "Upsample(size=(5, 6), mode='area')": nn.Upsample((5, 6), mode="area"),
    "UpsamplingNearest2d(scale_factor=2.0, mode='nearest')": nn.UpsamplingNearest2d(scale_factor=2),
    "UpsamplingBilinear2d(size=4, mode='bilinear')": nn.UpsamplingBilinear2d(4),
    "PixelShuffle(upscale_factor=2)": nn.PixelShuffle(2),
    "PixelUnshuffle(downscale_factor=2)": nn.PixelUnshuffle(2),
    "ChannelShuffle(groups=2)": nn.ChannelShuffle(2),
}  # fmt: skip


@pytest.mark.parametrize("text", REPRS)
def test_repr(text: str) -> None:
    assert repr(REPRS[text]) == text


def test_attributes_are_pytorchs() -> None:
    layer = nn.Conv2d(4, 6, (3, 2), groups=2, padding="same", dilation=(2, 1))
    assert isinstance(layer, _ConvNd) and not layer.transposed
    assert (layer.in_channels, layer.out_channels, layer.groups, layer.padding_mode) == (4, 6, 2, "zeros")
    assert (layer.kernel_size, layer.stride, layer.dilation) == ((3, 2), (1, 1), (2, 1))
    assert (layer.padding, layer.output_padding) == ("same", (0, 0))
    assert layer._reversed_padding_repeated_twice == (0, 1, 2, 2)
    assert {name: p.shape for name, p in layer.named_parameters()} == {"weight": (6, 2, 3, 2), "bias": (6,)}
    back = nn.ConvTranspose2d(4, 6, (3, 2), groups=2, bias=False)
    assert back.transposed and back.bias is None
    assert {name: tuple(p.shape) for name, p in back.state_dict().items()} == {"weight": (4, 3, 3, 2)}


@pytest.mark.parametrize("layer", [nn.Conv2d, nn.ConvTranspose2d])
def test_start_values_are_uniform_with_the_variance_of_pytorch(layer: Any) -> None:
    minicnn.manual_seed(0)
    made = layer(16, 32, 5)
    bound = 1 / np.sqrt(25 * (16 if layer is nn.Conv2d else 32))
    for p in (made.weight, made.bias):
        values = p.detach().numpy()
        assert 0.85 * bound < np.abs(values).max() <= bound and abs(values.mean()) < 0.3 * bound


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
@pytest.mark.parametrize("padding", [(2, 1), "same", "valid"])
def test_padding_modes_pad_before_the_convolution(mode: str, padding: Any) -> None:
    layer = nn.Conv2d(2, 3, (4, 3), padding=padding, padding_mode=mode, dtype=minicnn.float64)
    x = Tensor(np.random.default_rng(0).standard_normal((2, 2, 6, 5)))
    sides = {"same": (1, 1, 1, 2), "valid": (0, 0, 0, 0)}.get(padding, (1, 1, 2, 2))
    expected = F.conv2d(F.pad(x, sides, mode), layer.weight, layer.bias)
    np.testing.assert_array_equal(layer(x).detach().numpy(), expected.detach().numpy())
    line = nn.Conv1d(2, 3, 3, padding=1, padding_mode=mode, dtype=minicnn.float64)
    row = x[:, :, 0]
    expected = F.conv1d(F.pad(row, (1, 1), mode), line.weight, line.bias)
    np.testing.assert_array_equal(line(row).detach().numpy(), expected.detach().numpy())


def test_output_size_of_a_transposed_convolution() -> None:
    down, up = nn.Conv2d(3, 4, 3, stride=2, padding=1), nn.ConvTranspose2d(4, 3, 3, stride=2, padding=1)
    for h, w in ((11, 12), (12, 11), (12, 12)):
        x = minicnn.randn(2, 3, h, w)
        y = down(x)
        assert up(y, output_size=x.size()).shape == x.shape == up(y, [h, w]).shape
        assert up(y[0], output_size=(h, w)).shape == (3, h, w)
    assert up(y).shape == (2, 3, 11, 11)
    with pytest.raises(ValueError, match=r"requested an output size of \(13, 11\), but valid sizes range from"):
        up(y, output_size=(13, 11))
    with pytest.raises(ValueError, match="must have 2 or 4 elements"):
        up(y, output_size=(11,))
    line = nn.ConvTranspose1d(4, 3, 4, stride=3, dilation=2)
    assert line(minicnn.randn(2, 4, 5), output_size=(2, 3, 20)).shape == (2, 3, 20)


ERRORS: dict[str, Callable[[], Any]] = {
    r"Conv2d: kernel_size must be an int or a tuple of ints, got 2.5 \(float\)": lambda: nn.Conv2d(3, 6, 2.5),  # type: ignore[arg-type]
    r"Conv2d: stride must be .*, got \(2, 2.5\) \(tuple\)": lambda: nn.Conv2d(3, 6, 3, (2, 2.5)),  # type: ignore[arg-type]
    "groups must be a positive integer": lambda: nn.Conv2d(4, 4, 3, groups=0),
    "in_channels must be divisible by groups": lambda: nn.Conv2d(3, 4, 3, groups=2),
    "out_channels must be divisible by groups": lambda: nn.Conv2d(4, 3, 3, groups=2),
    "Invalid padding string 'full'": lambda: nn.Conv2d(4, 4, 3, padding="full"),
    "padding='same' is not supported for strided convolutions": lambda: nn.Conv1d(4, 4, 3, 2, "same"),
    "padding_mode must be one of": lambda: nn.Conv2d(4, 4, 3, padding_mode="constant"),
    'Only "zeros" padding mode is supported for ConvTranspose2d': lambda: nn.ConvTranspose2d(
        4, 4, 3, padding_mode="reflect"
    ),
    "padding must be numbers, got 'same'": lambda: nn.ConvTranspose2d(4, 4, 3, padding="same"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("text", ERRORS)
def test_errors(text: str) -> None:
    with pytest.raises(ValueError, match=text):
        ERRORS[text]()


def test_layers_are_made_and_run_on_the_meta_device() -> None:
    with minicnn.device("meta"):
        net = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, padding_mode="circular"), nn.ReflectionPad2d(1),
            nn.ConvTranspose2d(8, 8, 4, 2, 1), nn.Upsample(scale_factor=1.5, mode="bicubic"), nn.PixelShuffle(2),
            nn.Unfold(3),
        )  # fmt: skip
        y = net(minicnn.empty(2, 3, 32, 32))
    assert all(p.is_meta for p in net.parameters()) and y.is_meta
    assert y.shape == (2, 18, (2 * 54 - 2) ** 2)


LAYERS: dict[str, tuple[nn.Module, tuple[int, ...], Callable[[Any], Any]]] = {
    "zero": (nn.ZeroPad2d((1, 0, 2, -1)), (2, 3, 4, 5), lambda x: F.pad(x, (1, 0, 2, -1))),
    "constant": (nn.ConstantPad1d((1, 2), 7.0), (3, 4), lambda x: F.pad(x, (1, 2), value=7.0)),
    "reflection": (nn.ReflectionPad1d(2), (2, 3, 4), lambda x: F.pad(x, (2, 2), "reflect")),
    "replication": (nn.ReplicationPad2d((0, 1, 2, 3)), (3, 4, 5), lambda x: F.pad(x, (0, 1, 2, 3), "replicate")),
    "circular": (nn.CircularPad1d((1, 0)), (2, 3, 4), lambda x: F.pad(x, (1, 0), "circular")),
    "fold": (nn.Fold((3, 4), 2), (2, 8, 6), lambda x: F.fold(x, (3, 4), 2)),
    "unfold": (nn.Unfold((2, 1), stride=2), (2, 3, 4, 5), lambda x: F.unfold(x, (2, 1), stride=2)),
    "upsample": (nn.Upsample((6, 7)), (2, 3, 4, 5), lambda x: F.interpolate(x, (6, 7))),
    "corners": (
        nn.UpsamplingBilinear2d(scale_factor=2),
        (1, 2, 3, 4),
        lambda x: F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=True),
    ),
    "unshuffle": (nn.PixelUnshuffle(2), (2, 3, 4, 6), lambda x: F.pixel_unshuffle(x, 2)),
    "channels": (nn.ChannelShuffle(3), (2, 6, 2, 2), lambda x: F.channel_shuffle(x, 3)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_layers_keep_the_arguments_of_functions(name: str) -> None:
    layer, shape, function = LAYERS[name]
    x = Tensor(np.random.default_rng(0).standard_normal(shape))
    np.testing.assert_array_equal(layer(x).numpy(), function(x).numpy())
    assert not layer.state_dict()
