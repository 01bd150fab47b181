"""The errors for missing names: every row of the tables is true, and every way to look up a name gives its text."""

from __future__ import annotations

import importlib
import importlib.util
import re
import subprocess
import sys
from functools import reduce
from typing import Any

import numpy as np
import pytest
from missing.torchvision_names import NAMES

import minicnn
from minicnn.compat.missing import lookup, methods, pytorch, torchvision
from minicnn.compat.missing.rows import Gap

ROWS = [*pytorch.ROWS, *torchvision.ROWS]
PLACES = [  # where the rows of "*" hold
    "minicnn", "nn", "nn.functional", "nn.utils", "optim", "optim.lr_scheduler", "utils", "utils.data",
    "utils.checkpoint", "autograd", "cuda", "amp", "jit", "hub", "linalg", "testing", "backends", "fx", "random",
    "datasets", "transforms", "models", "Tensor",
]  # fmt: skip


def known(place: str) -> set[str]:
    """The names that a place has; none if the place itself is missing."""
    if place == "Tensor":
        return set(methods(minicnn.Tensor))
    try:
        return set(dir(importlib.import_module("minicnn" if place == "minicnn" else f"minicnn.{place}")))
    except ModuleNotFoundError:
        return set()


HERE = {place: known(place) for place in {*PLACES, *(p for row in ROWS for p in row.places.split() if p != "*")}}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.places}: {row.names[:30]}")
def test_a_row_names_nothing_that_is_there(row: Gap) -> None:
    places = PLACES if "*" in row.places else row.places.split()
    for word in row.names.split():
        if word == "*":  # every other name of the place
            continue
        pattern = re.compile(word.replace("*", r"\w*"))
        for place in places:
            there = {name for name in HERE[place] if pattern.fullmatch(name) and not name.startswith("_")}
            assert not there, f"{there} are in {place} now: take {word!r} out of the row"


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.places}: {row.names[:30]}")
def test_what_a_row_advises_is_there(row: Gap) -> None:
    for path in re.findall(r"\bminicnn((?:\.[A-Za-z_]\w*)+)", row.text):
        reduce(getattr, path.strip(".").split("."), minicnn)
    for path in re.findall(r"\bnumpy((?:\.[a-z_]\w*)+)", row.text):
        reduce(getattr, path.strip(".").split("."), np)
    for name in re.findall(r"(?<![\w.])[xy]\.(\w+)", row.text):
        getattr(minicnn.zeros(1), name)


def test_no_name_is_in_two_rows_of_a_place() -> None:
    seen: dict[tuple[str, str], str] = {}
    for row in ROWS:
        for place in row.places.split():
            for word in row.names.split():
                assert (place, word) not in seen, f"{word} of {place} is in two rows"
                seen[place, word] = row.text


@pytest.mark.parametrize("place", NAMES)
def test_every_name_of_torchvision_has_an_answer_of_its_own(place: str) -> None:
    where = f"minicnn.{place}"
    there = known(place)
    for name in sorted(NAMES[place] - there):
        if not there:  # the module itself is missing, and says so
            with pytest.raises(ModuleNotFoundError, match=re.escape(where.rsplit(".", 1)[0])):
                importlib.import_module(where)
            continue
        with pytest.raises(AttributeError) as caught:
            getattr(importlib.import_module(where), name)
        text = lookup._row(where, name)
        assert text is not None or "it is minicnn." in str(caught.value), f"{place}.{name}: {caught.value}"


@pytest.mark.parametrize(
    ("place", "name", "text"),
    [
        ("minicnn.datasets", "ImageNet", "there are: "),
        ("minicnn.transforms.v2", "RandomIoUCrop", "no boxes"),
        ("minicnn.models", "vit_b_16", "minicnn.nn"),
        ("minicnn.models", "ViT_B_16_Weights", "minicnn.models.load_weights(model, url)"),
        ("minicnn.models", "resnet19", "use resnet1"),
        ("minicnn.utils", "collect_env", "minicnn doctor"),
        ("minicnn.utils.data", "_utils", "collate.default_collate and default_convert are minicnn.utils.data.default"),
        ("minicnn", "onnx", "minicnn.save"),
        ("minicnn", "profiler", "cProfile"),
        ("minicnn.autograd", "forward_ad", "minicnn.func.jvp"),
        ("minicnn", "Linear", "it is minicnn.nn.Linear"),
        ("minicnn", "resnet18", "it is minicnn.models.resnet18"),
        ("minicnn.nn", "relu", "minicnn.relu"),
        ("minicnn.optim", "StepLR", "it is minicnn.optim.lr_scheduler.StepLR"),
        ("minicnn.nn", "conv2d", "it is minicnn.conv2d"),
        ("minicnn.nn", "Conv2D", "use Conv2d?"),
        ("minicnn.nn", "Cnv2d", "Conv2d"),
    ],
)
def test_answers(place: str, name: str, text: str) -> None:
    """Looking up the attribute, importing it from the place and importing it as a module give the same text."""
    module = importlib.import_module(place)
    with pytest.raises(AttributeError) as caught:
        getattr(module, name)
    answer = str(caught.value).split(": ", 1)[1]
    assert text in answer
    with pytest.raises(ImportError) as failed:
        exec(f"from {place} import {name}")
    assert str(failed.value) == f"cannot import name {name!r} from {place!r}: {answer}"
    with pytest.raises(ModuleNotFoundError) as absent:
        exec(f"import {place}.{name}")
    assert str(absent.value) == f"No module named '{place}.{name}': {answer}" and absent.value.name == f"{place}.{name}"


@pytest.mark.parametrize("name", ["minicnn.onnx", "minicnn.nn.foo", "minicnn.hub.foo", "minicnn.sparse"])
def test_asking_whether_there_is_a_module_raises_nothing(name: str) -> None:
    """As in `find_spec("torch.sparse") is not None`; importing the module still raises."""
    importlib.import_module(name.rpartition(".")[0])
    assert importlib.util.find_spec(name) is None
    with pytest.raises(ModuleNotFoundError, match=rf"No module named '{re.escape(name)}': \w"):
        importlib.import_module(name)


@pytest.mark.parametrize(
    "place", ["minicnn.nn.functional", "minicnn.hub", "minicnn.nn.init", "minicnn.utils.data.dataloader"]
)
def test_modules_that_are_files_answer_imports_too(place: str) -> None:
    with pytest.raises(ImportError, match=rf"cannot import name 'ctc_loss' from '{re.escape(place)}': sequence models"):
        exec(f"from {place} import ctc_loss")


def test_the_class_answers_as_its_instances() -> None:
    for owner in (minicnn.Tensor, minicnn.nn.Parameter, minicnn.zeros(1)):
        assert not hasattr(owner, "bfloat16")
        with pytest.raises(AttributeError, match="'Tensor' has no attribute 'bfloat16': NumPy has no bfloat16"):
            owner.bfloat16  # noqa: B018
    with pytest.raises(AttributeError, match=r"use x = x\.gather"):
        minicnn.zeros(1).gather_  # noqa: B018


def test_a_subclass_may_have_what_tensor_lacks() -> None:
    class Named(minicnn.Tensor):
        name = "x"

        def bfloat16(self) -> str:
            return "here"

    x = Named(np.zeros(2, np.float32))
    assert x.name == "x" and x.bfloat16() == "here"
    y: Any = minicnn.zeros(2)
    y.name = "y"
    assert y.name == "y"


def test_programs_that_try_an_import_go_on() -> None:
    """As in a program: in a separate process, before anything else of minicnn is loaded."""
    code = """
try:
    from minicnn.utils.collect_env import get_pretty_env_info
except ModuleNotFoundError as error:
    assert error.name == "minicnn.utils.collect_env"
    print(error)
try:
    from minicnn.models import nothing_like_it
except ImportError as error:
    assert type(error) is ImportError and error.name == "minicnn.models"
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "minicnn doctor" in done.stdout and "cannot import name 'nothing_like_it'" in done.stdout
