"""Tensors on a GPU, emulated: printing, reading, copying, saving and loading, with PyTorch's rules for devices."""

from __future__ import annotations

import copy
import io
import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, load, nn, optim, save
from minicnn.serialization import CheckpointError
from minicnn_kernels import arrays

CPU, CUDA, SECOND = minicnn.device("cpu"), minicnn.device("cuda:0"), minicnn.device("cuda:1")
pytestmark = pytest.mark.usefixtures("gpu")


HERE: dict[str, Callable[[], Tensor]] = {
    "vector": lambda: minicnn.arange(3.0),
    "number": lambda: minicnn.tensor(2),
    "double": lambda: minicnn.ones(2, dtype=minicnn.float64),
    "half": lambda: minicnn.ones(2).half(),
    "bool": lambda: minicnn.arange(3) > 1,
    "empty": lambda: minicnn.zeros(0, 3),
    "leaf": lambda: minicnn.ones(2).requires_grad_(),
    "channels_last": lambda: minicnn.arange(24.0).view(1, 2, 3, 4).contiguous(memory_format=minicnn.channels_last),
    "transposed": lambda: minicnn.arange(6.0).view(2, 3).t(),
    "strided": lambda: minicnn.arange(6.0)[::2],
    "expanded": lambda: minicnn.arange(3.0).view(3, 1).expand(2, 3, 4),
}
PRINTED = {
    "vector": "tensor([0., 1., 2.], device='cuda:0')",
    "number": "tensor(2, device='cuda:0')",
    "double": "tensor([1., 1.], device='cuda:0', dtype=minicnn.float64)",
    "half": "tensor([1., 1.], device='cuda:0', dtype=minicnn.float16)",
    "bool": "tensor([False, False,  True], device='cuda:0')",
    "empty": "tensor([], device='cuda:0', size=(0, 3))",
    "leaf": "tensor([1., 1.], device='cuda:0', requires_grad=True)",
}  # as PyTorch prints them


def there(name: str, place: str = "cuda") -> Tensor:
    x = HERE[name]()
    return x.detach().to(place).requires_grad_(x.requires_grad)


@pytest.mark.parametrize("name", PRINTED)
def test_printing(name: str) -> None:
    assert repr(there(name)) == PRINTED[name]
    assert repr(there(name, "cuda:1")) == PRINTED[name].replace("cuda:0", "cuda:1")


def test_printing_of_results_and_long_tensors() -> None:
    y = there("leaf") * 2
    assert repr(y) == f"tensor([2., 2.], device='cuda:0', grad_fn={y.grad_fn})"
    assert f"{y[0].detach():.1f}" == "2.0"
    long = minicnn.arange(2000.0)
    assert repr(long.cuda()) == repr(long)[:-1] + ", device='cuda:0')"


def test_reading() -> None:
    x = minicnn.tensor([1.5, -2.0], device="cuda")
    assert x.tolist() == [1.5, -2.0] and x[0].item() == 1.5 == float(x[0]) and int(x[1]) == -2
    assert bool(x[0] > 0) and not bool(x[1] > 0) and complex(x[0]) == 1.5
    assert [1, 2, 3][minicnn.tensor(2, device="cuda")] == 3
    message = r"can't convert cuda:0 device type tensor to numpy. Use Tensor.cpu\(\) to copy the tensor to host memory"
    for read in (Tensor.numpy, np.asarray, np.array, np.abs, lambda x: x.requires_grad_().numpy()):
        with pytest.raises(TypeError, match=message):
            read(x.detach())
    found = x.requires_grad_().numpy(force=True)
    assert type(found) is np.ndarray and found.tolist() == [1.5, -2.0]
    assert arrays.on_gpu(x.array) and x.array is x.detach().array
    assert Tensor([x[0].detach(), 2]).tolist() == [1.5, 2.0]
    assert Tensor(x.array).device == CUDA


def test_data_and_grad_across_devices() -> None:
    x, y = minicnn.ones(2, requires_grad=True), minicnn.zeros(2, device="cuda")
    x.data = y
    assert x.device == CUDA and x.is_leaf and x.requires_grad and x.data_ptr() == y.data_ptr()
    with pytest.raises(RuntimeError, match=r"on cpu does not fit a tensor .* on cuda:0"):
        x.grad = minicnn.ones(2)
    x.grad = minicnn.ones(2, device="cuda")
    x.sum().backward()
    assert x.grad.tolist() == [2, 2] and x.grad.device == CUDA
    x.data = minicnn.ones(2)
    assert x.device == CPU
    with pytest.raises(RuntimeError, match=r"its \.grad is on cuda:0"):
        x.sum().backward()


def test_the_names_of_types() -> None:
    x = minicnn.ones(2, device="cuda")
    assert x.type() == "minicnn.cuda.FloatTensor" and x.cpu().type() == "minicnn.FloatTensor"
    assert x.type("torch.DoubleTensor").device == CPU and x.type(minicnn.float64).device == CUDA
    assert x.cpu().type("torch.cuda.LongTensor").device == CUDA
    assert isinstance(x.cpu(), minicnn.FloatTensor) and not isinstance(x, minicnn.FloatTensor)
    minicnn.set_default_tensor_type("torch.cuda.DoubleTensor")
    try:
        assert minicnn.zeros(1).device == CUDA and minicnn.zeros(1).dtype == minicnn.float64
    finally:
        minicnn.set_default_tensor_type("torch.FloatTensor")
    assert minicnn.zeros(1).device == CPU and minicnn.zeros(1).dtype == minicnn.float32


def test_comparing_tensors() -> None:
    x = minicnn.ones(2, device="cuda")
    minicnn.testing.assert_close(x, x.clone())
    minicnn.testing.assert_close([x], [x.cpu()], check_device=False)
    with pytest.raises(AssertionError, match="devices differ: cuda:0 and cpu"):
        minicnn.testing.assert_close(x, x.cpu())
    with pytest.raises(AssertionError):
        minicnn.testing.assert_close(x, x * 2)


@pytest.mark.parametrize("name", HERE)
@pytest.mark.parametrize("place", [CUDA, SECOND])
def test_copies_stay_on_the_device(name: str, place: Any) -> None:
    x = there(name, str(place))
    x.note = [1]
    x.grad = x.detach().clone() if x.requires_grad else None
    for copied in (copy.copy(x), copy.deepcopy(x), *(pickle.loads(pickle.dumps(x, p)) for p in (0, 2, 5))):
        assert copied.device == place and copied.is_leaf and copied.requires_grad is x.requires_grad
        assert copied.tolist() == x.tolist() and copied.dtype == x.dtype and copied.note == [1]
        if name != "strided":
            assert copied.stride() == x.stride()
    assert copy.copy(x).data_ptr() == x.data_ptr() != copy.deepcopy(x).data_ptr() or not x.numel()
    if x.requires_grad:
        assert copy.deepcopy(x).grad.device == place


# ------------------------------------------------------------------------------------------------- saving and loading


def saved() -> dict[str, Any]:
    weight = minicnn.arange(6.0, device="cuda").view(2, 3)
    return {
        "w": weight, "tied": weight, "last": there("channels_last"), "second": minicnn.ones(2, device="cuda:1"),
        "here": minicnn.ones(3), "p": nn.Parameter(there("vector")), "a": np.arange(3), "device": CUDA,
    }  # fmt: skip


def file_of(value: Any) -> io.BytesIO:
    file = io.BytesIO()
    save(value, file)
    file.seek(0)
    return file


def places_of(state: dict[str, Any]) -> list[str]:
    return [str(state[name].device) for name in ("w", "last", "second", "here", "p")]


BOTH = ["cuda:0", "cuda:0", "cuda:1", "cpu", "cuda:0"]


@pytest.mark.parametrize(
    ("map_location", "expected"),
    [
        (None, BOTH),
        ("cpu", ["cpu"] * 5),
        (CPU, ["cpu"] * 5),
        ("cuda", ["cuda:0"] * 5),
        ("cuda:1", ["cuda:1"] * 5),
        (SECOND, ["cuda:1"] * 5),
        ("meta", ["meta"] * 5),
        ({"cuda:0": "cuda:1"}, ["cuda:1", "cuda:1", "cuda:1", "cpu", "cuda:1"]),
        ({"cuda:0": "cpu", "cuda:1": CUDA}, ["cpu", "cpu", "cuda:0", "cpu", "cpu"]),
        (OrderedDict(cpu="cuda"), ["cuda:0", "cuda:0", "cuda:1", "cuda:0", "cuda:0"]),
        (lambda storage, location: storage, ["cpu"] * 5),
        (lambda storage, location: storage.cuda(1), ["cuda:1"] * 5),
        (lambda storage, location: None, BOTH),
        (lambda storage, location: storage if location == "cuda:1" else None,
         ["cuda:0", "cuda:0", "cpu", "cpu", "cuda:0"]),
    ],
)  # fmt: skip
def test_where_a_file_is_loaded(map_location: Any, expected: list[str]) -> None:
    before = saved()
    found = load(file_of(before), map_location)
    assert places_of(found) == expected
    assert type(found["p"]) is nn.Parameter and found["device"] == CUDA and found["a"].tolist() == [0, 1, 2]
    if map_location != "meta":
        assert all(found[name].tolist() == before[name].tolist() for name in before if name != "device")
        assert found["tied"].data_ptr() == found["w"].data_ptr()
        assert found["last"].is_contiguous(memory_format=minicnn.channels_last)


def test_the_bytes_do_not_depend_on_the_device() -> None:
    """But for the names of devices, in the metadata."""
    here, there = (file_of({"w": minicnn.arange(6.0, device=d)}).getvalue() for d in ("cpu", "cuda"))
    assert here[-24:] == there[-24:] and len(there) > len(here) and b"cuda:0" in there


def test_a_gpu_that_is_not_there() -> None:
    file = file_of({"w": minicnn.ones(2, device="cuda:1")})
    with pytest.raises(CheckpointError, match=r"on device 'cuda:7', which is not there.*map_location"):
        load(file, {"cuda:1": "cuda:7"})
    file.seek(0)
    with pytest.raises(RuntimeError, match=r"load: .*no 'cuda:7'"):
        load(file, "cuda:7")


PROGRAM = """
import pickle, sys, minicnn
try:
    minicnn.load(sys.argv[1])
except RuntimeError as error:
    print("file:", error)
try:
    pickle.load(open(sys.argv[2], "rb"))
except RuntimeError as error:
    print("pickle:", error)
print(minicnn.load(sys.argv[1], map_location="cpu")["w"])
"""


def test_a_checkpoint_of_a_gpu_without_a_gpu(tmp_path: Path) -> None:
    w = minicnn.ones(2, device="cuda")
    save({"w": w}, tmp_path / "f.pt")
    (tmp_path / "f.pkl").write_bytes(pickle.dumps(w))
    environment = {**os.environ, "MINICNN_CUDA": "", "CUDA_VISIBLE_DEVICES": "-1"}
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "f.pt"), str(tmp_path / "f.pkl")]
    found = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    lines = found.splitlines()
    assert lines[0].startswith("file: Attempting to deserialize object on device 'cuda:0'")
    assert "map_location=minicnn.device('cpu')" in lines[0]
    assert lines[1].startswith("pickle: Attempting to deserialize a tensor on device 'cuda:0'")
    assert lines[2] == "tensor([1., 1.])"


def test_a_whole_training_state_crosses(tmp_path: Path) -> None:
    net = nn.Linear(3, 2).cuda()
    optimizer = optim.Adam(net.parameters())
    net(minicnn.ones(1, 3, device="cuda")).sum().backward()
    optimizer.step()
    save({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "f.pt")
    for place in ("cpu", "cuda:1"):
        other = nn.Linear(3, 2).to(place)
        update = optim.Adam(other.parameters())
        state = load(tmp_path / "f.pt", map_location=place)
        other.load_state_dict(state["net"])
        update.load_state_dict(state["optimizer"])
        assert other.weight.tolist() == net.weight.tolist() and str(other.weight.device) == place
        kept = update.state[other.weight]
        assert str(kept["exp_avg"].device) == place and kept["step"].device == CPU and kept["step"] == 1
        other(minicnn.ones(1, 3, device=place)).sum().backward()
        update.step()


def test_files_of_others_load_to_a_gpu(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"w": np.arange(3, dtype=np.float32)}, tmp_path / "f.safetensors")
    assert load(tmp_path / "f.safetensors")["w"].device == CPU
    assert load(tmp_path / "f.safetensors", "cuda")["w"].device == CUDA


def test_the_memory_of_a_gpu_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tensor that the machine could not hold may fit on its GPU."""
    from minicnn_kernels.geometry import SizeError, sizes

    monkeypatch.setattr(sizes, "memory", lambda: 1 << 20)
    monkeypatch.setattr(sizes, "_FEW", 0)
    assert minicnn.zeros(1 << 20, device="cuda").numel() == 1 << 20
    monkeypatch.setattr(sizes, "gpu_memory", lambda: 0)
    with pytest.raises(SizeError, match="takes 4,194,304 bytes, more than the 1,048,576"):
        minicnn.zeros(1 << 20)


# ------------------------------------------------------------------------------------------------- other entry points


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("norm", [minicnn.nn.functional.batch_norm, minicnn.nn.functional.instance_norm])
def test_statistics_on_another_device(norm: Any, training: bool) -> None:
    mean, var = minicnn.zeros(3), minicnn.ones(3)
    for x, m, v, places in (
        (minicnn.rand(2, 3, 4, device=CUDA), mean, var, "cuda:0 and cpu"),
        (minicnn.rand(2, 3, 4, device=CUDA), mean.to(SECOND), var.to(SECOND), "cuda:0 and cuda:1"),
        (minicnn.rand(2, 3, 4), mean.to(CUDA), var.to(CUDA), "cuda:0 and cpu"),
    ):
        with pytest.raises(RuntimeError, match=f"norm: Expected all tensors to be on the same device.*{places}"):
            norm(x, m, v, None, None, training)
        assert m.tolist() == [0, 0, 0] and v.tolist() == [1, 1, 1]


@pytest.mark.parametrize("place", [CUDA, SECOND])
def test_dlpack_of_a_tensor(place: minicnn.device) -> None:
    x = minicnn.zeros(2, 3, device=place)
    y = minicnn.from_dlpack(x)
    y[0] = 7
    assert y.device == place and x[0].tolist() == [7, 7, 7]
    with pytest.raises(BufferError, match=r"requires a gradient.*tensor\.detach\(\)"):
        minicnn.from_dlpack(x.requires_grad_())


def test_arrays_of_cupy(gpu: Any) -> None:
    array = gpu.zeros(3, dtype="float32")
    minicnn.from_dlpack(array).fill_(1)
    minicnn.as_tensor(array).add_(1)
    assert array.get().tolist() == [2, 2, 2]
    with pytest.raises(TypeError, match=r"an array of CuPy, on a GPU\); use minicnn\.as_tensor"):
        minicnn.from_numpy(array)


def test_the_interface_is_that_of_the_array(gpu: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x = minicnn.rand(2, device=CUDA)
    assert not hasattr(x, "__cuda_array_interface__") and not hasattr(x.cpu(), "__cuda_array_interface__")
    there = property(lambda array: {"shape": array.shape})  # as CuPy's arrays have it, and emulated ones do not
    monkeypatch.setattr(gpu.ndarray, "__cuda_array_interface__", there, raising=False)
    assert x.__cuda_array_interface__ == {"shape": (2,)} and not hasattr(x.cpu(), "__cuda_array_interface__")


@pytest.mark.parametrize("place", [CUDA, SECOND])
def test_data_parallel_moves_its_arguments(place: minicnn.device) -> None:
    class Sum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: Tensor, pair: tuple[Any, ...], *, extra: dict[str, Any]) -> Tensor:
            assert isinstance(pair, tuple) and pair[1] == "as it is"
            return self.layer(x) + pair[0] + extra["list"][0]

    net, x, y = Sum(), minicnn.rand(4, 3), minicnn.rand(4, 2)
    expected = nn.DataParallel(net)(x, (y, "as it is"), extra={"list": [y]})
    found = nn.DataParallel(net.to(place))(x, (y, "as it is"), extra={"list": [y]})
    assert expected.device == CPU and found.device == place
    assert np.allclose(found.detach().cpu().numpy(), expected.detach().numpy(), atol=1e-6)


def test_the_remedy_for_a_checkpoint_of_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    file = tmp_path / "there.mcnn"
    save(minicnn.ones(2, device=SECOND), file)
    monkeypatch.setattr(arrays.gpu().cuda.runtime, "getDeviceCount", lambda: 1)
    with pytest.raises(CheckpointError, match=r"map_location=\{'cuda:1': 'cuda:0'\} names another GPU"):
        load(file)
    monkeypatch.setattr(arrays.gpu().cuda.runtime, "getDeviceCount", lambda: 0)
    with pytest.raises(CheckpointError, match=r"map_location=minicnn\.device\('cpu'\)") as caught:
        load(file)
    assert "{" not in str(caught.value)
