from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import minicnn
from minicnn import datasets, models, nn, optim
from minicnn.models.registry import MODELS as PUBLISHED
from minicnn.train import (
    RECIPES,
    Recipe,
    SettingError,
    UnknownNameError,
    build_dataset,
    build_model,
    build_optimizer,
    build_transform,
    find_recipe,
    train,
)
from minicnn.train.recipes import bundled
from minicnn.train.recipes.names import DATASETS, MODELS, OPTIMIZERS, TRANSFORMS
from minicnn.utils.data import DataLoader

SLOW_TO_BUILD = {"resnet1202"}  # seconds on the meta device


def test_the_course_recipe() -> None:
    """LeNet-5 on MNIST as the courses print it."""
    recipe = find_recipe("lenet5", "mnist")
    assert recipe == find_recipe("LeNet5", name="course") == find_recipe("LENET5", "MNIST", "LeNet5-Course")
    assert (recipe.optimizer, dict(recipe.optimizer_options)) == ("SGD", {"lr": 0.01, "momentum": 0.0})
    assert (recipe.batch_size, recipe.epochs, recipe.loss) == (100, 10, "CrossEntropyLoss")
    assert recipe.transforms == (("ToTensor", {}), ("Resize", {"size": [32, 32]}))
    assert recipe.augmentation == () and recipe.schedule is None and recipe.validation == "test"
    assert recipe.model_options == {"num_classes": 10, "activation": "tanh", "pool": "max"}


def test_the_default_recipe() -> None:
    recipe = find_recipe()
    assert (recipe.model, recipe.dataset, recipe.name, recipe.validation) == ("LeNet5", "digits", "digits", 0.1)


def test_the_recipes_are_the_files_of_the_folder() -> None:
    folder = next(iter(RECIPES.values())).parent
    assert set(RECIPES.values()) == set(folder.glob("*.toml"))


def recipes_for_every_net() -> list[Recipe]:
    found = []
    for name in RECIPES:
        file = bundled(name)
        for model in file.models:
            for dataset in file.datasets:
                if model not in SLOW_TO_BUILD:
                    found.append(find_recipe(model, dataset, name))
    return found


@pytest.mark.parametrize("recipe", recipes_for_every_net(), ids=lambda one: f"{one.name} {one.model} {one.dataset}")
def test_every_recipe_can_be_built(recipe: Recipe) -> None:
    """And the net takes the images that its transforms make, in training and in evaluation."""
    assert recipe.model in MODELS and recipe.optimizer in OPTIMIZERS
    assert {name for name, _ in (*recipe.transforms, *recipe.augmentation)} <= set(TRANSFORMS)
    with minicnn.device("meta"):
        model = build_model(recipe.model, recipe.model_options)
    optimizer = build_optimizer(recipe.optimizer, model, recipe.optimizer_options, recipe.decay, recipe.rates)
    assert isinstance(optimizer, optim.Optimizer)
    assert recipe.optimizer_options["lr"] in {group["lr"] for group in optimizer.param_groups}
    images = DATASETS.get(recipe.dataset)
    grey = images is not None and images.channels == 1
    size = (300, 400) if images is None else (images.side, images.side)
    pixels = np.random.default_rng(0).integers(0, 256, size if grey else (*size, 3), dtype=np.uint8)
    for steps in (recipe.train_transforms, recipe.eval_transforms):
        known = [step for step in steps if step != ("Normalize", {})]
        x = build_transform(known)(Image.fromarray(pixels))
        with minicnn.device("meta"), minicnn.no_grad():
            scores = model(minicnn.empty(2, *x.shape))
        scores = scores if isinstance(scores, minicnn.Tensor) else scores[0]
        classes = PUBLISHED[MODELS[recipe.model]].num_classes if images is None else images.classes
        assert tuple(scores.shape) == (2, classes if recipe.classes is None else len(recipe.classes))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("lenet6",),
            r"unknown model 'lenet6'; minicnn\.models\.list_models\(\) lists.*Did you mean 'LeNet5'",
        ),
        (("LeNet5", "imagenet"), "unknown dataset 'imagenet'; there are: digits, mnist"),
        (("LeNet5", None, "curse"), "unknown recipe 'curse'; there are: digits, lenet5-course"),
        (
            ("LeNet5", "digits", "course"),
            "no recipe 'lenet5-course' for LeNet5 on digits; it is for LeNet5 on mnist; .*'digits' on digits",
        ),
    ],
)
def test_unknown_names(arguments: tuple[str, ...], message: str) -> None:
    with pytest.raises(UnknownNameError, match=message):
        find_recipe(*arguments)


def test_builders_refuse_unknown_names() -> None:
    with pytest.raises(UnknownNameError, match="model"):
        build_model("ResNet")
    with pytest.raises(UnknownNameError, match="transform 'Compose'"):
        build_dataset("digits", train=True, steps=[("Compose", {})])
    with pytest.raises(UnknownNameError, match="optimizer 'Optimizer'"):
        build_optimizer("Optimizer", build_model("LeNet5"), {})
    with pytest.raises(SettingError, match="bundled"):
        build_dataset("digits", train=True, steps=[], root="somewhere")


def test_datasets_are_built_with_their_transforms() -> None:
    recipe = find_recipe()
    for part, count in ((True, 1437), (False, 360)):
        data = build_dataset("Digits", train=part, steps=recipe.transforms)
        assert isinstance(data, datasets.Digits) and len(data) == count
        image, target = data[0]
        assert image.shape == (1, 32, 32) and 0 <= target <= 9
    minicnn.manual_seed(0)
    assert isinstance(build_model("lenet5", {"activation": "relu"}), models.LeNet5)


def test_missing_mnist_names_the_remedy(tmp_path: object) -> None:
    with pytest.raises(datasets.DatasetError, match="train-images-idx3-ubyte"):
        build_dataset("mnist", train=True, steps=[], root=str(tmp_path))


def test_a_seed_decides_the_weights() -> None:
    def weights(seed: int) -> np.ndarray:
        minicnn.manual_seed(seed)
        return next(iter(build_model("LeNet5").parameters())).array

    assert np.array_equal(weights(1), weights(1))
    assert not np.array_equal(weights(1), weights(2))


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_default_recipe_reaches_what_it_says(seed: int) -> None:
    recipe = find_recipe()
    minicnn.manual_seed(seed)
    model = build_model(recipe.model, recipe.model_options)
    steps = (*recipe.transforms, *recipe.augmentation)
    history = train(
        model,
        DataLoader(build_dataset("digits", train=True, steps=steps), batch_size=recipe.batch_size, shuffle=True),
        DataLoader(build_dataset("digits", train=False, steps=recipe.transforms), batch_size=200),
        build_optimizer(recipe.optimizer, model, recipe.optimizer_options),
        nn.CrossEntropyLoss(),
        recipe.epochs,
    )
    assert history[-1].val_top1 >= 0.97
