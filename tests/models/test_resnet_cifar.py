"""The CIFAR nets of the ResNet paper: layers, shortcuts, plain against residual."""

from __future__ import annotations

import re

import numpy as np
import pytest
from counting import finite_gradients, overfits
from stage_shapes import stage_shapes

import minicnn
from minicnn import models, nn
from minicnn.models import CifarResNet
from minicnn.models.resnet import BasicBlock, PaddedIdentity

DEPTHS = [20, 32, 44, 56, 110, 1202]


@pytest.mark.parametrize("depth", DEPTHS)
@pytest.mark.parametrize("family", ["resnet", "plain"])
def test_layers(depth: int, family: str) -> None:
    name = f"{family}{depth}"
    if name == "plain1202":
        assert not hasattr(models, name)
        return
    with minicnn.device("meta"):
        net = models.get_model(name)
    layers = [m for m in net.modules() if isinstance(m, (nn.Conv2d, nn.Linear))]
    assert len(layers) == depth  # the shortcuts have none
    assert [len(stage) for stage in (net.layer1, net.layer2, net.layer3)] == [(depth - 2) // 6] * 3


def test_stages() -> None:
    shapes = stage_shapes(models.resnet20, (3, 32, 32), "conv1 layer1 layer2 layer3 avgpool fc")
    assert shapes == [(16, 32, 32), (16, 32, 32), (32, 16, 16), (64, 8, 8), (64, 1, 1), (10,)]


def test_shortcut_a_has_no_parameters_and_pads_with_zeros() -> None:
    x = minicnn.randn(2, 3, 5, 4)
    y = PaddedIdentity(2, 2)(x)
    assert y.shape == (2, 5, 3, 2)
    assert np.array_equal(y[:, :3].numpy(), x.numpy()[:, :, ::2, ::2])
    assert not y[:, 3:].numpy().any()
    net = models.resnet20()
    assert [type(stage[0].downsample) for stage in (net.layer1, net.layer2, net.layer3)] == [
        type(None), PaddedIdentity, PaddedIdentity,
    ]  # fmt: skip


@pytest.mark.parametrize(("shortcut", "projections"), [("A", 0), ("B", 2), ("C", 9)])
def test_projections(shortcut: str, projections: int) -> None:
    with minicnn.device("meta"):
        net = models.resnet20(shortcut=shortcut)
    found = [m for m in net.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
    assert len(found) == projections


def test_a_block_whose_weights_do_nothing_is_the_identity() -> None:
    block = BasicBlock(4, 4)
    nn.init.zeros_(block.conv2.weight)
    x = minicnn.randn(2, 4, 5, 6).relu()  # the last ReLU does nothing here
    assert np.array_equal(block(x).detach().numpy(), x.numpy())


def test_the_plain_net_has_the_same_weights_and_no_shortcuts() -> None:
    plain, residual = CifarResNet(8, shortcut=None), CifarResNet(8)
    assert residual.load_state_dict(plain.state_dict()) == ([], [])
    block, other, h = plain.layer1[0], residual.layer1[0], minicnn.randn(2, 16, 8, 8)
    with minicnn.no_grad():
        branch = block.bn2(block.conv2(block.bn1(block.conv1(h)).relu()))
        assert np.allclose(block(h).numpy(), branch.relu().numpy(), atol=1e-6)
        assert np.allclose(other(h).numpy(), (branch + h).relu().numpy(), atol=1e-6)


def test_a_block_can_be_left_out() -> None:
    """A trained net of n blocks is 2^n nets, since each block may be used or skipped."""
    net = CifarResNet(14).eval()
    x = minicnn.randn(1, 3, 8, 8)
    with minicnn.no_grad():
        before = net(x)
        net.layer2[1] = nn.Identity()
        assert net(x).shape == before.shape
        assert not np.array_equal(net(x).numpy(), before.numpy())


def test_options() -> None:
    net = CifarResNet(8, num_classes=7, in_channels=1)
    assert net(minicnn.zeros(1, 1, 20, 12)).shape == (1, 7)
    with pytest.raises(ValueError, match=re.escape("depth must be 6n+2 with n >= 1, such as 20, 32, 44, 56 or 110")):
        CifarResNet(18)
    with pytest.raises(ValueError, match=r'shortcut must be "A" .*, got \'D\''):
        models.resnet20(shortcut="D")


def test_he_initialisation() -> None:
    minicnn.manual_seed(0)
    weight = models.resnet20().layer3[1].conv1.weight
    assert weight.std().item() == pytest.approx(np.sqrt(2 / (64 * 9)), rel=0.02)


@pytest.mark.parametrize("build", [models.resnet20, models.plain20])
def test_one_step(build: type) -> None:
    finite_gradients(build(), 3, 32, 32)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet32", "resnet44", "resnet56", "resnet110", "resnet1202"])
def test_one_step_of_deeper_nets(name: str) -> None:
    finite_gradients(models.get_model(name), 3, 32, 32)


@pytest.mark.parametrize("shortcut", ["A", "B", None])
def test_it_learns_16_images_by_heart(shortcut: str | None) -> None:
    overfits(CifarResNet(8, num_classes=4, shortcut=shortcut), 3, 12, 12)
