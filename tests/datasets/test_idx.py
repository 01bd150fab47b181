from __future__ import annotations

import gzip
import os
import random
import struct
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from minicnn.datasets import DatasetError, read_idx

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


def idx_bytes(array: np.ndarray) -> bytes:
    header = bytes([0, 0, CODES[array.dtype.str[1:]], array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


IMAGES = np.random.default_rng(0).integers(0, 256, (5, 6, 7), dtype=np.uint8)
RAW = idx_bytes(IMAGES)


def write(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("dtype", CODES)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["raw", "gzip"])
@pytest.mark.parametrize("shape", [(7,), (3, 4), (2, 3, 4), (2, 1, 2, 2), (0, 3)])
def test_what_was_written_is_read(tmp_path: Path, dtype: str, pack: Any, shape: tuple[int, ...]) -> None:
    array = (np.random.default_rng(1).random(shape) * 100).astype(dtype)
    got = read_idx(write(tmp_path / "file", pack(idx_bytes(array))))
    assert got.dtype == array.dtype and got.dtype.isnative and got.flags.writeable
    np.testing.assert_array_equal(got, array)


def test_gzip_is_told_by_the_content_not_by_the_name(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_idx(write(tmp_path / "a.gz", RAW)), IMAGES)
    np.testing.assert_array_equal(read_idx(write(tmp_path / "a", gzip.compress(RAW))), IMAGES)


def cuts(size: int, header: int) -> list[int]:
    """Every byte of the header and 100 random points."""
    rng = random.Random(0)
    return sorted({*range(header + 1), *(rng.randrange(size) for _ in range(100))})


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["raw", "gzip"])
def test_a_file_cut_off_anywhere_is_refused_by_name(tmp_path: Path, pack: Any) -> None:
    whole = pack(RAW)
    for cut in cuts(len(whole), 16):
        path = write(tmp_path / "train-images-idx3-ubyte", whole[:cut])
        with pytest.raises(DatasetError, match=r"train-images-idx3-ubyte.*fetch it again"):
            read_idx(path)


def test_a_flipped_bit_in_a_gzip_file_is_found(tmp_path: Path) -> None:
    whole, rng = gzip.compress(RAW, mtime=0), random.Random(1)
    for position in {
        rng.randrange(10, len(whole)) for _ in range(60)
    }:  # the first ten bytes say nothing of the content
        damaged = bytearray(whole)
        damaged[position] ^= 1 << rng.randrange(8)
        with pytest.raises(DatasetError, match="fetch it again"):
            read_idx(write(tmp_path / "file", bytes(damaged)))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"<!DOCTYPE html><html>", "not an IDX file.*3c 21 44 4f"),
        (b"\0\0\x08\0", "not an IDX file"),  # no dimension
        (b"\0\0\x07\1" + struct.pack(">I", 1) + b"a", "not an IDX file"),  # an unknown type
        (b"\0\1\x08\1" + struct.pack(">I", 1) + b"a", "not an IDX file"),
        (RAW + b"a", "found more than 210"),
        (gzip.compress(RAW + b"a"), "found more than 210"),
        (gzip.compress(RAW) + b"rubbish", "damaged"),
        (b"\0\0\x0c\3" + struct.pack(">3I", 1 << 31, 1 << 31, 2), "the limit is"),  # 2^65 bytes
    ],
)
def test_what_is_no_idx_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        read_idx(write(tmp_path / "file", content))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"nowhere.*cannot be read"):
        read_idx(tmp_path / "nowhere")
    with pytest.raises(DatasetError, match="cannot be read"):
        read_idx(tmp_path)


@pytest.mark.parametrize("announced", [100, 1 << 29])
def test_a_bomb_is_neither_unpacked_nor_believed(tmp_path: Path, announced: int) -> None:
    """32 MB of zeros behind a header that says less, or more."""
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb") as file:
        file.write(b"\0\0\x08\1" + struct.pack(">I", announced))
        for _ in range(32):
            file.write(bytes(1 << 20))
    assert os.path.getsize(path) < 50_000
    tracemalloc.start()
    try:
        with pytest.raises(DatasetError, match=f"announces.*{announced}"):
            read_idx(path, max_bytes=1 << 30)
        peak = tracemalloc.get_traced_memory()[1]
        with pytest.raises(DatasetError, match="the limit is 99"):
            read_idx(path, max_bytes=99)
    finally:
        tracemalloc.stop()
    assert peak < (1 << 20 if announced == 100 else 80 << 20)


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices of POSIX")
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path) -> None:
    """Reading a pipe could wait for ever."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "endless").symlink_to("/dev/zero")
    for name in ("pipe", "endless"):
        with pytest.raises(DatasetError, match=f"{name}: cannot be read .*only regular files are read"):
            read_idx(tmp_path / name)
