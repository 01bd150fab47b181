from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.train import CheckpointError, load_weights, save_weights


def net(seed: int = 0, width: int = 4) -> nn.Module:
    minicnn.manual_seed(seed)
    return nn.Sequential(nn.Conv2d(1, width, 3), nn.BatchNorm2d(width), nn.Flatten(), nn.Linear(4 * width, 2))


def values(model: nn.Module) -> dict[str, bytes]:
    return {name: tensor.array.tobytes() for name, tensor in model.state_dict().items()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "model.safetensors"
    save_weights(path, net(0), {"epoch": 3})
    return path


def rebuilt(file: Path, change: Any) -> None:
    """Rewrite the file with a header that `change` has edited (as JSON text or data) and the same arrays."""
    data = file.read_bytes()
    length = int.from_bytes(data[:8], "little")
    header = change(data[8 : 8 + length].decode())
    file.write_bytes(len(header.encode()).to_bytes(8, "little") + header.encode() + data[8 + length :])


def test_round_trip(file: Path) -> None:
    model = net(1)
    assert values(model) != values(net(0))
    assert load_weights(file, model) == {"epoch": 3}
    assert values(model) == values(net(0))
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_same_weights_same_bytes(file: Path) -> None:
    for _ in range(5):
        save_weights(file.parent / "again", net(0), {"epoch": 3})
        assert (file.parent / "again").read_bytes() == file.read_bytes()


def test_the_library_reads_it(file: Path) -> None:
    from safetensors.numpy import load_file

    arrays = load_file(file)
    assert {name: array.tobytes() for name, array in arrays.items()} == values(net(0))


def test_a_file_from_another_tool_loads(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    arrays = {name: np.array(tensor.array) for name, tensor in net(0).state_dict().items()}
    save_file(arrays, tmp_path / "other", {"format": "pt"})
    model = net(1)
    assert load_weights(tmp_path / "other", model) == {}
    assert values(model) == values(net(0))


def test_transposed_weights_are_saved_as_they_look(tmp_path: Path) -> None:
    """Memory order must not leak into the file."""
    model = nn.Sequential(nn.Linear(3, 2))
    wanted = np.arange(6, dtype=np.float32).reshape(2, 3)
    model[0].weight.data = np.asfortranarray(wanted)
    save_weights(tmp_path / "w", model)
    other = nn.Sequential(nn.Linear(3, 2))
    load_weights(tmp_path / "w", other)
    assert np.array_equal(other[0].weight.array, wanted)


# ------------------------------------------------------------------------------------------------------ damaged files


def test_every_truncation_is_noticed(file: Path) -> None:
    data, model = file.read_bytes(), net(1)
    before = values(model)
    rng = np.random.default_rng(0)
    for length in [*range(0, 40), *rng.integers(40, len(data), 100).tolist(), len(data) - 1]:
        file.write_bytes(data[:length])
        with pytest.raises(CheckpointError, match=r"model\.safetensors: .*restore it from a copy, or train again"):
            load_weights(file, model)
    assert values(model) == before


def test_every_flipped_byte_is_noticed(file: Path) -> None:
    """In the arrays; a changed byte in the header may have no effect (a space), but must never load other numbers."""
    data, model = file.read_bytes(), net(1)
    start = 8 + int.from_bytes(data[:8], "little")
    for place in range(0, len(data)):
        file.write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            load_weights(file, model)
        except CheckpointError as error:
            assert str(file) in str(error)
        else:
            assert place < start and values(model) == values(net(0))


def test_extra_bytes_are_noticed(file: Path) -> None:
    file.write_bytes(file.read_bytes() + b"\0" * 4)
    with pytest.raises(CheckpointError):
        load_weights(file, net(1))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="nothing: cannot be read"):
        load_weights(tmp_path / "nothing", net())


def test_a_key_twice(file: Path) -> None:
    """The safetensors library takes one of the two without an error."""

    def twice(header: str) -> str:
        entry = json.dumps(json.loads(header)["3.bias"])
        return header.rstrip()[:-1] + f', "3.bias": {entry}}}'

    rebuilt(file, twice)
    with pytest.raises(CheckpointError, match="a key occurs twice"):
        load_weights(file, net(1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda h: h.pop("3.bias"), "not a valid safetensors file"),
        (lambda h: h.update(extra={**h["3.bias"], "shape": [0]}), "not a valid safetensors file"),
        (lambda h: h["3.bias"].update(shape=[1, 2]), "SHA-256 differs"),
        (lambda h: h["3.bias"].update(dtype="I32"), "SHA-256 differs"),
        (lambda h: h["3.bias"].update(dtype="F8_E4M3"), "not a valid safetensors file"),
        (lambda h: h["3.bias"].pop("dtype"), "not a valid safetensors file"),
        (lambda h: h["3.bias"].update(shape=[-2]), "not a valid safetensors file"),
        (lambda h: h["3.bias"].update(shape=[2**40]), "not a valid safetensors file"),
        (lambda h: h["3.bias"].update(data_offsets=[0, 8]), "not a valid safetensors file"),
        (lambda h: h["__metadata__"].update(minicnn="{"), "not JSON"),
        (lambda h: h["__metadata__"].update(minicnn="[]"), "not a JSON object"),
        (lambda h: h["__metadata__"].update(minicnn='{"sha256": "00"}'), "SHA-256 differs"),
    ],
)  # fmt: skip
def test_wrong_headers(file: Path, change: Any, message: str) -> None:
    def edit(header: str) -> str:
        data = json.loads(header)
        change(data)
        return json.dumps(data)

    rebuilt(file, edit)
    model = net(1)
    before = values(model)
    with pytest.raises(CheckpointError, match=message) as caught:
        load_weights(file, model)
    assert str(file) in str(caught.value)
    assert values(model) == before  # all or nothing


@pytest.mark.parametrize("header", ["[]", "{", '"x"', "[" * 100_000])
def test_headers_that_are_no_object(file: Path, header: str) -> None:
    rebuilt(file, lambda _: header)
    with pytest.raises(CheckpointError):
        load_weights(file, net(1))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state: state.pop("3.bias"), "'3.bias' is missing"),
        (lambda state: state.update(extra=state["3.bias"]), "'extra' is not in the model"),
        (lambda state: state.update({"3.bias": minicnn.zeros(1, 2)}), r"'3.bias' has shape \(1, 2\), .* has \(2,\)"),
        (lambda state: state.update({"3.bias": minicnn.zeros(2).int()}), "'3.bias' has type int32, .* is float32"),
    ],
)  # fmt: skip
def test_weights_of_another_net(file: Path, change: Any, message: str) -> None:
    state = net(0).state_dict()
    change(state)
    minicnn.save(state, file)
    model = net(1)
    before = values(model)
    with pytest.raises(CheckpointError, match=message):
        load_weights(file, model)
    assert values(model) == before  # all or nothing


def test_another_net_lists_all_differences(file: Path) -> None:
    with pytest.raises(
        CheckpointError, match=r"does not fit Sequential: '0.weight' has shape \(4, 1, 3, 3\)"
    ) as caught:
        load_weights(file, net(0, width=5))
    assert "'1.running_var' has shape (4,), the model's has (5,); and 1 more" in str(caught.value)
