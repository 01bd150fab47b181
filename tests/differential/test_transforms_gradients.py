"""Transforms of tensors that want a gradient, as in attacks and feature visualisation: gradients as torchvision's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn.transforms import functional as ours

torch = pytest.importorskip("torch")
pytest.importorskip("differential.model_pairs", reason="needs PyTorch")
theirs = pytest.importorskip("torchvision.transforms.functional")
MODE = theirs.InterpolationMode
SMOOTH, NEAREST = "bilinear", "nearest"

CASES: dict[str, Any] = {
    "normalize": lambda F, x, mode: F.normalize(x, [0.5, 0.4, 0.3], [0.2, 0.3, 0.1]),
    "hflip": lambda F, x, mode: F.hflip(x),
    "vflip": lambda F, x, mode: F.vflip(x),
    "crop": lambda F, x, mode: F.crop(x, 1, 2, 3, 4),
    "center_crop": lambda F, x, mode: F.center_crop(x, [4, 12]),
    "five_crop": lambda F, x, mode: sum(F.five_crop(x, [3, 4])),
    "pad": lambda F, x, mode: F.pad(x, [1, 2, 3, 0], 0.5),
    "erase": lambda F, x, mode: F.erase(x, 1, 2, 3, 4, 0.0 if F is ours else torch.zeros(3, 1, 1)),
    "resize down": lambda F, x, mode: F.resize(x, [4, 6], mode(SMOOTH), antialias=True),
    "resize up": lambda F, x, mode: F.resize(x, [14, 11], mode(SMOOTH), antialias=False),
    "resize nearest": lambda F, x, mode: F.resize(x, [5, 12], mode(NEAREST)),
}


@pytest.mark.parametrize("shape", [(3, 7, 9), (2, 3, 7, 9)])
@pytest.mark.parametrize("name", CASES)
def test_values_and_gradients(name: str, shape: tuple[int, ...]) -> None:
    draw = np.random.default_rng(3)
    pixels = draw.random(shape, np.float32)
    mine, other = minicnn.tensor(pixels, requires_grad=True), torch.tensor(pixels, requires_grad=True)
    y = CASES[name](ours, mine, minicnn.transforms.InterpolationMode)
    expected = CASES[name](theirs, other, MODE)
    np.testing.assert_allclose(y.detach().numpy(), expected.detach().numpy(), atol=2e-6)
    upstream = draw.random(tuple(y.shape), np.float32)
    y.backward(minicnn.tensor(upstream))
    expected.backward(torch.tensor(upstream))
    np.testing.assert_allclose(mine.grad.numpy(), other.grad.numpy(), atol=1e-5)
    with minicnn.no_grad():
        plain = CASES[name](ours, mine, minicnn.transforms.InterpolationMode)
    assert not plain.requires_grad
    np.testing.assert_allclose(plain.numpy(), y.detach().numpy(), atol=2e-6)


def test_normalize_in_a_net_is_part_of_an_attack() -> None:
    net = minicnn.nn.Sequential(minicnn.transforms.Normalize([0.5], [0.25]), minicnn.nn.Conv2d(1, 1, 1, bias=False))
    x = minicnn.zeros(1, 1, 2, 2, requires_grad=True)
    net(x).sum().backward()
    assert (x.grad == 4 * net[1].weight.item()).all()


def test_what_has_no_gradient_says_so() -> None:
    with pytest.raises(ValueError, match="requires a gradient"):
        ours.rotate(minicnn.zeros(1, 2, 2, requires_grad=True), 10)
