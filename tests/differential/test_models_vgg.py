"""VGG against torchvision."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from differential.model_pairs import same_keys, same_results  # noqa: E402

import minicnn  # noqa: E402
from minicnn import models  # noqa: E402
from minicnn.models import vgg  # noqa: E402

theirs = pytest.importorskip("torchvision").models  # after model_pairs, which makes it importable

NAMES = ["vgg11", "vgg11_bn", "vgg13", "vgg13_bn", "vgg16", "vgg16_bn", "vgg19", "vgg19_bn"]


@pytest.mark.parametrize("name", NAMES)
def test_keys(name: str) -> None:
    with minicnn.device("meta"), torch.device("meta"):
        same_keys(models.get_model(name), getattr(theirs, name)())


def narrow(net: Any, classes: int = 10, hidden: int = 32) -> Any:
    """PyTorch's net with fewer values in the linear layers, which have most of the parameters."""
    net.classifier[0] = torch.nn.Linear(512 * 7 * 7, hidden)
    net.classifier[3] = torch.nn.Linear(hidden, hidden)
    net.classifier[6] = torch.nn.Linear(hidden, classes)
    return net


@pytest.mark.parametrize("name", ["vgg11", "vgg11_bn", "vgg16"])
def test_results(name: str) -> None:
    column, batch_norm = {"11": "A", "16": "D"}[name[3:5]], name.endswith("_bn")
    with torch.device("meta"):
        whole = getattr(theirs, name)(dropout=0.0)
    reference = narrow(whole).to_empty(device="cpu")
    torch.manual_seed(0)
    for layer in reference.modules():
        if hasattr(layer, "reset_parameters"):
            layer.reset_parameters()
    net = vgg.VGG(vgg.make_layers(vgg.cfgs[column], batch_norm), num_classes=10, dropout=0.0, hidden=32)
    same_keys(net, reference)
    same_results(net, reference, 3, 32, 32, batch=4, dtype=np.float64)


def test_their_configurations() -> None:
    assert theirs.vgg.cfgs == {name: vgg.cfgs[name] for name in "ABDE"}
