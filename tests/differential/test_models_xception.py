"""Xception and the cells of NASNet against the same layers of PyTorch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn
from minicnn.models.nasnet import NORMAL, REDUCTION, NASNetCell
from minicnn.models.xception import Xception

torch = pytest.importorskip("torch")

from differential.model_pairs import same_results  # noqa: E402

t = torch.nn


def norm(c: int) -> Any:
    return t.BatchNorm2d(c, eps=0.001)


def separable(c: int, out: int, size: int, stride: int = 1) -> list[Any]:
    depthwise = t.Conv2d(c, c, size, stride, size // 2, groups=c, bias=False)
    return [depthwise, t.Conv2d(c, out, 1, bias=False), norm(out)]


class Shortcut(t.Module):  # type: ignore[misc]
    """body(x) + shortcut(x), or + x."""

    def __init__(self, body: Any, shortcut: Any) -> None:
        super().__init__()
        self.body, self.shortcut = body, shortcut

    def forward(self, x: Any) -> Any:
        return self.body(x) + self.shortcut(x)


def block(c: int, *channels: int, down: bool, first: bool = False) -> Any:
    layers, before = [], c
    for out in channels:
        layers += [t.ReLU(), *separable(before, out, 3)]
        before = out
    if not down:
        return Shortcut(t.Sequential(*layers), t.Identity())
    project = t.Sequential(t.Conv2d(c, before, 1, 2, bias=False), norm(before))
    return Shortcut(t.Sequential(*layers[first:], t.MaxPool2d(3, 2, 1)), project)


def xception(middle: int, width: float) -> Any:
    c32, c64, c128, c256, c728, c1024, c1536, c2048 = (
        round(c * width) for c in (32, 64, 128, 256, 728, 1024, 1536, 2048)
    )
    return t.Sequential(
        t.Conv2d(3, c32, 3, 2, bias=False), norm(c32), t.ReLU(), t.Conv2d(c32, c64, 3, bias=False), norm(c64), t.ReLU(),
        block(c64, c128, c128, down=True, first=True), block(c128, c256, c256, down=True),
        block(c256, c728, c728, down=True), *(block(c728, c728, c728, c728, down=False) for _ in range(middle)),
        block(c728, c728, c1024, down=True), *separable(c1024, c1536, 3), t.ReLU(),
        *separable(c1536, c2048, 3), t.ReLU(), t.AdaptiveAvgPool2d(1), t.Flatten(), t.Linear(c2048, 10),
    )  # fmt: skip


def test_narrow_xception() -> None:
    ours = Xception(10, dropout=0.0, middle=1, width=0.125)
    same_results(ours, xception(1, 0.125), 3, 64, 75, dtype=np.float64)


@pytest.mark.slow
def test_xception() -> None:
    same_results(Xception(10, dropout=0.0), xception(8, 1.0), 3, 96, 96, dtype=np.float64)


def twice(c: int, f: int, size: int, stride: int = 1) -> Any:
    return t.Sequential(t.ReLU(), *separable(c, f, size, stride), t.ReLU(), *separable(f, f, size))


class Normal(t.Module):  # type: ignore[misc]
    """The normal cell, written out."""

    def __init__(self, f: int, h: int, p: int) -> None:
        super().__init__()
        self.h = t.Sequential(t.ReLU(), t.Conv2d(h, f, 1, bias=False), norm(f))
        self.p = t.Sequential(t.ReLU(), t.Conv2d(p, f, 1, bias=False), norm(f))
        self.sep = t.ModuleList([twice(f, f, size) for size in (5, 3, 5, 3, 3)])
        self.average = t.AvgPool2d(3, 1, 1, count_include_pad=False)

    def forward(self, both: Any) -> Any:
        h, p = self.h(both[0]), self.p(both[1])
        blocks = [
            self.sep[0](h) + self.sep[1](p), self.sep[2](p) + self.sep[3](p), self.average(h) + p,
            2 * self.average(p), self.sep[4](h) + h,
        ]  # fmt: skip
        return torch.cat([p, *blocks], 1)


class Reduction(t.Module):  # type: ignore[misc]
    """The reduction cell, written out, with an older input whose image is twice as large."""

    def __init__(self, f: int, h: int, p: int) -> None:
        super().__init__()
        self.h = t.Sequential(t.ReLU(), t.Conv2d(h, f, 1, bias=False), norm(f))
        self.even, self.odd = t.Conv2d(p, f // 2, 1, bias=False), t.Conv2d(p, f - f // 2, 1, bias=False)
        self.norm = norm(f)
        self.sep = t.ModuleList([twice(f, f, s, 2) for s in (5, 7, 7, 5)] + [twice(f, f, 3)])
        self.max, self.down = t.MaxPool2d(3, 2, 1), t.AvgPool2d(3, 2, 1, count_include_pad=False)
        self.average = t.AvgPool2d(3, 1, 1, count_include_pad=False)

    def forward(self, both: Any) -> Any:
        p = torch.relu(both[1])
        shifted = torch.nn.functional.pad(p, (0, 1, 0, 1))[:, :, 1::2, 1::2]
        p = self.norm(torch.cat([self.even(p[:, :, ::2, ::2]), self.odd(shifted)], 1))
        h = self.h(both[0])
        x1 = self.sep[0](h) + self.sep[1](p)
        x2 = self.max(h) + self.sep[2](p)
        x3 = self.down(h) + self.sep[3](p)
        return torch.cat([x2, x3, self.average(x1) + x2, self.sep[4](x1) + self.max(h)], 1)


class Split(nn.Module):
    """Gives our cell both inputs from one tensor, as `share` does for the reference."""

    def __init__(self, cell: NASNetCell, share: Any) -> None:
        super().__init__()
        self.cell, self.share = cell, share

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.cell(*self.share(x))
        return y


@pytest.mark.parametrize("kind", ["normal", "reduction"])
@pytest.mark.parametrize("side", [10, 11])
def test_cells_of_nasnet(kind: str, side: int) -> None:
    def share(x: Any) -> Any:  # h has 5 channels, and half of the size where p is larger; p has 4
        return (x[:, :5], x[:, 5:]) if kind == "normal" else (x[:, :5, ::2, ::2], x[:, 5:])

    class Pair(t.Module):  # type: ignore[misc]
        def __init__(self, cell: Any) -> None:
            super().__init__()
            self.cell = cell

        def forward(self, x: Any) -> Any:
            return self.cell(share(x))

    minicnn.manual_seed(0)
    table, reference = (NORMAL, Normal) if kind == "normal" else (REDUCTION, Reduction)
    ours = NASNetCell(table, 6, 5, 4, p_larger=kind == "reduction")
    same_results(Split(ours, share), Pair(reference(6, 5, 4)), 9, side, side, dtype=np.float64)
