"""Checks of whole nets: LeNet-5, AlexNet, ZFNet, VGG, AlphaGo's policy net."""

from __future__ import annotations

import math
from typing import Any

import pytest

import minicnn
from minicnn import models
from minicnn.analysis import comparisons
from minicnn.models.registry import MODELS

from . import VALUES, add, build, fact, hwc, layers, macs, millions, parameters

SHORT = {
    "Conv2d": "conv", "MaxPool2d": "pool", "LocalResponseNorm": "norm", "BatchNorm2d": "bn", "Linear": "fc",
}  # fmt: skip


def numbered(model: str, **options: Any) -> dict[str, tuple[tuple[int, ...], int, int]]:
    """conv1, pool1, norm1, conv2, ..., fc1: (output, parameters, weights), each kind with its own numbers."""
    counts: dict[str, int] = {}
    found = {}
    for _, kind, one in layers(model, " ".join(SHORT), **options):
        short = SHORT[kind]
        counts[short] = counts.get(short, 0) + 1
        found[f"{short}{counts[short]}"] = one.output, one.parameters, one.weights
    return found


def weight_layers(model: str) -> tuple[int, int]:
    """Convolutions and linear layers."""
    return len(layers(model, "Conv2d")), len(layers(model, "Linear"))


# ---------------------------------------------------------------------------------------------------------------- LeNet


def _lenet(name: str) -> None:
    def check(value: list[Any]) -> None:
        output, count, _ = numbered("lenet5")[name]
        assert [list(output), count] == value

    add(f"lenet-002-{name}", check)


for _name in ("conv1", "pool1", "conv2", "pool2", "fc1", "fc2", "fc3"):
    _lenet(_name)


@fact("lenet-001")
def _pattern(value: str) -> None:
    names = [SHORT[kind].upper() for _, kind, _ in layers("lenet5", "Conv2d MaxPool2d Linear")]
    assert value.startswith("-".join(names[:-1]))  # the output layer is not in the pattern
    for layer in build("lenet5").features:
        if isinstance(layer, (minicnn.nn.Conv2d, minicnn.nn.MaxPool2d)):
            sizes = (layer.kernel_size, layer.stride)
            assert sizes in (((5, 5), (1, 1)), (2, 2))


@fact("lenet-003", "lenet-004-fix", "lenet-007")
def _lenet_total(value: int) -> None:
    for options in ({}, {"pool": "avg"}, {"activation": "relu"}):
        assert parameters("lenet5", **options) == value


@fact("lenet-004")
def _lenet_wrong_total(value: int) -> None:
    total, conv2 = parameters("lenet5", pool="avg"), (5 * 5 * 6 + 1) * 16
    assert total == 61_706 and total - conv2 + (5 * 5 + 1) * 16 == value  # as if conv2 saw one map instead of six


@fact("lenet-005")
def _lenet_maps(value: list[str]) -> None:
    found = [output for output, _, _ in numbered("lenet5").values()]
    texts = [f"{o[0]}@{o[1]}x{o[2]}" if len(o) == 3 else str(o[0]) for o in found]
    assert [*texts[:4], str(math.prod(found[3])), *texts[4:]] == value


@fact("lenet-006", needs="lenet")
def _sixty_thousand(value: str) -> None:
    assert f"~{round(parameters('lenet5'), -4) // 1000}K" == value


# -------------------------------------------------------------------------------------------------------------- AlexNet


def _alexnet(model: str, prefix: str, rows: dict[str, str], **options: Any) -> None:
    """Rows of a table of shapes and parameters: statement -> layer of `numbered`."""

    def enter(row: str, layer: str) -> None:
        def check(value: list[Any]) -> None:
            output, count, _ = numbered(model, **options)[layer]
            assert [list(output), count] == value

        add(f"{prefix}-{row}", check, "alexnet")

    for row, layer in rows.items():
        enter(row, layer)


PLAIN = ("conv1", "pool1", "norm1", "conv2", "pool2", "norm2", "conv3", "conv4", "conv5", "pool3")
_alexnet("alexnet_lrn", "alexnet-001", {**{n: n for n in PLAIN}, "fc6": "fc1", "fc7": "fc2", "fc8": "fc3"})
_alexnet(
    "alexnet_bn",
    "alexnetbn",
    {**{f"{kind}{i}": f"{kind}{i}" for kind in ("conv", "bn") for i in range(1, 6)},
     "pool1": "pool1", "pool2": "pool2", "pool5": "pool3", "fc1": "fc1", "fc2": "fc2", "fc3": "fc3"},
    num_classes=10,
)  # fmt: skip


@fact("alexnet-001-input")
def _alexnet_input(value: list[Any]) -> None:
    assert [list(MODELS["alexnet_lrn"].input_size), 0] == value


@fact("alexnet-002", needs="alexnet")
def _conv1(value: list[int]) -> None:
    assert hwc(numbered("alexnet_lrn")["conv1"][0]) == value


@fact("alexnet-003", needs="alexnet")
def _conv1_parameters(value: str) -> None:
    _, biased, weights = numbered("alexnet_lrn")["conv1"]
    assert (weights, biased) == (34_848, 34_944)
    assert f"{round(weights / 1000)}K" == f"{round(biased / 1000)}K" == value


@fact("alexnet-004", needs="alexnet")
def _pool1(value: list[Any]) -> None:
    output, count, _ = numbered("alexnet_lrn")["pool1"]
    assert [hwc(output), count] == value


@fact("alexnet-007", needs="alexnet")
def _units(value: list[Any]) -> None:
    found = numbered("alexnet_two_towers")
    units = sum(math.prod(output) for name, (output, _, _) in found.items() if name.startswith(("conv", "fc")))
    assert units == 659_272 and value == [f"{parameters('alexnet_two_towers') // 10**6}M", 650_000]


@fact("alexnet-011", needs="alexnet")
def _alexnet_depth(value: list[str]) -> None:
    assert ["{} conv + {} FC".format(*weight_layers("alexnet_two_towers")), "~60M"] == value
    assert parameters("alexnet_two_towers") // 10**6 == 60 and millions(parameters("alexnet_lrn")) == 62


@fact("alexnet-012", needs="alexnet")
def _more_than_62_million(value: str) -> None:
    assert value == "more than 62e6" and 62e6 < parameters("alexnet_lrn") < 63e6


@fact("alexnet-013", needs="alexnet")
def _mixed_widths(value: list[int]) -> None:
    """The widths as printed give 61.3 million parameters with three linear layers; neither net has these widths."""
    assert [one.output[0] for _, _, one in layers("alexnet_simple", "Conv2d")] == value
    assert parameters("alexnet_simple") == 61_266_088
    assert [one.output[0] for _, _, one in layers("alexnet_lrn", "Conv2d")] == [96, 256, 384, 384, 256]
    assert [one.output[0] for _, _, one in layers("alexnet", "Conv2d")] == [64, 192, 384, 256, 256]


@fact("alexnet-014")
def _alexnet_year(value: int) -> None:
    assert MODELS["alexnet_two_towers"].year == 2012 != value


@fact("alexnetbn-total", needs="alexnet")
def _alexnet_bn_total(value: int) -> None:
    assert parameters("alexnet_bn", num_classes=10) == value


@fact("alexnetbn-size", needs="alexnet")
def _alexnet_bn_size(value: list[float]) -> None:
    size = math.prod(MODELS["alexnet_bn"].input_size)
    count = parameters("alexnet_bn", num_classes=10)
    assert [round(4 * n / 2**20, 2) for n in (size, count)] == value


# ---------------------------------------------------------------------------------------------------------------- ZFNet


@fact("zf-001", needs="zfnet")
def _zfnet_conv1(value: list[Any]) -> None:
    conv = next(m for m in build("zfnet").modules() if isinstance(m, minicnn.nn.Conv2d))
    assert [[conv.kernel_size[0], conv.stride[0]], "was 11x11 stride 4"] == value
    assert numbered("zfnet")["conv1"][0] == (96, 110, 110)


@fact("zf-002", needs="zfnet")
def _zfnet_widths(value: list[int]) -> None:
    def widths(model: str) -> list[int]:
        return [one.output[0] for _, _, one in layers(model, "Conv2d")][2:]

    assert widths("zfnet_wide") == value and widths("zfnet") == [384, 384, 256]
    assert (parameters("zfnet_wide"), parameters("zfnet")) == (107_627_624, 62_357_608)


@fact("zf-005", needs="zfnet")
def _zfnet_parameters(value: str) -> None:
    assert value == "more than 107e6" and 107e6 < parameters("zfnet_wide") < 108e6


# ------------------------------------------------------------------------------------------------------------------ VGG


def _vgg16(name: str, place: int) -> None:
    def check(value: list[Any]) -> None:
        _, output, values, weights, _ = comparisons.memory("vgg16").rows[place]
        assert [[*output, *[1] * (3 - len(output))], values, weights] == value

    add(f"vgg16-{name}", check, "vgg")


_LISTING = ["input"]
for _block, _count in enumerate((2, 2, 3, 3, 3), start=1):
    _LISTING += [*(f"conv{_block}_{i}" for i in range(1, _count + 1)), f"pool{_block}"]
for _place, _name in enumerate([*_LISTING, "fc6", "fc7", "fc8"]):
    _vgg16(_name, _place)


@fact("vgg16-params", needs="vgg")
def _vgg16_parameters(value: str) -> None:
    assert parameters("vgg16") == 138_344_128 + 13_416 and f"{millions(parameters('vgg16'))}M" == value


@fact("vgg16-mem-fix", needs="vgg")
def _vgg16_memory(value: list[int]) -> None:
    total = comparisons.memory("vgg16")["total", "values"]
    assert [total, 4 * total] == value


@fact("vgg16-mem", "vgg16-mem-mb", "vgg16-mem-mb2", needs="vgg")
def _vgg16_wrong_memory(value: Any) -> None:
    table = comparisons.memory("vgg16")
    total = table["total", "values"]
    assert sum(table.column("values")[:-1]) == total == 15_237_608
    assert (f"{millions(total)}M", millions(4 * total)) == ("15M", 61)
    assert value in ("24M", 96, 93)  # none of these
    assert "24 million" in table.notes[-1] and "wrong" in table.notes[-1] and "15.2 million" in table.notes[-1]
    assert "28,7" in table.notes[1] or "28,8" in table.notes[1]  # with ReLU's copies, also not 24 million


BY_LETTER = {"A": "vgg11", "A-LRN": "vgg11_lrn", "B": "vgg13", "C": "vgg16_c", "D": "vgg16", "E": "vgg19"}


@fact("vgg-001", needs="vgg")
def _vgg_parameters(value: dict[str, int]) -> None:
    assert {letter: millions(parameters(model)) for letter, model in BY_LETTER.items()} == value


@fact("vgg-002", needs="vgg")
def _vgg_depths(value: dict[str, int]) -> None:
    assert {letter: sum(weight_layers(model)) for letter, model in BY_LETTER.items()} == value


def blocks_of(model: str) -> list[list[int]]:
    """The kernels of the convolutions of each block, which ends with a pooling."""
    found: list[list[int]] = [[]]
    for module in build(model).features:
        if isinstance(module, minicnn.nn.Conv2d):
            found[-1].append(module.kernel_size[0])
        elif isinstance(module, minicnn.nn.MaxPool2d):
            found.append([])
    return [block for block in found if block]


@fact("vgg-003", needs="vgg")
def _vgg11_blocks(value: list[int]) -> None:
    counts = [len(block) for block in blocks_of("vgg11")]
    assert counts == [1, 1, 2, 2, 2] and counts[2:] != value


@fact("vgg-004", needs="vgg")
def _vgg_c(value: list[str]) -> None:
    for block in blocks_of("vgg16_c")[2:]:
        assert [f"{k}x{k}" for k in block] == value


@fact("vgg-005", needs="vgg")
def _vgg_counts(value: dict[str, list[int]]) -> None:
    assert {depth: list(weight_layers(f"vgg{depth}")) for depth in value} == value


@fact("vgg-006", needs="vgg")
def _vgg_parameters_by_depth(value: dict[str, int]) -> None:
    assert {depth: millions(parameters(f"vgg{depth}")) for depth in value} == value


@fact("vgg-012", needs="vgg")
def _vgg_receptive_field(value: dict[str, int]) -> None:
    """r grows by (k - 1) jump, jump by the stride; fc6 is a 7x7 convolution."""
    r, jump, found = 1, 1, {}
    for module in build("vgg16").features:
        if isinstance(module, (minicnn.nn.Conv2d, minicnn.nn.MaxPool2d)):
            kernel, stride = (n[0] if isinstance(n, tuple) else n for n in (module.kernel_size, module.stride))
            if isinstance(module, minicnn.nn.MaxPool2d) and jump == 16:
                found["conv5_3"] = r
            r, jump = r + (kernel - 1) * jump, jump * stride
    assert {**found, "pool5": r, "fc6": r + 6 * jump} == value


@fact("vgg-013", needs="vgg")
def _vgg_growth(value: str) -> None:
    counts = [millions(parameters(model)) for model in BY_LETTER.values()]
    assert f"{min(counts)}M to {max(counts)}M" == value


@fact("vgg-014", needs="vgg")
def _vgg_shares(value: list[float]) -> None:
    table = comparisons.memory("vgg16")
    values, weights = table.column("values"), table.column("weights")
    assert [round(sum(values[1:3]) / values[-1], 3), round(sum(weights[-4:-1]) / weights[-1], 3)] == value


@fact("inc-022", needs="vgg")
def _vgg_computation(value: float) -> None:
    assert round(macs("vgg16", "Conv2d") / 1e9, 1) * 1e9 == pytest.approx(value)
    assert (macs("vgg16", "Conv2d"), macs("vgg16")) == (15_346_630_656, 15_470_264_320)


# -------------------------------------------------------------------------------------------------------------- AlphaGo


@fact("go-001")
def _board(value: list[int]) -> None:
    assert hwc(MODELS["alphago"].input_size) == value


@fact("go-002", "go-003", needs="alphago")
def _go_layers(value: list[Any]) -> None:
    convolutions = [m for m in build("alphago").modules() if isinstance(m, minicnn.nn.Conv2d)]
    costs = layers("alphago", "Conv2d")
    chosen = [0] if value == VALUES["go-002"] else range(1, 12)
    for i in chosen:
        conv = convolutions[i]
        found = [conv.out_channels, conv.kernel_size[0], conv.stride[0], conv.padding[0], list(costs[i][2].output)]
        assert found == value


@fact("go-004", needs="alphago")
def _go_last(value: list[Any]) -> None:
    *_, last = (m for m in build("alphago").modules() if isinstance(m, minicnn.nn.Conv2d))
    assert [last.out_channels, last.kernel_size[0], [19, 19]] == value
    with minicnn.device("meta"):
        net = models.get_model("alphago")
    assert tuple(net(minicnn.zeros(1, 48, 19, 19, device="meta")).shape) == (1, 361)


@fact("go-005", needs="alphago")
def _go_parameters(value: int) -> None:
    assert parameters("alphago") == value == 230_592 + 11 * 331_968 + 192 + 361


@fact("go-006", needs="alphago")
def _go_widths(value: list[int]) -> None:
    counts = [1_777_641, 3_882_793, 6_798_953, 15_064_297]
    assert [parameters("alphago", filters=k) for k in value] == counts
