"""Files exchanged with PyTorch through safetensors."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn, optim
from minicnn.serialization import CheckpointError, load, save

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")
from safetensors.torch import load_file, save_file  # noqa: E402


def net(lib: Any) -> Any:
    layers = lib.Sequential(lib.Conv2d(1, 3, 2), lib.BatchNorm2d(3), lib.Flatten(), lib.Linear(12, 4), lib.Linear(4, 4))
    layers.append(lib.Linear(4, 4))
    layers[5].weight = layers[4].weight  # tied
    return layers


def outputs(theirs: Any, ours: Any) -> tuple[Any, Any]:
    x = np.random.default_rng(0).standard_normal((2, 1, 3, 3)).astype(np.float32)
    return theirs.eval()(torch.tensor(x)).detach().numpy(), ours.eval()(minicnn.from_numpy(x)).detach().numpy()


def test_ours_in_pytorch(tmp_path: Path) -> None:
    theirs, ours = net(torch.nn), net(nn)
    save(ours.state_dict(), tmp_path / "f")
    theirs.load_state_dict(load_file(tmp_path / "f"))
    np.testing.assert_allclose(*outputs(theirs, ours), 1e-5, 1e-6)


def test_pytorchs_here(tmp_path: Path) -> None:
    theirs, ours = net(torch.nn), net(nn)
    save_file({key: value.clone() for key, value in theirs.state_dict().items()}, tmp_path / "f")
    ours.load_state_dict(load(tmp_path / "f"))
    np.testing.assert_allclose(*outputs(theirs, ours), 1e-5, 1e-6)


@pytest.mark.parametrize("zipped", [True, False])
def test_files_of_torch_save(tmp_path: Path, zipped: bool) -> None:
    """In both formats, from a path and from a file in memory."""
    theirs, ours = net(torch.nn), net(nn)
    torch.save(theirs.state_dict(), tmp_path / "model.pth", _use_new_zipfile_serialization=zipped)
    for file in (tmp_path / "model.pth", io.BytesIO((tmp_path / "model.pth").read_bytes())):
        state = load(file)
        assert list(state) == list(theirs.state_dict()) and state._metadata == theirs.state_dict()._metadata
        state["4.weight"][0] = 7
        assert state["5.weight"][0].tolist() == [7] * 4  # tied as in the file
    ours.load_state_dict(load(tmp_path / "model.pth"))
    np.testing.assert_allclose(*outputs(theirs, ours), 1e-5, 1e-6)


@pytest.mark.parametrize("zipped", [True, False])
@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_checkpoints_of_pytorch(tmp_path: Path, zipped: bool, protocol: int) -> None:
    """A net and its optimiser; every type and layout of tensors."""
    theirs = net(torch.nn)
    optimizer = torch.optim.Adam(theirs.parameters(), amsgrad=True)
    theirs(torch.randn(2, 1, 3, 3)).sum().backward()
    optimizer.step()
    kinds = [torch.float64, torch.float16, torch.int8, torch.uint8, torch.int16, torch.int32, torch.int64, torch.bool]
    x = torch.randn(4, 3, 5, 6)
    last = x.contiguous(memory_format=torch.channels_last)
    long = torch.tensor([1, 2**63 + 1], dtype=torch.uint64)
    saved = {
        "net": theirs.state_dict(), "optimizer": optimizer.state_dict(), "epoch": 3, "best": 0.5, "names": ("a", "b"),
        "kinds": [(10 * x).to(kind) for kind in kinds] + [long],
        "views": [last, x.permute(3, 0, 2, 1), x[1:, ::2, 3], x[..., 0], x[0, 0, 0, 0]],
        "grid": {torch.Size([1]): [None, {True: {1.5}}]}, "parameter": torch.nn.Parameter(torch.ones(2)),
    }  # fmt: skip
    path = tmp_path / "f"
    torch.save(saved, path, _use_new_zipfile_serialization=zipped, pickle_protocol=protocol)
    same(load(path), saved)


def same(ours: Any, theirs: Any) -> None:
    """Equal objects, tensor by tensor, with their strides."""
    if isinstance(theirs, torch.Tensor):
        assert np.array_equal(ours.detach().numpy(), theirs.detach().numpy())
        assert ours.detach().numpy().dtype == theirs.detach().numpy().dtype
        assert ours.stride() == theirs.stride() and ours.requires_grad == theirs.requires_grad
        assert isinstance(ours, nn.Parameter) == isinstance(theirs, torch.nn.Parameter)
    elif isinstance(theirs, dict):
        assert type(ours) is type(theirs) and list(ours) == list(theirs)
        for key in theirs:
            same(ours[key], theirs[key])
    elif isinstance(theirs, (list, tuple)):
        assert type(ours) is type(theirs) and len(ours) == len(theirs)
        for a, b in zip(ours, theirs, strict=True):
            same(a, b)
    else:
        assert type(ours) is type(theirs) and ours == theirs


@pytest.mark.parametrize("zipped", [True, False])
def test_plain_data_that_pytorch_reads(tmp_path: Path, zipped: bool) -> None:
    """As `torch.load(weights_only=True)` gives them."""
    tensors = [torch.arange(3.0).expand(4, 3), torch.arange(5.0).unfold(0, 3, 1), torch.nn.Buffer(torch.ones(2))]
    attributes = torch.arange(2)
    attributes.colour = "red"
    plain = {"a": b"\0\xff", "b": bytearray(b"\0\xff"), "c": 1 - 2j, b"key": 3j, "none": bytearray()}
    path = tmp_path / "f"
    torch.save([plain, *tensors, attributes], path, _use_new_zipfile_serialization=zipped)
    theirs = torch.load(path, weights_only=True)
    same(load(path), theirs)
    torch.save(torch.empty(2, 3, device="meta", dtype=torch.int8), path, _use_new_zipfile_serialization=zipped)
    found = load(path, map_location="cpu")
    assert found.is_meta and found.shape == (2, 3) and found.dtype == minicnn.int8


@pytest.mark.filterwarnings("ignore")
def test_what_pytorch_refuses_is_refused(tmp_path: Path) -> None:
    """A whole module; and what PyTorch reads and minicnn lacks."""
    for value, message in (
        (net(torch.nn), r"contains torch\.nn\.modules\.container\.Sequential.*torch\.save\(model\.state_dict\(\)"),
        (torch.ones(2, dtype=torch.complex64), r"ComplexFloatStorage, a type of complex .* torch\.view_as_real\(x\)"),
        (torch.ones(2).to_sparse(), r"a sparse tensor .* x\.to_dense\(\)"),
        (torch.eye(2).to_sparse_csr(), r"a sparse tensor .* x\.to_dense\(\)"),
        (torch.ones(3).to(torch.float8_e5m2), r"torch\.float8_e5m2, a type of floating-point .* x\.float\(\)"),
        (torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8), r"a quantised tensor .* x\.dequantize\(\)"),
        (torch.nested.nested_tensor([torch.ones(2)]), r"a nested tensor .* list\(x\.unbind\(\)\)"),
        ({"type": torch.bfloat16}, r"torch\.bfloat16, a type of floating-point numbers that minicnn lacks"),
        (torch.strided, "the layout of a tensor"),
    ):
        for zipped in (True, False):
            torch.save(value, tmp_path / "f", _use_new_zipfile_serialization=zipped)
            with pytest.raises(CheckpointError, match=message):
                load(tmp_path / "f")


def test_bfloat16(tmp_path: Path) -> None:
    w = torch.randn(50).to(torch.bfloat16)
    save_file({"w": w}, tmp_path / "f")
    with pytest.warns(UserWarning, match="bfloat16"):
        assert np.array_equal(load(tmp_path / "f")["w"].numpy(), w.float().numpy())


def test_the_state_of_an_optimiser(tmp_path: Path) -> None:
    """Saved and loaded here, its tensors handed to PyTorch's optimiser."""
    p = nn.Parameter(np.ones(3))
    optimizer = optim.Adam([p], 0.1)
    p.grad = minicnn.from_numpy(np.arange(3.0))
    optimizer.step()
    save(optimizer.state_dict(), tmp_path / "f")
    state = load(tmp_path / "f")
    assert state["param_groups"] == optimizer.state_dict()["param_groups"]
    state["state"][0] = {key: torch.tensor(value.numpy()) for key, value in state["state"][0].items()}
    q = torch.nn.Parameter(torch.tensor(p.detach().numpy()))
    theirs = torch.optim.Adam([q])
    theirs.load_state_dict(state)
    q.grad = torch.tensor([1.0, 0.0, 2.0], dtype=torch.float64)
    p.grad = minicnn.from_numpy(q.grad.numpy())
    theirs.step()
    optimizer.step()
    np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), 1e-12)
