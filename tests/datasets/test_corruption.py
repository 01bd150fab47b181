"""Every file of a dataset, damaged in every way: cut off, and with other bytes. Each gives the images or one error.

A file that is still well-formed with another byte gives other pixels; that is what checksums are for. What must not
happen: an error of another type, an error that does not name the file, a hang, or memory for what a header announces.
"""

from __future__ import annotations

import bz2
import gzip
import io
import random
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_datasets as made
import numpy as np
import pytest
from PIL import Image

from minicnn import datasets
from minicnn.datasets import DatasetError
from minicnn.datasets.archive import member
from minicnn.datasets.folder import pil_loader
from minicnn.datasets.idx import parse_idx

MOST = 24 << 20  # bytes of memory that reading such a small file may take
VALUES = (0, 0xFF)  # beside flips of one bit
FEW = 12  # of the cuts, and of the changes, that the normal run looks at; the slow one looks at all of them


def image(kind: str, **options: Any) -> bytes:
    out = io.BytesIO()
    Image.fromarray(made.pixels(9, 11, 3)).save(out, kind, **options)
    return out.getvalue()


def few(files: dict[str, bytes], name: str) -> bytes:
    return next(content for key, content in files.items() if key.endswith(name))


def read_zip(path: Path) -> np.ndarray:
    with member(path, "a") as stream:
        return parse_idx(path, stream, 1 << 20)


def svhn(path: Path) -> datasets.SVHN:
    return datasets.SVHN(path.parent, "test")


SMALL = {"images": made.pixels(32, 32, 3, 2), "labels": np.array([[1], [10]], np.uint8)}
# name of the file, its content, how many of its bytes are header, how to read it
Case = tuple[str, bytes, int, Callable[[Path], Any]]
CASES: dict[str, Case] = {
    "idx images": ("i-idx3", made.idx(made.pixels(3, 4, 5)), 16, lambda path: datasets.read_idx(path)),
    "idx gzip": ("i.gz", gzip.compress(made.idx(made.pixels(3, 4, 5)), mtime=0), 18, datasets.read_idx),
    "idx bzip2": ("i.bz2", bz2.compress(made.idx(made.pixels(3, 4, 5))), 20, lambda path: datasets.read_idx(path)),
    "mnist": (
        "t10k-labels-idx1-ubyte", few(made.mnist(), "t10k-labels-idx1-ubyte"), 13,
        lambda path: datasets.MNIST(path.parent, train=False),
    ),
    "cifar": (
        "test_batch.bin", few(made.cifar(), "test_batch.bin"), 1,
        lambda path: datasets.CIFAR10(path.parent, train=False),
    ),
    "stl10 images": ("unlabeled_X.bin", bytes(2 * 27_648), 0, lambda path: datasets.STL10(path.parent, "unlabeled")),
    "stl10 labels": (
        "test_y.bin", few(made.stl10(), "test_y.bin"), 5, lambda path: datasets.STL10(path.parent, "test")
    ),
    "stl10 folds": (
        "fold_indices.txt", few(made.stl10(), "fold_indices.txt"), 40, lambda path: datasets.STL10(path.parent, folds=4)
    ),
    "mat": ("test_32x32.mat", made.mat(**SMALL), 420, svhn),
    "mat plain": ("test_32x32.mat", made.mat(**SMALL, compress=False), 192, svhn),
    "usps": ("usps.t.bz2", bz2.compress(made.usps_text(1)), 30, lambda path: datasets.USPS(path.parent, train=False)),
    "zip": ("gzip.zip", made.zipped({"a": made.idx(made.pixels(3, 4, 5))}), 60, read_zip),
    "png": ("i.png", image("PNG"), 60, pil_loader),
    "jpeg": ("i.jpg", image("JPEG"), 200, pil_loader),
    "bmp": ("i.bmp", image("BMP"), 54, pil_loader),
    "ppm": ("i.ppm", image("PPM"), 12, pil_loader),
    "gif": ("i.gif", image("GIF"), 60, pil_loader),
    "tiff": ("i.tif", image("TIFF"), 200, pil_loader),
    "webp": ("i.webp", image("WEBP", lossless=True), 60, pil_loader),
}  # fmt: skip


def cuts(content: bytes, header: int) -> list[tuple[str, bytes]]:
    """Cut off after each byte of the header, the last bytes, and at forty random points."""
    points = {*range(header + 1), *range(max(0, len(content) - 8), len(content))}
    points |= {random.Random(0).randrange(len(content)) for _ in range(40)}
    return [(f"cut off after {cut}", content[:cut]) for cut in sorted(points) if cut < len(content)]


def changes(content: bytes, header: int) -> list[tuple[str, bytes]]:
    """Each byte of the header, of the last 40 and forty others, with other values; two in a row; and bytes added."""
    rng = random.Random(1)
    places = {*range(header), *range(max(0, len(content) - 40), len(content))}
    places |= {rng.randrange(len(content)) for _ in range(40)}
    found = [("with more", content + b"?"), ("twice", content + content)]
    for place in sorted(places):
        for value in {*VALUES, content[place] ^ 1 << rng.randrange(8)} - {content[place]}:
            found.append((f"byte {place} is {value}", content[:place] + bytes([value]) + content[place + 1 :]))
        found.append((f"bytes from {place} are 255", content[:place] + b"\xff" * 4 + content[place + 4 :]))
    return found


def some(damaged: list[tuple[str, bytes]], most: int) -> list[tuple[str, bytes]]:
    """The first and the last of them, and others at random, always the same ones."""
    ends = [damaged[0], damaged[-1]]
    return ends + random.Random(2).sample(damaged[1:-1], min(most, len(damaged)) - 2)


def prepare(root: Path, name: str) -> None:
    """The other files that the dataset needs."""
    others = {**made.mnist("."), **made.stl10()}
    made.write(root, {key.rpartition("/")[2]: content for key, content in others.items()})
    (root / name).unlink(missing_ok=True)


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, about damaged parts that it passes over
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("most", [FEW, pytest.param(None, marks=pytest.mark.slow, id="all")])
@pytest.mark.parametrize("case", CASES)
def test_damaged_files(tmp_path: Path, case: str, most: int | None, capsys: pytest.CaptureFixture[str]) -> None:
    name, content, header, read = CASES[case]
    prepare(tmp_path, name)
    path = tmp_path / name
    path.write_bytes(content)
    read(path)
    seen: Counter[str] = Counter()
    for kind, damaged in (("cut", cuts(content, header)), ("changed", changes(content, header))):
        for label, body in damaged if most is None else some(damaged, most):
            path.write_bytes(body)
            tracemalloc.start()
            try:
                read(path)
                seen[f"{kind}, read"] += 1
            except DatasetError as error:
                assert name in str(error), (label, str(error))
                seen[f"{kind}, refused"] += 1
            except BaseException as error:
                raise AssertionError(f"{case} {label}: {error!r}") from error
            finally:
                peak = tracemalloc.get_traced_memory()[1]
                tracemalloc.stop()
            assert peak < MOST, (label, peak)
    if case in ("idx images", "idx gzip", "mat", "mat plain", "usps", "zip", "mnist", "cifar", "stl10 images"):
        allowed = {"cifar": 1, "stl10 images": 1}.get(case, 0)  # cut off between two images
        assert seen["cut, read"] <= allowed
    if most is not None:
        return
    with capsys.disabled():
        print(f"\n{case}: {', '.join(f'{count} {what}' for what, count in sorted(seen.items()))}", end=" ")
