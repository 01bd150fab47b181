"""Checks of what blocks cost."""

from __future__ import annotations

import inspect
from typing import Any

import pytest

import minicnn
from minicnn import ShapeError, nn
from minicnn.analysis import comparisons

from . import VALUES, add, fact, hwc, shape

# ------------------------------------------------------------------------------------------------ separable, factorised


def _separable(name: str, channels: int, kernel: int) -> None:
    def check(value: list[int]) -> None:
        assert comparisons.separable(channels, kernel=kernel).column("parameters") == value

    add(name, check)


_separable("dsc-512-3", 512, 3)
_separable("dsc-1028-3", 1028, 3)
_separable("dsc-1028-5", 1028, 5)


@fact("dsc-001")
def _structure(value: str) -> None:
    assert value == "C kernels kxkx1, then n_k kernels 1x1xC"
    for c, k, n in ((3, 3, 8), (16, 5, 4)):
        assert comparisons.separable(c, n, k)["separable", "parameters"] == c * (k * k + n)


@fact("xcep-001", "xcep-002")
def _on_a_small_image(value: Any) -> None:
    table = comparisons.separable(3, 64, size=10, padding=0, bias=True)
    assert [table["full", "parameters"], list(table["full", "output"])] == VALUES["xcep-001"]
    assert table["separable", "parameters"] == VALUES["xcep-002"]
    assert table["separable", "output"] == table["full", "output"]


@fact("mob-001")
def _mobile_cost(value: str) -> None:
    assert value == "9*C^2*H*W (standard) versus 9*C*H*W + C^2*H*W (separable)"
    for c, ratio in ((64, 7.89), (512, 8.84)):
        standard, separable = comparisons.separable(c, size=7).column("MACs")
        assert (standard, separable) == (9 * c * c * 49, 9 * c * 49 + c * c * 49)
        assert standard / separable == pytest.approx(ratio, abs=0.005)


@fact("inc-019")
def _two_3x3_for_5x5(value: list[int]) -> None:
    table = comparisons.factorised(5)
    assert [table[name, "weights per channel pair"] for name in ("5x5", "2 x 3x3")] == value
    assert 1 - value[1] / value[0] == pytest.approx(0.28)


@fact("inc-020")
def _rows_and_columns(value: str) -> None:
    assert value == "n^2 -> 2n"
    for n in (3, 5, 7):
        found = comparisons.factorised(n).column("weights per channel pair")
        assert found[:2] == [n * n, 2 * n]


# ------------------------------------------------------------------------------------------------------------ Inception


@fact("inc-001", "inc-004")
def _concatenated(value: list[int]) -> None:
    row = "naive: total" if value == VALUES["inc-001"] else "reduced: total"
    assert hwc(comparisons.inception_module()[row, "output"]) == value


PRODUCTS = {
    "inc-002": "naive: total",
    "inc-002-1x1x128": "naive: 1x1",
    "inc-002-3x3x192": "naive: 3x3",
    "inc-002-5x5x96": "naive: 5x5",
    "inc-003-fix": "reduced: total",
    "inc-003-reduce3_1x1x64": "reduced: 1x1 before 3x3",
    "inc-003-reduce5_1x1x64": "reduced: 1x1 before 5x5",
    "inc-003-1x1x128": "reduced: 1x1",
    "inc-003-3x3x192_on_64": "reduced: 3x3",
    "inc-003-5x5x96_on_64": "reduced: 5x5",
    "inc-003-pool-proj_1x1x64": "reduced: 1x1 after pool",
}


def _product(name: str, row: str) -> None:
    def check(value: int) -> None:
        assert comparisons.inception_module()[row, "multiplications"] == value

    add(name, check)


for _name, _row in PRODUCTS.items():
    _product(_name, _row)


@fact("inc-003")
def _sum_of_products(value: str) -> None:
    table = comparisons.inception_module()
    total = table["reduced: total", "multiplications"]
    parts = [row[1] for row in table.rows if row[0].startswith("reduced") and not row[0].endswith("total")]
    assert sum(parts) == total == 271_351_808
    assert f"{total / 1e6:.0f}M" != value
    assert f"{(total + table['reduced: 3x3', 'multiplications']) / 1e6:.0f}M" == value  # with the 3x3 counted twice


@fact("inc-005", "inc-006")
def _against_a_convolution(value: int) -> None:
    table = comparisons.inception_against_convolution()
    assert table["module", "parameters"] == VALUES["inc-005"]
    assert table["3x3 convolution", "parameters"] == VALUES["inc-006"]
    assert table.column("parameters")[:4] == [65_664, 360_832, 50_776, 32_832]


@fact("inc-007")
def _ratio(value: int) -> None:
    table = comparisons.inception_against_convolution()
    assert table["3x3 convolution", "parameters"] // table["module", "parameters"] == value


@fact("inc-008")
def _padding_of_5x5(value: int) -> None:
    def join(padding: int) -> Any:
        maps = [nn.Conv2d(4, 2, 3, padding=1), nn.Conv2d(4, 2, 5, padding=padding)]
        return minicnn.cat([layer(minicnn.zeros(1, 4, 8, 8)) for layer in maps], 1).shape

    with pytest.raises(ShapeError):
        join(value)
    assert tuple(join(2)) == (1, 4, 8, 8)


@fact("inc-009")
def _unpadded(value: list[Any]) -> None:
    assert shape(nn.Conv2d(4, 512, 3), 4, 14, 15) == (512, 12, 13)
    assert shape(nn.Conv2d(4, 512, 3, padding=1), 4, 14, 15) == (512, 14, 15)  # as the listing notes


# ------------------------------------------------------------------------------------------------------ residual blocks


@fact("resnext-001")
def _bottlenecks(value: list[int]) -> None:
    table = comparisons.bottleneck()
    assert [table["bottleneck", "weights"], table["ResNeXt", "weights"]] == value


@fact("highway-001")
def _highway(value: str) -> None:
    assert value == "y = T(x,Wt)*H(x,Wh) + (1-T(x,Wt))*x"
    layer = nn.Highway.linear(5)
    assert sum(p.numel() for p in layer.parameters()) == 2 * (5 * 5 + 5)
    x = minicnn.rand(3, 5)
    gate = layer.gate(x).sigmoid()
    assert minicnn.allclose(layer(x), gate * layer.body(x) + (1 - gate) * x, atol=1e-6)


@fact("resnet-011")
def _kernel_size_is_needed(value: str) -> None:
    assert value == "missing kernel_size"
    assert inspect.signature(nn.Conv2d).parameters["kernel_size"].default is inspect.Parameter.empty
    x = minicnn.zeros(1, 4, 8, 8)
    assert (nn.Conv2d(4, 4, kernel_size=3, padding=1)(x) + x).shape == x.shape
    with pytest.raises(ShapeError):
        nn.Conv2d(4, 6, kernel_size=3, padding=1)(x) + x


@fact("resnet-014")
def _paths(value: str) -> None:
    assert value == "2^r"
    x = minicnn.ones(1)
    for r in range(1, 6):
        x = x + x  # with F(x) = x each path carries the input once
        assert x.item() == 2**r
