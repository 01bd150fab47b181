"""Which files `load` accepts: formats, forged content, memory. Round trips are in test_serialization.py."""

from __future__ import annotations

import collections
import gzip
import io
import json
import os
import pickle
import random
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save as reference_save

import minicnn
from minicnn import Tensor, nn
from minicnn.serialization import CheckpointError, load, save
from minicnn.serialization.format import _KEY, DTYPES, _digest, pack


def again(value: Any, **options: Any) -> Any:
    file = io.BytesIO()
    save(value, file)
    file.seek(0)
    return load(file, **options)


# ----------------------------------------------------------------------------------------------------- other kinds


def npz(**arrays: Any) -> bytes:
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "content")
    return file.getvalue()


def npy() -> bytes:
    file = io.BytesIO()
    np.save(file, np.ones(3))
    return file.getvalue()


FOREIGN = {
    "arrays.npz": (npz(w=np.ones(3)), "archive of NumPy arrays.*numpy.load"),
    "nothing.npz": (npz(), "an empty zip archive"),
    "array.npy": (npy(), "a NumPy array"),
    "zip.pt": (zipped("archive/data.pkl", "archive/version"), "a damaged file of torch.save.*restore it"),
    "old.pt": (pickle.dumps(1, 2) + pickle.dumps({}, 2), "a pickle, but none that torch.save wrote"),
    "cut.pt": (zipped("archive/data.pkl", "archive/version")[:60], "cut short or damaged: its zip archive has no dir"),
    "script.pt": (zipped("net/data/0", "net/code/x.py"), "a TorchScript program"),
    "net.keras": (zipped("metadata.json"), "such as Keras writes"),
    "other.zip": (zipped("readme.md"), "a zip archive, whose first file is 'readme.md'.*unpack"),
    "net.h5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "an HDF5 file.*h5py"),
    "net.onnx": (b"\x08\x07\x12\x07pytorch\x1a\x052.1.0" + bytes(99), "an ONNX model.*the package onnx"),
    "packed.gz": (gzip.compress(b"text"), r"compressed \(gzip\).*unpack it first"),
    "notes.txt": ("größe: 3\n" * 99, "a text that begins with 'größe: 3"),
    "state.json": ('{"a": 1}', "a text that begins with"),
    "page.pt": ("<!DOCTYPE html><html></html>", "a web page.*download"),
    "pointer.pt": ("version https://git-lfs.github.com/spec/v1\noid sha256:0", "Git LFS.*git lfs pull"),
    "empty.pt": (b"", "empty; restore it"),
    "zeros.pt": (bytes(1000), "its header of 0 bytes is no JSON object.*restore it"),
    "noise.pt": (np.random.default_rng(0).bytes(1000), "1000 bytes cannot hold the header of.*restore it"),
}  # fmt: skip


@pytest.mark.parametrize("name", FOREIGN)
def test_other_files_are_told_by_their_content(tmp_path: Path, name: str) -> None:
    content, message = FOREIGN[name]
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    for file in (path, io.BytesIO(path.read_bytes())):
        with pytest.raises(CheckpointError, match="(?s)" + message) as caught:
            load(file)
        assert str(caught.value).startswith(f"{path if file is path else 'BytesIO'}: ")


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices of POSIX")
@pytest.mark.parametrize("kind", ["pipe", "link to /dev/zero", "folder"])
def test_what_is_no_regular_file_is_refused_at_once(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "file"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to("/dev/zero")
    with pytest.raises(OSError, match=r"only regular files are read: '.*file'"):
        load(path)


@pytest.mark.skipif(os.name != "posix", reason="pipes and devices of POSIX")
def test_open_pipes_and_devices() -> None:
    """A pipe is read as far as its header says; so is a device that never ends."""
    file = io.BytesIO()
    save({"w": Tensor(np.ones(3))}, file)
    for more, fits in ((b"", True), (b"x", False)):
        reading, writing = os.pipe()
        os.write(writing, file.getvalue() + more)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            if fits:
                assert load(pipe)["w"].tolist() == [1, 1, 1]
            else:
                with pytest.raises(CheckpointError, match="its arrays take 24 bytes, but the file has 25"):
                    load(pipe)
    with open("/dev/zero", "rb") as endless, pytest.raises(CheckpointError, match="/dev/zero"):
        load(endless)


class Halves(io.RawIOBase):
    """A file that reads and writes a few bytes at a time."""

    def __init__(self) -> None:
        self.data, self.place = bytearray(), 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.data += bytes(data)[:7]
        return min(len(bytes(data)), 7)

    def readinto(self, buffer: Any) -> int:
        piece = self.data[self.place : self.place + min(len(buffer), 5)]
        buffer[: len(piece)] = piece
        self.place += len(piece)
        return len(piece)

    def readable(self) -> bool:
        return True


def test_files_that_take_and_give_a_little_at_a_time(tmp_path: Path) -> None:
    file = Halves()
    save({"w": Tensor(np.arange(20.0))}, file)
    assert load(file)["w"].tolist() == list(range(20))
    with gzip.open(tmp_path / "f.gz", "wb") as packed:
        save({"w": Tensor(np.arange(20.0))}, packed)
    with gzip.open(tmp_path / "f.gz") as packed:
        assert load(packed)["w"].tolist() == list(range(20))


def test_text_files_and_things_that_are_no_files(tmp_path: Path) -> None:
    with open(tmp_path / "f", "w+") as file:
        with pytest.raises(TypeError, match=r"open\(path, 'wb'\)"):
            save([1], file)
        with pytest.raises(TypeError, match=r"open\(path, 'rb'\)"):
            file.write("text")
            file.seek(0)
            load(file)
    with pytest.raises(TypeError, match="expected a path or a file open for reading bytes, got int"):
        load(3)  # type: ignore[arg-type]


# ------------------------------------------------------------------------------------------------------------- memory


def test_memory(tmp_path: Path) -> None:
    """Loading takes the tensors' memory once, and nothing for shapes; saving takes one copy."""
    size = 8_000_000
    state = {f"{i}": Tensor(np.ones(size // 32, np.float32)) for i in range(8)}
    path = tmp_path / "f"
    peaks = {}
    for name, call in (
        ("save", lambda: save(state, path)),
        ("load", lambda: load(path)),
        ("meta", lambda: load(path, map_location="meta")),
    ):
        call()
        tracemalloc.start()
        try:
            kept = call()
            peaks[name] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        del kept
    assert peaks["save"] < 1.3 * size and peaks["load"] < 1.3 * size and peaks["meta"] < 0.1 * size


def test_meta_reads_no_tensor(tmp_path: Path) -> None:
    path = tmp_path / "f"
    save({"w": Tensor(np.ones(100)), "n": np.arange(3)}, path)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1  # in a tensor
    path.write_bytes(data)
    back = load(path, map_location="meta")
    assert back["w"].is_meta and back["w"].shape == (100,) and back["n"].tolist() == [0, 1, 2]
    path.write_bytes(data[:-1])
    with pytest.raises(CheckpointError, match="its arrays take"):
        load(path, map_location="meta")


# ------------------------------------------------------------------------------------------------------ order of memory


def test_channels_last_comes_back() -> None:
    x = minicnn.randn(2, 3, 4, 5).contiguous(memory_format=minicnn.channels_last)
    back = again({"x": x, "p": nn.Parameter(x)})
    for found in (back["x"], back["p"]):
        assert found.is_contiguous(memory_format=minicnn.channels_last) and not found.is_contiguous()
        assert found.stride() == x.stride() and np.array_equal(found.detach().numpy(), x.numpy())


@pytest.mark.parametrize("order", [(1, 0), (2, 0, 1), (1, 2, 0), (0, 2, 3, 1), (3, 2, 1, 0), (0, 2, 3, 4, 1)])
def test_any_order_of_memory_comes_back(order: tuple[int, ...]) -> None:
    dense = np.arange(np.prod(range(2, 2 + len(order))), dtype=np.float32).reshape(range(2, 2 + len(order)))
    array = dense.transpose(order)
    tied = Tensor(array)
    for found in again([tied, array, tied]):
        found = found.numpy() if isinstance(found, Tensor) else found
        assert found.strides == array.strides and np.array_equal(found, array)
    file = io.BytesIO()
    save({"w": Tensor(array)}, file)
    from safetensors.numpy import load as reference_load

    assert np.array_equal(reference_load(file.getvalue())["w"], array)  # others read the plain array


def test_what_has_gaps_or_one_channel_becomes_plain() -> None:
    whole = np.arange(24.0).reshape(2, 3, 4)
    for array in (
        whole[:, ::2],
        whole[:, :, ::-1],
        np.broadcast_to(whole[:1], (2, 3, 4)),
        whole[:, :1].transpose(1, 0, 2),
    ):
        found = again(array)
        assert np.array_equal(found, array) and found.flags.c_contiguous


# ------------------------------------------------------------------------------------------------------------- writing


def test_the_bytes_are_those_of_the_reference() -> None:
    rng = np.random.default_rng(0)
    for _ in range(60):
        arrays = {}
        for _ in range(rng.integers(0, 6)):
            dtype = list(DTYPES.values())[rng.integers(len(DTYPES))]
            shape = rng.integers(0, 4, rng.integers(0, 4))
            arrays["".join(rng.choice(list('ab.ü"\\\n0'), 3))] = (3 * rng.standard_normal(shape)).astype(dtype)
        about = json.dumps({"a": "ä", "sha256": _digest(arrays)}, sort_keys=True)
        plain = {name: np.ascontiguousarray(array).reshape(array.shape) for name, array in arrays.items()}
        assert b"".join(pack(arrays, {"a": "ä"})) == reference_save(plain, {_KEY: about})


def test_names_that_are_no_unicode_and_objects_that_are_too_deep() -> None:
    assert again({"\ud800": Tensor(np.ones(1))})["\ud800"].tolist() == [1]
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        save(deep, io.BytesIO())


# -------------------------------------------------------------------------------------------------------- forged files

JUNK: list[Any] = [
    None, True, -1, 0, 1, 2**31, 2**62, 2**70, 1.5, float("nan"), "", "x", "F32", "BF16", "C64", "w", "cuda", "cuda:99",
    "|O", "V999999999", "V99999999999999999999", "i4,f8", "float33", [], [1], [-1], [2**62], [2**62, 2**62], [0, 2**62],
    [1] * 40, [2**62] * 100, ["a"], {}, {"tensor": "w"}, {"tensor": ["w"]}, {"tensor": "w", "same": "zz"},
    {"size": ["a"]}, {"set": [[1]]}, {"counter": [["a", "b"]]}, {"dtype": "V99999999999999999999"}, {"device": "moon"},
    {"device": 3}, {"tensor": "w", "order": [0, 1]}, {"tensor": "w", "order": "abc"}, {"tuple": None},
    {"tensor": "n", "parameter": True}, {"tensor": "w", "order": [2, 1, 0, 5]}, {"dict": [[1]]}, {"ordered": 5},
]  # fmt: skip


def places(value: Any, before: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths to all parts of a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [before, *(place for key, part in inner for place in places(part, (*before, key)))]


def changed(value: Any, place: tuple[Any, ...], new: Any) -> Any:
    if not place:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = changed(copy[place[0]], place[1:], new)
    return copy


def forged(data: bytes, rng: random.Random) -> bytes:
    """A saved file with changes in its header, its metadata, or anywhere."""
    end = 8 + int.from_bytes(data[:8], "little")
    header, body = json.loads(data[8:end]), data[end:]
    kind = rng.randrange(4)
    if kind == 0:
        header = changed(header, rng.choice(places(header)), rng.choice(JUNK))
    elif kind == 1:
        own = json.loads(header["__metadata__"][_KEY])
        header["__metadata__"][_KEY] = json.dumps(changed(own, rng.choice(places(own)), rng.choice(JUNK)))
    elif kind == 2:
        noisy = bytearray(data)
        for _ in range(rng.randrange(1, 5)):
            noisy[rng.randrange(end)] = rng.randrange(256)
        return bytes(noisy)
    else:
        body = body[: rng.randrange(len(body))] if rng.random() < 0.5 else body + bytes(rng.randrange(1, 99))
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + body


def test_forged_files_load_or_are_named(tmp_path: Path) -> None:
    """Every fault of a file raises a CheckpointError that names the file."""
    path, rng = tmp_path / "forged.pt", random.Random(0)
    value = {
        "w": Tensor(np.arange(24.0).reshape(2, 3, 4).transpose(0, 2, 1)), "p": nn.Parameter(np.ones((2, 2))),
        "n": np.arange(3), "s": np.float64(3), "k": [1, (2,), {3}, np.inf, np.dtype("f4"), minicnn.device("cpu")],
        "c": collections.Counter("aab"), "o": collections.OrderedDict(a=1), "z": minicnn.zeros(2, 3).shape,
    }  # fmt: skip
    save(value, path)
    data, refused = path.read_bytes(), 0
    for _ in range(1500):
        path.write_bytes(forged(data, rng))
        for place in ("cpu", "meta"):
            try:
                load(path, map_location=place)
            except CheckpointError as error:
                assert str(path) in str(error)
                refused += 1
    assert refused > 1500
