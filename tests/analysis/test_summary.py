"""summary: the table, and that the net is not changed."""

from __future__ import annotations

import numpy as np
import pytest

import minicnn
from minicnn import ShapeError, nn


def test_the_printed_table(capsys: pytest.CaptureFixture[str]) -> None:
    minicnn.summary(minicnn.models.LeNet5(), (1, 32, 32))
    text = capsys.readouterr().out
    assert "features.0 (Conv2d)" in text
    assert "[-1, 16, 10, 10]" in text
    assert "Total params: 61,706" in text
    for count in ("156", "2,416", "48,120", "10,164", "850"):
        assert f" {count}\n" in text


def test_the_net_is_left_as_it_was() -> None:
    net = nn.Sequential(nn.BatchNorm2d(1), nn.Dropout(), nn.Flatten(), nn.Linear(4, 1))
    net[1].eval()
    state = {key: value.numpy().copy() for key, value in net.state_dict().items()}
    minicnn.summary(net, (1, 2, 2), verbose=False)
    assert [m.training for m in net.modules()] == [True, True, False, True, True]
    for key, value in net.state_dict().items():
        assert np.array_equal(value.numpy(), state[key])
    assert not any(m._forward_hooks for m in net.modules())


def test_shared_and_frozen_layers_count_once() -> None:
    shared = nn.Linear(3, 3)
    net = nn.Sequential(shared, nn.ReLU(), shared)
    shared.bias.requires_grad_(False)
    found = minicnn.summary(net, (3,), verbose=False)
    assert [row.parameters for row in found.rows] == [12, 0, 0]
    assert (found.parameters, found.trainable) == (12, 9)


def test_errors() -> None:
    net = minicnn.models.LeNet5()
    with pytest.raises(ShapeError, match="expects 1 input channels"):
        minicnn.summary(net, (3, 32, 32))
    assert net.training
    for bad in [(1, 0, 32), 3, [], "32"]:
        with pytest.raises(ValueError, match="input_size must be a shape"):
            minicnn.summary(net, bad)


def test_meta_nets_and_lazy_layers() -> None:
    """Shapes and parameters without memory; lazy layers are counted after the run that gives them their shapes."""

    def build() -> nn.Sequential:
        return nn.Sequential(nn.LazyConv2d(6, 5), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(1_000_000))

    with minicnn.device("meta"):
        net = build()
    found = minicnn.summary(net, (1, 32, 32), verbose=False)
    assert [row.output for row in found.rows] == [(6, 28, 28), (6, 28, 28), (4704,), (1_000_000,)]
    assert found.parameters == 156 + 12 + 4705 * 1_000_000
    assert net[3].weight.is_meta
    with minicnn.device("meta"):
        ours = build()
    assert minicnn.summary(ours, (1, 32, 32), device="meta", verbose=False).rows[0].kind == "Conv2d"


def test_lazy_layers_that_are_not_run() -> None:
    class Half(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.used, self.unused = nn.Linear(2, 3), nn.LazyLinear(4)

        def forward(self, x: minicnn.Tensor) -> minicnn.Tensor:
            y: minicnn.Tensor = self.used(x)
            return y

    assert minicnn.summary(Half(), (2,), verbose=False).parameters == 9


class OneHot(nn.Module):
    """A first layer that takes classes, and an image beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(10, 3)

    def forward(self, x: minicnn.Tensor, y: minicnn.Tensor | None = None) -> minicnn.Tensor:
        found: minicnn.Tensor = self.linear(nn.functional.one_hot(x, 10).float())
        return found if y is None else found + y


@pytest.mark.parametrize("dtypes", [[minicnn.int64], minicnn.int64, minicnn.LongTensor, "minicnn.LongTensor"])
def test_inputs_of_classes(dtypes: object) -> None:
    found = minicnn.summary(OneHot(), (4,), dtypes=dtypes, verbose=False)
    assert [row.output for row in found.rows] == [(4, 3)]
    assert found.input_bytes == 4 * 8
    with pytest.raises(RuntimeError, match="one_hot: takes an int64 tensor"):
        minicnn.summary(OneHot(), (4,), verbose=False)


def test_a_type_for_each_input() -> None:
    found = minicnn.summary(OneHot(), [(4,), (4, 3)], dtypes=[minicnn.int64, None], verbose=False)
    assert found.input_bytes == 4 * 8 + 4 * 3 * 4
    with pytest.raises(ValueError, match="summary: 1 dtypes for 2 inputs"):
        minicnn.summary(OneHot(), [(4,), (4, 3)], dtypes=[minicnn.int64])
    with pytest.raises(TypeError, match=r"summary: dtypes must be types such as minicnn.int64, got 'x' \(str\)"):
        minicnn.summary(OneHot(), (4,), dtypes="x")
