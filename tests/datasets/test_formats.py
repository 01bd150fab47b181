"""What is in the files of each dataset is what the dataset gives; wrong files are named."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from pathlib import Path
from typing import Any

import made_datasets as made
import numpy as np
import pytest

from minicnn import datasets
from minicnn.datasets import DatasetError
from minicnn.transforms import ToTensor
from minicnn.utils.data import DataLoader

BASE = ("root", "transform", "target_transform", "download")
OPEN: dict[str, Any] = {  # each dataset, opened on a folder with small files of all of them
    "MNIST": lambda root, **more: datasets.MNIST(root, **more),
    "FashionMNIST": lambda root, **more: datasets.FashionMNIST(root, **more),
    "KMNIST": lambda root, **more: datasets.KMNIST(root, train=False, **more),
    "EMNIST letters": lambda root, **more: datasets.EMNIST(root, "letters", **more),
    "EMNIST balanced": lambda root, **more: datasets.EMNIST(root, split="balanced", train=False, **more),
    "QMNIST": lambda root, **more: datasets.QMNIST(root, **more),
    "QMNIST nist": lambda root, **more: datasets.QMNIST(root, "nist", **more),
    "QMNIST test50k": lambda root, **more: datasets.QMNIST(root, what="test50k", **more),
    "USPS": lambda root, **more: datasets.USPS(root, **more),
    "SVHN": lambda root, **more: datasets.SVHN(root, **more),
    "SVHN extra": lambda root, **more: datasets.SVHN(root, split="extra", **more),
    "STL10": lambda root, **more: datasets.STL10(root, **more),
    "STL10 fold": lambda root, **more: datasets.STL10(root, folds=3, **more),
    "STL10 unlabeled": lambda root, **more: datasets.STL10(root, "train+unlabeled", **more),
    "CIFAR10": lambda root, **more: datasets.CIFAR10(root, **more),
    "CIFAR100": lambda root, **more: datasets.CIFAR100(root, **more),
}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made.everything(tmp_path_factory.mktemp("data"))


@pytest.mark.parametrize("name", OPEN)
def test_a_batch_at_once_equals_its_samples(root: Path, name: str) -> None:
    data = OPEN[name](root, transform=ToTensor())
    plain = OPEN[name](root)
    assert data.fetch_batch([0, 1]) is not None and len(data) == len(data.targets) == len(plain)
    (x, y), *_ = DataLoader(data, 3)
    for row in range(3):
        image, target = plain[row]
        assert image.mode == ("L" if x.shape[1] == 1 else "RGB") and image.size == (x.shape[3], x.shape[2])
        np.testing.assert_array_equal(ToTensor()(image).array, x.array[row])
        assert type(target) is int and target == y[row].item() and target < len(data.classes)
        np.testing.assert_array_equal(data[row][0].array, x.array[row])
    assert data[-1][1] == data[len(data) - 1][1] and data.class_to_idx[data.classes[-1]] == len(data.classes) - 1
    with pytest.raises(IndexError):
        data[len(data)]


@pytest.mark.parametrize("name", OPEN)
def test_what_is_missing_comes_with_the_remedies(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DatasetError, match=r"(?s)not found.*MINICNN_DATA.*download=True.*by hand: put http"):
        OPEN[name](tmp_path)
    monkeypatch.delenv("MINICNN_DATA", raising=False)
    with pytest.raises(DatasetError, match=r"(?s)no folder given.*root=.*MINICNN_DATA"):
        OPEN[name](None)


@pytest.mark.parametrize("name", OPEN)
def test_the_environment_names_the_folder(root: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINICNN_DATA", str(root))
    assert len(OPEN[name](None)) == len(OPEN[name](root)) > 0


def test_mnists_files_are_not_taken_for_clothes(root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All datasets in this format have files of the same names."""
    from minicnn.datasets import mnist

    files = {name.rpartition("/")[2]: content for name, content in made.mnist().items()}
    labels = np.arange(made.COUNT, dtype=np.uint8) % 10
    import hashlib

    monkeypatch.setattr(mnist, "_MNIST_LABELS", {hashlib.sha256(labels.tobytes()).hexdigest()})
    made.write(tmp_path, files)
    assert len(datasets.MNIST(tmp_path)) == made.COUNT
    with pytest.raises(DatasetError, match=r"train-labels.*are the files of MNIST, not of FashionMNIST.*download=True"):
        datasets.FashionMNIST(tmp_path)


# ----------------------------------------------------------------------------------------------------------- EMNIST


def test_emnist_is_read_from_the_archive_or_from_what_it_unpacks_to(root: Path, tmp_path: Path) -> None:
    whole = datasets.EMNIST(root, "letters")
    assert whole.classes[:2] == ["N/A", "a"] and whole.targets.tolist()[:3] == [1, 2, 3]
    np.testing.assert_array_equal(whole.data.array, made.pixels(made.COUNT, 28, 28, seed=7))
    for place, pack, end in (
        ("EMNIST/raw", bytes, ""),
        ("", gzip.compress, ".gz"),
        ("emnist/gzip", gzip.compress, ".gz"),
    ):
        here = tmp_path / (place.replace("/", "") or "top")
        made.write(here / place, {name + end: pack(content) for name, content in made.emnist_files("letters").items()})
        np.testing.assert_array_equal(datasets.EMNIST(here, "letters").data.array, whole.data.array)
    assert [len(datasets.EMNIST.classes_split_dict[split]) for split in datasets.EMNIST.splits] == [
        62,
        47,
        47,
        27,
        10,
        10,
    ]


@pytest.mark.parametrize("split", ["", "Letters", None, 3])
def test_an_unknown_split_is_refused(root: Path, split: Any) -> None:
    with pytest.raises(ValueError, match=r"EMNIST: split must be one of 'byclass', .*got"):
        datasets.EMNIST(root, split)


def bad_zips() -> dict[str, bytes]:
    inner = {f"gzip/{name}.gz": gzip.compress(content) for name, content in made.emnist_files("letters").items()}
    name = "gzip/emnist-letters-train-labels-idx1-ubyte.gz"
    twice = io.BytesIO()
    with zipfile.ZipFile(twice, "w") as archive:
        for one, content in inner.items():
            archive.writestr(one, content)
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr(name, b"x")
    locked = bytearray(made.zipped(inner))
    for magic, offset in ((b"PK\x01\x02", 8), (b"PK\x03\x04", 6)):
        at = -1
        while (at := locked.find(magic, at + 1)) >= 0:
            locked[at + offset] |= 1
    bomb = inner | {name: bz2.compress(bytes(100 << 20))}
    return {
        "lacks gzip/emnist-letters-train-labels": made.zipped({k: v for k, v in inner.items() if k != name}),
        "has twice gzip/emnist-letters-train-labels": twice.getvalue(),
        r"damaged.*encrypted": bytes(locked),
        "not an IDX file": made.zipped(bomb, zipfile.ZIP_DEFLATED),
        r"damaged.*not a zip file": made.zipped(inner)[:-30],
        r"damaged": made.zipped(inner | {name: inner[name][:-9]}),
    }


@pytest.mark.parametrize("message", bad_zips())
def test_archives_that_are_wrong_are_named(tmp_path: Path, message: str) -> None:
    made.write(tmp_path, {"gzip.zip": bad_zips()[message]})
    with pytest.raises(DatasetError, match=rf"gzip\.zip.*{message}"):
        datasets.EMNIST(tmp_path, "letters")


# ----------------------------------------------------------------------------------------------------------- QMNIST


def test_the_eight_numbers_of_qmnist(root: Path) -> None:
    data = datasets.QMNIST(root, compat=False, transform=ToTensor())
    labels = made.qmnist_labels(made.COUNT)
    assert data.targets.shape == (made.COUNT, 8) and data.targets.dtype == np.int64
    np.testing.assert_array_equal(data[4][1].array, labels[4])
    (_, y), *_ = DataLoader(data, 5)
    np.testing.assert_array_equal(y.array, labels[:5])
    named = datasets.QMNIST(root, target_transform=lambda label: label + 100)
    assert named[4][1] == 104


def test_the_parts_of_qmnist(root: Path) -> None:
    sizes = {what: len(datasets.QMNIST(root, what)) for what in datasets.QMNIST.subsets}
    assert sizes == {"train": 12, "test": 10_003, "test10k": 10_000, "test50k": 3, "nist": 7}
    assert len(datasets.QMNIST(root, train=False)) == 10_003
    with pytest.raises(ValueError, match="QMNIST: what must be one of"):
        datasets.QMNIST(root, "valid")


# ------------------------------------------------------------------------------------------------------------- USPS


def test_usps(root: Path, tmp_path: Path) -> None:
    text = b"10 1:-1 2:1 256:0.5\n\n".replace(b"\n\n", b"\n") + b"1 1:0 \n"
    data = datasets.USPS(made.write(tmp_path, {"usps.bz2": bz2.compress(text[:9]) + bz2.compress(text[9:])}))
    assert data.targets == [9, 0] and data.data.shape == (2, 16, 16)
    assert data.data[0, 0, :3].tolist() == [0, 255, 127] and data.data[0, 15, 15] == 191 and data.data[1, 3, 3] == 127


@pytest.mark.parametrize(
    "line",
    ["", "x 1:0", "11 1:0", "0 1:0", "1 1:2", "1 1:nan", "1 1:1e999", "1 257:0", "1 0:0", "1 2:0 1:0", "1 1:0 1:0",
     "1 1", "1 1:0:0", "1 :0", "1 a:0", "1 1:b", "1.5 1:0", "1 99999999999999999999999:0", "\xff 1:0"],
)  # fmt: skip
def test_lines_that_are_no_images_are_named(tmp_path: Path, line: str) -> None:
    made.write(tmp_path, {"usps.t.bz2": bz2.compress(f"1 1:0\n{line}\n2 1:0\n".encode("latin-1"))})
    with pytest.raises(DatasetError, match=r"usps\.t\.bz2: line 2 is no image.*download=True"):
        datasets.USPS(tmp_path, train=False)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (bz2.compress(b""), "no images"), (b"", "no images"), (bz2.compress(b"1 1:0\n")[:-5], "cut off"),
        (bz2.compress(b"1 1:0\n") + b"rubbish", "damaged"), (bz2.compress(bytes(100 << 20)), "more than 67,108,864"),
    ],
    ids=["empty", "nothing", "cut off", "more", "bomb"],
)  # fmt: skip
def test_files_that_are_no_text_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DatasetError, match=rf"usps\.bz2: .*{message}"):
        datasets.USPS(made.write(tmp_path, {"usps.bz2": content}))


# ------------------------------------------------------------------------------------------------------ SVHN, STL-10


def test_svhn(root: Path) -> None:
    data = datasets.SVHN(root)
    images = made.pixels(32, 32, 3, made.COUNT, seed=made.COUNT)
    np.testing.assert_array_equal(data.data, images.transpose(3, 2, 0, 1))
    assert data.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2] and data.targets is data.labels
    np.testing.assert_array_equal(np.asarray(data[2][0]), images[..., 2])
    with pytest.raises(ValueError, match="SVHN: split must be one of 'train', 'test', 'extra'"):
        datasets.SVHN(root, "valid")


@pytest.mark.parametrize(
    ("images", "labels", "message"),
    [
        (made.pixels(32, 32, 3, 4).astype(np.float32), np.ones((4, 1)), "X should be uint8 of .* is float32"),
        (made.pixels(32, 31, 3, 4), np.ones((4, 1)), r"X should be .* \(32, 31, 3, 4\)"),
        (made.pixels(32, 32, 3, 4), np.ones((5, 1)), r"y should be \(4, 1\), but is \(5, 1\)"),
        (made.pixels(32, 32, 3, 4), np.ones((2, 2)), "y should be"),
        (made.pixels(32, 32, 3, 4), np.full((4, 1), 11), "a label is not"),
        (made.pixels(32, 32, 3, 4), np.full((4, 1), np.nan), "a label is not"),
        (made.pixels(32, 32, 3, 4), np.full((4, 1), 1.5), "a label is not"),
        (made.pixels(32, 32, 3, 4), np.full((4, 1), 1j), "not made of real numbers"),
        (made.pixels(32, 32, 3, 4), np.array([["a"]]), "not made of real numbers"),
        (made.pixels(32, 32, 3, 0), np.ones((0, 1)), "X should be"),
    ],
)
def test_arrays_that_are_no_svhn_are_named(tmp_path: Path, images: Any, labels: Any, message: str) -> None:
    with pytest.raises(DatasetError, match=rf"test_32x32\.mat: .*{message}"):
        datasets.SVHN(made.write(tmp_path, {"test_32x32.mat": made.mat(images, labels)}), "test")


@pytest.mark.parametrize("compress", [True, False])
def test_other_variables_are_passed_over(tmp_path: Path, compress: bool) -> None:
    more = {"a": np.arange(7.0), "Z": np.array([1 + 2j]), "s": np.array(["text"]), "c": np.array([{"x": 1}, 2], object)}
    content = made.mat(made.pixels(32, 32, 3, 4), np.arange(1.0, 5.0)[:, None], compress, **more)
    data = datasets.SVHN(made.write(tmp_path, {"train_32x32.mat": content}))
    assert data.labels.tolist() == [1, 2, 3, 4]


def test_a_mat_file_lacks_a_variable(tmp_path: Path) -> None:
    from scipy.io import savemat

    savemat(tmp_path / "train_32x32.mat", {"X": made.pixels(32, 32, 3, 4)})
    with pytest.raises(DatasetError, match="lacks the variable y"):
        datasets.SVHN(tmp_path)


def test_stl10(root: Path) -> None:
    data = datasets.STL10(root)
    images = made.pixels(made.COUNT, 3, 96, 96, seed=made.COUNT).swapaxes(2, 3)  # columns come first in the file
    np.testing.assert_array_equal(data.data, images)
    np.testing.assert_array_equal(np.asarray(data[2][0]), images[2].transpose(1, 2, 0))
    assert data.labels.tolist() == [*range(10), 0, 1] and data.classes[-1] == "truck"
    fold = datasets.STL10(root, folds=2)
    assert fold.labels.tolist() == [2, 7, 3]
    np.testing.assert_array_equal(fold.data, images[[2, 7, 3]])
    both = datasets.STL10(root, "train+unlabeled")
    assert both.labels.tolist() == [*range(10), 0, 1, -1, -1, -1, -1] and both[-1][1] == -1
    assert len(datasets.STL10(root, "unlabeled")) == 4
    for wrong in (10, -1, True, 1.0, "1"):
        with pytest.raises(ValueError, match="STL10: folds must be"):
            datasets.STL10(root, folds=wrong)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train_X.bin": b"?" * 100}, r"train_X\.bin: 100 bytes are not images"),
        ({"train_X.bin": b""}, r"train_X\.bin: 0 bytes are not images"),
        ({"train_y.bin": b"\1"}, r"train_X\.bin holds 12 images.*1 labels"),
        ({"train_y.bin": bytes(12)}, r"train_y\.bin: a label is out of range"),
        ({"train_y.bin": b"\x0b" * 12}, r"train_y\.bin: a label is out of range"),
        ({"train_y.bin": b"\1" * 200_000}, r"train_y\.bin: 200,000 bytes are more"),
        ({"fold_indices.txt": b"1 2 3"}, r"fold_indices\.txt: its line 2 is no list"),
        ({"fold_indices.txt": b"1\n2 x\n"}, r"fold_indices\.txt: its line 2 is no list"),
        ({"fold_indices.txt": b"1\n12\n"}, r"fold_indices\.txt: line 2 names images"),
        ({"fold_indices.txt": b"1\n-1\n"}, r"fold_indices\.txt: line 2 names images"),
        ({"fold_indices.txt": b"1\n\xff\n"}, r"fold_indices\.txt: its line 2 is no list"),
    ],
)
def test_files_that_are_no_stl10_are_named(tmp_path: Path, changes: dict[str, bytes], message: str) -> None:
    made.write(tmp_path, made.stl10() | {f"stl10_binary/{name}": content for name, content in changes.items()})
    with pytest.raises(DatasetError, match=message):
        datasets.STL10(tmp_path, folds=1)


# ------------------------------------------------------------------------------------------------------- compression


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress])
def test_every_compression_is_told_by_its_first_bytes(tmp_path: Path, pack: Any) -> None:
    array = made.pixels(5, 6, 7)
    whole = pack(made.idx(array))
    made.write(tmp_path, {"file": whole, "more": whole + b"rubbish"})
    np.testing.assert_array_equal(datasets.read_idx(tmp_path / "file"), array)
    with pytest.raises(DatasetError):
        datasets.read_idx(tmp_path / "more")


def test_xz_may_not_ask_for_much_memory(tmp_path: Path) -> None:
    large = lzma.compress(made.idx(made.pixels(3, 4, 5)), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 29}])
    with pytest.raises(DatasetError, match=r"file: damaged.*[Mm]emory"):
        datasets.read_idx(made.write(tmp_path, {"file": large}) / "file")
