"""Module: registration, iteration, modes, conversion, repr, parameters."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.nn import functional as F


def net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(4, 2)
    )


def test_names_are_pytorchs() -> None:
    assert list(net().state_dict()) == [
        "0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked", "5.weight",
        "5.bias",
    ]  # fmt: skip
    assert [name for name, _ in net().named_parameters()] == ["0.weight", "1.weight", "1.bias", "5.weight", "5.bias"]
    assert [name for name, _ in net().named_modules(prefix="net")][:2] == ["net", "net.0"]
    assert [name for name, _ in net().named_buffers(recurse=False)] == []


def test_attributes_register_and_unregister() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 3)
            self.scale = nn.Parameter(np.ones(1, np.float32))
            self.twin = self.layer  # the same layer: its parameters count once
            self.nothing: nn.Module | None = None

    model = Net()
    assert len(list(model.parameters())) == 3
    assert len(list(model.named_parameters(remove_duplicate=False))) == 5
    with pytest.raises(TypeError, match="cannot assign 'int' as parameter 'scale'"):
        model.scale = 3
    with pytest.raises(TypeError, match=r"cannot assign 'minicnn\.(cuda\.)?FloatTensor' as parameter 'scale'"):
        model.scale = minicnn.ones(1)
    model.scale = None
    assert len(list(model.parameters())) == 2
    model.nothing = nn.ReLU()
    assert "nothing" in model._modules
    del model.nothing, model.twin
    assert list(model._modules) == ["layer"]
    with pytest.raises(AttributeError, match="no attribute 'lay'"):
        model.lay  # noqa: B018

    class Early(nn.Module):
        def __init__(self) -> None:
            self.layer = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"call super\(\).__init__\(\)"):
        Early()


def test_a_name_changes_its_kind() -> None:
    model = nn.Module()
    model.register_buffer("x", minicnn.ones(1), persistent=False)
    model.x = nn.Parameter(minicnn.ones(2))
    assert (list(model._buffers), list(model._parameters), model._non_persistent_buffers_set) == ([], ["x"], set())
    model.y = 3
    model.y = nn.ReLU()
    assert "y" not in model.__dict__


@pytest.mark.parametrize(
    "call, error, text",
    [
        (lambda m: m.register_buffer("0", None), KeyError, "attribute '0' already exists"),
        (lambda m: m.register_buffer("a.b", None), KeyError, "contain"),
        (lambda m: m.register_parameter("", None), KeyError, "be empty string"),
        (lambda m: m.register_parameter("w", minicnn.ones(1)), TypeError, "Parameter or None required"),
        (lambda m: m.add_module(3, nn.ReLU()), TypeError, "module name should be a string"),
        (lambda m: m.add_module("x", 3), TypeError, "int is not a Module subclass"),
        (lambda m: m.get_submodule("7"), AttributeError, "has no attribute `7`"),
        (lambda m: m.get_buffer("0.weight"), AttributeError, "`weight` is not a buffer"),
        (lambda m: m.train("yes"), ValueError, "expected to be boolean"),
        (lambda m: m.bfloat16(), NotImplementedError, "use half"),
        (lambda m: nn.Module()(3), NotImplementedError, 'missing the required "forward"'),
    ],
)
def test_errors(call: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        call(net())


def test_parts_by_dotted_names() -> None:
    model = nn.Sequential(net())
    assert model.get_submodule("") is model
    assert model.get_parameter("0.0.weight") is model[0][0].weight
    assert model.get_buffer("0.1.running_var") is model[0][1].running_var
    model.set_submodule("0.2", nn.Tanh())
    assert isinstance(model[0][2], nn.Tanh)


def test_modes_reach_every_module() -> None:
    model = net()
    model.eval()
    assert not any(m.training for m in model.modules())
    model.train()
    assert all(m.training for m in model.modules())


def test_a_module_may_refuse_a_mode() -> None:
    class Frozen(nn.BatchNorm2d):
        def train(self, mode: bool = True) -> Frozen:
            return super().train(False)

    assert not nn.Sequential(Frozen(2)).train()[0].training


def test_deepcopy_and_pickle_are_independent() -> None:
    model = net()
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert isinstance(twin[0].weight, nn.Parameter)
        assert twin[0].weight.requires_grad
        assert np.array_equal(twin[0].weight.array, model[0].weight.array)
        twin[0].weight.data.fill_(0)
        assert model[0].weight.array.any()


def test_to_converts_parameters_gradients_and_buffers() -> None:
    model = net()
    weight = model[0].weight
    model(minicnn.ones(2, 1, 3, 3)).sum().backward()
    model.double()
    assert model[0].weight is weight  # an optimiser keeps its parameter
    assert {p.dtype for p in model.parameters()} == {p.grad.dtype for p in model.parameters()} == {minicnn.float64}
    assert model[1].running_mean.dtype == minicnn.float64
    assert model[1].num_batches_tracked.dtype == minicnn.int64
    assert net().to(minicnn.float64)[1].num_batches_tracked.dtype == minicnn.int64
    assert model.to("cpu") is model
    assert model.to(minicnn.ones(1)).half()[0].weight.dtype == minicnn.float16
    with pytest.raises(TypeError, match="floating point"):
        model.to(minicnn.int64)
    with pytest.raises(TypeError, match="unexpected dtyp"):
        model.to(dtyp=minicnn.float32)


@pytest.mark.cpu_only("asks for a GPU that is not there")
def test_to_a_gpu_that_is_not_there() -> None:
    with pytest.raises(RuntimeError, match="'cuda' is not available"):
        net().to("cuda")
    with pytest.raises(RuntimeError, match="not available"):
        net().cuda()


def test_meta_modules_have_no_memory_until_to_empty() -> None:
    with minicnn.device("meta"):
        model = net()
    assert all(t.is_meta for t in model.state_dict().values())
    assert model(minicnn.ones(5, 1, 3, 3, device="meta")).shape == (5, 2)
    with pytest.raises(NotImplementedError, match="to_empty"):
        model.to("cpu")
    model.to_empty(device=minicnn.get_default_device()).load_state_dict(net().state_dict())
    assert model(minicnn.ones(5, 1, 3, 3)).numel() == 10
    assert net().to("meta")[0].weight.is_meta


def test_freezing() -> None:
    model = net()
    model[0].requires_grad_(False)
    model(minicnn.tensor(np.ones((2, 1, 3, 3), np.float32))).sum().backward()
    assert model[0].weight.grad is None
    assert model[5].weight.grad is not None
    model.zero_grad(set_to_none=False)
    assert not model[5].weight.grad.any()
    model.zero_grad()
    assert model[5].weight.grad is None


def test_repr_is_pytorchs() -> None:
    assert repr(nn.Sequential(nn.Conv2d(3, 4, (3, 5), padding=1, groups=1, bias=False), nn.MaxPool2d(2))) == (
        "Sequential(\n"
        "  (0): Conv2d(3, 4, kernel_size=(3, 5), stride=(1, 1), padding=(1, 1), bias=False)\n"
        "  (1): MaxPool2d(kernel_size=2, stride=2, padding=0, dilation=1, ceil_mode=False)\n"
        ")"
    )

    class Two(nn.Module):
        def extra_repr(self) -> str:
            return "a=1\nb=2"

    assert repr(Two()) == "Two(\n  a=1\n  b=2\n)"


def test_parameters_share_memory_and_versions() -> None:
    values = minicnn.ones(3)
    parameter = nn.Parameter(values)
    y = (parameter * parameter).sum()
    values[0] = 5.0
    assert parameter.tolist() == [5, 1, 1]
    with pytest.raises(RuntimeError, match="changed in place"):
        y.backward()
    assert nn.Parameter().shape == (0,)
    frozen = nn.Parameter(minicnn.ones(1), requires_grad=False)
    assert repr(frozen) == f"Parameter containing:\n{frozen.detach()}"
    with pytest.raises(RuntimeError, match="floating"):
        nn.Parameter(minicnn.tensor([1]))
    with minicnn.no_grad():
        assert nn.Parameter(minicnn.ones(1)).requires_grad


def test_buffers_assigned_as_attributes() -> None:
    model = nn.Module()
    model.kept, model.passing = nn.Buffer(minicnn.ones(1)), nn.Buffer(minicnn.ones(2), persistent=False)
    assert list(model.state_dict()) == ["kept"]
    assert not copy.deepcopy(model).passing.persistent
    model.kept = minicnn.zeros(1)
    assert model.get_buffer("kept").item() == 0
    with pytest.raises(TypeError, match="as buffer 'kept'"):
        model.kept = 0


def test_data_parallel_runs_the_module() -> None:
    model = nn.DataParallel(nn.Linear(2, 3), device_ids=[0, 1])
    assert list(model.state_dict()) == ["module.weight", "module.bias"]
    assert model(minicnn.ones(4, 2)).shape == (4, 3)
    assert model.device_ids == [0, 1]
    assert not isinstance(model, nn.parallel.DistributedDataParallel)
    with pytest.raises(NotImplementedError, match="one process"):
        nn.parallel.DistributedDataParallel(model)


def test_to_takes_no_copy() -> None:
    layer = nn.Linear(2, 2)
    for call in (
        lambda: layer.to("cpu", copy=True),
        lambda: layer.to(copy=False),
        lambda: layer.to(minicnn.float64, False, True),
        lambda: layer.to("cpu", minicnn.float64, False, True),
    ):
        with pytest.raises(RuntimeError, match="does not accept copy argument"):
            call()
    assert layer.to("cpu", minicnn.float64, False).weight.dtype == minicnn.float64


def test_a_subclass_of_parameter_may_make_itself() -> None:
    class Scaled(nn.Parameter):
        def __new__(cls, data: Any = None, requires_grad: bool = True, scale: float = 1.0) -> Any:
            made = super().__new__(cls, data, requires_grad)
            made.scale = scale
            return made

        def __init__(self, data: Any = None, requires_grad: bool = True, scale: float = 1.0) -> None:
            super().__init__(data, requires_grad)

    own = Scaled(minicnn.ones(2), scale=3.0)
    assert (own.scale, own.tolist(), own.requires_grad) == (3.0, [1, 1], True)
    layer = nn.Module()
    layer.own = own
    assert list(layer.state_dict()) == ["own"]


@pytest.mark.parametrize("call", [
    lambda: F.conv2d(minicnn.ones(1, 1, 3, 3, dtype=minicnn.float64), minicnn.ones(1, 1, 1, 1)),
    lambda: F.conv_transpose2d(minicnn.ones(1, 1, 3, 3), minicnn.ones(1, 1, 1, 1, dtype=minicnn.float64)),
    lambda: F.linear(minicnn.ones(1, 3), minicnn.ones(2, 3), minicnn.ones(2, dtype=minicnn.float64)),
    lambda: F.batch_norm(minicnn.ones(2, 3, dtype=minicnn.float64), minicnn.ones(3), minicnn.ones(3)),
    lambda: F.nll_loss(minicnn.ones(2, 3), minicnn.ones(2)),
    lambda: F.gelu(minicnn.arange(3)),
    lambda: F.binary_cross_entropy(minicnn.ones(2), minicnn.ones(2, dtype=minicnn.float64)),
])  # fmt: skip
def test_types_that_do_not_fit_are_runtime_errors_and_type_errors(call: Any) -> None:
    with pytest.raises(RuntimeError):
        call()
    with pytest.raises(TypeError):
        call()


def test_to_takes_a_device_or_a_tensor() -> None:
    other = minicnn.ones(2)
    for thing in (nn.Linear(2, 2), minicnn.ones(3)):
        with pytest.raises(TypeError, match="invalid combination of arguments"):
            thing.to("cpu", other)
