"""Published weights: their names, what they are asked for, and errors before anything is downloaded."""

from __future__ import annotations

import copy
import inspect
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from state_dicts import same, values

import minicnn
from minicnn import models, nn
from minicnn.models import lenet5, load_weights, published, weights
from minicnn.models.published import ENUMS, PUBLISHED, File
from minicnn.models.registry import MODELS
from minicnn.models.weights import with_weights
from minicnn.serialization import CheckpointError


def test_the_table() -> None:
    for model, (enum, files) in PUBLISHED.items():
        assert model in MODELS and ENUMS[enum] == model and "IMAGENET1K_V1" in files
        for about in files.values():
            assert about.file.endswith(".pth") and about.crop <= about.resize


def test_enumerations() -> None:
    both = models.ResNet50_Weights
    assert both.DEFAULT is both.IMAGENET1K_V2 and both is models.ResNet50_Weights
    assert both.IMAGENET1K_V1.url == "https://download.pytorch.org/models/resnet50-0676ba61.pth"
    assert both.IMAGENET1K_V1.meta["num_params"] == 25_557_032
    assert both["IMAGENET1K_V1"] is models.get_weight("ResNet50_Weights.IMAGENET1K_V1")
    assert models.get_model_weights("resnet50") is both and models.VGG16_Weights.DEFAULT.name == "IMAGENET1K_V1"
    assert pickle.loads(pickle.dumps(both.DEFAULT)) is copy.deepcopy(both.DEFAULT) is both.DEFAULT
    assert str(both.DEFAULT) == "ResNet50_Weights.IMAGENET1K_V2" and isinstance(both.DEFAULT, models.WeightsEnum)
    for wrong in ("ResNet50_Weights.V3", "ResNet50_Weights", "Net_Weights.DEFAULT", "resnet50"):
        with pytest.raises(ValueError, match=r"get_weight: .*there are: "):
            models.get_weight(wrong)
    with pytest.raises(ValueError, match="no weights are published for 'lenet5'"):
        models.get_model_weights("lenet5")
    with pytest.raises(ValueError, match="no weights are published for 'lenet5'"):
        models.get_model_weights(lenet5)


def test_their_transforms() -> None:
    from PIL import Image

    image = Image.fromarray(np.full((300, 400, 3), 255, np.uint8))
    x = models.EfficientNet_B0_Weights.DEFAULT.transforms()(image)
    assert x.shape == (3, 224, 224)
    np.testing.assert_allclose(x[:, 0, 0].numpy(), (1 - np.array([0.485, 0.456, 0.406])) / [0.229, 0.224, 0.225], 1e-5)


def test_published_weights_are_fetched_by_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As if some were published for LeNet-5."""
    trained, asked = lenet5(), []
    minicnn.save(trained.state_dict(), tmp_path / "f")

    def fetch(url: str, progress: bool) -> Path:
        asked.append((url, progress))
        return tmp_path / "f"

    row = ("LeNet5_Weights", {"IMAGENET1K_V1": File("a-1.pth", 9.0, 1, 1), "IMAGENET1K_V2": File("b-2.pth", 9.5, 1, 1)})
    monkeypatch.setattr(weights, "fetched", fetch)
    monkeypatch.setitem(PUBLISHED, "lenet5", row)
    monkeypatch.setitem(ENUMS, "LeNet5_Weights", "lenet5")
    enum = published.weights_enum("LeNet5_Weights")
    for given, file in (
        ("DEFAULT", "b-2.pth"), ("IMAGENET1K_V1", "a-1.pth"), ("LeNet5_Weights.IMAGENET1K_V1", "a-1.pth"),
        ("LeNet5_Weights.DEFAULT", "b-2.pth"), (enum.IMAGENET1K_V1, "a-1.pth"), (enum.DEFAULT, "b-2.pth"),
    ):  # fmt: skip
        assert same(values(models.get_model("lenet5", weights=given, progress=False)), values(trained))
        assert asked.pop() == (published.BASE + file, False)
    with pytest.raises(ValueError, match="lenet5: weights='IMAGENET1K_V9' is unknown; there are: IMAGENET1K_V1, IMAG"):
        lenet5(weights="IMAGENET1K_V9")
    with pytest.raises(ValueError, match=r"'ResNet50_Weights\.DEFAULT' is unknown"):
        lenet5(weights="ResNet50_Weights.DEFAULT")
    with pytest.raises(TypeError, match="are those of resnet50"):
        lenet5(weights=models.ResNet50_Weights.DEFAULT)  # type: ignore[arg-type]
    assert not asked
    for given, file in ((enum.DEFAULT, "b-2.pth"), ("LeNet5_Weights.IMAGENET1K_V1", "a-1.pth")):
        assert same(values(load_weights(lenet5(), given, progress=False)), values(trained))
        assert asked.pop() == (published.BASE + file, False)
    for build in (lambda: lenet5(True), lambda: lenet5(pretrained=True), lambda: lenet5(weights=True)):  # type: ignore[arg-type]
        with pytest.warns(UserWarning, match="lenet5: pretrained=True is the old form of weights='IMAGENET1K_V1'"):
            assert same(values(build()), values(trained))
        assert asked.pop() == (published.BASE + "a-1.pth", True)
    assert same(values(lenet5(enum.DEFAULT, False)), values(trained)) and asked.pop() == (
        published.BASE + "b-2.pth",
        False,
    )
    for fresh in (lenet5(False), lenet5(pretrained=False), lenet5(None)):  # type: ignore[arg-type]
        assert not same(values(fresh), values(trained))
    with pytest.raises(TypeError, match="unexpected keyword argument 'pretraind'"):
        lenet5(pretraind=True)
    assert not asked


def test_options_that_belong_to_trained_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As `transform_input`, which published weights need, and the start values, which are not drawn in vain."""
    given: list[dict[str, Any]] = []

    def lenet5(**options: Any) -> nn.Module:
        given.append(options)
        return nn.Linear(2, 10)

    build = with_weights(trained={"init_weights": False}, published={"transform_input": True, "aux": 0})(lenet5)
    minicnn.save(nn.Linear(2, 10).state_dict(), tmp_path / "f")
    row = ("LeNetOfTest_Weights", {"IMAGENET1K_V1": File("a-1.pth", 9.0, 1, 1)})
    monkeypatch.setitem(PUBLISHED, "lenet5", row)
    monkeypatch.setitem(ENUMS, "LeNetOfTest_Weights", "lenet5")
    monkeypatch.setattr(weights, "fetched", lambda url, progress: tmp_path / "f")
    build(a=1)
    build(weights=tmp_path / "f", a=1)
    build("DEFAULT", aux=2)
    build(published.BASE + "a-1.pth", init_weights=True)
    assert given == [
        {"a": 1},
        {"init_weights": False, "a": 1},
        {"init_weights": False, "transform_input": True, "aux": 2},
        {"init_weights": True, "transform_input": True, "aux": 0},
    ]


def test_builders_show_their_options() -> None:
    """In `help` and in editors."""
    assert str(inspect.signature(models.all_cnn_c)) == (
        "(weights: 'Weights' = None, progress: 'bool' = True, *, num_classes: 'int' = 10, in_channels: 'int' = 3, "
        "dropout: 'bool' = True) -> 'nn.Sequential'"
    )
    assert str(inspect.signature(models.resnet18)).endswith("progress: 'bool' = True, **kwargs: 'Any') -> 'ResNet'")
    assert pickle.loads(pickle.dumps(models.resnet18)) is models.resnet18
    assert models.resnet18.__name__ == "resnet18" and "ResNet-18" in (models.resnet18.__doc__ or "")


def test_the_hash_in_a_name_is_that_of_the_content() -> None:
    """The form of torchvision's names, which `fetched` reads."""
    from minicnn.serialization.download import HASH

    for _, files in PUBLISHED.values():
        for about in files.values():
            found = HASH.search(about.file)
            assert found and 8 <= len(found[1]) <= 10, about.file


# ------------------------------------------------------------------------------------------ errors before a download


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were asked for; nothing is fetched."""
    found: list[str] = []

    def fetch(url: str, progress: bool) -> Path:
        found.append(url)
        raise ConnectionError(url)

    monkeypatch.setattr(weights, "fetched", fetch)
    return found


@pytest.mark.parametrize("pretrained", ["no", 1, "True", []])
def test_pretrained_is_a_truth_value(pretrained: Any, asked: list[str]) -> None:
    with pytest.raises(TypeError, match=r"resnet18: pretrained must be True or False, got .*give weights=\.\.\."):
        models.resnet18(pretrained=pretrained)
    assert not asked


@pytest.mark.parametrize("word", ["default", "IMAGENET_V1", "imagenet", "best", ""])
def test_a_word_that_is_neither_a_file_nor_a_name(word: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    names = "there are: IMAGENET1K_V1, IMAGENET1K_V2, and DEFAULT for the best"
    with pytest.raises(FileNotFoundError, match=f"resnet50: weights='{word}' is neither a file .*; {names}"):
        models.resnet50(weights=word)
    with pytest.raises(FileNotFoundError, match=r"no weights are published for lenet5; give the path"):
        lenet5(weights=word)
    with pytest.raises(FileNotFoundError, match=r"load_weights: .* full names such as 'ResNet50_Weights\.DEFAULT'"):
        load_weights(lenet5(), word)
    trained = lenet5()
    minicnn.save(trained.state_dict(), tmp_path / (word or "x"))
    assert same(values(lenet5(weights=word or "x")), values(trained))


@pytest.mark.parametrize(
    "name", ["ResNet18_Weights.IMAGENET_V1", "ResNet18_Weights.default", "Net_Weights.IMAGENET1K_V1"]
)
def test_a_full_name_with_a_mistake_is_no_path(name: str) -> None:
    with pytest.raises(ValueError, match=rf"weights='{name}' is unknown; there are: IMAGENET1K_V1, and DEFAULT"):
        models.resnet18(weights=name)
    with pytest.raises(ValueError, match=rf"get_weight: '{name}' is unknown; there are: "):
        load_weights(lenet5(), name)
    for path in ("weights.pth", "DEFAULT.pth", "folder/DEFAULT", "./default"):
        with pytest.raises(FileNotFoundError, match=rf"No such file or directory: '{path.removeprefix('./')}'|default"):
            lenet5(weights=path)


@pytest.mark.parametrize(
    ("name", "heads", "remedy"),
    [
        ("resnet18", "(fc)", "model.fc = nn.Linear(512, 10)"),
        ("squeezenet1_1", "(classifier.1)", "model.classifier[1] = nn.Conv2d(512, 10, 1)"),
        ("googlenet", "fc)", "model.fc = nn.Linear(1024, 10)"),
    ],
)
def test_another_number_of_classes_is_refused_before_the_download(
    name: str, heads: str, remedy: str, asked: list[str]
) -> None:
    build = models.get_model_builder(name)
    full = f"{PUBLISHED[name][0]}.IMAGENET1K_V1"
    with minicnn.device("meta"):
        net = build(num_classes=10)
    url = models.get_weight(full).url
    for load in (
        lambda: build(weights="DEFAULT", num_classes=10), lambda: build(weights=url, num_classes=10),
        lambda: load_weights(net, full), lambda: load_weights(net, url),
    ):  # fmt: skip
        with pytest.raises(CheckpointError) as caught:
            load()
        message = str(caught.value)
        assert message.startswith(f"{full}: the weights are those of a net with 1000 classes, and this ")
        assert heads in message and remedy in message and "skip_head=True" in message
    with pytest.raises(TypeError, match=f"{name}: weights=VGG16_Weights.IMAGENET1K_V1 are those of vgg16"):
        build(weights=models.get_weight("VGG16_Weights.IMAGENET1K_V1").url)
    assert not asked
    with pytest.raises(ConnectionError):
        load_weights(net, full, skip_head=True)
    with minicnn.device("meta"), pytest.raises(ConnectionError):
        build(weights="DEFAULT", num_classes=1000)
    assert len(asked) == 2


def test_arguments_of_another_kind() -> None:
    state = lenet5().state_dict()
    for net, remedy in (
        (lenet5, r"give lenet5\(\.\.\.\)"), (models.LeNet5, r"LeNet5 is a class: give LeNet5\(\.\.\.\)"),
        ("lenet5", r"get_model\('lenet5'\)"), (3, "give a net"),
    ):  # fmt: skip
        with pytest.raises(TypeError, match=f"load_weights: the net must be a Module, got .*{remedy}"):
            load_weights(net, state)  # type: ignore[type-var]
    for rename in (3, {"a": 3}, {3: "a"}, ["a"], "a"):
        with pytest.raises(TypeError, match=r"load_weights: rename must be a dict from beginnings of names .* got "):
            load_weights(lenet5(), state, rename=rename)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"rename\('features.0.weight'\) must return a name, or None .* got 17"):
        load_weights(lenet5(), state, rename=len)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="load_weights: skip_head must be True or False, got 'no'"):
        load_weights(lenet5(), state, skip_head="no")  # type: ignore[arg-type]
