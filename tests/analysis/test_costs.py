"""What layers cost: the courses' numbers, an independent count, and the memory that a real run keeps."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from counting import count

import minicnn
from minicnn import nn
from minicnn.analysis import Summary, trace
from minicnn.analysis.saved import kept
from minicnn.models.registry import MODELS
from minicnn.nn import functional as F

Tensor = minicnn.Tensor


def summary(net: nn.Module, *size: Any, **options: Any) -> Summary:
    return minicnn.summary(net, size, verbose=False, **options)


@pytest.mark.parametrize(
    ("layer", "size", "macs", "flops", "parameters", "output", "nbytes"),
    [
        (nn.Linear(3, 1), (3,), 3, 7, 4, (1,), 4),  # flop-002
        (nn.Sequential(nn.Flatten(), nn.Linear(784, 256)), (1, 28, 28), 200_704, 401_664, 200_960, (256,), 1024),
        (nn.Conv2d(1, 256, 3), (1, 28, 28), 1_557_504, 3_288_064, 2_560, (256, 26, 26), 692_224),
        (nn.MaxPool2d(2), (1, 28, 28), 0, 588, 0, (1, 14, 14), 784),
    ],
)
def test_the_numbers_of_the_course(
    layer: nn.Module, size: tuple[int, ...], macs: int, flops: int, parameters: int, output: Any, nbytes: int
) -> None:
    """The rows flop-002 to flop-005: 1 MAC = 2 FLOPs, and 1 for each bias."""
    found = summary(layer, *size)
    assert (found.total_macs, found.total_flops, found.total_params) == (macs, flops, parameters)
    assert (found.layers[-1].output, found.layers[-1].output_bytes) == (output, nbytes)


@pytest.mark.parametrize(
    ("layer", "size", "flops"),
    [
        (nn.AvgPool2d(3), (2, 6, 6), 2 * 4 * 9),
        (nn.AdaptiveAvgPool2d((2, 1)), (2, 5, 3), 2 * (3 + 3) * 3),
        (nn.AdaptiveMaxPool2d((2, 1)), (2, 5, 3), 2 * ((3 + 3) * 3 - 2)),
        (nn.BatchNorm2d(3), (3, 4, 4), 2 * 48),
        (nn.ReLU(), (3, 4, 4), 48),
        (nn.LocalResponseNorm(5), (8, 2, 2), 32 * 13),
        (nn.GroupNorm(2, 4), (4, 2, 2), 16 * 8),
        (nn.Softmax(1), (10,), 30),
        (nn.Upsample(scale_factor=2, mode="nearest"), (1, 3, 3), 0),
        (nn.Upsample(scale_factor=2, mode="bilinear"), (1, 4, 4), 2 * 2 * (8 * 4) + 2 * 2 * (8 * 8)),
        (nn.ConvTranspose2d(2, 3, 2, 2), (2, 4, 5), 2 * (2 * 3 * 4 * 20) + 3 * 80),
        (nn.Conv2d(4, 6, 3, groups=2, bias=False), (4, 5, 5), 2 * 9 * 6 * 2 * 9),
        (nn.Flatten(), (3, 4, 4), 0),
    ],
)  # fmt: skip
def test_flops_of_layers(layer: nn.Module, size: tuple[int, ...], flops: int) -> None:
    assert summary(layer, *size).total_flops == flops


FIRST_OF_EACH_FILE = {entry.file: name for name, entry in reversed(MODELS.items())}


@pytest.mark.parametrize("name", FIRST_OF_EACH_FILE.values())
def test_macs_are_those_of_an_independent_count(name: str) -> None:
    entry = MODELS[name]
    with minicnn.device("meta"):
        net = minicnn.models.get_model(name)
    found = summary(net, *entry.input_size)
    assert (found.trainable_params, found.total_macs) == (entry.params, entry.macs)
    assert (found.trainable_params, found.total_macs) == count(net, entry.input_size)


class Functional(nn.Module):
    """Convolutions and linear layers as functions, in a module inside, and a layer that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(minicnn.zeros(4, 4, 3, 3))
        self.back = nn.Parameter(minicnn.zeros(4, 2, 2, 2))
        self.matrix = nn.Parameter(minicnn.zeros(5, 2 * 16))
        self.conv = nn.Conv2d(4, 4, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(self.conv(F.conv2d(x, self.kernel, padding=1)))
        y = F.conv_transpose2d(F.max_pool2d(x, 2), self.back, stride=2)
        return F.linear(y.flatten(1), self.matrix)


def test_functions_count_in_the_module_that_calls_them() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1, bias=False), Functional(), nn.Linear(5, 2))
    found = summary(net, 1, 4, 4)
    inner = 16 * 4 * 36 + 2 * 16 * 16 + 4 * 4 * 2 * 4 + 5 * 32
    assert found.total_macs == 16 * 4 * 9 + inner + 10
    (module,) = [layer for layer in found.layers if layer.name == "1"]
    assert module.macs == inner and module.parameters == 144 + 32 + 160 + 20
    rows = {(layer.name, layer.again): layer for layer in found.layers}
    assert (rows["1.conv2d", False].macs, rows["1.conv2d", False].parameters) == (16 * 4 * 36, 144)
    assert (rows["1.conv", False].parameters, rows["1.conv", True].parameters) == (20, 0)
    assert rows["1.conv", True].macs == 256 and rows["1.conv", True].shared


def test_a_product_of_weights_is_not_counted_for_each_image() -> None:
    net = nn.utils.parametrizations.weight_norm(nn.Linear(6, 4))
    found = summary(net, 6)
    assert found.total_macs == 24
    assert found.total_flops == summary(net, 6, batch_size=64).total_flops


# ------------------------------------------------------------------------------------------------ memory of training


class Mixed(nn.Module):
    """Views, branches and functions: what they keep is counted once."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4)

    def forward(self, x: Tensor) -> Tensor:
        a, b = x.chunk(2, 1)
        y = F.channel_shuffle(minicnn.cat([a, b.exp()], 1), 2)
        y = self.norm(self.conv(y))
        y = y * y.mean((2, 3), keepdim=True).sigmoid()
        y = minicnn.where(y > 0, y, x.sqrt())
        return (y + x.abs()).relu() / 2


NETS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "lenet": (minicnn.models.LeNet5(), (1, 32, 32)),
    "usual": (
        nn.Sequential(
            nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(inplace=True), nn.MaxPool2d(2), nn.Dropout(),
            nn.Dropout2d(), nn.Conv2d(8, 8, 3), nn.SiLU(inplace=True), nn.LocalResponseNorm(3),
            nn.AdaptiveAvgPool2d(2), nn.Flatten(), nn.Linear(32, 5), nn.LogSoftmax(1),
        ),
        (3, 16, 16),
    ),
    "mixed": (
        nn.Sequential(
            nn.Conv2d(3, 4, 3), Mixed(), nn.GroupNorm(2, 4), nn.Hardswish(), nn.SqueezeExcitation(4, 2),
            nn.ConvTranspose2d(4, 3, 2, 2), nn.GELU(), nn.PReLU(3), nn.Upsample(scale_factor=2), nn.LayerNorm(32),
        ),
        (3, 10, 10),
    ),
    "frozen": (nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.Conv2d(2, 2, 3)), (1, 8, 8)),
}  # fmt: skip
NETS["frozen"][0][0].requires_grad_(False)


def on_the_tape(net: nn.Module, x: Tensor) -> int:
    """The bytes of all arrays that the graph of a real run holds, each once, without parameters."""

    def owner(array: Any) -> Any:
        while isinstance(array.base, np.ndarray):
            array = array.base
        return array

    parameters = {id(owner(p.numpy() if not p.requires_grad else p.array)) for p in net.parameters()}
    with minicnn.use(fused=False):
        y = net.train()(x)
    found: dict[int, Any] = {}
    nodes, waiting = set(), [y.grad_fn]
    while waiting:
        node = waiting.pop()
        if node in nodes:
            continue
        nodes.add(node)
        for array in (*(node._saved or ()), *vars(node).values()):
            if isinstance(array, np.ndarray) and id(owner(array)) not in parameters:
                found[id(owner(array))] = owner(array)
        waiting.extend(edge[0] for edge in node.inputs if type(edge) is tuple)
    return sum(array.nbytes for array in found.values())


@pytest.mark.parametrize("name", NETS)
def test_kept_for_backward_is_what_the_tape_keeps(name: str) -> None:
    net, size = NETS[name]
    parts = kept(trace(net, size, training=True)).values()
    for images in (2, 3):
        ours = images * sum(of_image for of_image, _ in parts) + sum(constant for _, constant in parts)
        assert ours == on_the_tape(net, minicnn.rand(images, *size)), name
    found = summary(net, *size)
    assert found.saved_bytes == sum(sum(part) for part in parts)
    assert sum(layer.saved_bytes or 0 for layer in found.layers if layer.leaf) == found.saved_bytes


def test_nothing_is_kept_where_nothing_is_trained() -> None:
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
    net.requires_grad_(False)
    assert summary(net, 1, 8, 8).saved_bytes == 0


def test_the_im2col_matrix() -> None:
    found = summary(nn.Sequential(nn.Conv2d(3, 8, 5, padding=2), nn.Conv2d(8, 2, 1)), 3, 10, 12)
    assert [layer.im2col_bytes for layer in found.layers] == [75 * 120 * 4, 75 * 120 * 4, 8 * 120 * 4]
    columns = F.unfold(minicnn.zeros(1, 3, 10, 12), 5, padding=2)
    assert columns.array.nbytes == found.im2col_bytes


@pytest.mark.parametrize(
    ("layer", "size", "text"),
    [
        (nn.Conv2d(3, 64, 7, 2, 3), (3, 224, 224), "(224 + 2*3 - 7) // 2 + 1 = 112"),
        (nn.Conv2d(1, 1, 3, 1, 2, 2), (1, 9, 9), "(9 + 2*2 - (2*(3 - 1) + 1)) // 1 + 1 = 9"),
        (nn.Conv2d(1, 1, (3, 1), 2), (1, 9, 8), "H: (9 + 2*0 - 3) // 2 + 1 = 4, W: (8 + 2*0 - 1) // 2 + 1 = 4"),
        (nn.Conv1d(1, 1, 3), (1, 9), "(9 + 2*0 - 3) // 1 + 1 = 7"),
        (nn.MaxPool2d(3, 2, ceil_mode=True), (1, 8, 8), "ceil((8 + 2*0 - 3) / 2) + 1 = 4"),
        (nn.MaxPool2d(2, 3, 1, ceil_mode=True), (1, 4, 4), "(4 + 2*1 - 2) // 3 + 1 = 2"),  # one would lie outside
        (nn.ConvTranspose2d(1, 1, 4, 2, 1), (1, 7, 7), "(7 - 1)*2 - 2*1 + 4 = 14"),
        (nn.ConvTranspose2d(1, 1, 3, 2, 1, 1), (1, 7, 7), "(7 - 1)*2 - 2*1 + 3 + 1 = 14"),
        (nn.AdaptiveAvgPool2d(1), (1, 7, 7), "all 7 -> 1"),
        (nn.AdaptiveAvgPool2d(4), (1, 7, 7), "7 -> 4"),
        (nn.Flatten(), (16, 5, 5), "16*5*5 = 400"),
        (nn.Linear(400, 120), (400,), "400 -> 120"),
        (nn.ReLU(), (1, 7, 7), ""),
    ],
)  # fmt: skip
def test_arithmetic_of_sizes(layer: nn.Module, size: tuple[int, ...], text: str) -> None:
    found = summary(nn.Sequential(layer), *size)
    assert found.layers[1].arithmetic == text
    if text:
        assert text.split(" = ")[-1].split(" -> ")[-1] == str(found.layers[1].output[-1])


class Beside(nn.Module):
    """Layers whose input is made for the batch, but not from it."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind, self.conv, self.linear = kind, nn.Conv2d(3, 4, 3), nn.Linear(4, 5)
        self.start = nn.Parameter(minicnn.zeros(1, 4))

    def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
        y: minicnn.Tensor = self.conv(x)
        if self.kind == "zeros":
            return y + self.conv(minicnn.zeros_like(x))
        if self.kind == "numbers":
            return y + self.conv(minicnn.tensor(x.detach().numpy() * 2))
        z = minicnn.randn(y.shape[0], 4) if self.kind == "noise" else self.start.expand(x.shape[0], 4)
        return y.mean() + self.linear(z if self.kind != "fixed" else minicnn.zeros(2, 4))


@pytest.mark.parametrize(
    ("kind", "macs"),
    [("zeros", 36 * 108), ("numbers", 36 * 108), ("noise", 20), ("expand", 20), ("fixed", 40)],
)
def test_an_input_made_for_the_batch(kind: str, macs: int) -> None:
    found = minicnn.summary(Beside(kind), (3, 8, 8), verbose=0)
    assert found.total_macs == 36 * 108 + macs
    last = [layer for layer in found.layers if layer.kind in ("Conv2d", "Linear")][-1]
    assert last.flops == 2 * macs + (10 if kind == "fixed" else last.output_bytes // 4)
    assert last.output_bytes == 4 * (4 * 36 if macs > 99 else 10 if kind == "fixed" else 5)


class OneImage(nn.Module):
    """Takes one image only."""

    def __init__(self, checks: bool) -> None:
        super().__init__()
        self.checks, self.linear = checks, nn.Linear(16, 5)

    def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
        assert not self.checks or x.shape[0] == 1
        y: minicnn.Tensor = self.linear(x.view(1, -1))
        return y


@pytest.mark.parametrize("checks", [False, True])
def test_nets_for_one_image(checks: bool) -> None:
    found = minicnn.summary(OneImage(checks), (1, 4, 4), verbose=0)
    assert (found.total_macs, found.layers[-1].output, found.input_bytes, found.saved_bytes) == (80, (5,), 64, 64)
