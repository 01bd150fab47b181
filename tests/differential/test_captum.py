"""Attributions against Captum, with the same weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import explain

torch = pytest.importorskip("torch")
attr = pytest.importorskip("captum.attr", reason="needs Captum: pip install captum")

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Captum tells of its hooks

SHAPE = (3, 2, 9, 11)
TARGET = [0, 4, 2]


def net(lib: Any) -> Any:
    """The same net in both libraries, in evaluation mode."""
    nn = lib.nn
    return nn.Sequential(
        nn.Conv2d(2, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(6, 8, 3, groups=2),
        nn.ReLU(), nn.Flatten(), nn.Linear(8 * 2 * 3, 7), nn.ReLU(), nn.Linear(7, 5),
    ).eval()  # fmt: skip


@pytest.fixture
def pair() -> tuple[Any, Any, Any, Any]:
    """The nets and the inputs: minicnn's, PyTorch's."""
    torch.manual_seed(0)
    theirs, ours = net(torch).double(), net(minicnn).double()
    theirs[1].running_mean.normal_()
    theirs[1].running_var.uniform_(0.5, 2)
    ours.load_state_dict({key: minicnn.tensor(value.numpy()) for key, value in theirs.state_dict().items()})
    x = torch.randn(*SHAPE, dtype=torch.float64)
    return ours, theirs, minicnn.tensor(x.numpy()), x


def same(ours: Any, theirs: Any, tol: float = 1e-9) -> None:  # Captum weighs some sums in float32
    expected = theirs.detach().numpy()
    assert np.abs(expected).max() > 0
    np.testing.assert_allclose(ours.numpy(), expected, rtol=0, atol=tol * np.abs(expected).max())


@pytest.mark.parametrize("target", [TARGET, 3])
@pytest.mark.parametrize(
    ("name", "theirs"),
    [
        ("saliency", "Saliency"), ("input_x_gradient", "InputXGradient"),
        ("integrated_gradients", "IntegratedGradients"),
        ("deconvolution", "Deconvolution"), ("guided_backprop", "GuidedBackprop"),
    ],
)  # fmt: skip
def test_gradients(name: str, theirs: str, target: Any, pair: Any) -> None:
    our_net, their_net, x, their_x = pair
    found = getattr(attr, theirs)(their_net).attribute(their_x.requires_grad_(), target=target)
    same(getattr(explain, name)(our_net, x, target), found, 1e-6 if name == "integrated_gradients" else 1e-9)


def test_integrated_gradients_from_a_baseline(pair: Any) -> None:
    our_net, their_net, x, their_x = pair
    base = torch.randn(1, *SHAPE[1:], dtype=torch.float64)
    found = attr.IntegratedGradients(their_net).attribute(their_x, base, target=TARGET, n_steps=17)
    same(explain.integrated_gradients(our_net, x, TARGET, baseline=minicnn.tensor(base.numpy()), steps=17), found, 1e-6)


@pytest.mark.parametrize("layer", [0, 1, 4, 5])
@pytest.mark.parametrize("relu", [False, True])
def test_grad_cam(layer: int, relu: bool, pair: Any) -> None:
    our_net, their_net, x, their_x = pair
    found = attr.LayerGradCam(their_net, their_net[layer]).attribute(their_x, TARGET, relu_attributions=relu)
    same(explain.grad_cam(our_net, x, TARGET, str(layer), relu=relu), found)


def test_guided_grad_cam(pair: Any) -> None:
    our_net, their_net, x, their_x = pair
    found = attr.GuidedGradCam(their_net, their_net[4]).attribute(their_x.requires_grad_(), TARGET)
    same(explain.guided_grad_cam(our_net, x, TARGET, our_net[4]), found)


@pytest.mark.parametrize(
    ("window", "stride"), [((3, 4), (2, 3)), ((2, 2), (1, 1)), ((9, 11), (1, 1)), ((4, 3), (4, 3))]
)
@pytest.mark.parametrize("baseline", [0.0, 0.7])
def test_occlusion(window: Any, stride: Any, baseline: float, pair: Any) -> None:
    our_net, their_net, x, their_x = pair
    found = attr.Occlusion(their_net).attribute(their_x, (2, *window), (2, *stride), baselines=baseline, target=TARGET)
    same(
        explain.occlusion(our_net, x, TARGET, window=window, stride=stride, baseline=baseline), found, 1e-6
    )  # weights in float32


@pytest.mark.parametrize(("layer", "cell"), [("4", (1, 2)), ("3", (0, 3)), ("7", None)])
def test_deconvnet_of_one_unit(layer: str, cell: Any, pair: Any) -> None:
    """Captum starts with 1 at the unit, a deconvnet with the output: theirs times it, where the output is positive."""
    our_net, their_net, x, their_x = pair
    y = their_net[: int(layer) + 1](their_x)
    compared = 0
    for channel in range(y.shape[1]):
        selector = channel if cell is None else (channel, *cell)
        values = y[:, channel] if cell is None else y[:, channel, cell[0], cell[1]]
        if not (positive := (values > 0).numpy()).any():
            continue
        method = attr.NeuronDeconvolution(their_net, their_net[int(layer)])
        theirs = method.attribute(their_x.detach().requires_grad_(), neuron_selector=selector)
        found = explain.deconvnet(our_net, x, layer, channel, cell)
        same(found[minicnn.tensor(positive)], (theirs * values.reshape(-1, 1, 1, 1))[positive])
        compared += 1
    assert compared > 2
