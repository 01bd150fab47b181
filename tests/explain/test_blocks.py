"""Blocks that are left out: against nets that were built without them, and what is left as it was."""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.explain import drop_blocks, path_lengths, residual_blocks
from minicnn.explain.blocks import without
from minicnn.models import CifarResNet, PreActResNet, WideResNet, get_model
from minicnn.models.resnet_preact import PreActBlock
from minicnn_kernels.geometry import ShapeError


def scrambled(model: nn.Module) -> nn.Module:
    """Batch norms with statistics and weights of their own, so that no branch is 0 and no two are equal."""
    minicnn.manual_seed(5)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.data.normal_(0, 0.3)
            module.weight.data.uniform_(0.5, 1.5)
            module.bias.data.normal_(0, 0.3)
    return model.eval()


@pytest.mark.parametrize(
    ("name", "size", "count", "kept", "first"),
    [
        ("resnet20", (3, 32, 32), 9, 7, ("layer1.0", "BasicBlock", "layer1.0.bn2", True)),
        ("resnet50", (3, 64, 64), 16, 12, ("layer1.0", "Bottleneck", "layer1.0.bn3", False)),
        ("preact_resnet110", (3, 32, 32), 54, 52, ("layers.0.0", "PreActBlock", "layers.0.0.conv2", True)),
        ("wrn_16_8", (3, 32, 32), 6, 3, ("layers.0.0", "PreActBlock", "layers.0.0.conv2", False)),
        ("se_resnet50", (3, 64, 64), 16, 12, ("layer1.0", "SEBottleneck", "layer1.0.se", False)),
        ("mobilenet_v2", (3, 64, 64), 10, 10, ("features.3", "InvertedResidual", "features.3.conv", True)),
        ("efficientnet_b0", (3, 64, 64), 9, 9, ("features.2.1", "MBConv", "features.2.1.stochastic_depth", True)),
        ("xception", (3, 96, 96), 12, 8, ("entry_flow.2", "XceptionBlock", "entry_flow.2.body", False)),
        ("highway10", (1, 28, 28), 9, 9, ("highway.0", "Highway", None, True)),
        ("plain20", (3, 32, 32), 0, 0, None),
        ("densenet121", (3, 64, 64), 0, 0, None),
        ("nasnet_mobile", (3, 64, 64), 0, 0, None),
    ],
)
def test_the_blocks_of_known_nets(name: str, size: Any, count: int, kept: int, first: Any) -> None:
    with minicnn.device("meta"):
        model = get_model(name)
    found = residual_blocks(model, size)
    assert len(found) == count and sum(block.same_shape for block in found) == kept
    assert not found or tuple(found[0]) == first


@pytest.mark.parametrize(
    "make",
    [
        lambda: CifarResNet(14),
        lambda: CifarResNet(14, shortcut="B"),
        lambda: WideResNet(10, 1),
        lambda: PreActResNet(PreActBlock, [2, 1], 4, width=8),
    ],
)
def test_without_a_block_the_rest_is_as_it_would_be(make: Any) -> None:
    """The net without a block is the net whose branch has weights 0 at its end: y = shortcut + 0."""
    model, x = scrambled(make()), minicnn.randn(2, 3, 16, 20)
    blocks = residual_blocks(model, (3, 16, 20))
    assert len(blocks) > 2
    for block in blocks:
        with without(model, [block]), minicnn.no_grad():
            found = model(x)
        end = model.get_submodule(block.branch or "")
        before = [p.detach().clone() for p in end.parameters()]
        for p in end.parameters():
            p.data.fill_(0)
        want = model(x)
        for p, values in zip(end.parameters(), before, strict=True):
            p.data.copy_(values)
        assert minicnn.allclose(found, want, atol=1e-6) and not minicnn.allclose(found, model(x), atol=1e-3)
    with (
        without(model, blocks[1:2]),
        minicnn.no_grad(),
    ):  # where the shape stays after a ReLU, the block is the identity
        stage = model.layer1 if isinstance(model, CifarResNet) else None
        if stage is not None:
            given = minicnn.rand(2, 16, 5, 4)
            assert minicnn.equal(stage[1](given), given)


class Own(nn.Module):
    """A block of another make: the branch is a function, the layer at its end is shared, or what is added is scaled."""

    def __init__(self, kind: str, shared: nn.Module | None = None) -> None:
        super().__init__()
        self.kind, self.conv = kind, nn.Conv2d(2, 2, 3, padding=1)
        self.last = shared or nn.Tanh()

    def forward(self, x: Any) -> Any:
        if self.kind == "function":
            return x + self.conv(x).tanh() * 0.5
        if self.kind == "first":
            return self.last(self.conv(x)).add_(x)
        return x + self.last(self.conv(self.last(x)))


def own(shared: nn.Module | None) -> nn.Module:
    minicnn.manual_seed(0)
    kinds = ("function", "first", "shared", "shared")
    return nn.Sequential(*[Own(kind, shared) for kind in kinds], nn.Tanh(), nn.Flatten(), nn.Linear(2 * 4 * 5, 3))


def test_blocks_of_other_makes() -> None:
    model, x = own(nn.Tanh()), minicnn.randn(3, 2, 4, 5)
    found = residual_blocks(model, (2, 4, 5))
    assert [block.name for block in found] == ["0", "1", "2", "3"] and found[0].branch is None
    for block in found:
        with without(model, [block]), minicnn.no_grad():
            assert minicnn.equal(model[int(block.name)](x), x)
            other = model[3 if block.name != "3" else 2]  # its Tanh is the same module, and goes on
            assert not minicnn.equal(other(x), x)
    with without(model, found), minicnn.no_grad():
        assert minicnn.allclose(model(x), model[4:](x))


def accuracy(model: nn.Module, x: Any, y: Any) -> float:
    model.eval()
    with minicnn.no_grad():
        return float((model(x).argmax(1) == y).double().mean())


def test_accuracies_without_blocks() -> None:
    """Labels are what the whole net says. One block decides, the other adds nothing."""
    model, x = own(None), minicnn.randn(40, 2, 4, 5)
    model[1].conv.weight.data.fill_(0)
    model[1].conv.bias.data.fill_(0)
    with minicnn.no_grad():
        y = model(x).argmax(1)
    found = drop_blocks(model, (x, y), counts=(0, 4, 1), trials=3)
    assert found.accuracy == 1 and found.images == 40
    assert [row.block.name for row in found.blocks] == ["0", "1", "2", "3"]
    assert found.blocks[1].accuracy == 1
    assert min(row.accuracy for row in found.blocks) < 1
    for row in found.blocks:
        rest = nn.Sequential(*[module for k, module in enumerate(model) if str(k) != row.block.name])
        assert row.accuracy == accuracy(rest, x, y)
    assert list(found.together) == [0, 4, 1] and found.together[0].tolist() == [1, 1, 1]
    assert set(found.together[4]) == {accuracy(model[4:], x, y)}
    assert set(found.together[1]) <= {row.accuracy for row in found.blocks}
    again = drop_blocks(model, (x, y), counts=(1,), trials=3)
    assert again.blocks == found.blocks
    assert found.paths == 16 and found.lengths == [1, 4, 6, 4, 1]
    assert "4 blocks, 16 paths" in str(found) and "without any 4" in str(found)


def test_highway_blocks_and_modules_by_name() -> None:
    minicnn.manual_seed(0)
    model = nn.Sequential(
        nn.Flatten(), nn.Linear(6, 5), nn.Highway.linear(5), nn.Sequential(nn.Linear(5, 5), nn.ReLU()), nn.Linear(5, 2)
    )
    x, y = minicnn.randn(30, 1, 2, 3), minicnn.arange(30) % 2
    (row,) = drop_blocks(model, (x, y)).blocks
    assert (row.block.name, row.block.branch) == ("2", None)
    assert row.accuracy == accuracy(nn.Sequential(model[0], model[1], model[3], model[4]), x, y)
    named = drop_blocks(model, (x, y), ["3", model[2]]).blocks
    assert [one.block.name for one in named] == ["3", "2"] and named[1].accuracy == row.accuracy
    assert named[0].accuracy == accuracy(nn.Sequential(model[0], model[1], model[2], model[4]), x, y)


def test_path_lengths() -> None:
    assert path_lengths(0) == [1] and path_lengths(3) == [1, 3, 3, 1]
    assert sum(path_lengths(54)) == 2**54 and path_lengths(54)[27] == comb(54, 27)
    with pytest.raises(ValueError, match="blocks"):
        path_lengths(-1)


def test_the_net_is_left_as_it_was_also_after_an_error() -> None:
    model, x, y = own(None), minicnn.randn(6, 2, 4, 5), minicnn.arange(6) % 3
    model.train()
    model[2].eval()
    modes, before = [m.training for m in model.modules()], model(x).detach()
    drop_blocks(model, (x, y), counts=[2])
    with pytest.raises(ShapeError, match=r"a Linear makes \(6, 3\) of \(6, 40\)"):
        drop_blocks(model, (x, y), ["0", "6"])
    with pytest.raises(TypeError, match="every image needs a class"):
        drop_blocks(model, x)
    assert [m.training for m in model.modules()] == modes
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    np.testing.assert_array_equal(model(x).detach().numpy(), before.numpy())
    assert minicnn.is_grad_enabled()


def test_errors() -> None:
    model, x, y = own(None), minicnn.randn(6, 2, 4, 5), minicnn.arange(6) % 3
    with pytest.raises(ValueError, match="5 blocks cannot be left out; there are 4"):
        drop_blocks(model, (x, y), counts=(5,))
    with pytest.raises(ValueError, match=r"Sequential has no residual blocks; name modules whose shape stays"):
        drop_blocks(nn.Sequential(nn.Flatten(), nn.Linear(40, 3)), (x, y))
    with pytest.raises(TypeError, match=r"blocks must be several modules or names in a list, got '0'"):
        drop_blocks(model, (x, y), "0")
    with pytest.raises(ValueError, match="the net has no layer '9'"):
        drop_blocks(model, (x, y), ["9"])
    with pytest.raises(ValueError, match="trials"):
        drop_blocks(model, (x, y), trials=0)
    with pytest.raises(ShapeError, match=r"output of the net must be \(N, K\)"):
        drop_blocks(model[:4], (x, y))
    with pytest.raises(TypeError, match="residual_blocks"):
        residual_blocks(3, (1, 2, 3))  # type: ignore[arg-type]
    with pytest.raises(ShapeError):
        residual_blocks(model, (3, 4, 5))
