"""Nets from a line of text, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from counting import finite_gradients, overfits

import minicnn
from minicnn import models, nn
from minicnn.models import PatternError, conv_net, pattern_of

COURSE = "[(CONV-RELU)*N-POOL?]*M-(FC-RELU)*K,SOFTMAX"  # as the slides print it


def kinds(net: nn.Sequential) -> str:
    return " ".join(type(layer).__name__ for layer in net)


def test_the_pattern_of_the_course() -> None:
    net = conv_net("[(CONV-RELU)*2-POOL]*3-(FC-RELU)*1-SOFTMAX", (3, 32, 32))
    block = "Conv2d ReLU Conv2d ReLU MaxPool2d "
    assert kinds(net) == 3 * block + "Flatten Linear ReLU Linear"
    assert [layer.out_channels for layer in net if isinstance(layer, nn.Conv2d)] == [32, 32, 64, 64, 128, 128]
    assert [(layer.in_features, layer.out_features) for layer in net if isinstance(layer, nn.Linear)] == [
        (128 * 4 * 4, 128),
        (128, 10),
    ]
    assert list(dict(net.named_children()))[:6] == ["conv1", "relu1", "conv2", "relu2", "pool1", "conv3"]
    assert list(dict(net.named_children()))[-1] == "scores"
    assert tuple(net(minicnn.zeros(2, 3, 32, 32)).shape) == (2, 10)


@pytest.mark.parametrize("n, m, k", [(1, 1, 0), (2, 3, 1), (5, 2, 2), (3, 4, 0)])
def test_the_letters_have_values(n: int, m: int, k: int) -> None:
    with minicnn.device("meta"):
        net = conv_net(COURSE, (3, 32, 32), N=n, M=m, K=k)
    assert kinds(net) == m * (n * "Conv2d ReLU " + "MaxPool2d ") + "Flatten " + k * "Linear ReLU " + "Linear"
    assert "MaxPool2d" not in kinds(conv_net(COURSE, (1, 4, 4), width=2, N=1, M=1, K=0, optional=False))


def test_sizes_and_options() -> None:
    net = conv_net(
        "input -> conv5x3-8s2p1d2g2 -> bn -> avgpool3s1p1 -> lrn -> dropout.25 -> gap -> softmax", (4, 20, 20), 7
    )
    conv = net[0]
    assert (conv.kernel_size, conv.stride, conv.padding, conv.dilation, conv.groups) == (
        (5, 3), (2, 2), (1, 1), (2, 2), 2
    )  # fmt: skip
    assert kinds(net) == "Conv2d BatchNorm2d AvgPool2d LocalResponseNorm Dropout AdaptiveAvgPool2d Flatten Linear"
    assert (net[2].kernel_size, net[2].stride, net[2].padding, net[4].p) == (3, 1, 1, 0.25)
    assert tuple(net(minicnn.zeros(2, 4, 20, 20)).shape) == (2, 7)


def test_defaults_of_widths() -> None:
    """As many channels as before, twice as many after each halving, at most 512; padding keeps odd kernels' sizes."""
    text = "CONV-CONV3s2-CONV-POOL-CONV5-CONV-40-CONV-POOL-CONV-(POOL-CONV)*4-GAP-SOFTMAX"
    with minicnn.device("meta"):
        convolutions = [layer for layer in conv_net(text, (3, 128, 128), width=16) if isinstance(layer, nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [16, 16, 32, 64, 40, 40, 80, 160, 320, 512, 512]
    assert {c.padding for c in convolutions} == {(1, 1), (2, 2)}
    assert conv_net("POOL-CONV", (3, 8, 8), width=16)[1].out_channels == 16


def test_fc_and_softmax() -> None:
    def sizes(text: str, **options: Any) -> list[int]:
        return [layer.out_features for layer in conv_net(text, (6,), 4, **options) if isinstance(layer, nn.Linear)]

    assert sizes("FC-RELU-FC", hidden=5) == sizes("FC-RELU-FC-SOFTMAX", hidden=5) == [5, 4]
    assert sizes("FC-RELU-SOFTMAX", hidden=5) == sizes("FC-5-RELU-SOFTMAX") == sizes("FC-5-SOFTMAX") == [5, 4]
    assert sizes("FC-CLASSES-RELU-SOFTMAX") == [4, 4]  # a hidden layer that has as many outputs by chance
    assert sizes("SOFTMAX") == [4]
    assert kinds(conv_net("CONV1-CLASSES-GAP-SOFTMAX", (3, 5, 5), 4)) == "Conv2d AdaptiveAvgPool2d Flatten"
    assert kinds(conv_net("BN-FC-RELU-BN-FC", (6,))) == "BatchNorm1d Linear ReLU BatchNorm1d Linear"
    assert kinds(conv_net("FLATTEN-FC", (3, 2, 2))) == "Flatten Linear"


def test_pooling_by_strided_convolutions() -> None:
    text = "(CONV-RELU-POOL)*2-POOL3s1-MAXPOOL-GAP-SOFTMAX"
    assert kinds(conv_net(text, (3, 16, 16), pooling="avg")).count("AvgPool2d") == 3 + 1  # "AdaptiveAvgPool2d"
    net = conv_net(text, (3, 16, 16), width=8, pooling="conv")
    assert kinds(net) == 2 * "Conv2d ReLU Conv2d ReLU " + "Conv2d ReLU MaxPool2d AdaptiveAvgPool2d Flatten Linear"
    convolutions = [layer for layer in net if isinstance(layer, nn.Conv2d)]
    assert [(c.in_channels, c.out_channels, c.stride[0]) for c in convolutions] == [
        (3, 8, 1), (8, 8, 2), (8, 16, 1), (16, 16, 2), (16, 16, 1)
    ]  # fmt: skip


@pytest.mark.parametrize(
    "text, position, problem",
    [
        ("[(CNOV-RELU)*2-POOL]*3-SOFTMAX", 2, "there is no layer 'CNOV': did you mean CONV"),
        ("CONV-RELU-(CONV-RELU", 20, "'(' at character 11 needs its ')', found the end of the text"),
        ("(CONV-RELU]*2", 10, "needs its ')', found ']'"),
        ("CONV-RELU)", 9, "')' closes nothing"),
        ("CONV RELU", 5, "'R' does not continue the net; after a piece come '-', '*', '?', or the end"),
        ("CONV--RELU", 5, "a layer or brackets must be here, found '-'"),
        ("CONV-", 5, "found the end of the text"),
        ("", 0, "found the end of the text"),
        ("()*2", 1, "found ')'"),
        ("CONV*-RELU", 5, "after '*' comes a number, or a letter"),
        ("CONV*2*3", 6, "a second '*' at one piece"),
        ("CONV??", 5, "a second '?' at one piece"),
        ("CONV-(CONV)*N", 5, "N has no value; give it: conv_net(..., N=2)"),
        ("RELU-64", 0, "RELU takes no width"),
        ("GAP3", 0, "GAP takes no size"),
        ("CONV-DROPOUT2", 5, "takes a probability from 0 to below 1: DROPOUT0.5, got 'DROPOUT2'"),
        ("CONV3.5", 0, "a kernel size is a positive whole number, got 'CONV3.5'"),
        ("CONV0-8", 0, "a kernel size is a positive whole number"),
        ("CONV3-0", 0, "a width is a positive whole number"),
        ("CONV3q2", 0, "this layer has no option 'q'; its options: s (stride), p (padding), d (dilation), g (groups)"),
        ("CONV-POOL2d2", 5, "this layer has no option 'd'; its options: s (stride), p (padding)"),
        ("CONV-CONVs2", 5, "write the kernel size before its options: CONV3s2"),
        ("CONV-POOL*6-SOFTMAX", 5, "POOL does not fit the shape here, (32, 1, 1): max_pool2d: the window is larger"),
        ("CONV3s0", 0, "stride"),
        ("CONV-CONV3-8g5", 5, "in_channels must be divisible by groups"),
        ("FC-CONV", 3, "CONV needs images, but here are 128 values per image"),
        ("SOFTMAX-CONV", 0, "SOFTMAX must be the last word, but CONV follows"),
        ("CONV-INPUT", 5, "INPUT must be the first word"),
        ("(CONV*100)*101", 0, "more than 10,000 layers"),
        ("(" * 60 + "CONV" + ")" * 60, 50, "more than 50 brackets inside each other"),
        ("CONV-(((FC*0)*9999)*9999)*99999999", 34, None),
    ],
)  # fmt: skip
def test_errors_point_at_the_place(text: str, position: int, problem: str | None) -> None:
    if problem is None:  # nothing repeated often is nothing, and takes no time
        assert kinds(conv_net(text, (3, 32, 32))) == "Conv2d"
        return
    with pytest.raises(PatternError) as caught:
        conv_net(text, (3, 32, 32))
    lines = str(caught.value).splitlines()
    assert problem in lines[0]
    assert lines[-2:] == [f"    {text}", "    " + " " * position + f"^ character {position + 1}"]
    assert (caught.value.text, caught.value.position) == (text, position)


def test_other_errors() -> None:
    with pytest.raises(TypeError, match=r"there is no argument or letter K in 'CONV\*N'; its letters: N"):
        conv_net("CONV*N", (3, 8, 8), N=1, K=1)
    with pytest.raises(ValueError, match="N is how often a part is repeated, 0 or more, got -1"):
        conv_net("CONV*N", (3, 8, 8), N=-1)
    with pytest.raises(ValueError, match=r"input_size must be \(C, H, W\) or \(features,\), .*got \(3, 8\)"):
        conv_net("CONV", (3, 8))
    for size in (3, (3, True, 8), (3, 0, 8), "3,8,8", None, (3.0, 8, 8)):
        with pytest.raises(ValueError, match=r"conv_net: input_size must be \(C, H, W\) or \(features,\), .*got "):
            conv_net("CONV", size)  # type: ignore[arg-type]
    assert kinds(conv_net("CONV", np.array([3, 8, 8]))) == "Conv2d"  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="pooling must be 'max', 'avg' or 'conv', got 'min'"):
        conv_net("CONV", (3, 8, 8), pooling="min")
    with pytest.raises(TypeError, match="the net is a text"):
        conv_net(["CONV"], (3, 8, 8))  # type: ignore[arg-type]


TEXTS = [
    "[(CONV-BN-RELU)*2-POOL-DROPOUT]*2-(FC-BN-TANH)*2-SOFTMAX",
    "CONV5x3-8s2p0-LRN-ELU-MAXPOOL3x2s1p1-GELU-CONV3-8g4d2-SILU-AVGPOOL3-LEAKYRELU-GAP-SOFTMAX",
    "CONV4s2-SIGMOID-CONV1-CLASSES-GAP",
    "CONV-FLATTEN-BN-FC",
]


@pytest.mark.parametrize("text", TEXTS)
def test_the_text_of_a_net_makes_it_again(text: str) -> None:
    with minicnn.device("meta"):
        net = conv_net(text, (3, 20, 16))
        again = conv_net(pattern_of(net), (3, 20, 16))
    assert [repr(layer) for layer in again] == [repr(layer) for layer in net]


def test_the_text_of_other_nets() -> None:
    assert pattern_of(nn.Sequential(models.LeNet5(pool="avg").features, models.LeNet5().classifier)) == (
        "CONV5-6p0-TANH-AVGPOOL-CONV5-16p0-TANH-AVGPOOL-FC-120-TANH-FC-84-TANH-FC-10"
    )  # fmt: skip
    with minicnn.device("meta"):
        vgg = pattern_of(models.vgg16().features)
    assert vgg.startswith("CONV3-64-RELU-CONV3-64-RELU-MAXPOOL-CONV3-128-RELU-CONV3-128-RELU-MAXPOOL-CONV3-256")


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 8, 3, bias=False), nn.Conv2d(3, 8, 3, stride=(1, 2)), nn.Conv2d(3, 8, 3, padding="same"),
        nn.Conv2d(3, 8, 3, padding_mode="reflect"), nn.MaxPool2d(3, 2, ceil_mode=True), nn.MaxPool2d(3, (1, 2)),
        nn.AvgPool2d(2, divisor_override=1), nn.Linear(3, 4, bias=False), nn.LeakyReLU(0.3), nn.BatchNorm2d(3, eps=1),
        nn.BatchNorm2d(3, affine=False), nn.LocalResponseNorm(3), nn.Flatten(2), nn.Softmax(1), nn.AdaptiveAvgPool2d(2),
        nn.AdaptiveAvgPool2d(1),
    ],
    ids=str,
)  # fmt: skip
def test_layers_without_a_word(layer: nn.Module) -> None:
    with pytest.raises(ValueError, match=r"have no word for|GAP flattens, but after"):
        pattern_of(nn.Sequential(layer))


def test_a_net_that_is_no_sequence_of_layers() -> None:
    with pytest.raises(TypeError, match=r"must be an nn\.Sequential, got a LeNet5; .*net\.features or net\.classifier"):
        pattern_of(models.LeNet5())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"must be an nn\.Sequential, got a ReLU; give its layers in one"):
        pattern_of(nn.ReLU())  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"pattern_of: the net must be a Module, got .*LeNet5 is a class"):
        pattern_of(models.LeNet5)  # type: ignore[arg-type]


def test_a_net_from_text_trains() -> None:
    minicnn.manual_seed(0)
    net = conv_net("[(CONV-BN-RELU)*1-POOL]*2-(FC-RELU)*1-SOFTMAX", (1, 8, 8), 4, width=8, hidden=16)
    finite_gradients(net, 1, 8, 8, batch=4)
    overfits(net, 1, 8, 8, lr=1e-2)


def test_the_start_values_are_those_of_the_layers() -> None:
    minicnn.manual_seed(0)
    ours = conv_net("CONV3-4-RELU-SOFTMAX", (2, 3, 3), 5)
    minicnn.manual_seed(0)
    layers = nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(36, 5))
    x = np.ones((1, 2, 3, 3), np.float32)
    assert ours(minicnn.tensor(x)).tolist() == layers(minicnn.tensor(x)).tolist()
