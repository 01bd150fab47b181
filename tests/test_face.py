"""What PyTorch programs use besides tensors and layers, and the errors for unknown names."""

from __future__ import annotations

import importlib

import minicnn.backends.cudnn as cudnn
import numpy as np
import pytest

import minicnn
import minicnn.nn.functional as F
from minicnn import nn, optim


@pytest.mark.parametrize(
    ("place", "name", "remedy"),
    [
        (minicnn, "bfloat16", "NumPy has no bfloat16; use minicnn.float32"),
        (minicnn, "fft", "use numpy.fft on x.numpy"),
        (minicnn, "kaiser_window", "use scipy.signal.windows"),
        (minicnn, "view_as_complex", "tensors are real"),
        (nn, "LSTM", "sequence models are left out"),
        (minicnn, "embedding", "minicnn.nn.functional.embedding"),
        (nn, "AdaptiveLogSoftmaxWithLoss", "minicnn.nn.CrossEntropyLoss"),
        (F, "ctc_loss", "sequence models and their losses are left out"),
        (F, "relux", "use relu"),
        (optim, "SparseAdam", "tensors are dense"),
        (optim, "Adamm", "use Adam"),
        (optim.lr_scheduler, "StepLr", "use StepLR"),
        (nn.init, "xavier_unifrom_", "use xavier_uniform_"),
        (minicnn, "ediff1d", "numpy.ediff1d on x.numpy"),
        (minicnn, "no_such_thing_at_all", "docs/pytorch.md"),
        (minicnn.zeros(1), "cuda_", "the devices are minicnn.device"),
        (minicnn.zeros(1), "reshap", "use reshape"),
    ],
)
def test_unknown_names_say_what_to_use(place: object, name: str, remedy: str) -> None:
    with pytest.raises(AttributeError) as caught:
        getattr(place, name)
    assert f"no attribute {name!r}" in str(caught.value) and remedy in str(caught.value)


def test_protocols_are_asked_for_in_vain_without_a_word() -> None:
    assert not hasattr(minicnn.zeros(1), "__cuda_array_interface__")
    assert not hasattr(minicnn, "__path_of_nothing__")


@pytest.mark.parametrize(
    "name",
    [
        "minicnn.nn.functional", "minicnn.nn.init", "minicnn.nn.utils", "minicnn.nn.parameter",
        "minicnn.nn.modules.utils", "minicnn.nn.modules.conv", "minicnn.nn.modules.batchnorm",
        "minicnn.optim.lr_scheduler", "minicnn.optim.swa_utils", "minicnn.utils.data", "minicnn.utils.checkpoint",
        "minicnn.utils.model_zoo", "minicnn.autograd.function", "minicnn.backends.cudnn", "minicnn.cuda.amp",
        "minicnn.amp", "minicnn.hub", "minicnn.jit", "minicnn.fx", "minicnn.testing", "minicnn.jit.annotations",
        "minicnn.utils.hooks", "minicnn.ops.misc", "minicnn.linalg", "minicnn.models", "minicnn.transforms",
        "minicnn.datasets", "minicnn.nn.grad", "minicnn.utils.data.dataloader", "minicnn.utils.data.dataset",
        "minicnn.utils.data.sampler", "minicnn.autograd.graph", "minicnn.autograd.variable",
    ],
)  # fmt: skip
def test_modules_can_be_imported(name: str) -> None:
    assert importlib.import_module(name).__name__


def test_a_gpu_is_not_found_and_not_missed() -> None:
    device = minicnn.device("cuda" if minicnn.cuda.is_available() else "cpu")
    assert device.type == "cpu" and minicnn.cuda.device_count() == 0
    minicnn.cuda.manual_seed_all(1)
    minicnn.cuda.synchronize()
    minicnn.cuda.empty_cache()
    minicnn.cuda.ipc_collect()
    cudnn.benchmark = minicnn.backends.cuda.matmul.allow_tf32 = True
    assert not minicnn.backends.cuda.is_built()
    with pytest.raises(RuntimeError, match="'cuda' is not available; compute on 'cpu'"):
        minicnn.cuda.get_device_name(0)
    assert not minicnn.backends.mps.is_available()


def test_mixed_precision_warns_and_changes_nothing() -> None:
    w = nn.Parameter(minicnn.ones(2))
    sgd = optim.SGD([w], lr=0.5)
    with pytest.warns(UserWarning, match="disabled"):
        scaler = minicnn.cuda.amp.GradScaler()
    with pytest.warns(UserWarning, match="disabled"), minicnn.amp.autocast("cuda"):
        loss = (w * 2).sum()
    scaler.scale(loss).backward()
    scaler.unscale_(sgd)
    scaler.step(sgd)
    scaler.update()
    assert w.tolist() == [0, 0] and not scaler.is_enabled() and scaler.state_dict() == {}
    with minicnn.amp.autocast("cuda", enabled=False):
        pass


def test_scripted_functions_are_the_functions() -> None:
    @minicnn.jit.script
    def double(x: minicnn.Tensor) -> minicnn.Tensor:
        return x * 2

    class Net(nn.Module):
        @minicnn.jit.ignore
        def one(self) -> int:
            return 1

        @minicnn.jit.ignore(drop=True)
        def two(self) -> int:
            return 2

        @minicnn.jit.unused
        def three(self) -> int:
            return 3

    net = minicnn.jit.script(Net())
    assert double(minicnn.ones(1)).item() == 2
    assert (net.one(), net.two(), net.three()) == (1, 2, 3)
    assert not minicnn.jit.is_scripting() and minicnn.fx.wrap(double) is double
    with pytest.raises(NotImplementedError, match="call the module itself"):
        minicnn.jit.trace(net, minicnn.ones(1))


def test_programs_of_repositories_are_not_run() -> None:
    with pytest.raises(NotImplementedError, match=r"get_model\('resnet18', weights='DEFAULT'\)"):
        minicnn.hub.load("pytorch/vision", "resnet18")


def test_closeness() -> None:
    close = minicnn.testing.assert_close
    x = minicnn.ones(3)
    close(x, x + 1e-6)
    close({"a": [x, 1]}, {"a": [x, 1]})
    close(x, x.double(), check_dtype=False)
    for a, b in [(x, x + 1e-3), (x, minicnn.ones(2)), (x, x.double()), ([x], [x, x]), ({"a": x}, {"b": x})]:
        with pytest.raises(AssertionError):
            close(a, b)
    nan = minicnn.tensor([np.nan])
    close(nan, nan, equal_nan=True)
    with pytest.raises(AssertionError):
        close(nan, nan)


def test_dtypes_have_pytorchs_names() -> None:
    names = {
        "float": "float32", "double": "float64", "half": "float16", "long": "int64", "int": "int32", "short": "int16",
        "bool": "bool", "uint8": "uint8", "int8": "int8",
    }  # fmt: skip
    for name, kind in names.items():
        assert getattr(minicnn, name) == np.dtype(kind)
    assert minicnn.finfo(minicnn.float32).eps == np.finfo(np.float32).eps
    assert minicnn.iinfo(minicnn.int).max == 2**31 - 1
    assert minicnn.Size([2, 3]).numel() == 6 and repr(minicnn.zeros(2, 3).shape) == "minicnn.Size([2, 3])"
    assert f"{minicnn.zeros(2, 3).shape}" == "(2, 3)"


def test_random_state_can_be_kept() -> None:
    minicnn.manual_seed(3)
    assert minicnn.initial_seed() == 3
    state = minicnn.get_rng_state()
    a = minicnn.rand(3).tolist()
    minicnn.set_rng_state(state)
    assert minicnn.rand(3).tolist() == a
    assert isinstance(minicnn.seed(), int)


def test_threads_and_determinism_can_be_asked_for() -> None:
    n = minicnn.get_num_threads()
    minicnn.set_num_threads(1)
    assert minicnn.get_num_threads() == 1
    minicnn.set_num_threads(n)
    with pytest.warns(UserWarning, match="set_num_threads: 4096 threads are asked for, but "):
        minicnn.set_num_threads(4096)
    assert minicnn.get_num_threads() >= n
    minicnn.set_num_threads(np.int64(n))
    assert minicnn.get_num_threads() == n
    for change in (minicnn.set_num_threads, minicnn.set_num_interop_threads):
        for wrong in (0, -1):
            with pytest.raises(ValueError, match=rf"{change.__name__}: {wrong} threads compute nothing"):
                change(wrong)
        for other in (True, 2.0, "2", None):
            with pytest.raises(TypeError, match=f"{change.__name__}: the number of threads must be an int"):
                change(other)
    assert minicnn.get_num_interop_threads() == 1
    minicnn.set_num_interop_threads(3)
    assert minicnn.get_num_interop_threads() == 3
    minicnn.set_num_interop_threads(1)
    minicnn.use_deterministic_algorithms(True)
    assert minicnn.are_deterministic_algorithms_enabled()
    assert minicnn.is_tensor(minicnn.zeros(1)) and not minicnn.is_tensor([1])
    assert minicnn.numel(minicnn.zeros(2, 3)) == 6


def test_memory_that_is_kept_can_be_given_back() -> None:
    from minicnn_kernels import memory, runtime

    minicnn.nn.functional.conv2d(minicnn.randn(8, 16, 64, 64), minicnn.randn(32, 16, 3, 3)).relu()  # 4 MB, and scratch
    assert memory.held() > 0
    x = minicnn.ones(8, 32, 62, 62) * 2
    assert minicnn.free_memory() > 0
    assert not runtime._workspaces and minicnn.free_memory() == 0
    assert x.eq(2).all()
    del x
    minicnn.free_memory()


def test_the_accelerator_is_the_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    from minicnn import accelerator

    for number in (0, 1):
        monkeypatch.setattr(accelerator, "is_available", lambda number=number: bool(number))
        found = accelerator.current_accelerator()
        assert str(found) == ("cuda" if number else "None")
    assert accelerator.device_count is minicnn.cuda.device_count


def test_the_summary_as_a_text() -> None:
    text, numbers = minicnn.summary_string(nn.Linear(4, 2), (4,), device=minicnn.device("cpu"))
    assert numbers == (10, 10)
    assert text == str(minicnn.summary(nn.Linear(4, 2), (4,), verbose=0))
