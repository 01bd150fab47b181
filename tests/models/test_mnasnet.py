"""MNASNet: its table, state dicts of both versions, options, training."""

from __future__ import annotations

import copy
from collections import OrderedDict
from typing import Any

import pytest
from counting import finite_gradients, overfits
from stage_shapes import stage_shapes

import minicnn
from minicnn import models, nn

# (output shape, parameters) of the stacks, which are entries 8 to 13 of `layers`
STACKS = [((24, 56, 56), 11_472), ((40, 28, 28), 33_096), ((80, 14, 14), 217_680), ((96, 14, 14), 209_184),
          ((192, 7, 7), 1_611_456), ((320, 7, 7), 605_440)]  # fmt: skip


def on_meta(alpha: float) -> Any:
    with minicnn.device("meta"):
        return models.MNASNet(alpha)


def test_stages() -> None:
    shapes = stage_shapes(models.mnasnet1_0, (3, 224, 224), " ".join(f"layers.{i}" for i in (0, 7, *range(8, 14), 16)))
    params = [sum(p.numel() for p in on_meta(1.0).layers[i].parameters()) for i in range(8, 14)]
    assert shapes[:2] == [(32, 112, 112), (16, 112, 112)]
    assert list(zip(shapes[2:-1], params, strict=True)) == STACKS
    assert shapes[-1] == (1280, 7, 7)


def test_width() -> None:
    widths = {0.5: [16, 8, 16, 24, 40, 48, 96, 160], 1.3: [40, 24, 32, 56, 104, 128, 248, 416]}
    for alpha, expected in widths.items():
        net = on_meta(alpha)
        stacks = [net.layers[i][0].layers[6].out_channels for i in range(8, 14)]
        assert [net.layers[0].out_channels, net.layers[6].out_channels, *stacks] == expected
    for alpha in (0, -1.0):
        with pytest.raises(ValueError, match=f"alpha multiplies the channels and must be greater than 0, got {alpha}"):
            models.MNASNet(alpha)


# ------------------------------------------------------------------------------------------------ versions of the state


def of_version_1() -> Any:
    """The state of a net whose first layers are not scaled."""
    net = models.MNASNet(0.5, num_classes=3)
    with pytest.warns(UserWarning, match="this state is of version 1"):
        net.load_state_dict(OrderedDict({"layers.0.weight": minicnn.zeros(32, 3, 3, 3)}), strict=False)
    for parameter in net.parameters():
        nn.init.normal_(parameter, std=0.1)
    return net


def test_a_state_of_version_1_makes_a_net_of_version_1() -> None:
    old = of_version_1().eval()
    state = old.state_dict()
    assert state._metadata[""] == {"version": 1}
    assert tuple(state["layers.6.weight"].shape) == (16, 32, 1, 1)
    assert tuple(state["layers.8.0.layers.0.weight"].shape) == (48, 16, 1, 1)

    net = models.MNASNet(0.5, num_classes=3).eval()
    with pytest.warns(UserWarning, match="version 1, whose first layers are not scaled by alpha=0.5"):
        net.load_state_dict(state)
    assert not any(module.training for module in net.modules())
    x = minicnn.randn(1, 3, 32, 32)
    assert minicnn.equal(net(x), old(x))
    net.load_state_dict(net.state_dict())  # now without a warning


def test_versions_of_a_net_inside_another() -> None:
    old = nn.Sequential(nn.Identity(), of_version_1())
    net = nn.Sequential(nn.Identity(), models.MNASNet(0.5, num_classes=3))
    with pytest.warns(UserWarning, match="version 1"):
        net.load_state_dict(old.state_dict())
    assert minicnn.equal(net[1].layers[0].weight, old[1].layers[0].weight)


@pytest.mark.parametrize("alpha", [0.5, 1.0])
@pytest.mark.parametrize("metadata", [True, False])
def test_a_state_of_version_2_loads_without_a_word(alpha: float, metadata: bool) -> None:
    state = models.MNASNet(alpha).state_dict()
    models.MNASNet(alpha).load_state_dict(state if metadata else dict(state))


def test_version_1_is_the_same_net_at_full_width() -> None:
    net = models.MNASNet(1.0)
    state = copy.copy(net.state_dict())
    state._metadata[""]["version"] = 1
    net.load_state_dict(state)
    state._metadata[""]["version"] = 3
    with pytest.raises(ValueError, match="the version of the state should be 1 or 2, got 3"):
        net.load_state_dict(state)


# ------------------------------------------------------------------------------------------------------------- training


@pytest.mark.parametrize(
    "name", ["mnasnet0_5", *(pytest.param(f"mnasnet{w}", marks=pytest.mark.slow) for w in ("0_75", "1_0", "1_3"))]
)
def test_gradients_at_full_size(name: str) -> None:
    finite_gradients(models.get_model(name), 3, 224, 224)


def test_it_learns_16_images_by_heart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("minicnn.models.mnasnet.BN_MOMENTUM", 0.1)  # the net's own, 0.0003, takes thousands of steps
    monkeypatch.setattr("minicnn.models.mnasnet.STACKS", [(3, 3, 24, 1, 2), (5, 3, 40, 1, 2)])
    minicnn.manual_seed(0)
    overfits(models.MNASNet(0.3, 4, dropout=0.0), 3, 16, 16, lr=3e-3)
