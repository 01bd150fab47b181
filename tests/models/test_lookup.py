"""The lazy package: every way to a name gives the same object, one name imports one file, users' nets are found."""

from __future__ import annotations

import importlib
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from minicnn import models, nn
from minicnn.models import lookup
from minicnn.models.published import ENUMS
from minicnn.models.registry import CLASSES, MODELS

HERE = Path(models.__file__).parent
BUILDS_ON = {  # the families whose blocks or types a family takes
    "all_cnn": {"alexnet"},
    "densenet_cifar": {"densenet"},
    "efficientnet": {"mobilenetv2"},
    "mnasnet": {"mobilenetv2"},
    "mobilenetv3": {"mobilenetv2"},
    "nasnet": {"xception"},
    "resnet_cifar": {"resnet"},
    "resnet_preact": {"resnet"},
    "resnet_wide": {"resnet", "resnet_preact"},
    "senet": {"resnet"},
    "vgg": {"alexnet"},
    "zfnet": {"alexnet"},
}


def fresh(code: str) -> list[str]:
    """The words that a program prints in a process of its own."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


SAME_NAME = [name for name, entry in MODELS.items() if name == entry.file]
ORDERS = [
    "from minicnn.models import {0}; import minicnn.models.{0}; from minicnn.models.{0} import {1}",
    "import minicnn.models.{0}; from minicnn.models.{0} import {1}; from minicnn.models import {0}",
    "from minicnn.models.{0} import {1}; from minicnn.models import {0}; import minicnn.models.{0}",
    "import minicnn; minicnn.models.{1}; {0} = minicnn.models.{0}; import minicnn.models.{0}",
    "import importlib; importlib.import_module('minicnn.models.{0}'); from minicnn.models import {0}",
]


@pytest.mark.parametrize("name", SAME_NAME)
@pytest.mark.parametrize("order", ORDERS)
def test_a_function_with_the_name_of_its_file(name: str, order: str) -> None:
    """`models.alexnet` is the function, in whatever order the file, its class and the function are imported."""
    check = (
        "; import sys; file = sys.modules['minicnn.models.{0}']; import minicnn.models as m; "
        "assert m.{0} is {0} is file.{0} is m.get_model_builder('{0}') and callable({0}), {0}; "
        "assert m.{1} is file.{1}; print('right')"
    )
    assert fresh((order + check).format(name, CLASSES[name][0])) == ["right"]


def test_files_are_modules() -> None:
    from minicnn.models import LeNet5, lenet, lenet5

    assert lenet is models.lenet is sys.modules["minicnn.models.lenet"]
    assert lenet5 is lenet.lenet5 is models.get_model_builder("LeNet5") and LeNet5 is lenet.LeNet5
    assert pickle.loads(pickle.dumps(LeNet5)) is LeNet5 and pickle.loads(pickle.dumps(lenet5)) is lenet5


def test_a_file_has_the_enumerations_of_its_nets() -> None:
    code = "from minicnn.models.{0} import {1}; import minicnn.models as m; assert {1} is m.{1}; print('right')"
    for file, enum in (("resnet", "ResNet18_Weights"), ("alexnet", "AlexNet_Weights")):
        assert fresh(code.format(file, enum)) == ["right"]
    for enum, model in ENUMS.items():
        file = importlib.import_module(f"minicnn.models.{MODELS[model].file}")
        assert getattr(file, enum) is getattr(models, enum)
    with pytest.raises(ImportError, match="cannot import name 'VGG16_Weights'"):
        from minicnn.models.resnet import VGG16_Weights  # type: ignore[attr-defined]  # noqa: F401
    with pytest.raises(AttributeError, match="resnet18"):
        _ = models.resnet.resnet19


LOADED = "; print(*(n.split('.')[2] for n in sys.modules if n.startswith('minicnn.models.')))"
ALWAYS = {"registry", "lookup", "weights", "published", "adapting"}


def test_the_package_imports_no_family() -> None:
    assert set(fresh("import sys, minicnn.models" + LOADED)) == ALWAYS
    assert set(fresh("import sys, minicnn.models as m; m.list_models(); dir(m); m.VGG16_Weights" + LOADED)) == ALWAYS


@pytest.mark.parametrize("file", sorted({entry.file for entry in MODELS.values()}))
def test_one_name_imports_one_file(file: str) -> None:
    """And the files of the families on which it builds."""
    name = next(name for name, entry in MODELS.items() if entry.file == file)
    found = set(fresh(f"import sys, minicnn; minicnn.models.{name}" + LOADED)) - ALWAYS
    families = found & {entry.file for entry in MODELS.values()}
    assert file in families and families <= {file} | BUILDS_ON.get(file, set())


def test_names() -> None:
    names = dir(models)
    assert {*MODELS, *(name for classes in CLASSES.values() for name in classes), *CLASSES} <= {*names}
    assert {"get_model", "load_weights", "ResNet18_Weights", "lenet", "registry"} <= {*names} and names == sorted(names)
    assert len(set(models.__all__)) == len(models.__all__)
    for wrong, similar in (("resnet19", "resnet18"), ("LeNet6", "LeNet5"), ("ResNet", "")):
        if wrong not in models.__all__:
            with pytest.raises(AttributeError, match=similar):
                getattr(models, wrong)


def test_models_by_name() -> None:
    assert models.list_models() == sorted(MODELS) == models.list_models(models)  # type: ignore[arg-type]
    assert models.list_models(include="lenet*") == ["lenet5", "lenet5_1998"]
    assert models.list_models(include=["lenet*", "mlp"], exclude="*1998") == ["lenet5", "mlp"]
    assert models.list_models(include=()) == []
    net = models.get_model("LeNet5", activation="relu")
    assert type(net) is models.LeNet5 and isinstance(net.features[1], nn.ReLU)
    for wrong, hint in (("resnet19", "did you mean resnet1"), ("x", "lists all"), (3, "Unknown model 3")):
        with pytest.raises(ValueError, match=hint):
            models.get_model(wrong)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="leave module out"):
        models.list_models(nn)  # type: ignore[arg-type]


def test_nets_of_users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookup, "_registered", {})

    @models.register_model()
    def my_net(**options: Any) -> nn.Module:
        return nn.Linear(2, options.get("num_classes", 3))

    @models.register_model("Other")
    def f() -> nn.Module:
        return nn.Identity()

    assert models.get_model_builder("my_net") is my_net and models.get_model("MY_NET", num_classes=5).out_features == 5
    assert isinstance(models.get_model("other"), nn.Identity)
    assert models.list_models(include="my*") == ["my_net"] and "other" in models.list_models()
    for name in ("my_net", "resnet18", "LeNet5"):
        with pytest.raises(ValueError, match=r"register_model: there is a model .* already"):
            models.register_model(name)(f)
    with pytest.raises(ValueError, match="did you mean my_net"):
        models.get_model("my_nt")


def test_type_checkers_know_the_names() -> None:
    from models.write_stub import PATH, stub

    assert PATH.read_text(encoding="utf-8") == stub(), "run: python tests/models/write_stub.py"
