from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.datasets import MNIST, DatasetError, downloaded
from minicnn.datasets.download import Checksum, content_matches
from minicnn.datasets.downloaded import Source
from minicnn.tensor import Tensor
from minicnn.transforms import Compose, Normalize, Resize, ToTensor
from minicnn.utils.data import DataLoader

NAMES = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"]


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + b"".join(size.to_bytes(4, "big") for size in array.shape) + array.tobytes()


def contents(train: int = 12, test: int = 5) -> dict[str, bytes]:
    """Small files in the format of MNIST."""
    rng = np.random.default_rng(0)
    files = {}
    for names, count in ((NAMES[:2], train), (NAMES[2:], test)):
        files[names[0]] = idx(rng.integers(0, 256, (count, 28, 28), dtype=np.uint8))
        files[names[1]] = idx((np.arange(count) % 10).astype(np.uint8))
    return files


def write(folder: Path, files: dict[str, bytes], pack: Any = bytes, suffix: str = "") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / f"{name}{suffix}").write_bytes(pack(content))
    return folder


@pytest.mark.parametrize("folder", ["MNIST/raw", "", "mnist", "MNIST", "raw"])
@pytest.mark.parametrize(("pack", "suffix"), [(bytes, ""), (gzip.compress, ".gz"), (gzip.compress, ""), (bytes, ".gz")])
def test_files_are_found(tmp_path: Path, folder: str, pack: Any, suffix: str) -> None:
    write(tmp_path / folder, contents(), pack, suffix)
    train, test = MNIST(tmp_path), MNIST(str(tmp_path), train=False)
    assert (len(train), len(test)) == (12, 5)
    assert isinstance(train.data, Tensor) and train.data.shape == (12, 28, 28) and train.data.dtype == np.uint8
    assert isinstance(train.targets, Tensor) and train.targets.dtype == np.int64
    assert train.targets.array.tolist() == [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]
    assert train.classes[3] == "3 - three" and train.class_to_idx["9 - nine"] == 9


def test_a_known_variant_of_the_names_is_found(tmp_path: Path) -> None:
    write(tmp_path, {name.replace("-idx", ".idx"): content for name, content in contents().items()})
    assert len(MNIST(tmp_path)) == 12


@pytest.mark.parametrize("outer", ["{0}", "{1}", "{0}.gz"])
@pytest.mark.parametrize("inner", ["{0}", "{1}", "{0}.gz"])
def test_files_in_folders_of_their_own_name_are_found(tmp_path: Path, outer: str, inner: str) -> None:
    for name, content in contents().items():
        names = name, name.replace("-idx", ".idx")
        pack = gzip.compress if inner.endswith(".gz") else bytes
        write(tmp_path / outer.format(*names), {inner.format(*names): content}, pack)
    assert len(MNIST(tmp_path)) == 12 and len(MNIST(tmp_path, train=False)) == 5


def test_a_file_goes_before_an_empty_folder_of_another_of_its_names(tmp_path: Path) -> None:
    write(tmp_path, contents(), gzip.compress, ".gz")
    (tmp_path / NAMES[0]).mkdir()
    assert len(MNIST(tmp_path)) == 12


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"there is no folder .*nowhere"):
        MNIST(tmp_path / "nowhere")


def test_only_the_files_of_the_split_are_needed(tmp_path: Path) -> None:
    files = contents()
    write(tmp_path, {name: files[name] for name in NAMES[2:]})
    assert len(MNIST(tmp_path, train=False)) == 5
    with pytest.raises(DatasetError, match="train-images-idx3-ubyte and train-labels-idx1-ubyte not found"):
        MNIST(tmp_path)


@pytest.mark.parametrize("folder", ["", "mnist", "MNIST/raw"])
def test_the_environment_names_the_folder(tmp_path: Path, folder: str, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / folder, contents())
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    assert len(MNIST()) == 12
    with pytest.raises(DatasetError, match="elsewhere"):
        MNIST(tmp_path / "elsewhere")  # a folder that is given is the only one searched


def test_what_is_missing_comes_with_the_remedies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatasetError, match=r"(?s)not found.*MNIST/raw.*MINICNN_DATA.*download=True"):
        MNIST(tmp_path)
    for value in (None, ""):
        monkeypatch.delenv("MINICNN_DATA") if value is None and "MINICNN_DATA" in os.environ else None
        if value is not None:
            monkeypatch.setenv("MINICNN_DATA", value)
        with pytest.raises(DatasetError, match=r"(?s)no folder given.*root=.*MINICNN_DATA.*download=True.*Digits"):
            MNIST()


def test_samples_are_pil_images_and_ints(tmp_path: Path) -> None:
    dataset = MNIST(write(tmp_path, contents()))
    image, target = dataset[7]
    assert image.mode == "L" and image.size == (28, 28) and type(target) is int and target == 7
    np.testing.assert_array_equal(np.asarray(image), dataset.data.array[7])
    assert dataset[-1][1] == 1
    with pytest.raises(IndexError):
        dataset[12]
    moved = MNIST(tmp_path, transform=ToTensor(), target_transform=str)
    assert moved[3][0].shape == (1, 28, 28) and moved[3][1] == "3"


@pytest.mark.parametrize("target_transform", [None, float, str], ids=str)
def test_a_batch_at_once_equals_its_samples(tmp_path: Path, target_transform: Any) -> None:
    chain = Compose([ToTensor(), Resize(32), Normalize([0.1], [0.3])])
    dataset = MNIST(write(tmp_path, contents()), transform=chain, target_transform=target_transform)
    at_once = DataLoader(dataset, 5, collate_fn=None)
    one_by_one = DataLoader([dataset[i] for i in range(len(dataset))], 5)
    assert dataset.fetch_batch([0, 1]) is not None
    for (x, y), (x1, y1) in zip(at_once, one_by_one, strict=True):
        np.testing.assert_allclose(x.array, x1.array, rtol=0, atol=1e-6)
        assert x.dtype == x1.dtype == np.float32
        if target_transform is str:
            assert y == y1
        else:
            assert y.dtype == y1.dtype and y.tolist() == y1.tolist()


def test_batches_see_what_users_put_in_place_of_the_data(tmp_path: Path) -> None:
    dataset = MNIST(write(tmp_path, contents()), transform=ToTensor())
    dataset.data, dataset.targets = dataset.data.array[:4] // 2, [9, 8, 7, 6]
    (x, y), *_ = DataLoader(dataset, 4)
    assert len(dataset) == 4 and y.tolist() == [9, 8, 7, 6] and float(x.array.max()) <= 0.5


def test_without_a_transform_the_loader_asks_for_one(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match=r"transforms\.ToTensor\(\)"):
        next(iter(DataLoader(MNIST(write(tmp_path, contents())), 4)))
    with pytest.raises(TypeError, match=r"transforms\.ToTensor\(\)"):
        next(iter(DataLoader(MNIST(tmp_path, transform=Resize(32)), 4)))


def test_the_repr_is_torchvisions(tmp_path: Path) -> None:
    chain = Compose([ToTensor(), Resize(32)])
    assert repr(MNIST(write(tmp_path, contents()), train=False, transform=chain)).splitlines() == [
        "Dataset MNIST",
        "    Number of datapoints: 5",
        f"    Root location: {tmp_path}",
        "    Split: Test",
        "    StandardTransform",
        "    Transform: Compose(",
        "                   ToTensor()",
        "                   Resize(size=32, interpolation=bilinear, max_size=None, antialias=True)",
        "               )",
    ]


# ---------------------------------------------------------------------------------------------- files that are wrong


def test_swapped_files_are_noticed(tmp_path: Path) -> None:
    files = contents()
    swapped = {NAMES[0]: files[NAMES[1]], NAMES[1]: files[NAMES[0]]}
    with pytest.raises(DatasetError, match=r"train-images.*3 dimensions, found uint8 of shape \(12,\).*swapped"):
        MNIST(write(tmp_path, swapped))
    with pytest.raises(DatasetError, match=r"train-labels.*1 dimensions.*swapped"):
        MNIST(write(tmp_path, {NAMES[0]: files[NAMES[0]], NAMES[1]: files[NAMES[0]]}))
    with pytest.raises(DatasetError, match=r"12 images.*5 labels.*other split"):
        MNIST(write(tmp_path, {NAMES[0]: files[NAMES[0]], NAMES[1]: files[NAMES[3]]}))


def test_labels_out_of_range_are_noticed(tmp_path: Path) -> None:
    labels = idx(np.array([0] * 11 + [10], np.uint8))
    with pytest.raises(DatasetError, match=r"train-labels-idx1-ubyte: label 10 is out of range 0\.\.9"):
        MNIST(write(tmp_path, contents() | {NAMES[1]: labels}))


@pytest.mark.parametrize("shape", [(12, 32, 32), (12, 28, 27), (0, 28, 28)])
def test_images_of_another_size_are_noticed(tmp_path: Path, shape: tuple[int, ...]) -> None:
    with pytest.raises(DatasetError, match="expected images of 28 x 28"):
        MNIST(write(tmp_path, contents() | {NAMES[0]: idx(np.zeros(shape, np.uint8))}))


def test_a_truncated_file_is_named(tmp_path: Path) -> None:
    files = contents()
    write(tmp_path, files | {NAMES[0]: files[NAMES[0]][:-1]})
    with pytest.raises(DatasetError, match="train-images-idx3-ubyte"):
        MNIST(tmp_path)


# -------------------------------------------------------------------------------------------------------- download


class Tiny(MNIST):
    """MNIST with small files; `fetch` is replaced here, and tested in test_download.py."""

    sources = tuple(
        Source(
            name,
            (f"first/{name}.gz", f"second/{name}.gz"),
            Checksum(len(content), hashlib.sha256(content).hexdigest(), packed=False),
        )
        for name, content in contents().items()
    )


def test_download_fetches_what_is_missing_or_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fetched: list[str] = []

    def fetch(urls: tuple[str, ...], target: Path, wanted: Checksum) -> None:
        assert urls == (f"first/{target.name}.gz", f"second/{target.name}.gz")
        content = contents()[target.name]
        assert hashlib.sha256(content).hexdigest() == wanted.sha256 and len(content) == wanted.size
        fetched.append(target.name)
        write(target.parent, {target.name: content})

    monkeypatch.setattr(downloaded, "fetch", fetch)
    assert len(Tiny(tmp_path, download=True)) == 12 and fetched == NAMES
    assert sorted(path.name for path in (tmp_path / "Tiny" / "raw").iterdir()) == sorted(NAMES)

    fetched.clear()
    assert len(Tiny(tmp_path, train=False, download=True)) == 5 and fetched == []
    (tmp_path / "Tiny" / "raw" / NAMES[1]).write_bytes(contents()[NAMES[1]][:-1])
    (tmp_path / "Tiny" / "raw" / NAMES[2]).unlink()
    assert len(Tiny(tmp_path, download=True)) == 12 and fetched == NAMES[1:3]


def test_files_in_the_folder_itself_are_not_fetched_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downloaded, "fetch", lambda *_: pytest.fail("nothing is missing"))
    assert len(Tiny(write(tmp_path, contents(), gzip.compress, ".gz"), download=True)) == 12


# -------------------------------------------------------------------------------------------------- the real files


@pytest.mark.mnist
@pytest.mark.skipif(not os.environ.get("MINICNN_DATA"), reason="set MINICNN_DATA to the folder with the MNIST files")
def test_the_real_files() -> None:
    train, test = MNIST(), MNIST(train=False)
    assert (len(train), len(test)) == (60_000, 10_000)
    assert np.bincount(train.targets.array).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert np.bincount(test.targets.array).tolist() == [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert train.targets[:5].tolist() == [5, 0, 4, 1, 9] and test.targets[:5].tolist() == [7, 2, 1, 0, 4]
    assert round(train.data.array.mean() / 255, 4) == 0.1307 and round(train.data.array.std() / 255, 4) == 0.3081

    for source in MNIST.sources:
        found = train.find(source.name)
        assert found is not None and content_matches(found, source.checksum)
