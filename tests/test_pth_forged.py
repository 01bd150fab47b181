"""Files of `torch.save` with forged tensors, or that want more memory than they have: refused, in both formats."""

from __future__ import annotations

import copy
import io
import math
import struct
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
from pytorch_files import FOUR, archive, number, numbers, read, refused, sequence, storage, tensor, text

from minicnn.serialization import CheckpointError, load, pickled


def both(part: dict[str, Any], storages: dict[str, bytes], *rest: bytes, message: str) -> None:
    """The tensor of these instructions is refused in both formats."""
    for old, pack in ((False, archive), (True, sequence)):
        refused(pack(b"\x80\2" + tensor(storage(**part, old=old), *rest) + b".", storages), message)


HUGE = 2**62


@pytest.mark.parametrize(
    ("size", "stride", "offset", "message"),
    [
        (numbers(5), numbers(1), number(0), r"ends after its storage of 4"),
        (numbers(2), numbers(3), number(1), r"ends after its storage of 4"),
        (numbers(1), numbers(1), number(4), r"ends after its storage of 4"),
        (numbers(2, 2), numbers(HUGE, HUGE), number(0), "ends after"),
        (numbers(HUGE), numbers(0), number(0), r"repeats the 4 numbers.*before expand\(\)"),
        (numbers(HUGE, HUGE, HUGE), numbers(0, 0, 0), number(0), "repeats"),
        (numbers(0, HUGE, HUGE), numbers(1, 1, 1), number(0), "damaged|broadcast|large"),
        (numbers(2), numbers(-1), number(1), "not made of whole numbers"),
        (numbers(-2), numbers(1), number(1), "not made of whole numbers"),
        (numbers(2), numbers(1), number(-1), "not made of whole numbers"),
        (numbers(2**64), numbers(1), number(0), "not made of whole numbers"),
        (numbers(2), numbers(1), b"G" + struct.pack(">d", 1.0), "not made of whole numbers"),
        (b"(\x88t", numbers(1), number(0), "not made of whole numbers"),
        (numbers(2), numbers(1, 1), number(0), "tuples of the same length"),
        (b"](K\1e", b"](K\1e", number(0), "tuples of the same length"),
        (numbers(*[1] * 65), numbers(*[1] * 65), number(0), "65 axes"),
        (text("ab"), text("ab"), number(0), "tuples of the same length"),
    ],
)  # fmt: skip
def test_views_that_do_not_fit(size: bytes, stride: bytes, offset: bytes, message: str) -> None:
    both({"key": "0", "count": 4}, {"0": FOUR}, size, stride, offset, message=message)


def test_views_that_fit() -> None:
    for old, pack in ((False, archive), (True, sequence)):
        part = storage("0", 4, old=old)
        for size, stride, offset, expected in (
            (numbers(2), numbers(2), number(1), [1, 3]),
            (numbers(1, 2), numbers(HUGE, 1), number(2), [[2, 3]]),  # no step is taken along an axis of length 1
            (numbers(), numbers(), number(3), 3),
            (numbers(2, 2), numbers(1, 2), number(0), [[0, 2], [1, 3]]),
            (numbers(0), numbers(1), number(4), []),
        ):
            assert read(pack(b"\x80\2" + tensor(part, size, stride, offset) + b".", {"0": FOUR})).tolist() == expected


def test_storages_that_do_not_fit() -> None:
    one = numbers(1), numbers(1)
    for count, message in ((HUGE, "take 18,446,744,073,709,551,616 bytes"), (2**70, "whole numbers"), (-1, "whole")):
        both({"key": "0", "count": count}, {"0": FOUR}, *one, message=message)
    for count in (3, 5):
        refused(archive(b"\x80\2" + tensor(storage("0", count), *one) + b".", {"0": FOUR}), "'0' has 16 bytes")
        refused(
            sequence(b"\x80\2" + tensor(storage("0", count, old=True), *one) + b".", {"0": FOUR}), "'0' has 4 numbers"
        )
    both({"key": "1", "count": 4}, {"0": FOUR}, *one, message="lacks the storage '1'|list of storages")
    same = storage("0", 4) + b"0" + storage("0", 8, "HalfStorage")
    refused(archive(b"\x80\2" + same + b".", {"0": FOUR}), "two types, lengths or devices")
    view = b"(" + text("v") + number(3) + number(2) + b"t"
    old = tensor(storage("0", 4, old=True, view=view), *one)
    refused(sequence(b"\x80\2" + old + b".", {"0": FOUR}), "a part of a storage")
    many = b"".join(tensor(storage(str(i), 4), *one) + b"0" for i in range(50)) + b"N."
    assert read(archive(b"\x80\2" + many, {str(i): FOUR for i in range(50)})) is None
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:  # 50 names of one place in the file
        packed.writestr("net/data.pkl", b"\x80\2" + many.replace(number(4) + b"tQ", number(4000) + b"tQ"))
        packed.writestr("net/data/0", bytes(16_000))
        for i in range(1, 50):
            packed.filelist.append(copy.copy(packed.filelist[1]))
            packed.filelist[-1].filename = f"net/data/{i}"
    with pytest.raises(CheckpointError, match=r"its tensors take [0-9,]+ bytes, and the file has"):
        read(file.getvalue())


def test_archives_that_unpack_to_more() -> None:
    data = b"\x80\2" + tensor(storage("0", 1 << 20), numbers(1), numbers(1)) + b"."
    packed = archive(data, {"0": bytes(4 << 20)}, compression=zipfile.ZIP_DEFLATED)
    refused(packed, "compressed or encrypted|take 4,194,304 bytes")


def test_small_files_build_no_large_objects(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lists in lists, repeated; dicts of a long list, again and again; lists that contain themselves."""
    laughs = b"\x80\2](K\1K\1K\1e" + b"".join(
        b"q" + bytes([i]) + b"](" + 9 * (b"h" + bytes([i])) + b"e" for i in range(60)
    )
    found = read(archive(laughs + b"."))
    assert len(found) == 9  # 9^60 when written out, 61 lists in memory
    refused(archive(laughs.replace(b"](", b"(").replace(b"e", b"t") + b"}q\xffh\x3bK\1s."), "is a key|damaged")
    pairs = b"\x80\2](" + 1000 * b"K\1" + b"eq\1" + 20_000 * b"c__builtin__\nset\nh\1\x85R0" + b"N."
    with monkeypatch.context() as patch:
        patch.setattr(pickled, "_MOST_WORK", 200_000)
        refused(archive(pairs), "takes more than 200,000 steps")
    itself = read(archive(b"\x80\2]q\0h\0a."))
    assert itself[0] is itself
    deep = read(archive(b"\x80\2" + 100_000 * b"](" + 100_000 * b"e" + b"."))
    assert len(deep) == 1
    del deep
    refused(archive(b"\x80\2\x8b" + struct.pack("<i", 100_000) + bytes(99_999) + b"\1."), "integer of")
    refused(archive(b"\x80\2]}" + text("a") + b"N" + b"s\x85}s."), "damaged|key")


def test_lengths_that_are_not_there() -> None:
    tracemalloc.start()
    try:
        for code in (
            b"\x8d" + struct.pack("<Q", 2**60),
            b"X\xff\xff\xff\xff",
            b"\x8b\xff\xff\xff\x7f",
            b"\x95" + b"\xff" * 8,
        ):
            for pack in (archive, sequence):
                refused(pack(b"\x80\4" + code + b"abc."), "")
        assert tracemalloc.get_traced_memory()[1] < 4 << 20
    finally:
        tracemalloc.stop()


def test_memory(tmp_path: Path) -> None:
    """Loading takes the memory of the tensors once."""
    size, path = 8_000_000, tmp_path / "f.pth"
    for old, pack in ((False, archive), (True, sequence)):
        parts = b"".join(
            text(str(i)) + tensor(storage(str(i), size // 32, old=old), numbers(size // 32), numbers(1))
            for i in range(8)
        )
        path.write_bytes(pack(b"\x80\2}(" + parts + b"u.", {str(i): bytes(size // 8) for i in range(8)}))
        load(path)
        tracemalloc.start()
        try:
            kept = load(path)
            assert tracemalloc.get_traced_memory()[1] < 1.2 * size
            load(path, map_location="meta")
        finally:
            tracemalloc.stop()
        assert math.prod(kept["7"].shape) == size // 32
