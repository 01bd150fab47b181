"""Published weights: the table is torchvision's, and torchvision's state dicts load from files of both formats."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
import differential.model_pairs  # noqa: E402, F401 (first: it lets torchvision be imported)

torchvision = pytest.importorskip("torchvision", reason="torchvision is not installed: pip install torchvision")

from minicnn import models  # noqa: E402
from minicnn.models.published import BASE, PUBLISHED, weights_enum  # noqa: E402
from minicnn.models.registry import MODELS  # noqa: E402
from minicnn.serialization import CheckpointError  # noqa: E402


def test_the_table_is_torchvisions() -> None:
    """Every model that both have, every file, its accuracy and how its images are prepared."""
    both = [name for name in torchvision.models.list_models(module=torchvision.models) if name in MODELS]
    assert sorted(PUBLISHED) == sorted(both)
    for model, (enum, files) in PUBLISHED.items():
        theirs = torchvision.models.get_model_weights(model)
        ours = weights_enum(enum)
        assert theirs.__name__ == enum and [*theirs.__members__] == [*ours.__members__]
        assert theirs.DEFAULT.name == ours.DEFAULT.name
        for name, about in files.items():
            wanted = theirs[name]
            steps = wanted.transforms()
            assert wanted.url == BASE + about.file == ours[name].url
            top1 = wanted.meta["_metrics"]["ImageNet-1K"]["acc@1"]
            assert about.top1 == (None if math.isnan(top1) else top1)
            assert ([about.resize], [about.crop]) == (steps.resize_size, steps.crop_size)
            assert about.interpolation == steps.interpolation.value
            np.testing.assert_allclose((about.mean, about.std), (steps.mean, steps.std), 1e-6)


def test_the_images_are_prepared_as_in_torchvision() -> None:
    from PIL import Image

    image = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 401, 3), np.uint8))
    for enum in ("ResNet18_Weights", "EfficientNet_B0_Weights", "Inception_V3_Weights", "ResNet50_Weights"):
        ours = weights_enum(enum)["DEFAULT"].transforms()(image).numpy()
        theirs = getattr(torchvision.models, enum).DEFAULT.transforms()(image).numpy()
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.parametrize("zipped", [True, False], ids=["zip", "old"])
@pytest.mark.parametrize("name", ["squeezenet1_1", "mobilenet_v3_small", "resnet18", "mnasnet0_5"])
def test_torchvisions_state_dicts(name: str, zipped: bool, tmp_path: Path) -> None:
    """And a head for another number of classes."""
    build: Any = getattr(models, name)
    state = getattr(torchvision.models, name)().state_dict()
    torch.save(state, tmp_path / "f.pth", _use_new_zipfile_serialization=zipped)
    found = build(weights=tmp_path / "f.pth").state_dict()
    assert list(found) == list(state)
    assert all(np.array_equal(found[key].numpy(), value.numpy()) for key, value in state.items())
    net = build(num_classes=7)
    with pytest.raises(CheckpointError, match=r"1000 classes, and this .* has 7"):
        models.load_weights(net, tmp_path / "f.pth")
    partly = models.load_weights(net, tmp_path / "f.pth", skip_head=True).state_dict()
    differ = [key for key, value in state.items() if not np.array_equal(partly[key].numpy(), value.numpy())]
    assert {key.rpartition(".")[0] for key in differ} == {[*state][-1].rpartition(".")[0]}


@pytest.mark.parametrize("wrap", [lambda s: s, lambda s: {"epoch": 3, "state_dict": s}])
def test_pytorchs_tensors(wrap: Any) -> None:
    """In memory: a state dict, and the parameters themselves."""
    theirs = torchvision.models.squeezenet1_1()
    for state in (theirs.state_dict(), dict(theirs.named_parameters())):
        found = models.load_weights(models.squeezenet1_1(), wrap(state)).state_dict()
        assert all(np.array_equal(found[key].numpy(), value.detach().numpy()) for key, value in state.items())
    batch_norm = torchvision.models.shufflenet_v2_x0_5().state_dict()
    assert batch_norm._metadata["conv1.1"] == {"version": 2}
    models.load_weights(models.shufflenet_v2_x0_5(), wrap(batch_norm))
    half = {key: value.bfloat16() for key, value in theirs.state_dict().items()}
    with pytest.raises(TypeError, match=r"features\.0\.weight is a torch\.Tensor .*value\.float\(\)\.cpu\(\)"):
        models.load_weights(models.squeezenet1_1(), wrap(half))
