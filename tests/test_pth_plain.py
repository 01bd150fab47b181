"""Files of `torch.save` with plain data beside tensors, with objects that are nearly that, and with unusual tensors."""

from __future__ import annotations

import argparse
import datetime
import io
import pickle
import struct
from collections import defaultdict
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from pytorch_files import FOUR, archive, number, numbers, read, refused, sequence, storage, tensor, text

import minicnn
from minicnn.serialization import CheckpointError, load, save

HUGE = 2**40
BYTES: dict[str, Any] = {
    "bytes": b"\0a\xff", "none": b"", "array": bytearray(b"\0a\xff"), "no array": bytearray(), "complex": 3 - 4j,
    "keys": {b"a": 1, 2j: (b"b", [bytearray(b"c")])},
}  # fmt: skip


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("pack", [archive, sequence], ids=["zip", "old"])
def test_bytes_and_complex_numbers_are_plain_data(protocol: int, pack: Any) -> None:
    found = read(pack(pickle.dumps(BYTES, protocol)))
    assert found == BYTES and [type(value) for value in found.values()] == [type(value) for value in BYTES.values()]
    assert type(found["keys"][2j][1][0]) is bytearray
    file = io.BytesIO()
    save(found, file)
    file.seek(0)
    assert (again := load(file)) == BYTES and type(again["array"]) is bytearray


def test_forged_bytes() -> None:
    huge = b"J\xff\xff\xff\x7f"
    for code, message in {
        b"cbuiltins\nbytearray\n" + huge + b"\x85R.": "a bytearray of a int",
        b"cbuiltins\nbytes\n" + huge + b"\x85R.": "bytes of a int",
        b"c__builtin__\nbytes\n](K\1e\x85R.": "bytes of a list",
        b"c_codecs\nencode\n" + text("a") + text("rot13") + b"\x86R.": "bytes from a str by 'rot13'",
        b"c_codecs\nencode\n" + text("\N{GREEK SMALL LETTER PI}") + text("latin1") + b"\x86R.": "damaged",
        b"cbuiltins\ncomplex\n" + text("1j") + b"K\1\x86R.": "a complex number of a str and a int",
    }.items():
        refused(archive(b"\x80\2" + code), message)


@pytest.mark.parametrize(
    ("value", "remedy"),
    [
        (datetime.datetime(2020, 1, 2), r"datetime\.datetime, .*Save str\(x\) in its place"),
        (PurePosixPath("a"), r"pathlib.*PurePosixPath, .*Save str\(x\)"),
        (argparse.Namespace(a=1), r"argparse\.Namespace, .*Save vars\(x\)"),
        (defaultdict(int), r"collections\.defaultdict, .*Save dict\(x\)"),
        (frozenset([1]), r"builtins\.frozenset, .*Save set\(x\)"),
        (range(3), r"builtins\.range, .*Save list\(x\)"),
        (slice(3), r"builtins\.slice, .*Save \(x\.start, x\.stop, x\.step\)"),
        (Fraction(1, 2), r"fractions\.Fraction, .*Save str\(x\)"),
    ],
    ids=lambda x: type(x).__name__,
)
def test_objects_that_are_nearly_plain_data(value: Any, remedy: str) -> None:
    message = f"it contains {remedy}"
    refused(archive(pickle.dumps({"x": value}, 2)), message)
    with pytest.raises(CheckpointError) as caught:
        read(archive(pickle.dumps([value], 2)))
    assert "an object of Python that is no plain data; PyTorch's weights_only=True refuses it, too" in str(caught.value)
    assert "code" not in str(caught.value) and "state dict" not in str(caught.value)


@pytest.mark.parametrize("kind", ["zip", "old"])
def test_tensors_whose_numbers_are_repeated(kind: str) -> None:
    """As after expand(): views of the few numbers that the file has, which cannot be changed in place."""
    pack, old = (archive, False) if kind == "zip" else (sequence, True)
    part = storage("0", 4, old=old)
    for size, stride, expected, fixed in (
        ((2, 3), (0, 1), [[1, 2, 3], [1, 2, 3]], True),
        ((5,), (0,), [1] * 5, True),
        ((2, 3), (1, 1), [[1, 2, 3], [2, 3, 0]], False),
        ((1, 3), (0, 1), [[1, 2, 3]], False),
    ):
        data = pack(
            b"\x80\2" + tensor(part, numbers(*size), numbers(*stride)) + b".", {"0": struct.pack("<4f", 1, 2, 3, 0)}
        )
        found = read(data)
        assert found.tolist() == expected and found.stride() == stride
        assert found.sum().item() == np.sum(expected)
        if fixed:
            with pytest.raises(RuntimeError, match="several elements of an expanded tensor share a place"):
                found.add_(1)
        file = io.BytesIO()
        save(found, file)
        file.seek(0)
        assert load(file).tolist() == expected
        assert read(data, map_location="meta").shape == size


def test_tensors_with_attributes_and_without_numbers() -> None:
    """PyTorch saves attributes of tensors, such as those of a Buffer; and tensors on the device meta."""
    one = tensor(storage("0", 4), numbers(4), numbers(1))
    parts = one.removeprefix(b"ctorch._utils\n_rebuild_tensor_v2\n").removesuffix(b"R")
    start = b"\x80\2ctorch._tensor\n_rebuild_from_type_v2\n("
    rebuild = b"ctorch._utils\n_rebuild_tensor_v2\n"
    state = b"}" + text("a") + b"K\1s"
    assert read(archive(start + rebuild + b"ctorch\nTensor\n" + parts + state + b"tR.", {"0": FOUR})).tolist() == [
        0,
        1,
        2,
        3,
    ]
    for forged in (
        rebuild + b"ctorch\nSize\n" + parts, b"ctorch\nSize\nctorch\nTensor\n" + parts,
        rebuild + b"ctorch\nTensor\n]",
    ):  # fmt: skip
        refused(archive(start + forged + state + b"tR.", {"0": FOUR}), "a tensor with attributes is of another class")
    meta = b"\x80\2ctorch._utils\n_rebuild_meta_tensor_no_storage\n(ctorch\nfloat16\n"
    found = read(archive(meta + numbers(2, HUGE) + numbers(HUGE, 1) + b"\x88tR."))
    assert found.is_meta and found.shape == (2, HUGE) and found.dtype == minicnn.float16 and found.requires_grad
    refused(archive(meta + number(3) + numbers(1) + b"\x88tR."), "on the device meta has no type or size")
    refused(archive(meta + numbers(-3) + numbers(1) + b"\x88tR."), "not made of whole numbers")
