"""The outputs of layers inside a net."""

from __future__ import annotations

import copy
from typing import Any

import pytest

import minicnn
from minicnn import Tensor, models, nn
from minicnn.models._utils import IntermediateLayerGetter
from minicnn.models.feature_extraction import create_feature_extractor, get_graph_node_names


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(minicnn.ones(1))
        self.conv, self.relu, self.drop = nn.Conv2d(1, 2, 3), nn.ReLU(), nn.Dropout(0.5)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(8, 3))
        self.unused = nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu(self.conv(x * self.scale))
        y = self.relu(y - 0.1)
        return self.head(nn.functional.dropout(y, 0.5, self.training))


def test_outputs_and_their_order() -> None:
    net, x = Net().eval(), minicnn.randn(2, 1, 4, 4)
    found = create_feature_extractor(net, {"head.0": "flat", "relu_1": "second", "relu": "first"})(x)
    assert list(found) == ["first", "second", "flat"]
    first = net.conv(x).relu()
    assert minicnn.equal(found["first"], first) and minicnn.equal(found["second"], (first - 0.1).relu())
    whole = create_feature_extractor(net, "head")
    assert minicnn.equal(whole(x)["head"], net(x))
    whole(x)["head"].sum().backward()
    assert net.scale.grad is not None
    assert not net.relu._forward_hooks and get_graph_node_names(net)[0][:2] == ["conv", "relu"]


def test_the_rest_does_not_run() -> None:
    net = Net()
    net.head[1].register_forward_hook(lambda *_: pytest.fail("it ran"))
    create_feature_extractor(net, ["conv"])(minicnn.zeros(1, 1, 4, 4))


def test_it_is_a_net_of_the_same_names() -> None:
    net = Net()
    extractor = create_feature_extractor(net, train_return_nodes=["conv"], eval_return_nodes={"head": "y"})
    assert list(extractor.state_dict()) == list(net.state_dict()) and len(list(extractor.parameters())) == 5
    x = minicnn.randn(2, 1, 4, 4)
    assert list(extractor(x)) == ["conv"] and list(extractor.eval()(x)) == ["y"] and not net.training
    other = copy.deepcopy(extractor)
    nn.init.zeros_(other.scale)
    assert float(net.scale) == 1 and not minicnn.equal(other(x)["y"], extractor(x)["y"])
    assert extractor.double().conv.weight.dtype == net.conv.weight.dtype == minicnn.float64


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"return_nodes": ["layer9"]}, ValueError, "'layer9' is not present in model: the Net has no such layer"),
        ({"return_nodes": []}, ValueError, "no layer is named"),
        ({}, ValueError, "give return_nodes, or both"),
        ({"return_nodes": {"conv": "y", "relu": "y"}}, ValueError, "two layers have the same name in the result"),
        ({"train_return_nodes": ["conv"]}, ValueError, "give return_nodes, or both"),
        ({"return_nodes": ["conv"], "eval_return_nodes": ["conv"]}, ValueError, "give return_nodes, or both"),
        ({"return_nodes": ["unused"]}, RuntimeError, "'unused' of the Net did not run"),
        ({"return_nodes": ["conv", "relu_5"]}, RuntimeError, "'relu_5' of the Net did not run"),
    ],
)
def test_errors(options: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        create_feature_extractor(Net(), **options)(minicnn.zeros(1, 1, 4, 4))


def test_the_stages_of_a_net() -> None:
    net = models.resnet18(num_classes=3).eval()
    x = minicnn.randn(1, 3, 64, 64)
    stages = IntermediateLayerGetter(net, {"layer2": "fine", "layer4": 0})
    found = stages(x)
    expected = create_feature_extractor(net, {"layer2": "fine", "layer4": 0})(x)
    assert list(found) == ["fine", 0] and list(stages)[-1] == "layer4" and stages.layer1 is net.layer1
    assert all(minicnn.equal(found[name], expected[name]) for name in found)
    assert list(stages.state_dict()) == [name for name in net.state_dict() if not name.startswith("fc")]
    with pytest.raises(ValueError, match=r"return_layers are not present in model: 'layer5'; the ResNet has conv1"):
        IntermediateLayerGetter(net, {"layer5": "a", "fc": "b"})


def test_the_children_of_googlenet_are_in_the_order_of_the_calls() -> None:
    with minicnn.device("meta"):
        names = [name for name, _ in models.googlenet(aux_logits=False, init_weights=False).named_children()]
    assert names[5:9] == ["inception3a", "inception3b", "maxpool3", "inception4a"]
    assert names[13:15] == ["maxpool4", "inception5a"]
