"""Tables and comparisons beyond the courses' cases, which `test_course_facts.py` has: text, other sizes, errors."""

from __future__ import annotations

from typing import Any

import pytest

import minicnn
from minicnn import ShapeError, nn
from minicnn.analysis import comparisons
from minicnn.analysis.table import Table


def test_a_table_as_data_text_and_markdown() -> None:
    table = Table(
        "Two", ["", "weights", "ratio", "output"], [["a", 1234567, 0.5, (4, 2, 2)], ["b", 8, None, None]], ["end"]
    )
    assert table["a", "weights"] == 1234567 and table.column("ratio") == [0.5, None] and table.names == ["a", "b"]
    lines = [line for line in str(table).splitlines() if set(line) != {"-"}]
    assert lines == ["Two", "     weights  ratio  output", "a  1,234,567    0.5   4x2x2", "b          8", "end"]
    assert table.markdown().splitlines()[2:5] == [
        "|  | weights | ratio | output |",
        "|---|---:|---:|---:|",
        "| a | 1,234,567 | 0.5 | 4x2x2 |",
    ]
    with pytest.raises(KeyError, match="no 'c'; there are: a, b"):
        table["c", "weights"]
    with pytest.raises(ValueError, match="1 values"):
        Table("", ["", "x"], [["a"]])


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: comparisons.stacked(2, 4), "kernel must be odd"),
        (lambda: comparisons.stacked(0), "layers must be a whole number from 1, got 0"),
        (lambda: comparisons.separable(8, kernel=0), "kernel must be a whole number from 1"),
        (lambda: comparisons.bottleneck(width=10), "20 channels cannot be in 32 equal groups"),
        (lambda: comparisons.factorised(1), "at least 3"),
        (lambda: comparisons.memory(nn.Linear(3, 4)), "give the size of the image"),
        (lambda: comparisons.nets("resnet17"), "Unknown model 'resnet17'"),
    ],
)  # fmt: skip
def test_errors_name_the_value(ask: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ask()


def test_a_layer_that_does_not_fit() -> None:
    with pytest.raises(ShapeError, match="conv2d"):
        comparisons.compare("", (3, 8, 8), {"conv": lambda: nn.Conv2d(4, 4, 3)})


def test_a_layer_used_twice_has_its_parameters_once() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(4, 4, 3, padding=1)

        def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
            y: minicnn.Tensor = self.conv(self.conv(x))
            return y

    table = comparisons.compare("", (4, 5, 6), {"once": lambda: nn.Conv2d(4, 4, 3, padding=1), "twice": Twice})
    assert table.column("parameters") == [148, 148]
    assert table["twice", "MACs"] == 2 * table["once", "MACs"] == 2 * 4 * 36 * 30


def test_the_fire_module_is_that_of_squeezenet() -> None:
    with minicnn.device("meta"):
        module = minicnn.models.squeezenet1_0().features[3]
    table = comparisons.fire(96, 16, (64, 64))
    assert table["fire", "parameters"] == sum(p.numel() for p in module.parameters()) == 11_920
    assert table["3x3", "parameters"] == 9 * 96 * 128 + 128
