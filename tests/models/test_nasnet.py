"""NASNet-A mobile: the stages, the cells as the search found them, the adjustments of a cell's inputs."""

from __future__ import annotations

import numpy as np
import pytest
from counting import finite_gradients, overfits
from stage_shapes import shapes

import minicnn
from minicnn import Tensor, models, nn
from minicnn.models.nasnet import NORMAL, REDUCTION, FactorizedReduction, NASNetCell, NASNetMobile, TwiceSeparable
from minicnn.models.xception import SeparableConv2d

STAGES = {
    "stem": (32, 111, 111), "cells.0": (44, 56, 56), "cells.1": (88, 28, 28),
    "cells.2": (264, 28, 28), "cells.5": (264, 28, 28), "cells.6": (352, 14, 14),
    "cells.7": (528, 14, 14), "cells.10": (528, 14, 14), "cells.11": (704, 7, 7),
    "cells.12": (1056, 7, 7), "cells.15": (1056, 7, 7), "avgpool": (1056, 1, 1),
}  # fmt: skip


def test_stages() -> None:
    with minicnn.device("meta"):
        net = models.nasnet_mobile()
        found = shapes(net, 3, 224, 224)
    assert {stage: found[stage] for stage in STAGES} == STAGES
    kinds = ["R" if cell.cell is REDUCTION else "N" for cell in net.cells]
    assert "".join(kinds) == "RR" + "NNNN" + "R" + "NNNN" + "R" + "NNNN"


@pytest.mark.parametrize(("cell", "besides"), [(NORMAL, "p"), (REDUCTION, 1)])
def test_a_cell_concatenates_what_no_block_has_used(cell: models.nasnet.Cell, besides: str | int) -> None:
    used = {on for _, a, _, b in cell.blocks for on in (a, b)}
    assert (set(range(5)) - used) | {besides} == set(cell.output)
    assert len(cell.blocks) == 5


def test_separable_convolutions_come_twice() -> None:
    with minicnn.device("meta"):
        net = models.nasnet_mobile()
    twice = [m for m in net.modules() if isinstance(m, TwiceSeparable)]
    assert len(twice) == 12 * 5 + 4 * 5  # five in each normal cell, five in each reduction
    assert {sum(isinstance(m, SeparableConv2d) for m in pair) for pair in twice} == {2}
    assert not any(isinstance(m, nn.Conv2d) and m.bias is not None for m in net.modules())


def test_how_the_older_input_is_adjusted() -> None:
    with minicnn.device("meta"):
        net = models.nasnet_mobile()
    kinds = [type(cell.adjust_p).__name__ for cell in net.cells]
    after_reduction = [1, 2, 7, 12]
    assert [i for i, kind in enumerate(kinds) if kind == "FactorizedReduction"] == after_reduction
    assert [i for i, kind in enumerate(kinds) if kind == "Identity"] == [0]


@pytest.mark.parametrize("size", [6, 7])
def test_factorised_reduction_takes_even_and_odd_pixels(size: int) -> None:
    reduce = FactorizedReduction(1, 2).eval()
    for conv in (reduce.even, reduce.odd):
        nn.init.ones_(conv.weight)
    x = np.arange(1.0, size * size + 1, dtype=np.float32).reshape(size, size)
    found = reduce(minicnn.tensor(x[None, None])).detach().numpy() * np.sqrt(1.001)
    padded = np.pad(x, (0, 1))
    assert found[0, 0] == pytest.approx(x[::2, ::2], rel=1e-5)
    assert found[0, 1] == pytest.approx(padded[1::2, 1::2][: len(x[::2]), : len(x[::2])], rel=1e-5)


@pytest.mark.parametrize("filters", [100, 72])
def test_bad_filters(filters: int) -> None:
    with pytest.raises(ValueError, match=f"multiple of 24, and 96 or more, got {filters}"):
        NASNetMobile(penultimate_filters=filters)


def test_gradients_reach_every_parameter_of_the_cells() -> None:
    normal, reduction = NASNetCell(NORMAL, 4, 8, 6), NASNetCell(REDUCTION, 4, 8, 6, p_larger=True)
    for cell, larger in ((normal, 6), (reduction, 12)):
        y = cell(minicnn.randn(2, 8, 6, 6), minicnn.randn(2, 6, larger, larger))
        assert y.shape == ((2, 24, 6, 6) if cell is normal else (2, 16, 3, 3))
        (y * minicnn.randn(*y.shape)).sum().backward()
        assert all(p.grad is not None and p.grad.abs().max().item() > 0 for p in cell.parameters())


@pytest.mark.slow
def test_real_size() -> None:
    finite_gradients(models.nasnet_mobile(dropout=0.0), 3, 224, 224)


class TwoCells(nn.Module):
    """A reduction and a normal cell, one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, padding=1)
        self.reduction = NASNetCell(REDUCTION, 4, 8, 8, first=True)
        self.normal = NASNetCell(NORMAL, 4, self.reduction.out_channels, 8, p_larger=True)
        self.fc = nn.Linear(self.normal.out_channels, 4)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) -> (N, 4)."""
        p = self.stem(x)
        y: Tensor = self.fc(self.normal(self.reduction(p, p), p).mean((2, 3)))
        return y


def test_cells_learn_by_heart() -> None:
    minicnn.manual_seed(0)
    overfits(TwoCells(), 3, 8, 8, lr=1e-2)


@pytest.mark.slow
def test_small_net_learns_by_heart() -> None:
    minicnn.manual_seed(0)
    overfits(NASNetMobile(4, penultimate_filters=96, cells=1, stem_filters=8, dropout=0.0), 3, 32, 32, lr=5e-3)
