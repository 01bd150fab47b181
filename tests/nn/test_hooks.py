"""Hooks: when they are called, which values they see and which they change."""

from __future__ import annotations

import copy
import weakref
from collections import OrderedDict
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import nn
from minicnn.nn import hooks


def linear() -> nn.Linear:
    layer = nn.Linear(2, 2, dtype=minicnn.float64)
    with minicnn.no_grad():
        layer.weight.copy_(minicnn.tensor([[1.0, 2.0], [3.0, 5.0]]))
        layer.bias.zero_()
    return layer


def point() -> minicnn.Tensor:
    return minicnn.tensor([[1.0, -1.0]], dtype=minicnn.float64, requires_grad=True)


def test_forward_hooks_see_and_replace() -> None:
    layer, seen = nn.ReLU(), []
    pre = layer.register_forward_pre_hook(lambda m, x: (x[0] * -1,))
    post = layer.register_forward_hook(lambda m, x, y: seen.append(y.tolist()) or y + 1)
    assert layer(minicnn.tensor([-2.0, 3.0])).tolist() == [3, 1]
    assert seen == [[2, 0]]
    pre.remove()
    post.remove()
    assert layer(minicnn.tensor([-2.0, 3.0])).tolist() == [0, 3]


def test_the_order_of_hooks() -> None:
    layer, log = nn.ReLU(), []
    for name in ("second", "third"):
        layer.register_forward_hook(lambda *_, name=name: log.append(name))
    layer.register_forward_hook(lambda *_: log.append("first"), prepend=True)
    everywhere = hooks.register_module_forward_hook(lambda *_: log.append("everywhere"))
    layer(minicnn.ones(1))
    everywhere.remove()
    layer(minicnn.ones(1))
    assert log == ["everywhere", "first", "second", "third", "first", "second", "third"]


def test_hooks_see_keywords_only_if_they_want_to() -> None:
    class Times(nn.Module):
        def forward(self, a: Any, *, b: Any) -> Any:
            return a * b

    module, seen = Times(), []
    module.register_forward_pre_hook(lambda m, args, kwargs: (args, {"b": kwargs["b"] + 1}), with_kwargs=True)
    module.register_forward_hook(lambda m, args, kwargs, y: seen.append(kwargs), with_kwargs=True)
    assert module(minicnn.ones(1), b=2).item() == 3
    assert seen == [{"b": 3}]
    module.register_forward_pre_hook(lambda m, args, kwargs: 3, with_kwargs=True)
    with pytest.raises(RuntimeError, match=r"tuple of \(new_args, new_kwargs\), but got 3"):
        module(minicnn.ones(1), b=2)


def test_hooks_that_are_always_called() -> None:
    class Broken(nn.Module):
        def forward(self, a: Any) -> Any:
            raise ValueError("broken")

    module, log = Broken(), []
    module.register_forward_hook(lambda m, args, y: log.append(y), always_call=True)
    module.register_forward_hook(lambda m, args, y: 1 / 0, always_call=True)
    module.register_forward_hook(lambda m, args, y: log.append("not this one"))
    with pytest.warns(UserWarning, match="division by zero"), pytest.raises(ValueError, match="broken"):
        module(minicnn.ones(1))
    assert log == [None]


def test_backward_hooks_see_and_replace() -> None:
    layer, x, log = linear(), point(), []
    layer.register_full_backward_pre_hook(lambda m, grad_output: (grad_output[0] * 2,))
    layer.register_full_backward_hook(lambda m, gi, go: log.append((gi[0].tolist(), go[0].tolist())))
    layer.register_full_backward_hook(lambda m, gi, go: (gi[0] * 10,))
    layer(x).sum().backward()
    assert log == [([[8, 14]], [[2, 2]])]
    assert x.grad.tolist() == [[80, 140]]
    assert layer.weight.grad.tolist() == [[2, -2], [2, -2]]  # doubled by the first hook only


def test_backward_hooks_where_no_input_needs_a_gradient() -> None:
    layer, log = linear(), []
    handle = layer.register_full_backward_hook(lambda m, gi, go: log.append((gi, go[0].tolist())))
    with pytest.warns(UserWarning, match="no inputs require gradients"):
        layer(point().detach()).sum().backward()
    assert log == [((None,), [[1, 1]])]
    handle.remove()
    layer.register_full_backward_hook(lambda m, gi, go: (minicnn.ones(1),))
    with pytest.raises(RuntimeError, match="no input requires gradient"), pytest.warns(UserWarning, match="no inputs"):
        layer(point().detach()).sum().backward()


def test_hooks_of_the_older_form_that_would_get_other_gradients_in_pytorch_give_a_warning() -> None:
    one, several = nn.ReLU(), nn.Sequential(nn.Tanh(), nn.ReLU())
    for module in (one, several):
        module.register_backward_hook(lambda m, gi, go: None)
    x = point() * 1
    one(x)
    with pytest.warns(FutureWarning, match="multiple autograd Nodes"):
        several(x)


def test_backward_hooks_of_several_inputs_and_outputs() -> None:
    class Two(nn.Module):
        def forward(self, a: Any, n: int, b: Any) -> Any:
            return a * b, a + n, n

    module, a, b, log = Two(), point(), point(), []
    module.register_full_backward_hook(lambda m, gi, go: log.append((len(gi), gi[1], len(go), go[1], go[2])))
    module(a, 3, b)[0].sum().backward()
    assert log == [(3, None, 3, None, None)]
    assert (a.grad.tolist(), b.grad.tolist()) == ([[1, -1]], [[1, -1]])
    module.register_full_backward_hook(lambda m, gi, go: (gi[0],))
    with pytest.raises(RuntimeError, match="invalid number of grad_input, got 1, but expected 3"):
        module(a, 3, b)[0].sum().backward()


def test_after_a_gate_memory_is_still_shared() -> None:
    class Through(nn.Module):
        def forward(self, a: Any, b: Any) -> Any:
            return b * b

    module, a, b = Through(), point(), point() * 1
    module.register_full_backward_hook(lambda *_: None)
    y = module(a, b)
    b.data[0, 0] = 9.0
    with pytest.raises(RuntimeError, match="changed in place"):
        y.sum().backward()


def test_other_outputs_have_no_backward_hooks() -> None:
    class Named(nn.Module):
        def forward(self, a: Any) -> Any:
            return {"y": a * 2}

    module, x = Named(), point()
    module.register_full_backward_hook(lambda *_: 1 / 0)
    with pytest.warns(UserWarning, match="Tensor or a tuple of Tensors"):
        module(x)["y"].sum().backward()
    assert x.grad.tolist() == [[2, 2]]


def test_hooks_at_work_without_a_graph() -> None:
    layer = linear()
    layer.register_full_backward_hook(lambda *_: 1 / 0)
    with minicnn.no_grad():
        assert not layer(point()).requires_grad
    assert layer(minicnn.ones(3, 2, dtype=minicnn.float64)).shape == (3, 2)


def test_one_kind_of_backward_hook_at_a_time() -> None:
    layer, x, seen = nn.ReLU(), point(), []
    layer.register_backward_hook(lambda m, gi, go: seen.append(gi[0].tolist()))
    layer(x).sum().backward()
    assert seen == [[[1, 0]]]
    with pytest.raises(RuntimeError, match="Cannot use both"):
        layer.register_full_backward_hook(lambda *_: None)


def test_a_copy_has_its_own_hooks() -> None:
    layer, log = nn.ReLU(), []
    handle = layer.register_forward_hook(lambda *_: log.append(1))
    twin = copy.deepcopy(layer)
    handle.remove()
    layer(minicnn.ones(1))
    twin(minicnn.ones(1))
    assert log == [1]


def test_grad_cam() -> None:
    """The published recipe: activations and gradients of a layer inside a net."""
    minicnn.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(1, 3, 3), nn.ReLU(), nn.Flatten(), nn.Linear(12, 2))
    kept: dict[str, Any] = {}
    net[1].register_forward_hook(lambda m, args, y: kept.update(activation=y.detach()))
    net[1].register_full_backward_hook(lambda m, gi, go: kept.update(gradient=go[0].detach()))
    net(minicnn.ones(1, 1, 4, 4))[0, 1].backward()
    want = net[3].weight.array[1].reshape(1, 3, 2, 2)
    np.testing.assert_allclose(kept["gradient"].numpy(), want)
    assert kept["activation"].shape == (1, 3, 2, 2)


def test_hooks_at_registration() -> None:
    log: list[Any] = []
    handles = [
        hooks.register_module_parameter_registration_hook(lambda m, name, value: log.append(name)),
        hooks.register_module_buffer_registration_hook(lambda m, name, value: minicnn.zeros(1)),
        hooks.register_module_module_registration_hook(lambda m, name, value: nn.Tanh()),
    ]
    try:
        model = nn.Sequential(nn.ReLU())
        model.weight = nn.Parameter(minicnn.ones(1))
        model.register_buffer("buffer", minicnn.ones(1))
    finally:
        for handle in handles:
            handle.remove()
    assert (log, model.buffer.item(), type(model[0]).__name__) == (["weight"], 0, "Tanh")


def test_a_named_result_keeps_its_names() -> None:
    """Of a module with a hook on its gradients, whose result passes through a gate."""

    class Largest(nn.Module):
        def forward(self, x: Any) -> Any:
            return x.max(1)

    module, seen = Largest(), []
    module.register_full_backward_hook(lambda module, gx, gy: seen.append(gy[0].shape))
    found = module(minicnn.randn(2, 3, requires_grad=True))
    found.values.sum().backward()
    assert found.indices.shape == (2,) and seen == [(2,)]


def test_a_handle_takes_its_flags_away() -> None:
    layer = nn.ReLU()
    handle = layer.register_forward_hook(lambda *_: None, with_kwargs=True, always_call=True)
    flagged = layer._forward_hooks, layer._forward_hooks_with_kwargs, layer._forward_hooks_always_called
    assert [list(kind) for kind in flagged] == [[handle.id]] * 3
    assert handle.hooks_dict_ref() is layer._forward_hooks
    handle.remove()
    assert [len(kind) for kind in flagged] == [0, 0, 0]
    handle.remove()


def test_a_handle_keeps_no_module_alive() -> None:
    layer, memory = nn.ReLU(), [1]
    kept = weakref.ref(layer)
    handle = layer.register_forward_hook(lambda *_: memory.append(2))
    layer.register_load_state_dict_pre_hook(lambda *_: None)
    del layer
    assert kept() is None  # without a garbage collection
    assert handle.hooks_dict_ref() is None
    handle.remove()


def test_copies_of_handles_and_hooks_belong_to_the_copied_module() -> None:
    layer = nn.Linear(2, 2)
    layer.handle = layer.register_forward_hook(lambda module, args, output: output * 0)
    seen: list[Any] = []
    layer.register_load_state_dict_pre_hook(lambda module, *_: seen.append(module))
    twin = copy.deepcopy(layer)
    twin.handle.remove()
    assert (len(twin._forward_hooks), len(layer._forward_hooks)) == (0, 1)
    twin.load_state_dict(layer.state_dict())
    assert len(seen) == 1 and seen[0] is twin


def test_the_hooks_of_all_modules_can_be_replaced() -> None:
    file, seen = nn.modules.module, []
    before = file._global_forward_hooks
    hooks.register_module_forward_hook(lambda *_: seen.append(1), always_call=True)
    assert len(before) == len(file._global_forward_hooks_always_called) == 1
    nn.ReLU()(minicnn.ones(1))
    file._global_forward_hooks, file._global_forward_hooks_always_called = OrderedDict(), OrderedDict()
    nn.ReLU()(minicnn.ones(1))
    assert seen == [1] and not hooks.EVERYWHERE["_forward_hooks"]
