"""Modules, parameters and state dicts in both libraries: names, reprs, conversions, errors."""

from __future__ import annotations

import copy
import pickle
from collections import OrderedDict
from typing import Any

import pytest
from differential.scenarios import Scenario, assert_same

import minicnn

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install torch")


def net(lib: Any) -> Any:
    """Parameters, buffers and modules of every kind, some of them None."""
    nn = lib.nn

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)
            self.blocks = nn.ModuleList([nn.Linear(2, 2) for _ in range(3)] + [nn.ReLU()])
            self.named = nn.ModuleDict({"b": nn.ReLU(), "a": nn.Sequential(nn.Linear(1, 1), nn.ReLU())})
            self.listed = nn.ParameterList([nn.Parameter(lib.ones(2, 3)), lib.ones(1), 3])
            self.register_buffer("buf", lib.ones(3))
            self.register_buffer("unsaved", lib.ones(1), persistent=False)
            self.register_buffer("nothing", None)
            self.register_parameter("absent", None)
            self.add_module("gone", None)
            self.plain = None
            self.bn = nn.BatchNorm2d(2)

    return Net()


def small(lib: Any) -> Any:
    return lib.nn.Sequential(lib.nn.Linear(2, 2), lib.nn.BatchNorm1d(2), lib.nn.Linear(2, 1, bias=False))


def early(lib: Any, attribute: str) -> Any:
    """A module that assigns an attribute before `super().__init__()`."""
    values = {"module": lambda: lib.nn.ReLU(), "parameter": lambda: lib.nn.Parameter(lib.ones(1))}

    class Early(lib.nn.Module):
        def __init__(self) -> None:
            if attribute == "buffer":
                self.register_buffer("a", lib.ones(1))
            self.a = values[attribute]()

    return Early()


def extra(lib: Any) -> Any:
    """A module with extra state."""

    class Extra(lib.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.x = 3
            self.linear = lib.nn.Linear(1, 1)

        def get_extra_state(self) -> Any:
            return {"x": self.x}

        def set_extra_state(self, state: Any) -> None:
            self.x = state["x"]

    return Extra()


def changed(lib: Any, **changes: Any) -> Any:
    """The state dict of `small`, with entries replaced, or left out for None."""
    state = OrderedDict(small(lib).state_dict())
    for name, value in changes.items():
        key = name.replace("__", ".").lstrip("_")
        state[key] = value
        if value is None:
            del state[key]
    return state


def after(module: Any, change: Any) -> Any:
    """The module after `change(module)`."""
    change(module)
    return module


def dtypes(module: Any) -> list[str]:
    return [str(value.dtype).rpartition(".")[2] for value in module.state_dict().values()]


def trained(lib: Any) -> Any:
    layer = lib.nn.Linear(2, 1)
    layer(lib.ones(1, 2)).sum().backward()
    return layer


def state_dict_hooks(lib: Any) -> Any:
    log: list[Any] = []
    layer = lib.nn.Linear(1, 1)
    layer.register_state_dict_pre_hook(lambda m, prefix, keep: log.append(("pre", prefix, keep)))
    layer.register_state_dict_post_hook(lambda m, state, prefix, meta: log.append(("post", list(state), prefix, meta)))
    layer.register_load_state_dict_pre_hook(lambda m, s, prefix, meta, *_: log.append((type(m).__name__, prefix, meta)))
    layer.register_load_state_dict_post_hook(lambda m, keys: log.append((type(m).__name__, list(keys))))
    model = lib.nn.Sequential(layer)
    model.load_state_dict(model.state_dict())
    return log


def hook_forgives(lib: Any) -> Any:
    layer = lib.nn.Linear(1, 1)
    layer.register_load_state_dict_post_hook(lambda m, keys: keys.missing_keys.clear())
    return repr(layer.load_state_dict({}))


def assigned(lib: Any) -> Any:
    model = small(lib)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    model.load_state_dict(state, assign=True)
    weight = model[0].weight
    own = model[1].running_mean is state["1.running_mean"]
    return weight.data_ptr() == state["0.weight"].data_ptr(), type(weight).__name__, weight.requires_grad, own


def scalar_of_old_files(lib: Any) -> Any:
    layer = lib.nn.BatchNorm1d(2)
    state = layer.state_dict()
    state["num_batches_tracked"] = lib.tensor([5])
    layer.load_state_dict(state)
    return layer.num_batches_tracked


def with_destination(lib: Any) -> Any:
    filled: dict[str, Any] = {}
    return small(lib).state_dict(destination=filled, prefix="q.") is filled, list(filled)


def shared(lib: Any) -> Any:
    layer = lib.nn.Linear(1, 1)
    both = lib.nn.Sequential(layer, layer)
    return (
        [name for name, _ in both.named_parameters()],
        [name for name, _ in both.named_parameters(remove_duplicate=False)],
        [name for name, _ in both.named_modules(remove_duplicate=False)],
        [name for name, _ in both.named_children()],
        list(both.state_dict()),
    )


def buffers(lib: Any) -> Any:
    class Owner(lib.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kept = lib.nn.Buffer(lib.ones(2))
            self.unsaved = lib.nn.Buffer(lib.ones(1), persistent=False)

    owner = Owner()
    copied = copy.deepcopy(owner)
    owner.kept = lib.ones(3)
    names = [name for name, _ in owner.named_buffers()]
    return list(owner.state_dict()), names, list(copied.state_dict()), isinstance(copied.unsaved, lib.nn.Buffer)


def applied(lib: Any) -> Any:
    log: list[str] = []
    small(lib).apply(lambda module: log.append(type(module).__name__))
    return log


def to_meta(lib: Any) -> Any:
    model = small(lib).to("meta")
    back = copy.deepcopy(model).to_empty(device="cpu")
    weight = back[0].weight
    return list(model.state_dict().values()), weight.device.type, type(weight).__name__, weight.requires_grad


SCENARIOS: dict[str, Scenario] = {
    "repr": lambda lib: repr(net(lib)),
    "keys": lambda lib: list(net(lib).state_dict()),
    "metadata": lambda lib: net(lib).state_dict()._metadata,
    "named_parameters": lambda lib: [name for name, _ in net(lib).named_parameters()],
    "named_parameters, own": lambda lib: [name for name, _ in net(lib).named_parameters("x", recurse=False)],
    "named_buffers": lambda lib: [name for name, _ in net(lib).named_buffers()],
    "named_modules": lambda lib: [name for name, _ in net(lib).named_modules(prefix="p")],
    "named_children": lambda lib: [name for name, _ in net(lib).named_children()],
    "dir": lambda lib: [name for name in dir(net(lib)) if name in ("conv", "buf", "absent", "bn", "training")],
    "shared modules": shared,
    "apply": applied,
    "assign to a module": lambda lib: setattr(net(lib), "conv", 3),
    "assign to a parameter": lambda lib: setattr(net(lib).conv, "weight", 3),
    "assign a tensor to a parameter": lambda lib: setattr(net(lib).conv, "weight", lib.ones(1)),
    "assign to a buffer": lambda lib: setattr(net(lib), "buf", 3),
    "buffer: exists": lambda lib: net(lib).register_buffer("conv", lib.ones(1)),
    "buffer: dot": lambda lib: net(lib).register_buffer("a.b", lib.ones(1)),
    "buffer: empty": lambda lib: net(lib).register_buffer("", lib.ones(1)),
    "buffer: no tensor": lambda lib: net(lib).register_buffer("q", 3),
    "buffer: no name": lambda lib: net(lib).register_buffer(3, lib.ones(3)),
    "parameter: exists": lambda lib: net(lib).register_parameter("buf", None),
    "parameter: tensor": lambda lib: net(lib).register_parameter("q", lib.ones(1)),
    "parameter: dot": lambda lib: net(lib).register_parameter("a.b", lib.nn.Parameter(lib.ones(1))),
    "module: no module": lambda lib: net(lib).add_module("q", 3),
    "module: exists": lambda lib: net(lib).add_module("buf", lib.nn.ReLU()),
    "module: dot": lambda lib: net(lib).add_module("a.b", lib.nn.ReLU()),
    "module: empty": lambda lib: net(lib).add_module("", lib.nn.ReLU()),
    "early module": lambda lib: early(lib, "module"),
    "early parameter": lambda lib: early(lib, "parameter"),
    "early buffer": lambda lib: early(lib, "buffer"),
    "no attribute": lambda lib: net(lib).foo,
    "no forward": lambda lib: net(lib)(lib.ones(1)),
    "train(3)": lambda lib: net(lib).train(3),
    "get_submodule": lambda lib: repr(net(lib).get_submodule("named.a.0")),
    "get_submodule: none": lambda lib: net(lib).get_submodule("named.c.0"),
    "get_submodule: tensor": lambda lib: net(lib).get_submodule("conv.weight"),
    "get_parameter": lambda lib: net(lib).get_parameter("conv.weight").shape[0],
    "get_parameter: none": lambda lib: net(lib).get_parameter("conv.weigh"),
    "get_parameter: buffer": lambda lib: net(lib).get_parameter("bn.running_mean"),
    "get_buffer": lambda lib: net(lib).get_buffer("bn.running_mean"),
    "get_buffer: parameter": lambda lib: net(lib).get_buffer("bn.weight"),
    "set_submodule": lambda lib: repr(after(net(lib), lambda m: m.set_submodule("named.b", lib.nn.Tanh()))),
    "set_submodule: nowhere": lambda lib: net(lib).set_submodule("", lib.nn.Tanh()),
    "set_submodule: strict": lambda lib: net(lib).set_submodule("named.z", lib.nn.Tanh(), strict=True),
    "set_submodule: tensor": lambda lib: net(lib).set_submodule("conv.weight", lib.nn.Tanh()),
    "load": lambda lib: repr(small(lib).load_state_dict(small(lib).state_dict())),
    "load: all errors": lambda lib: small(lib).load_state_dict(
        changed(lib, _0__bias=None, _2__weight=lib.ones(3), x__y=lib.ones(1), _1__foo=lib.ones(1), _0__weight=[1, 2])
    ),
    "load: sizes": lambda lib: small(lib).load_state_dict(changed(lib, _2__weight=lib.ones(3)), strict=False),
    "load: not strict": lambda lib: repr(
        small(lib).load_state_dict(changed(lib, _0__bias=None, z=lib.ones(1)), strict=False)
    ),
    "load: no dict": lambda lib: small(lib).load_state_dict(3),
    "load: uninitialised": lambda lib: lib.nn.Linear(5, 3).load_state_dict(lib.nn.LazyLinear(3).state_dict()),
    "load: assign": assigned,
    "load: scalar of old files": scalar_of_old_files,
    "state_dict: destination": with_destination,
    "state_dict: keep_vars": lambda lib: [type(v).__name__ for v in small(lib).state_dict(keep_vars=True).values()],
    "state_dict: detached": lambda lib: [v.requires_grad for v in small(lib).state_dict().values()],
    "state_dict: hooks": state_dict_hooks,
    "state_dict: post hook": hook_forgives,
    "extra state": lambda lib: list(extra(lib).state_dict()),
    "extra state: load": lambda lib: (
        after(extra(lib), lambda m: m.load_state_dict({**m.state_dict(), "_extra_state": {"x": 9}})).x
    ),
    "extra state: missing": lambda lib: extra(lib).load_state_dict({"linear.weight": 1}, strict=True),
    "extra state: unexpected": lambda lib: small(lib).load_state_dict(changed(lib, _extra_state=lib.ones(1))),
    "parameter": lambda lib: repr(lib.nn.Parameter(lib.ones(2))),
    "parameter: nothing": lambda lib: (lib.nn.Parameter(), lib.nn.Parameter().requires_grad),
    "parameter: copied": lambda lib: copy.deepcopy(lib.nn.Parameter(lib.ones(1), False)).requires_grad,
    "parameter: pickled": lambda lib: repr(pickle.loads(pickle.dumps(lib.nn.Parameter(lib.ones(2))))),
    "module: pickled": lambda lib: repr(pickle.loads(pickle.dumps(small(lib)))),
    "buffers": buffers,
    "double": lambda lib: dtypes(small(lib).double()),
    "half": lambda lib: dtypes(small(lib).half()),
    "type": lambda lib: dtypes(small(lib).type(lib.float64)),
    "to: int": lambda lib: small(lib).to(lib.int64),
    "to: keywords": lambda lib: dtypes(small(lib).to(device="cpu", dtype=lib.float64, non_blocking=True)),
    "to: tensor": lambda lib: dtypes(small(lib).to(lib.ones(1, dtype=lib.float64))),
    "to: both": lambda lib: dtypes(small(lib).to("cpu", lib.float64)),
    "to: meta": to_meta,
    "to: from meta": lambda lib: small(lib).to("meta").to("cpu"),
    "to: channels_last": lambda lib: lib.nn.Conv2d(3, 4, 2).to(memory_format=lib.channels_last).weight.stride(),
    "to: gradients": lambda lib: trained(lib).double().weight.grad.dtype == lib.float64,
    "zero_grad": lambda lib: after(trained(lib), lambda m: m.zero_grad(set_to_none=False)).weight.grad,
    "identity": lambda lib: (repr(lib.nn.Identity(3, a=4)), lib.nn.Identity()(5)),
    "unflatten": lambda lib: (repr(lib.nn.Unflatten(1, (2, 3))), lib.nn.Unflatten(1, (2, 3))(lib.ones(2, 6))),
    "unflatten: no tuple": lambda lib: lib.nn.Unflatten(1, 3),
    "unflatten: no ints": lambda lib: lib.nn.Unflatten(1, (2.0, 3)),
    "DataParallel": lambda lib: list(lib.nn.DataParallel(lib.nn.Linear(1, 1)).state_dict()),
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_as_in_pytorch(name: str) -> None:
    assert_same(SCENARIOS[name], minicnn, torch)
