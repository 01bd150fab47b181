"""Blocks: highway gates, squeeze-excitation, dropping branches and squares, torchvision's sequences of layers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import ShapeError, Tensor, nn, ops
from minicnn.autograd import gradcheck

BLOCKS: dict[str, tuple[nn.Module, tuple[int, ...]]] = {
    "highway of a linear layer": (nn.Highway.linear(4, nn.Tanh), (3, 4)),
    "highway of a convolution": (nn.Highway.conv2d(2, (3, 1), nn.Sigmoid), (2, 2, 4, 3)),
    "squeeze-excitation": (nn.SqueezeExcitation(4, 2, nn.SiLU, nn.Hardsigmoid), (2, 4, 3, 5)),
}


def sigmoid(x: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-x))


def normal(*shape: int) -> Tensor:
    return Tensor(np.random.default_rng(0).standard_normal(shape))


@pytest.mark.parametrize("name", BLOCKS)
def test_gradients(name: str) -> None:
    block, shape = BLOCKS[name]
    block.double()
    parameters = dict(block.named_parameters())

    def call(x: Tensor, *values: Tensor) -> Any:
        for path, value in zip(parameters, values, strict=True):
            owner, _, last = path.rpartition(".")
            block.get_submodule(owner)._parameters[last] = value  # the copies that gradcheck perturbs
        return block(x)

    x = normal(*shape).requires_grad_()
    assert gradcheck(call, [x, *parameters.values()], eps=1e-5, atol=1e-8, rtol=1e-6)


def test_highway_by_the_equation() -> None:
    block = nn.Highway.linear(5).double()
    x = normal(3, 5)
    weights = {name: p.detach().numpy() for name, p in block.named_parameters()}
    h = np.maximum(x.numpy() @ weights["body.0.weight"].T + weights["body.0.bias"], 0)
    t = sigmoid(x.numpy() @ weights["gate.weight"].T + weights["gate.bias"])
    np.testing.assert_allclose(block(x).detach().numpy(), h * t + x.numpy() * (1 - t), rtol=1e-12)
    assert set(weights) == {"body.0.weight", "body.0.bias", "gate.weight", "gate.bias"}
    assert (weights["gate.bias"] == -2).all()
    assert sum(w.size for w in weights.values()) == 2 * (5 + 1) * 5


def test_a_closed_highway_passes_the_image_on() -> None:
    x = normal(2, 3, 5, 4).float()
    for block in (nn.Highway.conv2d(3, gate_bias=-60), nn.Highway.conv2d(3, (1, 5), gate_bias=-60)):
        np.testing.assert_array_equal(block(x).detach().numpy(), x.numpy())
    open_ = nn.Highway.conv2d(3, gate_bias=60)
    np.testing.assert_array_equal(open_(x).detach().numpy(), open_.body(x).detach().numpy())


def test_highway_of_other_layers_and_what_it_refuses() -> None:
    gate = nn.Linear(4, 4)
    before = gate.bias.detach().numpy().copy()
    block = nn.Highway(nn.Sequential(nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 4)), gate, None)
    assert block(normal(2, 4).float()).shape == (2, 4)
    assert np.array_equal(gate.bias.detach().numpy(), before)
    with pytest.raises(ValueError, match=r"gate_bias=-2.0 needs a gate with a bias"):
        nn.Highway(nn.Linear(4, 4), nn.Linear(4, 4, bias=False))
    with pytest.raises(ShapeError, match=r"keep the shape, \(2, 4\), got \(2, 5\) and \(2, 4\); project"):
        nn.Highway(nn.Linear(4, 5), gate)(normal(2, 4).float())


def test_squeeze_excitation_by_the_equation() -> None:
    block = ops.SqueezeExcitation(6, 2).double()
    w = {name: p.detach().numpy() for name, p in block.state_dict().items()}
    assert {name: p.shape for name, p in w.items()} == {
        "fc1.weight": (2, 6, 1, 1), "fc1.bias": (2,), "fc2.weight": (6, 2, 1, 1), "fc2.bias": (6,),
    }  # fmt: skip
    x = normal(3, 6, 4, 5)
    z = np.maximum(x.numpy().mean((2, 3)) @ w["fc1.weight"][:, :, 0, 0].T + w["fc1.bias"], 0)
    s = sigmoid(z @ w["fc2.weight"][:, :, 0, 0].T + w["fc2.bias"])
    np.testing.assert_allclose(block(x).detach().numpy(), x.numpy() * s[:, :, None, None], rtol=1e-12)


@pytest.mark.parametrize("mode", ["row", "batch"])
def test_stochastic_depth(mode: str) -> None:
    minicnn.manual_seed(1)
    layer = nn.StochasticDepth(0.25, mode)
    assert repr(layer) == f"StochasticDepth(p=0.25, mode={mode})"
    x = (normal(400, 2, 3) + 10).requires_grad_()
    drawn = []
    for _ in range(1 if mode == "row" else 400):
        y = layer(x)
        ratio = y.detach().numpy() / x.detach().numpy()
        values = ratio.reshape(400, -1) if mode == "row" else ratio.reshape(1, -1)
        assert (values == values[:, :1]).all() or np.allclose(
            values, values[:, :1]
        )  # one draw for each row, or one for all rows
        drawn.extend(values[:, 0])
    found = np.array(drawn)
    assert np.allclose(found[found != 0], 4 / 3)
    assert abs((found == 0).mean() - 0.25) < 0.09  # four standard deviations
    y.sum().backward()
    np.testing.assert_allclose(x.grad.numpy(), ratio, rtol=1e-12)
    assert layer.eval()(x) is x
    assert nn.StochasticDepth(0.0, mode)(x) is x
    assert not ops.stochastic_depth(x, 1.0, mode).detach().numpy().any()


def test_drop_block() -> None:
    minicnn.manual_seed(2)
    layer = nn.DropBlock2d(0.2, 3)
    assert repr(layer) == "DropBlock2d(p=0.2, block_size=3, inplace=False)"
    x = minicnn.ones(40, 8, 11, 12, dtype=minicnn.float64)
    y = layer(x).numpy()
    dropped = y == 0
    assert abs(dropped.mean() - 0.18) < 0.02  # blocks overlap: a little less than p
    np.testing.assert_allclose(y.mean(), 1, rtol=1e-6)
    assert len(np.unique(y)) == 2
    whole = np.lib.stride_tricks.sliding_window_view(dropped, (3, 3), (2, 3)).all((-1, -2))
    for n, c, i, j in np.argwhere(dropped):  # every dropped pixel lies in a dropped 3x3 square
        assert whole[n, c, max(0, i - 2) : i + 1, max(0, j - 2) : j + 1].any()
    assert layer.eval()(x) is x
    z = x.clone()
    assert ops.drop_block2d(z, 0.5, 5, inplace=True) is z
    assert (z.numpy() == 0).any()
    with minicnn.device("meta"):
        assert nn.DropBlock2d(0.2, 3)(minicnn.zeros(2, 3, 8, 8)).shape == (2, 3, 8, 8)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: ops.stochastic_depth(x, -0.1, "row"), "stochastic_depth: drop probability .* got -0.1"),
        (lambda x: ops.stochastic_depth(x, 0.1, "column"), "stochastic_depth: mode .* 'column'"),
        (lambda x: ops.drop_block2d(x, 1.1, 3), "drop_block2d: drop probability .* got 1.1"),
        (lambda x: ops.drop_block2d(x, 0.1, 2), "drop_block2d: block_size must be odd and within 4 x 5, got 2"),
        (lambda x: ops.drop_block2d(x, 0.1, 5), "drop_block2d: block_size must be odd and within 4 x 5, got 5"),
        (lambda x: ops.drop_block2d(x[0], 0.1, 3), r"drop_block2d: input must be \(N, C, H, W\)"),
    ],
)
def test_what_dropping_refuses(call: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        call(normal(2, 3, 4, 5))


def test_conv_norm_activation() -> None:
    block = ops.Conv2dNormActivation(3, 8, (3, 5), 2, dilation=2, groups=1)
    assert [type(layer) for layer in block] == [nn.Conv2d, nn.BatchNorm2d, nn.ReLU]
    assert (block[0].padding, block[0].bias, block[2].inplace, block.out_channels) == ((2, 4), None, True, 8)
    assert list(block.state_dict())[:3] == ["0.weight", "1.weight", "1.bias"]
    assert block(minicnn.zeros(2, 3, 9, 9)).shape == (2, 8, 5, 5)
    bare = ops.Conv2dNormActivation(3, 8, padding=0, norm_layer=None, activation_layer=nn.Hardswish, inplace=None)
    assert [type(layer) for layer in bare] == [nn.Conv2d, nn.Hardswish]
    assert bare[0].bias is not None
    assert bare[0].padding == (0, 0)
    assert len(ops.Conv2dNormActivation(3, 8, activation_layer=None, bias=True)) == 2


def test_mlp_and_permute() -> None:
    block = ops.MLP(4, [6, 5], nn.BatchNorm1d, nn.Tanh, dropout=0.5)
    kinds = [nn.Linear, nn.BatchNorm1d, nn.Tanh, nn.Dropout, nn.Linear, nn.Dropout]
    assert [type(layer) for layer in block] == kinds
    assert (block[0].in_features, block[4].in_features, block[4].out_features, block[5].p) == (4, 6, 5, 0.5)
    assert [layer.inplace for layer in ops.MLP(4, [6, 5], inplace=True) if hasattr(layer, "inplace")] == [True] * 3
    assert ops.Permute([0, 2, 3, 1])(minicnn.zeros(2, 3, 4, 5)).shape == (2, 4, 5, 3)


def test_blocks_are_built_on_meta() -> None:
    with minicnn.device("meta"):
        net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.Highway.conv2d(4), nn.SqueezeExcitation(4, 2))
        y = net(minicnn.zeros(2, 3, 8, 8))
    assert y.is_meta
    assert y.shape == (2, 4, 6, 6)


def test_frozen_batch_norm_is_batch_norm_in_evaluation() -> None:
    layer, frozen = nn.BatchNorm2d(3), nn.FrozenBatchNorm2d(3)
    for value in (*layer.parameters(), layer.running_mean, layer.running_var):
        nn.init.uniform_(value, 0.5, 1.5)
    frozen.load_state_dict(layer.state_dict())  # num_batches_tracked is ignored
    assert list(frozen.parameters()) == [] and repr(frozen) == "FrozenBatchNorm2d(3, eps=1e-05)"
    x = minicnn.randn(2, 3, 4, 5)
    np.testing.assert_allclose(frozen.train()(x).numpy(), layer.eval()(x).detach().numpy(), rtol=1e-6)


def test_blocks_have_torchvisions_places() -> None:
    from minicnn.ops.misc import Conv2dNormActivation, FrozenBatchNorm2d

    from minicnn.ops import StochasticDepth

    assert StochasticDepth is nn.StochasticDepth
    assert (Conv2dNormActivation, FrozenBatchNorm2d) == (nn.Conv2dNormActivation, nn.FrozenBatchNorm2d)
