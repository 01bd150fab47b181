"""Datasets against torchvision's on the same small files: images, targets, classes, repr; folders of images; names."""

from __future__ import annotations

import hashlib
import inspect
from collections import Counter
from pathlib import Path
from typing import Any

import made_datasets as made
import numpy as np
import pytest
from PIL import Image

from minicnn import datasets

pytest.importorskip("torch")
pytest.importorskip("model_pairs", reason="needs PyTorch")
theirs = pytest.importorskip("torchvision.datasets")

CASES: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"{name} {train}": (name, {"train": train}) for name in ("MNIST", "FashionMNIST", "KMNIST", "USPS")
       for train in (True, False)},
    "EMNIST": ("EMNIST", {"split": "letters"}),
    "EMNIST test": ("EMNIST", {"split": "balanced", "train": False}),
    "QMNIST": ("QMNIST", {}),
    "QMNIST numbers": ("QMNIST", {"compat": False}),
    "QMNIST test50k": ("QMNIST", {"what": "test50k"}),
    "QMNIST nist": ("QMNIST", {"what": "nist"}),
    **{f"SVHN {split}": ("SVHN", {"split": split}) for split in ("train", "test", "extra")},
    **{f"STL10 {split}": ("STL10", {"split": split}) for split in ("train", "test", "unlabeled", "train+unlabeled")},
    "STL10 fold": ("STL10", {"folds": 4}),
}  # fmt: skip


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small files, also unpacked, as torchvision leaves them."""
    root = made.everything(tmp_path_factory.mktemp("data"))
    for number, kind in enumerate(("FashionMNIST", "KMNIST"), 1):
        made.write(root, made.mnist(kind, seed=number))
    for split in ("letters", "balanced"):
        made.write(root / "EMNIST" / "raw", made.emnist_files(split))
    return made.write(root, made.qmnist(unpacked=True))


@pytest.fixture
def any_content(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let torchvision take the small files for the original ones."""
    for kind in (theirs.SVHN, theirs.STL10):
        monkeypatch.setattr(kind, "_check_integrity", lambda self: True)


@pytest.mark.usefixtures("any_content")
@pytest.mark.parametrize("case", CASES)
def test_samples(root: Path, case: str, compared: Counter[str]) -> None:
    name, options = CASES[case]
    ours, other = (getattr(lib, name)(root, **options) for lib in (datasets, theirs))
    assert len(ours) == len(other)
    for index in (0, 1, len(other) - 1):
        (image, target), (wanted, label) = ours[index], other[index]
        assert image.mode == wanted.mode and np.array_equal(np.asarray(image), np.asarray(wanted))
        assert np.array_equal(np.asarray(target), np.asarray(label)) and (type(target) is int) == (type(label) is int)
    for attribute in ("data", "targets", "labels"):
        if hasattr(other, attribute):
            assert np.array_equal(np.asarray(getattr(ours, attribute)), np.asarray(getattr(other, attribute)))
    if hasattr(other, "classes"):
        assert list(ours.classes) == list(other.classes)
    assert repr(ours) == repr(other)
    compared[name] += 1


@pytest.mark.parametrize(
    "name",
    ["CIFAR10", "EMNIST", "FakeData", "DatasetFolder", "ImageFolder", "MNIST", "QMNIST", "STL10", "SVHN", "USPS"],
)
def test_signatures(name: str) -> None:
    def parameters(kind: Any) -> dict[str, Any]:
        found = inspect.signature(kind).parameters.values()
        return {one.name: one.default for one in found if one.kind is not one.VAR_KEYWORD and one.name != "root"}

    ours, other = parameters(getattr(datasets, name)), parameters(getattr(theirs, name))
    named = list(other)
    if name in ("EMNIST", "QMNIST"):  # torchvision's take the others by name
        named = [key for key in ours if key in other]
    assert [key for key in ours if key in other] == named
    for key, default in other.items():
        if key not in ("loader", "split") or (name != "EMNIST" and key != "loader"):
            assert ours[key] == default, key


def test_folders(tmp_path: Path, compared: Counter[str]) -> None:
    for number, name in enumerate(
        ("b/x.png", "b/a-b/y.PNG", "b/a/c/z.bmp", "a/1.ppm", "a/0.webp", "c d/q.tif", "a/n.txt")
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        image = Image.fromarray(made.pixels(5, 6 + number, 3, seed=number))
        (tmp_path / name).write_text("") if name.endswith("txt") else image.save(tmp_path / name)
    for options in ({}, {"is_valid_file": lambda path: "b" in Path(path).name or "1" in path}, {"allow_empty": True}):
        if options:
            options["allow_empty"] = True
        ours, other = (lib.ImageFolder(str(tmp_path), **options) for lib in (datasets, theirs))
        assert ours.samples == other.samples == ours.imgs and ours.classes == other.classes
        assert ours.targets == other.targets and ours.class_to_idx == other.class_to_idx and repr(ours) == repr(other)
        for (image, target), (wanted, label) in zip(ours, other, strict=False):
            assert image.mode == wanted.mode and image.tobytes() == wanted.tobytes() and target == label
    compared["ImageFolder"] += 1


def test_published_checksums() -> None:
    """The MD5 sums are those that torchvision has."""
    import torchvision

    folder = Path(torchvision.__file__).parent / "datasets"
    text = "".join((folder / f"{name}.py").read_text() for name in ("mnist", "usps", "svhn", "stl10", "cifar"))
    sums = {
        one.checksum.md5
        for name in ("FashionMNIST", "KMNIST", "EMNIST", "QMNIST", "USPS", "SVHN", "STL10")
        for one in (*getattr(datasets, name).sources, *getattr(getattr(datasets, name), "members", ()))
    } - {""}
    assert len(sums) >= 20 and all(one in text for one in sums)
    assert hashlib.md5(b"", usedforsecurity=False).hexdigest() not in sums
