from __future__ import annotations

import gzip
import hashlib
import io
import os
import pickle
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.datasets import CIFAR10, CIFAR100, DatasetError, archive, downloaded
from minicnn.datasets.download import Checksum
from minicnn.datasets.downloaded import Member, Source
from minicnn.transforms import Compose, Normalize, RandomCrop, RandomHorizontalFlip, ToTensor
from minicnn.utils.data import DataLoader, Subset

TRAIN, TEST = [f"data_batch_{i}.bin" for i in range(1, 6)], ["test_batch.bin"]
KINDS = [CIFAR10, CIFAR100]


def records(count: int, classes: int = 10, groups: int = 0, seed: int = 0) -> bytes:
    """A file of random images in the format of CIFAR-10, or with groups of CIFAR-100."""
    rng = np.random.default_rng(seed)
    labels = [np.arange(count) % limit for limit in (groups, classes) if limit]
    return np.column_stack([*labels, rng.integers(0, 256, (count, 3072))]).astype(np.uint8).tobytes()


def contents(kind: type[CIFAR10]) -> dict[str, bytes]:
    """Small files of all names of a dataset: four images each."""
    files = [file.name for file in (*kind.train_list, *kind.test_list)]
    classes, groups = (100, 20) if kind is CIFAR100 else (10, 0)
    return {name: records(4, classes, groups, seed) for seed, name in enumerate(files)}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("inner", ["", "{base}", "{name}", "{name}/{base}", "{class}/{base}"])
def test_files_are_found(tmp_path: Path, kind: type[CIFAR10], inner: str, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = inner.format_map({"base": kind.base_folder, "name": kind.__name__.lower(), "class": kind.__name__})
    write(tmp_path / inner, contents(kind))
    monkeypatch.setenv("MINICNN_DATA", str(tmp_path))
    for root in (tmp_path, str(tmp_path), None):
        assert (len(kind(root)), len(kind(root, train=False))) == (4 * len(kind.train_list), 4)
    with pytest.raises(DatasetError, match="not found"):
        kind(tmp_path / "elsewhere")  # a folder that is given is the only one searched


def test_attributes_are_torchvisions(tmp_path: Path) -> None:
    write(tmp_path, contents(CIFAR10))
    data = CIFAR10(tmp_path)
    assert type(data.data) is np.ndarray and data.data.shape == (20, 32, 32, 3) and data.data.dtype == np.uint8
    assert type(data.targets) is list and data.targets == [0, 1, 2, 3] * 5
    assert data.classes[:3] == ["airplane", "automobile", "bird"] and data.class_to_idx["truck"] == 9
    image, target = data[6]
    assert image.mode == "RGB" and image.size == (32, 32) and type(target) is int and target == 2
    np.testing.assert_array_equal(np.asarray(image), data.data[6])
    assert repr(data).splitlines()[:2] == ["Dataset CIFAR10", "    Number of datapoints: 20"]


def test_pixels_are_planes_of_red_green_and_blue(tmp_path: Path) -> None:
    record = np.zeros(3073, np.uint8)
    record[0], record[1:1025], record[1025:2049], record[2049:] = 7, 10, 20, 30
    record[1 + 1024 + 32 * 5 + 3] = 99  # green, row 5, column 3
    data = CIFAR10(write(tmp_path, contents(CIFAR10) | {"test_batch.bin": record.tobytes()}), train=False)
    assert data.targets == [7] and data.data[0, 0, 0].tolist() == [10, 20, 30]
    assert data.data[0, 5, 3].tolist() == [10, 99, 30]


def test_cifar100_gives_the_fine_classes(tmp_path: Path) -> None:
    record = np.zeros((1, 3074), np.uint8)
    record[0, :2] = 4, 57
    data = CIFAR100(write(tmp_path, contents(CIFAR100) | {"test.bin": record.tobytes()}), train=False)
    assert data.targets == [57] and data.classes[57] == "pear"
    assert len(data.classes) == len(set(data.classes)) == 100 and data.classes == sorted(data.classes)


def test_a_batch_at_once_equals_its_samples(tmp_path: Path) -> None:
    chain = Compose([RandomCrop(32, padding=4), RandomHorizontalFlip(), ToTensor(), Normalize([0.5] * 3, [0.25] * 3)])
    data = CIFAR10(write(tmp_path, contents(CIFAR10)), transform=chain)
    assert data.fetch_batch([0, 1]) is not None
    at_once = DataLoader(data, 6, shuffle=True, seed=3)
    one_by_one = DataLoader(data, 6, shuffle=True, seed=3, collate_fn=lambda samples: samples)
    for (x, y), samples in zip(at_once, one_by_one, strict=True):
        np.testing.assert_array_equal(x.array, np.stack([image.array for image, _ in samples]))
        assert x.shape[1:] == (3, 32, 32) and y.dtype == np.int64 and y.tolist() == [target for _, target in samples]


# ------------------------------------------------------------------------------------------------ files that are wrong


def test_what_is_missing_comes_with_the_remedies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(
        DatasetError,
        match=r"(?s)data_batch_1\.bin, .*data_batch_5\.bin not found in any of .*nowhere/cifar-10-batches-bin"
        r".*nowhere/CIFAR10.*\(there is no folder .*nowhere\)\. Pass .*MINICNN_DATA.*"
        r"download=True \(170 MB\).*https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    ):
        CIFAR10(tmp_path / "nowhere")
    write(tmp_path, {name: records(1) for name in TRAIN[:4]})
    with pytest.raises(DatasetError, match=r"CIFAR10: data_batch_5\.bin not found"):
        CIFAR10(tmp_path)
    monkeypatch.delenv("MINICNN_DATA", raising=False)
    with pytest.raises(DatasetError, match=r"(?s)no folder given.*root=.*MINICNN_DATA.*download=True.*Digits"):
        CIFAR10()


class Bomb:
    def __reduce__(self) -> Any:
        return os._exit, (3,)


@pytest.mark.parametrize("kind", KINDS)
def test_pickles_are_refused_and_never_opened(tmp_path: Path, kind: type[CIFAR10]) -> None:
    for name in kind.pickled:
        folder = tmp_path / name.replace(".", "_")
        (folder / name).mkdir(parents=True) if "." not in name and "batch_1" not in name else folder.mkdir()
        if not (folder / name).exists():
            (folder / name).write_bytes(pickle.dumps(Bomb()))
        with pytest.raises(DatasetError, match=rf"{name} is of the Python version.*pickles.*{kind.sources[0].name}"):
            kind(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "0 bytes are not 1 to 10,000 records of 3,073"),
        (records(4)[:-1], "12,291 bytes are not .* cut off"),
        (records(3, groups=5), "9,222 bytes are not .* records"),
        (records(12, classes=12), "byte 0 of a record is 11, but should be a class from 0 to 9"),
        (bytes(3073 * 10_001), "30,733,073 bytes are not"),
    ],
)
def test_wrong_files_are_named(tmp_path: Path, content: bytes, message: str) -> None:
    write(tmp_path, contents(CIFAR10) | {"test_batch.bin": content})
    with pytest.raises(DatasetError, match=rf"test_batch\.bin: {message}.*download=True"):
        CIFAR10(tmp_path, train=False)


def test_the_groups_of_cifar100_are_checked_too(tmp_path: Path) -> None:
    write(tmp_path, contents(CIFAR100) | {"test.bin": records(30, 100, 25)})
    with pytest.raises(DatasetError, match="byte 0 of a record is 24, but should be a class from 0 to 19"):
        CIFAR100(tmp_path, train=False)


def test_a_folder_instead_of_a_file_is_missing(tmp_path: Path) -> None:
    write(tmp_path, {name: records(1) for name in TRAIN})
    (tmp_path / "target").mkdir()
    (tmp_path / "test_batch.bin").symlink_to(tmp_path / "target")
    with pytest.raises(DatasetError, match=r"test_batch\.bin not found"):
        CIFAR10(tmp_path, train=False)


# ------------------------------------------------------------------------------------------------------------ download


def pack(members: dict[str, bytes | str], prefix: str = "cifar-10-batches-bin/") -> bytes:
    """A .tar.gz; a text instead of a content makes a link to that place."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for name, content in members.items():
            member = tarfile.TarInfo(prefix + name)
            if isinstance(content, str):
                member.type, member.linkname, member.size = tarfile.SYMTYPE, content, 4 * 3073
                tar.addfile(member)
            else:
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    return out.getvalue()


def tiny(packed: bytes) -> type[CIFAR10]:
    """CIFAR-10 with small files, whose archive is `packed`."""
    files = contents(CIFAR10)

    def listed(names: list[str]) -> Any:
        return tuple(
            Member(name, Checksum(len(files[name]), hashlib.sha256(files[name]).hexdigest())) for name in names
        )

    name = "cifar-10-binary.tar.gz"
    whole = Source(name, (f"first/{name}", f"second/{name}"), Checksum(len(packed), hashlib.sha256(packed).hexdigest()))
    lists = {"train_list": listed(TRAIN), "test_list": listed(TEST), "sources": (whole,)}
    lists["members"] = (*lists["train_list"], *lists["test_list"])
    return type("CIFAR10", (CIFAR10,), lists)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The archives that were fetched; `fetch` itself is tested in test_download.py."""
    done: list[Path] = []

    def fetch(urls: tuple[str, ...], target: Path, wanted: Checksum) -> None:
        assert urls == ("first/cifar-10-binary.tar.gz", "second/cifar-10-binary.tar.gz") and wanted.packed
        content = pack({"readme.html": b"<html>", **contents(CIFAR10)})
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (wanted.sha256, wanted.size)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        done.append(target)

    monkeypatch.setattr(downloaded, "fetch", fetch)
    monkeypatch.setattr("gzip.time.time", lambda: 0.0)  # which gzip writes into its header
    return done


def test_download_unpacks_the_files_it_knows(tmp_path: Path, fetched: list[Path]) -> None:
    kind = tiny(pack({"readme.html": b"<html>", **contents(CIFAR10)}))
    root = tmp_path / "new"
    assert len(kind(root, download=True)) == 20 and len(fetched) == 1
    assert sorted(path.name for path in (root / kind.base_folder).iterdir()) == sorted([*TRAIN, *TEST])
    assert [path.name for path in root.iterdir()] == [kind.base_folder]  # the archive is not kept
    kind(root, download=True)
    assert len(fetched) == 1  # all files are there
    damaged = root / kind.base_folder / TRAIN[2]
    damaged.write_bytes(records(4, seed=99))
    assert len(kind(root)) == 20 and len(kind(root, download=True)) == 20 and len(fetched) == 2
    assert damaged.read_bytes() == contents(CIFAR10)[TRAIN[2]]
    assert damaged.with_name(f"{damaged.name}.bad").read_bytes() == records(4, seed=99)


def test_an_archive_that_is_there_is_used_and_kept(tmp_path: Path, fetched: list[Path]) -> None:
    packed = pack({"readme.html": b"<html>", **contents(CIFAR10)})
    kind = tiny(packed)
    write(tmp_path, {kind.sources[0].name: packed})
    assert len(kind(tmp_path, download=True)) == 20 and not fetched
    assert (tmp_path / kind.sources[0].name).read_bytes() == packed


def known(*names: str, size: int = 4 * 3073) -> dict[str, tuple[str, int]]:
    return {f"cifar-10-batches-bin/{name}": (name, size) for name in names}


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (pack({"a.bin": records(4), "b.bin": records(3)}), "b.bin is 9,219 bytes, but should be a file of 12,292"),
        (pack({"a.bin": records(4)}), "lacks cifar-10-batches-bin/b.bin"),
        (pack({"a.bin": records(4), "b.bin": "/etc/passwd"}), "b.bin is not a file"),
        (pack({"a.bin": records(4), "b.bin": records(4)})[:-9000], "damaged"),
        (pack({"zeros": bytes(3 << 20), "a.bin": records(4), "b.bin": records(4)}), "it unpacks to more than"),
        (gzip.compress(b"no tar file" * 100, mtime=0), "damaged"),
        (b"no gzip file", "damaged"),
    ],
    ids=["short file", "missing file", "link", "cut off", "bomb", "no archive", "not packed"],
)
def test_archives_that_are_wrong_leave_no_files(tmp_path: Path, packed: bytes, message: str) -> None:
    (tmp_path / "a.tar.gz").write_bytes(packed)
    with pytest.raises(DatasetError, match=rf"a\.tar\.gz: .*{message}.*download=True"):
        archive.unpack(tmp_path / "a.tar.gz", known("a.bin", "b.bin"), tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_member_twice_is_refused(tmp_path: Path) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        for _ in range(2):
            member = tarfile.TarInfo("cifar-10-batches-bin/a.bin")
            member.size = 4 * 3073
            tar.addfile(member, io.BytesIO(records(4)))
    (tmp_path / "a.tar.gz").write_bytes(out.getvalue())
    with pytest.raises(DatasetError, match=r"a\.bin is there twice"):
        archive.unpack(tmp_path / "a.tar.gz", known("a.bin"), tmp_path / "out")


def test_members_elsewhere_are_passed_over(tmp_path: Path) -> None:
    """No name in an archive leads to a place outside the folder, and no link is made."""
    evil: dict[str, bytes | str] = {
        "../../up.bin": b"x",
        "/tmp/absolute.bin": b"x",
        "cifar-10-batches-bin/link": "/etc",
        "cifar-10-batches-bin/link/under": b"x",
        "cifar-10-batches-bin/sub/a.bin": b"x",
    }
    packed = pack(evil | {"cifar-10-batches-bin/a.bin": records(4)}, prefix="")
    (tmp_path / "a.tar.gz").write_bytes(packed)
    archive.unpack(tmp_path / "a.tar.gz", known("a.bin"), tmp_path / "in" / "out")
    assert [path.relative_to(tmp_path).as_posix() for path in sorted(tmp_path.rglob("*"))] == [
        "a.tar.gz", "in", "in/out", "in/out/a.bin",
    ]  # fmt: skip


# ---------------------------------------------------------------------------------------------------- the real images


@pytest.mark.cifar
def test_the_real_files() -> None:
    train, test = CIFAR10(), CIFAR10(train=False)
    assert (len(train), len(test)) == (50_000, 10_000)
    assert np.bincount(train.targets).tolist() == [5000] * 10 and np.bincount(test.targets).tolist() == [1000] * 10
    mean = train.data[:5000].mean(axis=(0, 1, 2)) / 255
    np.testing.assert_allclose(mean, [0.4914, 0.4822, 0.4465], atol=0.02)
    assert len(Subset(train, range(10))) == 10
