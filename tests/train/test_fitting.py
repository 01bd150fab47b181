"""A recipe for any net and dataset: what fits is trained, what does not says why."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import datasets, models, nn
from minicnn.datasets.registry import TABLE
from minicnn.models import registry
from minicnn.train import SettingError, find_recipe
from minicnn.train.recipes import fitting as fitting_file
from minicnn.train.recipes.fitting import fitted_recipe
from minicnn.train.recipes.names import DATASETS, MODELS, STATISTICS, TRANSFORMS
from minicnn.transforms import Compose

SLOW_TO_BUILD = {"resnet1202", "preact_resnet1001"}  # seconds on the meta device


def batch(recipe: Any) -> Any:
    """Two images of the dataset's size after the transforms of training."""
    images = TABLE[recipe.dataset]
    size = (2, images.side, images.side, *([3] if images.channels == 3 else []))
    pixels = np.random.default_rng(0).integers(0, 256, size, dtype=np.uint8)
    return Compose([TRANSFORMS[name](**options) for name, options in recipe.train_transforms]).batch(pixels)


@pytest.mark.parametrize("model", [name for name in MODELS if name not in SLOW_TO_BUILD])
@pytest.mark.parametrize("dataset", ["digits", "cifar100"])
def test_every_net_gets_a_recipe_or_a_reason(model: str, dataset: str) -> None:
    if registry.MODELS[MODELS[model]].input_size[0] not in (1, 3):
        with pytest.raises(SettingError, match=f"{model} cannot be trained on {dataset}: its input has .* no image"):
            find_recipe(model, dataset)
        return
    if (model, dataset) == ("lenet5_1998", "cifar100"):
        with pytest.raises(SettingError, match=r"lenet5_1998 cannot .* num_classes must be 1 to 10"):
            find_recipe(model, dataset)
        return
    recipe = fitted_recipe(model, dataset)
    x = batch(recipe)
    with minicnn.device("meta"), minicnn.no_grad():
        net = models.get_model_builder(MODELS[model])(**recipe.model_options).train()
        scores = net(minicnn.empty(*x.shape))
    scores = scores if isinstance(scores, minicnn.Tensor) else scores[0]
    assert tuple(scores.shape) == (2, TABLE[dataset].classes)
    assert abs(float(x.array.mean())) < 3 and recipe.name == "fitted"


class Coloured(nn.Module):
    """A net for images of three channels, without an option for others."""

    def __init__(self, num_classes: int = 10) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, num_classes, 3)

    def forward(self, x: Any) -> Any:
        return self.conv(x).mean(dim=(2, 3))


def test_grey_images_for_three_channels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting_file.models, "get_model_builder", lambda name: Coloured)
    recipe = fitted_recipe("resnet18", "mnist")
    assert recipe.transforms[0] == ("Grayscale", {"num_output_channels": 3})
    assert recipe.notes == ("resnet18 takes 3 channels: each grey image is repeated in all of them",)
    x = batch(recipe).array
    assert x.shape == (2, 3, 28, 28)
    np.testing.assert_array_equal(x[:, 0], x[:, 2])
    assert [name for name, _ in recipe.augmentation] == ["RandomCrop"]  # digits are not mirrored


@pytest.mark.parametrize("model", ["resnet20", "resnet18", "efficientnet_b0", "mnasnet0_5"])
def test_a_net_that_takes_grey_images_gets_them(model: str) -> None:
    recipe = find_recipe(model, "mnist")
    assert recipe.model_options == {"num_classes": 10, "in_channels": 1} and recipe.notes == ()
    assert [name for name, _ in recipe.transforms] == ["ToTensor", "Normalize"]


def test_images_are_resized_only_if_they_must_be() -> None:
    recipe = find_recipe("lenet5", "cifar10")
    assert "Resize" not in dict(recipe.transforms) and batch(recipe).shape == (2, 3, 32, 32)
    recipe = fitted_recipe("LeNet5", "mnist")
    if "Resize" in dict(recipe.transforms):
        assert recipe.notes == (
            "LeNet5 cannot take images of 28 x 28; they are resized to its published size, 32 x 32",
        )


def test_the_reason_names_both_sizes(monkeypatch: pytest.MonkeyPatch) -> None:
    class Picky(nn.Module):
        def __init__(self, num_classes: int = 10) -> None:
            super().__init__()

        def forward(self, x: Any) -> Any:
            if x.shape[-1] == 8:
                raise ValueError("8 is too small")
            return x.mean(dim=(1, 2, 3))

    monkeypatch.setattr(fitting_file.models, "get_model_builder", lambda name: Picky)
    with pytest.raises(SettingError, match=r"resnet20 cannot be trained on digits: its output for 2 images has shape "
                                           r"\(2,\), not \(2, 10\); at 8 x 8: 8 is too small"):  # fmt: skip
        fitted_recipe("resnet20", "digits")


def test_the_statistics_are_right() -> None:
    assert set(STATISTICS) <= set(DATASETS)
    for name, numbers in STATISTICS.items():
        assert [len(one) for one in numbers] == [TABLE[name].channels] * 2
    pixels = datasets.Digits().data.array / 255
    mean, std = STATISTICS["digits"]
    assert (pixels.mean(), pixels.std()) == (pytest.approx(mean[0], abs=1e-3), pytest.approx(std[0], abs=1e-3))


@pytest.mark.cifar
def test_the_statistics_of_cifar10() -> None:
    """Also of copies that have been compressed in between."""
    pixels = datasets.CIFAR10().data[::10] / 255
    np.testing.assert_allclose(pixels.mean(axis=(0, 1, 2)), STATISTICS["cifar10"][0], atol=0.005)
    np.testing.assert_allclose(pixels.std(axis=(0, 1, 2)), STATISTICS["cifar10"][1], atol=0.005)


def test_recipes_that_do_not_fit_say_where_they_are() -> None:
    there = (
        r"no recipe 'resnet-cifar' for LeNet5; it is for resnet20, resnet32, .* on cifar10, cifar100; "
        r"for LeNet5 there are: 'digits' on digits, 'lenet5-course' on mnist.*'fitted' on any"
    )
    with pytest.raises(SettingError, match=there):
        find_recipe("LeNet5", None, "resnet-cifar")
    assert find_recipe("LeNet5", "digits", "fitted").name == "fitted"
    assert [find_recipe("resnet56", "cifar100", name).name for name in (None, "resnet-cifar")] == [
        "resnet-cifar-short", "resnet-cifar",
    ]  # fmt: skip
