"""A first layer that is computed from images."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.train import Training, find_recipe, whiten_first_layer


def test_outputs_are_uncorrelated(rng: np.random.Generator) -> None:
    """Of filters that are not square, fewer than there could be, on images that are not square either."""
    images = minicnn.from_numpy(rng.standard_normal((30, 2, 9, 7)).cumsum(2).cumsum(3))  # neighbours are alike
    net = nn.Sequential(nn.Sequential(nn.Conv2d(2, 9, (3, 2), stride=2, padding=1)), nn.ReLU()).double()
    conv = whiten_first_layer(net, images, eps=1e-12)
    assert conv is net[0][0] and conv.weight.requires_grad and not conv.bias.detach().any()
    y = nn.functional.conv2d(images, conv.weight, conv.bias).detach().numpy().swapaxes(0, 1).reshape(9, -1)
    np.testing.assert_allclose(y[:5] @ y[:5].T / y.shape[1], np.eye(5), atol=1e-8)
    np.testing.assert_array_equal(y[5:], -y[:4])
    norms = conv.weight.detach().numpy()[:5].reshape(5, -1)
    assert (np.diff((norms**2).sum(1)) > 0).all()  # the largest variance first, which needs the smallest filter


def test_flat_images_are_not_blown_up() -> None:
    conv = whiten_first_layer(nn.Conv2d(1, 8, 2), minicnn.ones(3, 1, 4, 4))
    assert 0 < conv.weight.abs().max() <= 1 / np.sqrt(5e-4) + 1e-3


@pytest.mark.parametrize(
    ("layer", "shape", "message"),
    [
        (nn.Linear(2, 2), (1, 1, 4, 4), "the Linear has no Conv2d"),
        (nn.Conv2d(2, 4, 2, groups=2), (1, 2, 4, 4), "groups=2"),
        (nn.Conv2d(1, 4, 2, dilation=2), (1, 1, 4, 4), r"dilation=\(2, 2\)"),
        (nn.Conv2d(1, 9, 2), (1, 1, 4, 4), "9 filters of 1 x 2 x 2, but only 8 of them whiten"),
        (nn.Conv2d(1, 4, 2), (1, 3, 4, 4), r"images should be a tensor \(N, 1, H, W\)"),
        (nn.Conv2d(1, 4, 2), (0, 1, 4, 4), r"images should be a tensor \(N, 1, H, W\)"),
        (nn.Conv2d(1, 4, 2), (1, 1, 4, 1), "images of 4 x 1 pixels have no patch of 2 x 2"),
    ],
)  # fmt: skip
def test_layers_and_images_that_do_not_fit(layer: nn.Module, shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        whiten_first_layer(layer, minicnn.zeros(shape))
    with pytest.raises(ValueError, match="eps must be above 0"):
        whiten_first_layer(nn.Conv2d(1, 4, 2), minicnn.zeros(1, 1, 4, 4), eps=0)


def test_recipes(tmp_path: Path) -> None:
    """The filters are those of the first training images; a resumed training takes those of its checkpoint."""
    changes = {"whiten": 100, "freeze": ("features.0.weight",), "epochs": 1, "train_size": 200}
    recipe = replace(find_recipe("lenet5", "digits"), **changes)
    training = Training(recipe)
    first = minicnn.stack([training.train_set[index][0] for index in range(100)])
    expected = whiten_first_layer(nn.Conv2d(1, 6, 5), first).weight.detach().numpy()
    # The augmentation is drawn anew for each look at an image, which changes the statistics a little.
    made = next(layer for layer in training.model.modules() if isinstance(layer, nn.Conv2d))
    assert np.abs(np.abs(made.weight.detach().numpy()) - np.abs(expected)).mean() < 0.3 * np.abs(expected).mean()
    assert not made.weight.requires_grad
    before = made.weight.detach().numpy().copy()
    run = training.run(tmp_path / "run", quiet=True)
    np.testing.assert_array_equal(dict(minicnn.load(run.folder / "model.safetensors"))["features.0.weight"], before)
    with pytest.raises(minicnn.train.SettingError, match="whiten = 10,000, but only 1,293 images are trained with"):
        Training(replace(find_recipe("lenet5", "digits"), whiten=10_000))
    with pytest.raises(minicnn.train.SettingError, match="whiten: whiten_first_layer: the MLP has no Conv2d"):
        Training(replace(find_recipe("mlp", "digits"), whiten=10))
    with pytest.raises(minicnn.train.SettingError, match="whiten computes the first layer, but weights loads"):
        replace(find_recipe("lenet5", "digits"), whiten=10, weights="runs/x")
