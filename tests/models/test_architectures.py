"""Every published row: parameters and multiply-accumulates exactly. And the registry says the same."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from counting import count

import minicnn
from minicnn import models
from minicnn.models.registry import CLASSES, MODELS

ROWS = list(csv.DictReader((Path(__file__).parent / "architectures.csv").read_text("utf-8").splitlines()))


def title(row: dict[str, str]) -> str:
    return f"{row['model']}-{row['num_classes']}-{row['input']}-{row['options']}"


@pytest.mark.parametrize("row", [pytest.param(r, id=title(r)) for r in ROWS])
def test_published_counts(row: dict[str, str]) -> None:
    options = {"num_classes": int(row["num_classes"]), **json.loads(row["options"])}
    if row["model"] == "alphago":
        del options["num_classes"]  # the points of the board
    with minicnn.device("meta"):
        net = models.get_model(row["model"], **options)
    assert count(net, tuple(map(int, row["input"].split("x")))) == (int(row["params"]), int(row["macs"]))


@pytest.mark.parametrize("name", MODELS)
def test_the_registry_is_right(name: str) -> None:
    entry = MODELS[name]
    with minicnn.device("meta"):
        net = models.get_model(name)
    assert count(net, entry.input_size) == (entry.params, entry.macs)
    assert getattr(models, name) is models.get_model_builder(name)
    output = net(minicnn.zeros(1, *entry.input_size, device="meta"))
    assert tuple(output.shape) == (1, entry.num_classes)


# MLPs take the number of values of an image; the planes of a Go position are what AlphaGo's net has learned
@pytest.mark.parametrize("name", [n for n in MODELS if MODELS[n].file not in ("mlp", "highway", "alphago")])
def test_any_number_of_channels(name: str) -> None:
    channels, (_, *size) = 2, MODELS[name].input_size
    with minicnn.device("meta"):
        net, usual = models.get_model(name, in_channels=channels), models.get_model(name)
    assert tuple(net.eval()(minicnn.zeros(1, channels, *size, device="meta")).shape) == (1, MODELS[name].num_classes)
    pairs = zip(net.parameters(), usual.parameters(), strict=True)
    first = 3 if name == "airbench94" else 2  # parameters; its first layer has two filters for each value of a patch
    assert sum(a.shape != b.shape for a, b in pairs) <= first, "only the first layers differ"


def test_public_classes_exist() -> None:
    for file, names in CLASSES.items():
        for name in names:
            assert getattr(models, name).__module__ == f"minicnn.models.{file}"
