"""Checks of layer arithmetic and of worked examples."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import ShapeError, nn
from minicnn.analysis import comparisons
from minicnn.train.metrics import accuracy, ranks

from . import VALUES, add, fact, hwc, shape


def images(rows: Any) -> minicnn.Tensor:
    return minicnn.tensor(rows, dtype=minicnn.float64).reshape(1, 1, len(rows), len(rows[0]))


def convolved(image: str, kernel: str, **options: Any) -> list[list[float]]:
    return F.conv2d(images(VALUES[image]), images(VALUES[kernel]), **options)[0, 0].tolist()


# ------------------------------------------------------------------------------------------------------ worked examples


@fact("conv-001", "conv-002", "conv-003")
def _x_shaped_kernel(value: Any) -> None:
    assert convolved("conv-003", "conv-001") == VALUES["conv-002"]


def _position(column: int) -> Any:
    def check(value: Any) -> None:
        assert convolved("conv-003", "conv-001")[0][column] == value

    return check


for _column, _name in enumerate(("conv-004", "conv-005", "conv-006")):
    add(_name, _position(_column))


@fact("conv-007", "conv-008", "conv-009")
def _stride_and_padding(value: Any) -> None:
    assert convolved("conv-007", "conv-008", stride=2, padding=1) == VALUES["conv-009"]


@fact("conv-026")
def _edges(kernel: Any) -> None:
    constant, edge = minicnn.full((1, 1, 5, 5), 7.0, dtype=minicnn.float64), minicnn.zeros(1, 1, 5, 5).double()
    edge[..., 3:] = 1.0
    assert F.conv2d(constant, images(kernel)).abs().max().item() == 0
    assert F.conv2d(edge, images(kernel)).max().item() == 3  # from dark at the left to light at the right


@fact("conv-027")
def _identity(kernel: Any) -> None:
    x = minicnn.rand(1, 1, 5, 4, dtype=minicnn.float64)
    assert bool((F.conv2d(x, images(kernel), padding="same") == x).all())


@fact("pool-001", "pool-002")
def _max_pooling(value: Any) -> None:
    assert F.max_pool2d(images(VALUES["pool-001"]), 2)[0, 0].tolist() == VALUES["pool-002"]


# --------------------------------------------------------------------------------------------------------------- shapes


def _side(size: int, **options: Any) -> int:
    return shape(nn.Conv2d(1, 1, **options), 1, size, size)[1]


def _sides(name: str, size: int, kernel: int, **options: Any) -> None:
    def check(value: Any) -> None:
        assert _side(size, kernel_size=kernel, fit="strict", **options) == value

    add(name, check)


_sides("conv-010", 4, 3)
_sides("conv-016-s1", 7, 3, stride=1)
_sides("conv-016-s2", 7, 3, stride=2)
_sides("conv-017", 7, 3, padding=1)


@fact("conv-016-s3")
def _does_not_fit(value: str) -> None:
    with pytest.raises(ShapeError, match=r"is not whole: 2\.33"):
        _side(7, kernel_size=3, stride=3, fit="strict")
    assert _side(7, kernel_size=3, stride=3) == 2  # without strict, a row and a column are left over
    assert "2.33" in value


@fact("conv-011", "conv-013", "conv-015", "conv-020")
def _maps(value: list[int]) -> None:
    filters, padding = value[2], (value[0] - 28) // 2  # conv-020 has padding 2
    assert hwc(shape(nn.Conv2d(3, filters, 5, padding=padding), 3, 32, 32)) == value


@fact("conv-014", "conv-019")
def _shrinking(value: list[int]) -> None:
    stack = [nn.Conv2d(3, 6, 5), nn.Conv2d(6, 10, 5)]
    x, found = minicnn.zeros(1, 3, 32, 32), [32]
    for layer in stack:
        x = layer(x)
        found.append(x.shape[2])
    assert found == value and x.shape[1] == 10


def _same(name: str, kernel: int) -> None:
    def check(padding: int) -> None:
        assert _side(9, kernel_size=kernel, padding=padding) == 9 == _side(9, kernel_size=kernel, padding="same")

    add(name, check)


for _kernel in (3, 5, 7):
    _same(f"conv-018-f{_kernel}", _kernel)


@fact("conv-023")
def _rule_of_sizes(value: str) -> None:
    assert "(W1-F+2P)/S+1" in value
    for w, f, p, s in ((32, 5, 0, 1), (32, 5, 2, 1), (7, 3, 0, 2), (227, 11, 0, 4), (224, 7, 3, 2)):
        assert _side(w, kernel_size=f, padding=p, stride=s) == (w - f + 2 * p) // s + 1


@fact("conv-024")
def _rule_of_weights(value: str) -> None:
    assert "F*F*D1*K weights + K biases" in value
    conv = nn.Conv2d(6, 10, 5)
    assert (conv.weight.numel(), conv.bias.numel()) == (5 * 5 * 6 * 10, 10)
    assert nn.Conv2d(6, 10, 5, groups=2).weight.numel() == 5 * 5 * 3 * 10


@fact("conv-025")
def _usual_settings(value: list[list[Any]]) -> None:
    for kernel, stride, padding in value:
        if stride == 1:
            assert _side(28, kernel_size=kernel, padding=padding) == 28
        else:  # "whatever fits"
            assert _side(27, kernel_size=kernel, stride=stride, padding=2, fit="strict") == 14


@fact("pool-003")
def _pooling_acts_on_each_map(value: Any) -> None:
    assert hwc(shape(nn.MaxPool2d(2, 2), 64, 224, 224)) == value


@fact("pool-004")
def _rule_of_pooling(value: str) -> None:
    assert "(W1-F)/S+1" in value
    for w, f, s in ((8, 2, 2), (55, 3, 2), (13, 3, 2)):
        pool = nn.MaxPool2d(f, s)
        assert shape(pool, 5, w, w) == (5, (w - f) // s + 1, (w - f) // s + 1)
        assert not list(pool.parameters())


# ---------------------------------------------------------------------------------------------------------------- costs

TEN_FILTERS = "fully connected, 10 units", "convolution"


@fact("conv-012")
def _terms(value: int) -> None:
    assert nn.Conv2d(3, 6, 5).weight[0].numel() == value


@fact("conv-021", "conv-022")
def _ten_filters(value: int) -> None:
    whole = comparisons.fully_connected((3, 32, 32), 10, 5, padding=2)["convolution", "parameters"]
    assert whole == VALUES["conv-022"] and whole // 10 == VALUES["conv-021"]


@fact("conv-028", "conv-029")
def _receptive_field(value: int) -> None:
    count = (value - 1) // 2
    stack = nn.Sequential(*(nn.Conv2d(1, 1, 3, bias=False) for _ in range(count)))
    for p in stack.parameters():
        p.data.fill_(1.0)
    x = minicnn.zeros(1, 1, 15, 15, requires_grad=True)
    stack(x)[0, 0, 4, 4].backward()  # a pixel has a gradient if the output sees it
    assert x.grad is not None and int((x.grad[0, 0].abs().sum(1) > 0).sum().item()) == value
    assert comparisons.stacked(count).rows[0][1] == value


@fact("conv-030")
def _three_3x3(value: list[int]) -> None:
    for channels in (1, 64):
        assert comparisons.stacked(3, 3, channels).column("weights / C^2") == value


@fact("conv-031")
def _two_3x3(value: str) -> None:
    found = comparisons.stacked(2).column("weights / C^2")
    assert "{:.0f}K versus {:.0f}K".format(*found) == value


@fact("flop-001")
def _convention(value: str) -> None:
    assert value == "1 MAC = 2 FLOPs; one bias addition = 1 FLOP"
    table = comparisons.compare(
        "", (5,), {"biased": lambda: nn.Linear(5, 1), "not": lambda: nn.Linear(5, 1, bias=False)}
    )
    assert table.column("FLOPs") == [2 * 5 + 1, 2 * 5]


@fact("flop-002")
def _perceptron(value: list[int]) -> None:
    table = comparisons.compare("", (3,), {"perceptron": lambda: nn.Linear(3, 1)})
    assert [table["perceptron", c] for c in ("MACs", "FLOPs", "parameters", "output bytes")] == value


def _costs(table: Any, row: str) -> list[Any]:
    shape = list(table[row, "output"])
    return [table[row, c] for c in ("MACs", "FLOPs", "parameters")] + [shape, table[row, "output bytes"]]


@fact("flop-003")
def _dense(value: list[Any]) -> None:
    assert _costs(comparisons.fully_connected(), "fully connected, 256 units") == value


@fact("flop-004")
def _convolution(value: list[Any]) -> None:
    assert _costs(comparisons.fully_connected(), "convolution") == value


@fact("flop-005")
def _pooling(value: list[Any]) -> None:
    table = comparisons.compare("", (1, 28, 28), {"pool": lambda: nn.MaxPool2d(2)})
    found = [table["pool", c] for c in ("FLOPs", "parameters", "output", "output bytes")]
    assert [found[0], found[1], list(found[2]), found[3]] == value


# ----------------------------------------------------------------------------------------- functions, metrics, features


@fact("act-001")
def _ranges(value: dict[str, list[Any]]) -> None:
    x = minicnn.linspace(-50, 50, 1001, dtype=minicnn.float64)
    for name, (low, high) in value.items():
        y = getattr(minicnn, name)(x)
        assert y.min().item() == pytest.approx(low, abs=1e-12)
        assert y.max().item() == (50 if high == "inf" else pytest.approx(high, abs=1e-12))


@fact("softmax-001")
def _softmax(value: list[float]) -> None:
    found = 100 * F.softmax(minicnn.tensor([11.5, 12.8, -2.4]), 0)
    assert found.tolist() == pytest.approx(value, abs=0.005)


@fact("softmax-002")
def _temperature(value: str) -> None:
    scores = np.array([1.0, 3.0, -2.0])
    layer = nn.TemperatureSoftmax(2.0)
    weights = np.exp(scores / 2.0)
    assert np.allclose(layer(minicnn.tensor(scores[None])).numpy()[0], weights / weights.sum(), atol=1e-6)


@fact("loss-001")
def _cross_entropy(value: str) -> None:
    scores = minicnn.tensor([[1.0, 2.0, 0.5]])
    loss = F.cross_entropy(scores, minicnn.tensor([1])).item()
    assert loss == pytest.approx(-np.log(F.softmax(scores, 1)[0, 1].item()), rel=1e-6)


@fact("topk-001", "topk-002", "topk-003")
def _top_k(value: Any) -> None:
    scores, targets = (np.array(part) for part in zip(*VALUES["topk-001"], strict=True))
    for k, name in ((1, "topk-002"), (5, "topk-003")):
        hits, share = VALUES[name]
        assert (ranks(scores, targets) < k).astype(int).tolist() == hits
        assert accuracy(scores, targets, topk=(k,)) == [pytest.approx(share)]


@fact("alexnet-008")
def _crops(value: int) -> None:
    places = _side(256, kernel_size=224)  # where a crop can begin: 33 across; the paper counts 32
    assert (places - 1) ** 2 * 2 == value


@fact("feat-parametric")
def _parametric(value: dict[str, bool]) -> None:
    kinds = {
        "ReLU": nn.ReLU(), "convolution": nn.Conv2d(3, 4, 3), "pooling": nn.MaxPool2d(2),
        "batch norm": nn.BatchNorm2d(3), "dropout": nn.Dropout(), "dense": nn.Linear(3, 4), "softmax": nn.Softmax(1),
    }  # fmt: skip
    assert {name: bool(list(layer.parameters())) for name, layer in kinds.items()} == value


@fact("feat-param-dense")
def _equivariance(value: dict[str, dict[str, bool]]) -> None:
    """Measured: does a shifted input give the shifted output, does the layer take another size, does it see all?"""
    layers = {"dense": nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.Unflatten(1, (1, 8, 8))),
              "conv": nn.Conv2d(1, 1, 3, padding=1)}  # fmt: skip
    minicnn.manual_seed(0)
    image = minicnn.zeros(1, 1, 8, 8)
    image[..., 3:5, 3:5] = 1.0  # far from the border
    for name, layer in layers.items():
        moved = layer(minicnn.roll(image, 1, 3)) - minicnn.roll(layer(image), 1, 3)
        x = minicnn.rand(1, 1, 8, 8, requires_grad=True)
        layer(x)[0, 0, 4, 4].backward()
        assert x.grad is not None
        try:
            layer(minicnn.zeros(1, 1, 9, 9))
            fixed = False
        except ShapeError:
            fixed = True
        assert value[name] == {
            "shift_equivariant": moved[..., 1:-1, 2:-1].abs().max().item() < 1e-6,
            "depends_on_input_size": fixed,
            "global_context": bool((x.grad != 0).all()),
        }
