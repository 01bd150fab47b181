"""Checks of whole nets: GoogLeNet, ResNet, DenseNet, SqueezeNet, EfficientNet; and the chart of the challenge."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import models, nn
from minicnn.analysis import comparisons
from minicnn.models.registry import MODELS

from . import add, build, fact, layers, macs, millions, parameters

# ------------------------------------------------------------------------------------------------------------ GoogLeNet


def without_heads(**options: Any) -> int:
    """Parameters of the GoogLeNet of 2014 as it is used: the auxiliary heads are dropped after the training."""
    return parameters("googlenet_2014", aux_logits=False, **options)


@fact("inc-010", needs="googlenet")
def _activations(value: str) -> None:
    """The net of 2014 has a ReLU after every convolution: no output of one is negative."""
    minicnn.manual_seed(0)
    net = models.googlenet_2014(num_classes=10, aux_logits=False).eval()
    block = net.inception3a
    with minicnn.no_grad():
        y = block(minicnn.randn(1, 192, 8, 8))
    assert y.min().item() == 0 and (y == 0).float().mean().item() > 0.1


@fact("inc-011", needs="googlenet inception_parts")
def _auxiliary_losses(value: float) -> None:
    outputs = models.GoogLeNetOutputs(*(minicnn.randn(2, 10) for _ in range(3)))
    target = minicnn.tensor([1, 2])
    main, *auxiliary = (nn.functional.cross_entropy(y, target) for y in outputs)
    expected = main + value * (auxiliary[0] + auxiliary[1])
    assert models.auxiliary_loss(outputs, target).item() == pytest.approx(expected.item(), rel=1e-6)


@fact("inc-012", needs="googlenet")
def _googlenet_parameters(value: str) -> None:
    assert without_heads() == 6_998_552 and parameters("googlenet", aux_logits=False) == 6_624_904
    assert value == "6.8M" and without_heads() == pytest.approx(6.8e6, rel=0.03)  # the paper's table is rounded


@fact("inc-013", needs="googlenet")
def _not_five_million(value: str) -> None:
    assert f"{millions(without_heads())}M" == "7M" != value


@fact("inc-014", "inc-015", needs="googlenet alexnet vgg")
def _googlenet_ratios(value: Any) -> None:
    found = [round(parameters(name) / without_heads(), 1) for name in ("alexnet_two_towers", "vgg16")]
    assert found == [8.7, 19.8]
    assert found[0] < (value[0] if isinstance(value, list) else value)


@fact("inc-016", needs="googlenet")
def _googlenet_depth(value: int) -> None:
    names = [name for name, _, _ in layers("googlenet_2014", "Conv2d Linear", aux_logits=False)]
    outside = [name for name in names if not name.startswith("inception")]
    modules = {name.split(".")[0] for name in names if name.startswith("inception")}
    assert len(outside) + 2 * len(modules) == value  # the longest way through a module has two layers


@fact("inc-017", needs="googlenet")
def _googlenet_modules(value: list[int]) -> None:
    every = layers("googlenet_2014", aux_logits=False)
    modules = {name.split(".")[0] for name, _, _ in every if name.startswith("inception")}
    poolings = [name for name, kind, _ in every if "Pool" in kind and not name.startswith("inception")]
    assert [len(modules), 22 + len(poolings)] == value


@fact("inc-021", needs="googlenet")
def _notation(value: dict[str, str]) -> None:
    first, second = (m for m in list(build("googlenet_2014").modules()) if isinstance(m, nn.Conv2d) and first_two(m))
    assert value["7x7+2(S)"] == f"stride {first.stride[0]}, pad {first.padding[0]}"
    assert value["1x1+1(V)"] == f"stride {second.stride[0]}, no pad" and second.padding[0] == 0


def first_two(conv: nn.Conv2d) -> bool:
    """The first two convolutions: 7x7 on 3 channels, 1x1 of 64 channels to 64."""
    return (conv.in_channels, conv.out_channels, conv.kernel_size[0]) in ((3, 64, 7), (64, 64, 1))


@fact("inc-023", needs="googlenet")
def _one_linear_layer(value: int) -> None:
    found = layers("googlenet_2014", "Linear", aux_logits=False)
    assert [one.output for _, _, one in found] == [(1000,)] and len(found) != value
    assert sum(isinstance(m, nn.Linear) for m in build("googlenet_2014").modules()) == 1 + 2 * 2


# --------------------------------------------------------------------------------------------------------------- ResNet


def _blocks(depth: int, convolutions: int) -> None:
    def check(value: list[int]) -> None:
        net = build(f"resnet{depth}")
        assert [len(stage) for stage in (net.layer1, net.layer2, net.layer3, net.layer4)] == value
        assert 2 + convolutions * sum(value) == depth

    add(f"resnet-blocks-{depth}", check, "resnet")


def _flops(model: str, depth: int) -> None:
    def check(value: float) -> None:
        assert macs(model) / 1e9 == pytest.approx(value, abs=0.06)  # the paper rounds; 3.86 of ResNet-50 is 3.8

    add(f"resnet-flops-{depth}", check, "resnet")


for _depth, _convolutions in ((18, 2), (34, 2), (50, 3), (101, 3), (152, 3)):
    _blocks(_depth, _convolutions)
    _flops(f"resnet{_depth}_a" if _depth < 50 else f"resnet{_depth}_v1", _depth)


@fact("resnet-sizes", needs="resnet")
def _sizes(value: list[int]) -> None:
    sides = {one.output[1] for _, _, one in layers("resnet50") if len(one.output) == 3}
    assert sorted(sides, reverse=True) == value


@fact("resnet-001", needs="resnet")
def _shortcuts(value: dict[str, str]) -> None:
    assert sorted(value) == ["A", "B"]
    projections = 64 * 128 + 128 * 256 + 256 * 512 + 2 * (128 + 256 + 512)  # 1x1 convolutions with their batch norms
    assert parameters("resnet18") - parameters("resnet18_a") == projections


@fact("resnet-002", needs="resnet")
def _resnet18(value: list[str]) -> None:
    kinds = [kind for _, kind, _ in layers("resnet18_a", "Conv2d Linear")]
    assert [f"{kinds.count('Conv2d')} conv", f"{kinds.count('Linear')} FC"] == value


@fact("resnet-006", needs="resnet")
def _he_initialisation(value: str) -> None:
    """The standard deviation is sqrt(2 / fan), as in He's method; Xavier's would be sqrt(2 / (fan_in + fan_out))."""
    minicnn.manual_seed(0)
    conv = models.resnet18(num_classes=10).layer2[0].conv1  # 64 channels to 128
    he, xavier = np.sqrt(2 / (9 * 128)), np.sqrt(2 / (9 * 64 + 9 * 128))
    assert conv.weight.std().item() == pytest.approx(he, rel=0.02) and abs(he / xavier - 1) > 0.2


@fact("resnet-008", needs="resnet resnet_cifar")
def _deepest(value: dict[str, int]) -> None:
    assert len(layers("resnet152_v1", "Conv2d Linear")) - 4 == value["ImageNet"]  # without four projections
    assert len(layers("resnet1202", "Conv2d Linear")) == value["CIFAR-10"] == 6 * 200 + 2


@fact("resnet-009", needs="resnet vgg")
def _against_vgg(value: list[int]) -> None:
    assert [count // 10**6 for count in comparisons.nets().column("parameters")] == value


@fact("resnet-010", needs="resnet vgg")
def _computation_against_vgg(value: list[float]) -> None:
    resnet, vgg = comparisons.nets().rows
    assert [int((resnet[4] + resnet[5]) / 1e8) / 10, int(vgg[4] / 1e8) / 10] == value  # VGG: convolutions only


@fact("resnet-012", needs="resnet")
def _identity(value: str) -> None:
    assert value == "F(x)=H(x)-x, output F(x)+x"
    block = models.resnet.BasicBlock(4, 4).eval()
    nn.init.zeros_(block.bn2.weight)  # F = 0
    x = minicnn.rand(1, 4, 5, 5)
    assert minicnn.equal(block(x), x)


@fact("resnet-013", needs="resnet_cifar")
def _plain_and_residual(value: str) -> None:
    """The errors are those of a training; here, that the two nets have as many parameters, so that they compare."""
    assert value == "error(56) > error(20)"
    for depth, count in ((56, 853_018), (20, 269_722)):
        assert parameters(f"plain{depth}") == parameters(f"resnet{depth}") == count


# ----------------------------------------------------------------------------------- DenseNet, SqueezeNet, EfficientNet


@fact("dense-001", needs="densenet")
def _no_densenet_of_50_layers(value: str) -> None:
    assert value == "50 layers" and "densenet50" not in MODELS
    for depth in (121, 169):
        assert len(layers(f"densenet{depth}", "Conv2d Linear")) == depth


@fact("dense-002", needs="densenet")
def _growth(value: str) -> None:
    assert value == "k0+l*k"
    block = build("densenet121").features.denseblock1
    inputs = [m.in_channels for m in block.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (1, 1)]
    assert inputs == [64 + 32 * i for i in range(6)]


@fact("squeeze-001", needs="squeezenet alexnet")
def _fifty_times_smaller(value: int) -> None:
    table = comparisons.nets("alexnet_two_towers", "squeezenet1_0")
    ratio = 1 / table["squeezenet1_0", "parameters, relative"]
    assert round(ratio, 1) == 48.8 and round(ratio, -1) == value
    assert table["squeezenet1_0", "bytes"] / 2**20 == pytest.approx(4.8, abs=0.05)


@fact("eff-001", needs="efficientnet")
def _compound_scaling(value: str) -> None:
    assert "alpha*beta^2*gamma^2 ~ 2" in value
    depth, width, resolution = models.compound_scaling(1)
    assert depth * width**2 * resolution**2 == pytest.approx(1.92, abs=0.005)
    assert models.compound_scaling(3) == pytest.approx((depth**3, width**3, resolution**3))
    with pytest.raises(ValueError):
        models.compound_scaling(1, alpha=0.9)
    growth = [macs(f"efficientnet_b{i}") for i in range(2)]
    assert growth[1] / growth[0] == pytest.approx(1.92, rel=0.1)  # B1 has phi = 0.5 and more layers: rounded numbers


def _efficiency(name: str, model: str) -> None:
    def check(value: list[float]) -> None:
        assert parameters(model) / 1e6 == pytest.approx(value[1], abs=0.051 if value[1] < 10 else 0.56)

    add(f"eff-tab-{name}", check, MODELS[model].file)


_efficiency("ResNet-152", "resnet152")
_efficiency("ResNeXt-101", "resnext101_64x4d")
for _i in (1, 3, 4, 7):
    _efficiency(f"EfficientNet-B{_i}", f"efficientnet_b{_i}")


@fact("eff-tab-SENet", needs="senet")
def _senet(value: list[float]) -> None:
    assert parameters("senet154") == 115_088_984 and millions(parameters("senet154")) != value[1]


# ------------------------------------------------------------------------------------------------------------ the chart


@fact("imnet-001")
def _challenge(value: dict[str, list[Any]]) -> None:
    from minicnn.visualize import ILSVRC

    found = {f"{e.year} {e.name}" if e.layers else f"{e.year}": [e.layers or "shallow", e.error] for e in ILSVRC}
    found["2013 ZFNet"] = found.pop("2013 Clarifai")  # whose error it is: see zf-004
    assert {key: found.get(key) for key in value} == value
    assert [e.ensemble for e in ILSVRC] == [e.layers is not None for e in ILSVRC]


@fact("pattern-001", needs="pattern")
def _pattern_of_a_net(value: str) -> None:
    """The pattern with N = 2, M = 3, K = 1, as a net."""
    assert value == "[(CONV-RELU)*N-POOL?]*M-(FC-RELU)*K,SOFTMAX"
    with minicnn.device("meta"):
        net = models.conv_net(value.replace(",SOFTMAX", "-SOFTMAX"), (3, 32, 32), N=2, M=3, K=1)
    kinds = [type(m).__name__ for m in net.modules()]
    assert (kinds.count("Conv2d"), kinds.count("MaxPool2d"), kinds.count("Linear")) == (6, 3, 2)
