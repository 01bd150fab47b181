"""An activation and a max pooling in a `Sequential`, which run in reverse order, as one function."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn


def _results(net: Any, x: np.ndarray[Any, Any], channels_last: bool) -> list[np.ndarray[Any, Any]]:
    for p in net.parameters():
        p.grad = None
    given = minicnn.tensor(x, requires_grad=True)
    y = net(given.contiguous(memory_format=minicnn.channels_last) if channels_last else given)
    (y * y).sum().backward()
    return [y.detach().numpy(), given.grad.numpy(), *(p.grad.numpy() for p in net.parameters())]  # type: ignore[union-attr]


@pytest.mark.cpu_only("is about two layers that run as one, which they do on the CPU only")
@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize("window", [(2,), (3, 2), ((2, 3), 1)])
@pytest.mark.parametrize("activation", [nn.ReLU, lambda: nn.ReLU(inplace=True), nn.Tanh, nn.Sigmoid])
def test_same_as_one_by_one(activation: Any, window: Any, channels_last: bool) -> None:
    """Values and gradients are those of two separate modules; a hook on one of them separates them."""
    net = nn.Sequential(nn.Conv2d(2, 3, 3), activation(), nn.MaxPool2d(*window)).double()
    x = np.random.default_rng(0).standard_normal((3, 2, 11, 12))
    together = _results(net, x, channels_last)
    assert net(minicnn.tensor(x)).grad_fn.title == "ActivatedMaxPool"
    net[1].register_forward_hook(lambda *_: None)
    assert net(minicnn.tensor(x)).grad_fn.title == "MaxPool"
    for a, b in zip(together, _results(net, x, channels_last), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-12, atol=1e-12)


def test_result_may_be_written_to() -> None:
    """The graph saves nothing of the result, so that an in-place activation may follow."""
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Tanh(), nn.MaxPool2d(2), nn.ReLU(inplace=True))
    net(minicnn.randn(1, 1, 8, 8)).sum().backward()


def test_in_place_on_the_input_is_done() -> None:
    """If the caller owns the input of an in-place activation, the input is overwritten as usual."""
    x = minicnn.tensor(np.array([[[[-1.0, 2.0], [-3.0, -4.0]]]], np.float32))
    assert nn.Sequential(nn.ReLU(inplace=True), nn.MaxPool2d(2))(x).item() == 2
    np.testing.assert_array_equal(x.numpy(), [[[[0, 2], [0, 0]]]])


@pytest.mark.parametrize("options", [{"padding": 1}, {"ceil_mode": True}, {"dilation": 2}, {"return_indices": True}])
def test_other_pooling_runs_by_itself(options: dict[str, Any]) -> None:
    """With padding or any other unusual option, the two modules run one by one."""
    y = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2, **options))(minicnn.randn(1, 1, 8, 8))
    assert (y[0] if isinstance(y, tuple) else y).grad_fn.title == "MaxPool"


def test_images_without_a_batch() -> None:
    """A single image, (C, H, W), is pooled too."""
    assert nn.Sequential(nn.Tanh(), nn.MaxPool2d(2))(minicnn.randn(3, 4, 6)).shape == (3, 2, 3)
