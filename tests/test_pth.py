"""Files of `torch.save` are read without PyTorch, and nothing in them runs. PyTorch's own files: tests/differential."""

from __future__ import annotations

import io
import os
import pickle
import random
import struct
import zipfile
from collections import Counter, OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pytorch_files import FOUR, MAGIC, SAVED, archive, number, numbers, read, refused, sequence, storage, tensor, text

import minicnn
from minicnn import nn
from minicnn.serialization import CheckpointError, load, save

WORDS = pytest.mark.filterwarnings("ignore:.*bfloat16 tensors become float32")


# -------------------------------------------------------------------------------------------- what PyTorch has written


@WORDS
@pytest.mark.parametrize("kind", SAVED)
def test_files_of_pytorch(kind: str, tmp_path: Path) -> None:
    (tmp_path / "f.pth").write_bytes(SAVED[kind])
    found = load(tmp_path / "f.pth")
    state = found.pop("state_dict")
    assert type(state) is OrderedDict and state._metadata == {"": {"version": 1}}  # type: ignore[attr-defined]
    w = np.arange(6, dtype=np.float32).reshape(2, 3)
    for key, expected in {
        "w": w,
        "t": w.T,
        "tied": w,
        "part": w[1, 1:],
        "n": np.int64(7),
        "e": np.zeros((0, 3)),
    }.items():
        assert np.array_equal(state[key].numpy(), expected) and state[key].shape == expected.shape
    assert state["t"].stride() == (1, 3) and state["n"].dtype == minicnn.int64
    state["tied"][1, 2] = 9  # one storage
    assert state["w"][1, 2] == state["t"][2, 1] == state["part"][1] == 9
    p, g = found.pop("p"), found.pop("g")
    assert type(p) is nn.Parameter and not p.requires_grad and p.dtype == minicnn.float16 and p.tolist() == [1, 1]
    assert type(g) is minicnn.Tensor and g.requires_grad and g.dtype == minicnn.float64
    for key, dtype, values in (("b", "float32", [1.5, -2]), ("m", "bool", [True, False]), ("u", "uint16", [65535])):
        assert found[key].dtype == np.dtype(dtype) and found.pop(key).tolist() == values
    assert found == {
        "epoch": 3, "lr": [0.1, (True, None)], "c": Counter("aab"), "s": {1, 2}, "k": {(0, "a"): minicnn.Size((2,))},
        "d": [minicnn.float32, minicnn.device("cpu")], "big": 2**70,
    }  # fmt: skip
    assert type(found["c"]) is Counter and type(found["k"][0, "a"]) is minicnn.Size


@pytest.mark.parametrize("kind", SAVED)
def test_what_is_loaded_can_be_saved(kind: str) -> None:
    with pytest.warns(UserWarning, match="BytesIO: bfloat16 tensors become float32, with the same values"):
        found = read(SAVED[kind])
    file = io.BytesIO()
    save(found, file)
    file.seek(0)
    again = load(file)
    assert again["state_dict"]["t"].tolist() == [[0, 3], [1, 4], [2, 5]] and again["lr"] == [0.1, (True, None)]


@WORDS
@pytest.mark.parametrize("kind", SAVED)
def test_where_tensors_go(kind: str) -> None:
    for place in ("meta", {"cpu": "meta"}, lambda tensor, name: tensor.to("meta") if name == "cpu" else None):
        state = read(SAVED[kind], map_location=place)["state_dict"]
        assert all(value.is_meta for value in state.values()) and state["t"].shape == (3, 2)
    damaged = bytearray(SAVED[kind])
    damaged[damaged.index(np.arange(6, dtype="<f4").tobytes())] ^= 1
    read(bytes(damaged), map_location="meta")  # numbers are not read
    pack, old = (archive, False) if kind == "zip" else (sequence, True)
    data = tensor(storage("0", 4, old=old), numbers(2), numbers(1)).replace(text("cpu"), text("mps"))
    elsewhere = pack(b"\x80\2" + data + b".", {"0": FOUR})
    with pytest.raises(CheckpointError, match=r"Attempting to deserialize object on device 'mps'.*map_location"):
        read(elsewhere)
    assert (
        read(elsewhere, map_location="cpu").tolist() == read(elsewhere, map_location={"mps": "cpu"}).tolist() == [0, 1]
    )


@WORDS
@pytest.mark.parametrize("kind", SAVED)
def test_a_file_in_the_middle_of_another(kind: str) -> None:
    file = io.BytesIO(b"before" + SAVED[kind])
    file.seek(6)
    assert load(file)["epoch"] == 3


@WORDS
def test_big_endian_numbers() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("x/data.pkl", b"\x80\2" + tensor(storage("0", 2), numbers(2), numbers(1)) + b".")
        packed.writestr("x/byteorder", "big")
        packed.writestr("x/data/0", struct.pack(">ff", 1.5, 2))
    assert read(file.getvalue()).tolist() == [1.5, 2]


def test_text_of_python_2_and_parts_of_storages() -> None:
    """Pickles of Python 2 have OrderedDict(pairs), and text in bytes; old files have views of storages."""
    view = b"(" + text("v") + number(1) + number(2) + b"t"
    two = tensor(storage("7", 4, old=True, view=view), numbers(2), numbers(1))
    data = b"\x80\2ccollections\nOrderedDict\n](](U\1w" + two + b"ea\x85R."
    assert read(sequence(data, {"7": FOUR}))["w"].tolist() == [1, 2]


def test_a_state_dict_in_a_net() -> None:
    net = nn.Linear(3, 2, bias=False)
    with pytest.warns(UserWarning, match="bfloat16"):
        state = read(SAVED["zip"])["state_dict"]
    net.load_state_dict({"weight": state["w"]})
    assert net.weight.tolist() == [[0, 1, 2], [3, 4, 5]]


# -------------------------------------------------------------------------------------------------------- nothing runs


class Attack:
    """Makes a folder when it is unpickled."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.folder,)


def attacks(folder: Path) -> dict[str, bytes]:
    """Pickles that run code in Python's own unpickler, or set out to."""
    name = str(folder)
    simple = {f"protocol {p}": pickle.dumps({"w": Attack(folder)}, p) for p in range(2, pickle.HIGHEST_PROTOCOL + 1)}
    mkdir = b"cposix\nmkdir\n" if os.name == "posix" else b"cnt\nmkdir\n"
    ordered = b"ccollections\nOrderedDict\n"
    return {
        **simple,
        "inst": b"\x80\2(" + text(name) + b"iposix\nmkdir\n.",
        "obj": b"\x80\2(" + mkdir + text(name) + b"o.",
        "newobj": b"\x80\2" + mkdir + text(name) + b"\x85\x81.",
        "stack global": b"\x80\4" + text("posix") + text("mkdir") + b"\x93" + text(name) + b"\x85R.",
        "extension": b"\x80\2\x82\1" + text(name) + b"\x85R.",
        "eval": b"\x80\2cbuiltins\neval\n" + text(f"__import__('os').mkdir({name!r})") + b"\x85R.",
        "a part of a name": b"\x80\4" + text("collections") + text("OrderedDict.fromkeys") + b"\x93.",
        "a name of ours": b"\x80\2cminicnn.serialization.pickled\nMaker\n" + text(name) + mkdir + b"\x86R.",
        "a call of an object": b"\x80\2" + ordered + b")R" + text(name) + b"\x85R.",
        "state of an object": b"\x80\2" + ordered + b")R}" + text("__setstate__") + mkdir + b"sb.",
        "state of a function": b"\x80\2" + ordered + b"}" + text("make") + mkdir + b"sb.",
        "attributes": b"\x80\2cbuiltins\ngetattr\n.",
        "torch's own": b"\x80\2ctorch.hub\nload\n.",
        "a module": b"\x80\2ctorch.nn.modules.linear\nLinear\n)\x81}b.",
        "keyword arguments": b"\x80\4" + ordered + b")}\x92.",
        "a persistent id as text": b"\x80\2Pposix\n.",
        "an object to append to": b"\x80\2" + ordered + b")RK\1a.",
        "a list of pairs that is a function": b"\x80\2" + ordered + ordered + b"\x85R.",
    }


@pytest.mark.parametrize("pack", [archive, sequence], ids=["zip", "old"])
def test_code_is_refused_and_does_not_run(tmp_path: Path, pack: Any) -> None:
    for name, data in attacks(tmp_path / "ran").items():
        for place in (None, "meta"):
            with pytest.raises(CheckpointError, match=r"a file of torch\.save that is not read: "):
                read(pack(data), map_location=place)
            assert not (tmp_path / "ran").exists(), name


def test_the_attacks_are_attacks(tmp_path: Path) -> None:
    """Python's unpickler runs those that make a folder."""
    if os.name != "posix":
        pytest.skip("they name posix.mkdir")
    ran = 0
    for data in attacks(tmp_path / "ran").values():
        if b"torch" in data:  # importing it would take seconds
            continue
        try:
            pickle.loads(data)
        except Exception:
            continue
        if (tmp_path / "ran").exists():
            ran += 1
            (tmp_path / "ran").rmdir()
    assert ran >= 8


def test_messages_name_what_is_there() -> None:
    for data, message in {
        b"ctorch.nn.modules.linear\nLinear\n.": r"contains torch\.nn\.modules\.linear\.Linear.*torch\.save\(model",
        b"cnumpy.core.multiarray\nscalar\n.": r"contains numpy\.core\.multiarray\.scalar; save .* float\(x\)",
        storage("0", 2, "ComplexFloatStorage") + b".": (
            r"torch\.ComplexFloatStorage, a type of complex numbers that minicnn lacks; .* torch\.view_as_real\(x\)"
        ),
        storage("0", 2, "QInt8Storage") + b".": r"QInt8Storage, a type of quantised numbers .* x\.dequantize\(\)",
        b"ctorch\nfloat8_e4m3fn\n.": r"torch\.float8_e4m3fn, a type of floating-point numbers .* x\.float\(\)",
        b"ctorch\nbits1x8\n.": r"torch\.bits1x8, a type of integers that minicnn lacks",
        b"ctorch._utils\n_rebuild_sparse_tensor\n.": r"a sparse tensor .* x\.to_dense\(\)",
        b"ctorch._utils\n_rebuild_qtensor\n.": r"a quantised tensor .* x\.dequantize\(\)",
        b"ctorch._utils\n_rebuild_nested_tensor\n.": r"a nested tensor .* list\(x\.unbind",
        b"ctorch.serialization\n_get_layout\n.": r"the layout of a tensor .* str\(x\)",
        b"ctorch.return_types\nmax\n.": r"torch\.return_types\.max, an object of Python .*Save tuple\(x\)",
        storage("0", 16) + b".": "contains a Part outside of a tensor",
        b"](ctorch\nFloatStorage\ne.": "contains a Kind outside of a tensor",
        b"ccollections\nOrderedDict\n.": "contains a Maker outside",
        b"ctorch\nTensor\n)R.": "a tensor without a storage",
        b"ctorch\ndevice\n" + text("mps") + b"\x85R.": "a device that minicnn lacks",
    }.items():  # fmt: skip
        refused(archive(b"\x80\2" + data, {"0": FOUR * 4}), message)
    refused(pickle.dumps({"a": 1}), "a pickle, but none that torch.save wrote.*minicnn.save")
    refused(pickle.dumps(MAGIC, 2) + pickle.dumps(1000, 2), "the version 1000, and 1001 is known")
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name in ("net/data.pkl", "net/code/__torch__.py", "net/constants.pkl"):
            packed.writestr(name, b"\x80\2N.")
    refused(file.getvalue(), "a TorchScript program")


@pytest.mark.skipif(os.name != "posix", reason="pipes of POSIX")
@pytest.mark.parametrize("kind", SAVED)
def test_pipes(kind: str) -> None:
    reading, writing = os.pipe()
    os.write(writing, SAVED[kind])
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe, pytest.raises(CheckpointError, match="go back to its beginning"):
        load(pipe)


# ------------------------------------------------------------------------------------------------------------- damaged


@WORDS
@pytest.mark.parametrize("kind", SAVED)
def test_cut_short(kind: str) -> None:
    data = SAVED[kind]
    for length in [*range(0, len(data), 11), *range(len(data) - 30, len(data))]:
        with pytest.raises(CheckpointError, match=r"^BytesIO: "):
            read(data[:length])


@WORDS
@pytest.mark.parametrize("kind", SAVED)
def test_changed_bytes_load_or_are_named(kind: str) -> None:
    """In an archive a CRC-32 finds every change of the pickle and the numbers."""
    data, rng, loaded = SAVED[kind], random.Random(0), 0
    for place in range(rng.randrange(7), len(data), 7):
        changed = bytearray(data)
        changed[place] ^= 1 << rng.randrange(8)
        try:
            found = read(bytes(changed), map_location="meta" if place % 2 else "cpu")
        except CheckpointError as error:
            assert str(error).startswith("BytesIO: ")
        else:
            loaded += 1
            assert kind == "old" or (found["epoch"], found["c"]) == (3, Counter("aab"))
    assert loaded


@WORDS
@pytest.mark.parametrize("kind", SAVED)
def test_forged_pickles_load_or_are_named(kind: str) -> None:
    """Random changes of the pickle, with a CRC-32 that fits."""
    rng = random.Random(1)
    with zipfile.ZipFile(io.BytesIO(SAVED["zip"])) as packed:
        members = {name: packed.read(name) for name in packed.namelist()}
    pieces = [
        b"(",
        b"t",
        b"R",
        b"b",
        b"Q",
        b"s",
        b"u",
        b"e",
        b"a",
        b"0",
        b"2",
        b"h\0",
        b"h\3",
        b"N",
        b"]",
        b"}",
        b")",
        b"\x81",
    ]
    refusals = 0
    for _ in range(600):
        data = bytearray(members["archive/data.pkl"] if kind == "zip" else SAVED[kind])
        for _ in range(rng.randrange(1, 4)):
            place = rng.randrange(len(data))
            if rng.random() < 0.5:
                data[place : place + rng.randrange(3)] = rng.choice(pieces)
            else:
                data[place] = rng.randrange(256)
        if kind == "zip":
            file = io.BytesIO()
            with zipfile.ZipFile(file, "w") as packed:
                for name, content in members.items():
                    packed.writestr(name, bytes(data) if name.endswith("data.pkl") else content)
            data = bytearray(file.getvalue())
        try:
            read(bytes(data))
        except CheckpointError:
            refusals += 1
    assert refusals > 300
