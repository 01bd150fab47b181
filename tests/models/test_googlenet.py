"""GoogLeNet: the table of the paper, the modules' arithmetic, the auxiliary heads."""

from __future__ import annotations

from typing import Any

import pytest
from counting import count, finite_gradients, overfits
from stage_shapes import shapes

import minicnn
from minicnn import models, nn
from minicnn.models.googlenet import Inception, NaiveInception
from minicnn.models.inception_parts import PlainConv2d
from minicnn_kernels.geometry import ShapeError

# Table 1 of the paper, the outputs: what comes after a layer, for images of 224 x 224
STAGES = [
    ("conv1", (64, 112, 112)), ("maxpool1", (64, 56, 56)), ("conv3", (192, 56, 56)), ("maxpool2", (192, 28, 28)),
    ("inception3a", (256, 28, 28)), ("inception3b", (480, 28, 28)), ("maxpool3", (480, 14, 14)),
    ("inception4a", (512, 14, 14)), ("inception4b", (512, 14, 14)), ("inception4c", (512, 14, 14)),
    ("inception4d", (528, 14, 14)), ("inception4e", (832, 14, 14)), ("maxpool4", (832, 7, 7)),
    ("inception5a", (832, 7, 7)), ("inception5b", (1024, 7, 7)), ("avgpool", (1024, 1, 1)),
]  # fmt: skip


@pytest.fixture(params=["googlenet", "googlenet_2014", "googlenet_bn"])
def build(request: Any) -> Any:
    return models.get_model_builder(request.param)


def products(module: nn.Module) -> dict[str, int]:
    """The multiplications of each convolution, by name, for 256 x 28 x 28."""
    found = {}
    for name, layer in module.named_modules():
        if isinstance(layer, nn.Conv2d):
            found[name] = 28 * 28 * layer.weight.numel()
    assert sum(found.values()) == count(module, (256, 28, 28))[1]
    return found


def test_stages(build: Any) -> None:
    with minicnn.device("meta"):
        found = shapes(build(), 3, 224, 224)
    assert [(name, found[name]) for name, _ in STAGES] == STAGES


def test_22_layers_with_weights_in_9_modules_and_5_poolings(build: Any) -> None:
    with minicnn.device("meta"):
        net = build(aux_logits=False)
    modules = [m for m in net.modules() if isinstance(m, Inception)]
    outside = [m for m in net.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    outside = [m for m in outside if not any(m is inner for module in modules for inner in module.modules())]
    assert len(modules) == 9 and len(outside) == 4  # three convolutions, one linear layer
    depth = {sum(isinstance(m, nn.Conv2d) for m in module.branch2.modules()) for module in modules}
    assert depth == {2} and len(outside) + 2 * len(modules) == 22
    pools = [m for name, m in net.named_children() if "pool" in name]
    assert len(pools) == 5 and 22 + len(pools) == 27


def test_naive_module() -> None:
    with minicnn.device("meta"):
        module = NaiveInception(256, 128, 192, 96, conv_block=PlainConv2d)
        assert module(minicnn.zeros(1, 256, 28, 28)).shape == (1, 672, 28, 28)
    assert list(products(module).values()) == [25_690_112, 346_816_512, 481_689_600]
    assert count(module, (256, 28, 28))[1] == 854_196_224


def test_reduced_module() -> None:
    with minicnn.device("meta"):
        module = Inception(256, 128, 64, 192, 64, 96, 64, conv_block=PlainConv2d, kernel_size=5)
        assert module(minicnn.zeros(1, 256, 28, 28)).shape == (1, 480, 28, 28)
    assert list(products(module).values()) == [
        25_690_112, 12_845_056, 86_704_128, 12_845_056, 120_422_400, 12_845_056
    ]  # fmt: skip
    assert count(module, (256, 28, 28))[1] == 271_351_808  # not the 358 million that a slide adds up


def test_a_module_has_a_quarter_of_the_parameters_of_a_plain_convolution() -> None:
    module = Inception(512, 128, 128, 256, 24, 64, 64, conv_block=PlainConv2d, kernel_size=5)
    branches = [sum(p.numel() for p in branch.parameters()) for branch in module.values()]
    assert branches == [65_664, 360_832, 50_776, 32_832] and sum(branches) == 510_104
    plain = sum(p.numel() for p in nn.Conv2d(512, 512, 3).parameters())
    assert plain == 2_359_808 and plain // sum(branches) == 4
    assert {m.padding for m in module.modules() if isinstance(m, nn.Conv2d) and m.kernel_size == (5, 5)} == {(2, 2)}


def test_one_linear_layer_and_two_more_in_each_head(build: Any) -> None:
    with minicnn.device("meta"):
        net = build()
    linear = {name: tuple(m.weight.shape) for name, m in net.named_modules() if isinstance(m, nn.Linear)}
    heads = {f"aux{i}.fc{j}": s for i in (1, 2) for j, s in ((1, (1024, 2048)), (2, (1000, 1024)))}
    assert linear == {**heads, "fc": (1000, 1024)}


def test_parameters_beside_alexnet_and_vgg() -> None:
    with minicnn.device("meta"):
        ours = sum(p.numel() for p in models.googlenet_2014(aux_logits=False).parameters())
    assert ours == 6_998_552  # not the 5 million of some slides
    assert round(60_965_224 / ours, 1) == 8.7 and round(138_357_544 / ours, 1) == 19.8


def test_the_paper_has_true_5x5_filters_biases_and_response_normalisation() -> None:
    with minicnn.device("meta"):
        paper, usual = models.googlenet_2014(), models.googlenet()
    assert not any(isinstance(m, nn.BatchNorm2d) for m in paper.modules())
    assert sum(isinstance(m, nn.LocalResponseNorm) for m in paper.modules()) == 2
    assert all(m.bias is not None for m in paper.modules() if isinstance(m, nn.Conv2d))
    sizes = [[m.kernel_size for m in net.modules() if isinstance(m, nn.Conv2d)] for net in (paper, usual)]
    assert sizes[0].count((5, 5)) == 9 and sizes[1].count((5, 5)) == 0


def test_heads_answer_in_training_only(build: Any) -> None:
    with minicnn.device("meta"):
        net, x = build(num_classes=7), minicnn.zeros(2, 3, 224, 224)
        outputs = net(x)
        assert isinstance(outputs, models.GoogLeNetOutputs)
        assert [tuple(y.shape) for y in outputs] == [(2, 7)] * 3
        assert net.eval()(x).shape == build(num_classes=7, aux_logits=False)(x).shape == (2, 7)


def test_auxiliary_loss() -> None:
    a, b, c = (minicnn.randn(4, 3) for _ in range(3))
    y = minicnn.tensor([0, 1, 2, 1])
    loss = nn.functional.cross_entropy
    expected = loss(a, y) + 0.3 * loss(b, y) + 0.3 * loss(c, y)
    assert models.auxiliary_loss(models.GoogLeNetOutputs(a, b, c), y).item() == pytest.approx(expected.item())
    assert models.auxiliary_loss(a, y).item() == loss(a, y).item()
    assert models.auxiliary_loss((a, None), y).item() == loss(a, y).item()
    smooth = nn.CrossEntropyLoss(label_smoothing=0.1)
    expected = smooth(a, y) + 0.4 * smooth(b, y)
    assert models.auxiliary_loss((a, b), y, 0.4, smooth).item() == pytest.approx(expected.item())


@pytest.mark.parametrize("outputs", [None, [1, 2], (None, None), ("logits",)])
def test_auxiliary_loss_of_something_else(outputs: Any) -> None:
    with pytest.raises(TypeError, match="auxiliary_loss: outputs must be the tensor"):
        models.auxiliary_loss(outputs, minicnn.tensor([0]))


def test_weights_with_heads_fit_a_net_without() -> None:
    net, full = models.googlenet(aux_logits=False, num_classes=2, init_weights=False), models.googlenet(num_classes=2)
    net.load_state_dict(full.state_dict())
    assert bool((net.inception5b.branch1.conv.weight == full.inception5b.branch1.conv.weight).all())
    with pytest.raises(RuntimeError, match=r"aux1\.conv\.conv\.weight"):
        full.load_state_dict(net.state_dict())
    with pytest.raises(RuntimeError, match="auxiliary"):
        net.load_state_dict({**net.state_dict(), "auxiliary": minicnn.zeros(1)})


def test_transform_input() -> None:
    image = minicnn.rand(1, 3, 4, 4)
    mean, std = (minicnn.tensor(v).reshape(1, 3, 1, 1) for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    found = models.inception_parts.as_tensorflow((image - mean) / std)
    assert (found - (image - 0.5) / 0.5).abs().max().item() < 1e-6


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_transform_input_needs_three_channels(name: str) -> None:
    with minicnn.device("meta"):
        net = models.get_model(name, transform_input=True, init_weights=False)
        for shape in ((2, 1, 299, 299), (2, 4, 299, 299), (1, 299, 299)):
            with pytest.raises(
                ShapeError, match=r"transform_input=True needs images of 3 channels, .*299\); make grey"
            ):
                net(minicnn.zeros(shape))


def test_bad_blocks() -> None:
    with pytest.raises(ValueError, match="blocks must be 3 makers"):
        models.googlenet(blocks=[nn.Conv2d])


@pytest.mark.slow
def test_real_size(build: Any) -> None:
    finite_gradients(build(dropout=0.0, dropout_aux=0.0), 3, 224, 224, batch=1)


@pytest.mark.parametrize("conv", [None, PlainConv2d])
def test_modules_learn_by_heart(conv: Any) -> None:
    minicnn.manual_seed(1)
    overfits(
        nn.Sequential(
            Inception(3, 8, 8, 16, 4, 8, 4, conv, kernel_size=5),
            NaiveInception(36, 8, 16, 8, conv),
            Inception(68, 16, 16, 32, 8, 16, 8, conv),
            nn.AdaptiveMaxPool2d(1), nn.Flatten(), nn.Linear(72, 4),
        ),
        3, 8, 8,
    )  # fmt: skip


@pytest.mark.slow
def test_the_net_learns_by_heart(build: Any) -> None:
    minicnn.manual_seed(0)
    overfits(build(num_classes=4, dropout=0.0, aux_logits=False), 3, 32, 32)
