"""Small files in the format of each dataset, under their real names and in torchvision's folders."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

CODES = {"uint8": 8, "int32": 12}
COUNT = 12  # images of a training file; test files have five


def idx(array: np.ndarray) -> bytes:
    """A file of MNIST's format."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return (
        bytes([0, 0, CODES[array.dtype.name], array.ndim])
        + sizes
        + array.astype(array.dtype.newbyteorder(">")).tobytes()
    )


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write(root: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)
    return root


def mnist(
    kind: str = "MNIST", end: str = "", pack: Callable[[bytes], bytes] = bytes, seed: int = 0
) -> dict[str, bytes]:
    files = {}
    for part, count in (("train", COUNT), ("t10k", 5)):
        files[f"{kind}/raw/{part}-images-idx3-ubyte{end}"] = pack(idx(pixels(count, 28, 28, seed=seed)))
        files[f"{kind}/raw/{part}-labels-idx1-ubyte{end}"] = pack(idx(np.arange(count, dtype=np.uint8) % 10))
    return files


def emnist_files(split: str) -> dict[str, bytes]:
    """The four files of a split; letters have the labels 1 to 26."""
    files = {}
    for part, count in (("train", COUNT), ("test", 5)):
        labels = np.arange(count, dtype=np.uint8) % 10 + (split == "letters")
        files[f"emnist-{split}-{part}-images-idx3-ubyte"] = idx(pixels(count, 28, 28, seed=len(split)))
        files[f"emnist-{split}-{part}-labels-idx1-ubyte"] = idx(labels)
    return files


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, method)
    return out.getvalue()


def emnist_zip(*splits: str) -> bytes:
    files = {name: content for split in splits for name, content in emnist_files(split).items()}
    return zipped({f"gzip/{name}.gz": gzip.compress(content, mtime=0) for name, content in files.items()})


def emnist() -> dict[str, bytes]:
    return {"EMNIST/raw/gzip.zip": emnist_zip("letters", "balanced")}


def qmnist_labels(count: int) -> np.ndarray:
    labels = np.random.default_rng(3).integers(0, 70_000, (count, 8), dtype=np.int32)
    labels[:, 0] = np.arange(count) % 10
    return labels


def qmnist(unpacked: bool = False) -> dict[str, bytes]:
    files = {}
    for part, count, end in (("qmnist-train", COUNT, "gz"), ("qmnist-test", 10_003, "gz"), ("xnist", 7, "xz")):
        pack = bytes if unpacked else gzip.compress if end == "gz" else lzma.compress
        end = "" if unpacked else f".{end}"
        files[f"QMNIST/raw/{part}-images-idx3-ubyte{end}"] = pack(idx(pixels(count, 28, 28)))
        files[f"QMNIST/raw/{part}-labels-idx2-int{end}"] = pack(idx(qmnist_labels(count)))
    return files


def usps_text(count: int, seed: int = 0) -> bytes:
    rng = np.random.default_rng(seed)
    lines = []
    for row in range(count):
        values = " ".join(f"{place}:{value:.6g}" for place, value in enumerate(rng.uniform(-1, 1, 256), 1))
        lines.append(f"{row % 10 + 1} {values} \n")
    return "".join(lines).encode()


def usps() -> dict[str, bytes]:
    return {"usps.bz2": bz2.compress(usps_text(COUNT)), "usps.t.bz2": bz2.compress(usps_text(5, 1))}


def mat(images: np.ndarray, labels: np.ndarray, compress: bool = True, **more: np.ndarray) -> bytes:
    from scipy.io import savemat

    out = io.BytesIO()
    savemat(out, {**more, "X": images, "y": labels}, do_compression=compress)
    return out.getvalue()


def svhn() -> dict[str, bytes]:
    return {
        f"{split}_32x32.mat": mat(
            pixels(32, 32, 3, count, seed=count), (np.arange(count, dtype=np.uint8) % 10 + 1)[:, None]
        )
        for split, count in (("train", COUNT), ("test", 5), ("extra", 7))
    }


def stl10() -> dict[str, bytes]:
    files = {"class_names.txt": b"airplane\nbird\ncar\ncat\ndeer\ndog\nhorse\nmonkey\nship\ntruck\n"}
    files["fold_indices.txt"] = "".join(f"{fold} {(fold + 5) % COUNT} 3 \n" for fold in range(10)).encode()
    for part, count in (("train", COUNT), ("test", 5), ("unlabeled", 4)):
        files[f"{part}_X.bin"] = pixels(count, 3, 96, 96, seed=count).tobytes()
        if part != "unlabeled":
            files[f"{part}_y.bin"] = (np.arange(count, dtype=np.uint8) % 10 + 1).tobytes()
    return {f"stl10_binary/{name}": content for name, content in files.items()}


def cifar(classes: int = 10) -> dict[str, bytes]:
    if classes == 100:
        names, folder = ["train.bin", "test.bin"], "cifar-100-binary"
    else:
        names, folder = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"], "cifar-10-batches-bin"
    labels = [np.arange(4)] * (2 if classes == 100 else 1)
    return {
        f"{folder}/{name}": np.column_stack([*labels, pixels(4, 3072, seed=seed)]).astype(np.uint8).tobytes()
        for seed, name in enumerate(names)
    }


def everything(root: Path) -> Path:
    """Small files of all datasets in one folder."""
    for files in (
        mnist(), mnist("FashionMNIST", ".gz", gzip.compress, 1), mnist("KMNIST", ".gz", gzip.compress, 2), emnist(),
        qmnist(), usps(), svhn(), stl10(), cifar(), cifar(100),
    ):  # fmt: skip
        write(root, files)
    return root
