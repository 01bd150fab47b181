"""Saving and loading objects, and files of other programs. Damaged files are in tests/train/test_checkpoint.py, too."""

from __future__ import annotations

import io
import json
import math
import os
import pickle
import zipfile
from argparse import Namespace
from collections import Counter, OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

import minicnn
from minicnn import Tensor, nn, optim
from minicnn.dtypes import Size
from minicnn.serialization import CheckpointError, load, save
from minicnn.serialization.format import DTYPES


def again(value: Any, **options: Any) -> Any:
    """`value` after saving and loading."""
    file = io.BytesIO()
    save(value, file)
    file.seek(0)
    return load(file, **options)


def header(path: Path) -> dict[str, Any]:
    data = path.read_bytes()
    return json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])


def edited(path: Path, change: Any) -> None:
    """Rewrite a file with a header that `change` has edited."""
    data = path.read_bytes()
    end = 8 + int.from_bytes(data[:8], "little")
    entries = json.loads(data[8:end])
    change(entries)
    text = json.dumps(entries).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text + data[end:])


def assert_same(found: Any, expected: Any) -> None:
    assert type(found) is type(expected)
    if isinstance(expected, (Tensor, np.ndarray, np.generic)):
        a, b = (v.detach().numpy() if isinstance(v, Tensor) else v for v in (found, expected))
        assert a.dtype == b.dtype and a.shape == b.shape
        assert np.array_equal(a, b)
        if isinstance(expected, Tensor):
            assert found.requires_grad == expected.requires_grad
    elif isinstance(expected, dict):
        assert list(found) == list(expected)
        for key, value in expected.items():
            assert_same(found[key], value)
    elif isinstance(expected, (list, tuple)):
        assert len(found) == len(expected)
        for a, b in zip(found, expected, strict=True):
            assert_same(a, b)
    else:
        assert found == expected or (found != found and expected != expected)


OBJECTS: dict[str, Any] = {
    "numbers": [0, -1, 2**70, True, False, None, 1.5, -0.0, 1e-320, math.pi, math.inf, -math.inf, math.nan],
    "text": ["", "ä\n\0\ud800", '"{}'],
    "containers": {"a": [(1, [2, (3,)]), {}, [], ()], "b": {"c": {"d": None}}},
    "keys": {0: "int", 1.5: "float", (1, "a"): "tuple", None: "none", True: "bool", "s": "str"},
    "ordered": OrderedDict([("b", 1), ("a", OrderedDict())]),
    "counter": Counter({3: 2, 10: 1}),
    "set": {1, 2, "a"},
    "types": [minicnn.float32, minicnn.bool, minicnn.device("cpu"), Size((2, 3)), Size(())],
    "no tensors": {"tensor": 3, "list": 1},
    "tensor alone": Tensor(np.arange(6.0).reshape(2, 3)),
    "0-d and empty": [Tensor(np.array(3)), Tensor(np.zeros((0, 4), np.float32)), Tensor(np.zeros((2, 0, 3)))],
    "gradient": [Tensor(np.ones(2), requires_grad=True), nn.Parameter(np.ones(3)), nn.Parameter(np.ones(1), False)],
    "arrays": [np.arange(4, dtype=np.int16), np.float64(1.5), np.bool_(True), np.array(2.5)],
    "strides": [Tensor(np.arange(24.0).reshape(2, 3, 4)[::-1, ::2].T), Tensor(np.broadcast_to(np.ones(1), (3, 2)))],
    "big endian": Tensor(np.arange(3.0)),
    "names": {"a": {"b": Tensor(np.ones(1))}, "a.b": Tensor(np.zeros(1)), "__metadata__": Tensor(np.ones(2))},
    "types of tensors": [Tensor(np.array([0, 1, 2]).astype(dtype)) for dtype in DTYPES.values()],
}  # fmt: skip


@pytest.mark.parametrize("name", OBJECTS)
def test_what_is_saved_comes_back(name: str) -> None:
    assert_same(again(OBJECTS[name]), OBJECTS[name])


def test_nothing_is_shared_with_what_was_saved() -> None:
    t = Tensor(np.ones(2))
    back = again([t])
    back[0].zero_()
    assert t.tolist() == [1, 1]


def test_other_dicts_become_what_they_are_based_on() -> None:
    class Own(OrderedDict[str, Any]):
        pass

    for value, kind in ((defaultdict(list, {1: [2]}), dict), (Own({"a": 3}), OrderedDict)):
        back = again(value)
        assert type(back) is kind and back == value


@pytest.mark.parametrize("kind", [str, Path, io.BytesIO, open])
def test_paths_and_files(tmp_path: Path, kind: Any) -> None:
    path = tmp_path / "file.pt"
    if kind is io.BytesIO:
        target = io.BytesIO(b"before")
        target.seek(6)
        save({"a": Tensor(np.ones(2))}, target)
        target.seek(6)
        assert load(target)["a"].tolist() == [1, 1]
        return
    if kind is open:
        with open(path, "wb") as file:
            save({"a": Tensor(np.ones(2))}, file)
        with open(path, "rb") as file:
            assert load(file)["a"].tolist() == [1, 1]
        return
    save({"a": Tensor(np.ones(2))}, kind(path))
    assert load(kind(path))["a"].tolist() == [1, 1]
    assert [p.name for p in tmp_path.iterdir()] == ["file.pt"]


def test_a_failing_save_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file"
    save([1], path)
    with pytest.raises(TypeError):
        save([1, lambda: 1], path)
    assert load(path) == [1]
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.skipif(os.name != "posix", reason="/dev/null is a POSIX device")
def test_a_device_is_written_to_and_not_replaced() -> None:
    save([1], os.devnull)
    assert not Path(os.devnull).is_file()


def test_same_object_same_bytes() -> None:
    files = [io.BytesIO() for _ in range(3)]
    for file in files:
        save({"s": {"b", "a", "c"}, "w": Tensor(np.arange(3)), "v": Tensor(np.arange(3.0))}, file)
    assert len({file.getvalue() for file in files}) == 1


# ----------------------------------------------------------------------------------------------------- state dicts


def net() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 3, 2), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(12, 2))


def test_a_state_dict_is_an_ordinary_file(tmp_path: Path) -> None:
    path, state = tmp_path / "net.safetensors", net().state_dict()
    save(state, path)
    arrays = load_file(path)
    assert set(arrays) == set(state)
    for name, tensor in state.items():
        assert arrays[name].dtype == tensor.dtype and np.array_equal(arrays[name], tensor.numpy())
    assert_same(load(path), OrderedDict(state))
    other = net()
    other.load_state_dict(load(path))
    assert_same(OrderedDict(other.state_dict()), OrderedDict(state))


def test_arrays_begin_at_multiples_of_their_width(tmp_path: Path) -> None:
    """Memory maps of other programs need this alignment."""
    path = tmp_path / "file"
    save([Tensor(np.ones(3, dtype)) for dtype in (np.bool_, np.float32, np.float16, np.int64, np.uint8)], path)
    entries = header(path)
    start = 8 + int.from_bytes(path.read_bytes()[:8], "little")
    for name, entry in entries.items():
        if name != "__metadata__":
            assert (start + entry["data_offsets"][0]) % np.dtype(DTYPES[entry["dtype"]]).itemsize == 0


def test_a_checkpoint_goes_on(tmp_path: Path) -> None:
    """Net, optimiser and schedule: ten steps are five steps, a file, and five steps."""

    def begin() -> tuple[nn.Module, optim.Optimizer, Any]:
        minicnn.manual_seed(0)
        model = net()
        optimizer = optim.Adam(model.parameters(), 0.01, amsgrad=True)
        return model, optimizer, optim.lr_scheduler.MultiStepLR(optimizer, [3, 7])

    def train(parts: tuple[nn.Module, optim.Optimizer, Any], steps: range) -> None:
        model, optimizer, schedule = parts
        for i in steps:
            optimizer.zero_grad()
            x = np.random.default_rng(i).standard_normal((4, 1, 3, 3)).astype(np.float32)
            model(Tensor(x)).sum().backward()
            optimizer.step()
            schedule.step()

    whole, first, second = begin(), begin(), begin()
    train(whole, range(10))
    train(first, range(5))
    save({"parts": [part.state_dict() for part in first], "epoch": 5, "best": 0.5}, tmp_path / "c.pt")
    state = load(tmp_path / "c.pt", map_location=lambda storage, place: storage, weights_only=False)
    assert (state["epoch"], state["best"]) == (5, 0.5)
    for part, values in zip(second, state["parts"], strict=True):
        part.load_state_dict(values)
    train(second, range(5, 10))
    for a, b in zip(whole[0].parameters(), second[0].parameters(), strict=True):
        assert np.array_equal(a.detach().numpy(), b.detach().numpy())
    assert second[2].get_last_lr() == whole[2].get_last_lr()


def test_tied_weights_stay_tied(tmp_path: Path) -> None:
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    model[1].weight = model[0].weight
    state = model.state_dict()
    save(state, tmp_path / "f")
    assert set(load_file(tmp_path / "f")) == {"0.weight", "0.bias", "1.weight", "1.bias"}  # PyTorch wants them all
    back = load(tmp_path / "f")
    back["0.weight"].zero_()
    assert not back["1.weight"].numpy().any() and back["1.bias"].numpy().any()
    pair = again([model[0].weight, model[1].weight, model[0].weight.detach()])
    pair[0].data.fill_(7)
    assert (pair[1].detach().numpy() == 7).all() and (pair[2].numpy() == 7).all()


def test_parts_of_a_tensor_become_tensors() -> None:
    whole = np.arange(6.0)
    back = again([Tensor(whole), Tensor(whole[:3]), Tensor(whole[:3].reshape(3, 1)), Tensor(whole[:0])])
    back[0].zero_()
    assert back[1].tolist() == [0, 1, 2] and back[2].tolist() == [[0], [1], [2]]


# ------------------------------------------------------------------------------------------------------------- places


def test_map_location() -> None:
    value = {"w": Tensor(np.ones((2, 3))), "n": np.arange(2)}
    for place in (None, "cpu", minicnn.device("cpu"), {"cuda:0": "cpu"}, lambda storage, where: storage):
        assert_same(again(value, map_location=place), value)
    back = again(value, map_location="meta")
    assert back["w"].is_meta and back["w"].shape == (2, 3) and back["w"].dtype == np.float64
    with pytest.raises(RuntimeError, match=r"'cuda' is not available"):
        again(value, map_location="cuda")


# ------------------------------------------------------------------------------------------------------ what is refused


class Odd(nn.Linear):  # it cannot be pickled
    def __init__(self) -> None:
        super().__init__(2, 1)
        self.function = lambda x: x


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: {"net": Odd()}, r"entry \['net'\] is of type Odd.*its state_dict\(\) instead.*cannot be pickled"),
        (lambda: [Odd(), 1], r"\['0'\] is of type Odd.*state_dict"),
        (lambda: {"args": Namespace(f=lambda: 1)}, r"\['args'\] is of type Namespace.*save vars\(\) of it.*pickled"),
        (lambda: {"f": {"g": iter([])}, "h": lambda: 1}, r"\['f'\]\['g'\] is of type list_it.*save its content as te"),
        (lambda: {(lambda: 1): 1}, r"\['a key'\] is of type function"),
        (lambda: np.array([lambda: 1]), r"the object has type object; there are: float64, float32"),
        (lambda: again({"w": Tensor(np.ones(1))}, map_location="meta"), r"\['w'\] is a tensor on device 'meta'"),
    ],
)  # fmt: skip
def test_what_cannot_be_saved(make: Any, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        save(make(), io.BytesIO())


def test_an_object_in_itself() -> None:
    inner: list[Any] = []
    inner.append({"again": inner})
    with pytest.raises(TypeError, match=r"\['0'\]\['again'\] contains itself"):
        save(inner, io.BytesIO())
    same = [1]
    assert again([same, same]) == [[1], [1]]


def test_pickles_are_refused(tmp_path: Path) -> None:
    """The message says what to do; no code of the file runs. Files of torch.save: test_pth.py."""
    path = tmp_path / "model.pth"
    ran = tmp_path / "ran"

    class Attack:
        def __reduce__(self) -> Any:
            return os.mkdir, (str(ran),)

    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        path.write_bytes(pickle.dumps(Attack(), protocol))
        with pytest.raises(CheckpointError, match=r"model\.pth: a pickle, but none that torch\.save wrote.*minicnn"):
            load(path)
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("archive/data.pkl", pickle.dumps(Attack()))
    with pytest.raises(CheckpointError, match=r"it contains (posix|nt)\.mkdir, which is code"):
        load(path, weights_only=False)
    assert not ran.exists()
    for options in ({"pickle_module": pickle}, {"encoding": "latin1"}):
        with pytest.raises(TypeError, match="nothing is pickled"):
            load(path, **options)
    with pytest.raises(TypeError, match="nothing is pickled"):
        save(1, path, pickle)


def test_a_header_as_long_as_a_pickle_looks(tmp_path: Path) -> None:
    """A length of 0x280 begins with the bytes of a pickle."""
    path = tmp_path / "file"
    for extra in range(2000):
        save_file({"w": np.ones(1)}, path, {"a": "x" * extra})
        if path.read_bytes()[:2] == b"\x80\x02":
            break
    assert path.read_bytes()[:2] == b"\x80\x02"
    assert load(path)["w"].tolist() == [1]


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nothing")


# ------------------------------------------------------------------------------------------------- files from elsewhere


def test_files_from_other_programs(tmp_path: Path) -> None:
    arrays = {f"{name}.w": np.array([[0, 1, 2]]).astype(dtype) for name, dtype in DTYPES.items()}
    save_file(arrays, tmp_path / "f", {"format": "np"})
    back = load(tmp_path / "f")
    assert type(back) is dict and set(back) == set(arrays)
    for name, array in arrays.items():
        assert_same(back[name], Tensor(array))
        assert back[name].numpy().flags.writeable and back[name].numpy().flags.aligned
    save_file({}, tmp_path / "f")
    assert load(tmp_path / "f") == {}


def test_bfloat16_becomes_float32(tmp_path: Path) -> None:
    path, values = tmp_path / "f", np.array([1, -2.5, 0, np.inf, 3.0e38], np.float32)
    upper = (values.view(np.uint32) >> 16).astype(np.uint16)
    save_file({"w": upper, "v": np.ones(2)}, path)
    edited(path, lambda entries: entries["w"].update(dtype="BF16"))
    with pytest.warns(UserWarning, match="bfloat16 tensors become float32"):
        back = load(path)
    assert back["w"].dtype == np.float32 and back["v"].dtype == np.float64
    assert np.array_equal(back["w"].numpy(), (upper.astype(np.uint32) << 16).view(np.float32))
    save_file({"w": np.ones(5, np.uint8)}, path)
    edited(path, lambda entries: entries["w"].update(dtype="F8_E4M3"))
    with pytest.raises(CheckpointError, match="'w' has type F8_E4M3, which NumPy lacks"):
        load(path)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda h: h["w"].update(data_offsets=[8, 24]), "not a valid safetensors file"),
        (lambda h: h["w"].update(data_offsets=[0, 8]), "not a valid safetensors file"),
        (lambda h: h["w"].update(data_offsets="all"), "not a valid safetensors file"),
        (lambda h: h["w"].pop("data_offsets"), "not a valid safetensors file"),
        (lambda h: h.pop("v"), "not a valid safetensors file"),
        (lambda h: h["w"].update(shape=[1]), "not a valid safetensors file"),
        (lambda h: h["__metadata__"].update(minicnn=json.dumps({"tree": {"unknown": 3}})), "malformed"),
        (lambda h: h["__metadata__"].update(minicnn=json.dumps({"tree": {"tensor": "x"}})), "malformed"),
        (lambda h: h["__metadata__"].update(minicnn=json.dumps({"tree": {"dict": 3}})), "malformed"),
        (lambda h: h["__metadata__"].update(minicnn=json.dumps({"tree": {"a": 1, "b": 2}})), "malformed"),
        (lambda h: h["__metadata__"].update(minicnn=json.dumps({"tree": {"dtype": "list of things"}})), "malformed"),
    ],
)  # fmt: skip
def test_damaged_headers(tmp_path: Path, change: Any, text: str) -> None:
    path = tmp_path / "f"
    save({"w": Tensor(np.ones(2)), "v": Tensor(np.zeros(3))}, path)
    edited(path, change)
    with pytest.raises(CheckpointError, match=text):
        load(path)


def test_any_damage_is_noticed(tmp_path: Path) -> None:
    """If one bit is changed anywhere, an error names the file, or the header still has the same meaning."""
    path, value = tmp_path / "f", {"w": Tensor(np.arange(4.0)), "n": [1, (2,)]}
    save(value, path)
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    for place in range(len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :])
        try:
            back = load(path)
        except CheckpointError as error:
            assert str(path) in str(error)
        else:
            assert place < start and np.array_equal(next(iter(back.values())).numpy(), np.arange(4.0))
    for length in range(len(data)):
        path.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match="restore it from a copy"):
            load(path)
