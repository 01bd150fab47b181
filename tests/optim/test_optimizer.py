"""Groups, state dicts, hooks and errors of optimisers."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import numpy as np
import pytest

import minicnn
from minicnn import Tensor, nn, optim
from minicnn.optim.optimizer import (
    Optimizer,
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
    required,
)


def parameter(*values: float) -> nn.Parameter:
    """A parameter with a gradient of ones."""
    p = nn.Parameter(np.array(values or [1], float))
    p.grad = Tensor(np.ones(p.shape))
    return p


def test_groups_have_their_own_options() -> None:
    a, b, c = (parameter() for _ in range(3))
    optimizer = optim.SGD([{"params": [a]}, {"params": b, "lr": 0.5}], lr=0.1)
    optimizer.add_param_group({"params": [c], "lr": 0, "remark": "frozen"})
    optimizer.step()
    assert [p.item() for p in (a, b, c)] == pytest.approx([0.9, 0.5, 1])
    assert optimizer.param_groups[2]["remark"] == "frozen"


def test_parameters_without_a_gradient_stay() -> None:
    p = nn.Parameter(np.ones(1))
    optimizer = optim.AdamW([p], 0.1, weight_decay=1)
    optimizer.step()
    assert p.item() == 1 and not optimizer.state


def test_a_step_between_forward_and_backward_is_noticed() -> None:
    p = parameter(1, 2)
    loss = (p * p).sum()
    optim.SGD([p], 0.1).step()
    with pytest.raises(RuntimeError, match="changed in place"):
        loss.backward()


def test_zero_grad() -> None:
    p = parameter(1, 2)
    optimizer = optim.SGD([p], 0.1)
    optimizer.zero_grad(set_to_none=False)
    assert p.grad is not None and p.grad.tolist() == [0, 0]
    optimizer.zero_grad()
    assert p.grad is None


def test_closure() -> None:
    p = nn.Parameter(np.ones(1))
    optimizer = optim.SGD([p], 0.1)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = (p * p).sum()
        loss.backward()
        return loss

    with minicnn.no_grad():
        assert optimizer.step(closure).item() == 1
    assert p.item() == pytest.approx(0.8)


def test_names() -> None:
    net = nn.Linear(2, 1)
    optimizer = optim.SGD(net.named_parameters(), 0.1)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    unnamed = optim.SGD(net.parameters(), 0.1)
    unnamed.load_state_dict(optimizer.state_dict())
    assert unnamed.param_groups[0]["param_names"] == ["weight", "bias"]
    optimizer.load_state_dict(optim.SGD(net.parameters(), 0.5).state_dict())
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    with pytest.raises(ValueError, match="Some param names are missing"):
        optim.SGD([("w", net.weight), net.bias], 0.1)
    with pytest.raises(ValueError, match="cannot add param group without names"):
        optimizer.add_param_group({"params": [nn.Parameter(np.ones(1))]})


def test_repr() -> None:
    text = repr(optim.SGD([{"params": parameter()}, {"params": parameter(), "lr": 1}], 0.1))
    assert text.startswith("SGD (\nParameter Group 0\n    dampening: 0\n    differentiable: False\n    foreach: None\n")
    assert text.endswith("    weight_decay: 0\n)") and "\n\nParameter Group 1\n" in text


def test_rates_that_are_tensors() -> None:
    p, rate = parameter(), minicnn.tensor(0.5)
    optimizer = optim.SGD([p], lr=rate)
    optimizer.step()
    rate.fill_(0.25)
    optimizer.step()
    assert p.item() == 0.25


def test_bad_calls() -> None:
    p = parameter()
    for call, error, text in [
        (lambda: optim.SGD([], 0.1), ValueError, "empty parameter list"),
        (lambda: optim.SGD(p, 0.1), TypeError, "iterable of Tensors"),
        (lambda: optim.SGD([{"params": {p}}], 0.1), TypeError, "ordered collections"),
        (lambda: optim.SGD([{"params": p}, {"params": p}], 0.1), ValueError, "more than one parameter group"),
        (lambda: optim.SGD([p, 1], 0.1), TypeError, "one of the params is int"),
        (lambda: optim.SGD([p * 2], 0.1), ValueError, "can't optimize a non-leaf Tensor"),
        (lambda: optim.SGD([p]).add_param_group([p]), TypeError, "must be a dict"),
        (lambda: optim.SGD([p], -1), ValueError, "Invalid learning rate: -1"),
        (lambda: optim.SGD([p], float("nan")), ValueError, "Invalid learning rate: nan"),
        (lambda: optim.SGD([p], 0.1, nesterov=True), ValueError, "Nesterov momentum requires a momentum"),
        (lambda: optim.Adam([p], betas=(0.9, 1.0)), ValueError, "Invalid beta parameter at index 1: 1.0"),
        (lambda: optim.RMSprop([p], alpha=-1), ValueError, "Invalid alpha value: -1"),
        (lambda: optim.Adam([p], eps=-1), ValueError, "Invalid epsilon value: -1"),
        (lambda: optim.Adam([p], capturable=True).step(), AssertionError, "set it to False"),
        (lambda: Optimizer([p], {"lr": required}), ValueError, "required optimization parameter lr"),
        (lambda: Optimizer([p], {}).step(), NotImplementedError, "define one"),
    ]:
        with pytest.raises(error, match=text):
            call()
    with pytest.warns(UserWarning, match="duplicate parameters"):
        optim.SGD([p, p], 0.1)
    with pytest.raises(RuntimeError, match=r"gradient of shape \(3,\) .* does not fit a tensor of shape \(1,\)"):
        p.grad = Tensor(np.ones(3))
    p._grad = Tensor(np.ones(3))
    with pytest.raises(RuntimeError, match=r"of shape .*1.* has shape .*3"):
        optim.SGD([p], 0.1).step()


# ------------------------------------------------------------------------------------------------------------- state


@pytest.mark.parametrize("name", ["SGD", "Adam", "NAdam", "ASGD"])
def test_the_state_continues(name: str) -> None:
    options: dict[str, Any] = {"momentum": 0.9} if name == "SGD" else {}

    def run(optimizer: Any, p: nn.Parameter, steps: range) -> None:
        for i in steps:
            p.grad = Tensor(np.full(2, i + 1.0))
            optimizer.step()

    p, q = parameter(1, 2), parameter(1, 2)
    whole, first = getattr(optim, name)([p], 0.1, **options), getattr(optim, name)([q], 0.1, **options)
    run(whole, p, range(6))
    run(first, q, range(3))
    second = getattr(optim, name)([q], 0.5)
    second.load_state_dict(first.state_dict())
    before = copy.deepcopy(first.state_dict())
    run(second, q, range(3, 6))
    assert p.tolist() == pytest.approx(q.tolist(), rel=1e-6)  # the numbers in the state are loaded in float64
    after = first.state_dict()  # that of the first is not the memory of the second
    assert all(np.array_equal(after["state"][0][k].numpy(), v.numpy()) for k, v in before["state"][0].items())


def test_loading_converts() -> None:
    p = nn.Parameter(np.ones(2, np.float32))
    optimizer = optim.Adam([p], 0.1)
    state = {"step": 3, "exp_avg": Tensor(np.ones(2)), "exp_avg_sq": np.ones(2)}
    groups = [{"params": [7], "lr": 0.5}]  # as little as an old file may have
    optimizer.load_state_dict({"state": {7: state, "extra": 1}, "param_groups": groups})
    found = optimizer.state[p]
    assert {k: v.dtype for k, v in found.items()} == dict.fromkeys(state, np.float32)
    assert found["step"].item() == 3 and optimizer.state["extra"] == 1
    p.grad = Tensor(np.ones(2, np.float32))
    optimizer.step()
    assert found["step"].item() == 4 and optimizer.param_groups[0]["betas"] == (0.9, 0.999)
    assert "params" in groups[0] and groups[0]["params"] == [7]


def test_states_that_do_not_fit() -> None:
    one, two = optim.SGD([parameter()], 0.1), optim.SGD([{"params": parameter()}, {"params": parameter()}], 0.1)
    with pytest.raises(ValueError, match="different number of parameter groups: 2 instead of 1"):
        one.load_state_dict(two.state_dict())
    with pytest.raises(ValueError, match=r"doesn't match the size of optimizer's group: group 0 has 1 parameters"):
        optim.SGD([parameter(), parameter()], 0.1).load_state_dict(one.state_dict())


def test_adamw_goes_on_from_adam() -> None:
    p = parameter()
    optimizer = optim.AdamW([p])
    optimizer.load_state_dict(optim.Adam([p]).state_dict())
    assert optimizer.param_groups[0]["decoupled_weight_decay"]


@pytest.mark.parametrize("how", [copy.deepcopy, lambda o: pickle.loads(pickle.dumps(o))])
def test_copies(how: Any) -> None:
    p = parameter(1, 2)
    optimizer = optim.Adam([p], 0.1)
    optim.lr_scheduler.StepLR(optimizer, 1)
    optimizer.step()
    other = how(optimizer)
    (q,) = other.param_groups[0]["params"]
    assert q is not p and list(other.state) == [q]
    q.grad = Tensor(np.ones(2))
    other.step()
    assert other.state[q]["step"].item() == 2 and optimizer.state[p]["step"].item() == 1


# -------------------------------------------------------------------------------------------------------------- hooks


def test_hooks_around_steps() -> None:
    p, log = parameter(), []
    optimizer = optim.SGD([p], 0.1)
    handles = [
        optimizer.register_step_pre_hook(lambda o, args, kwargs: log.append(("before", o is optimizer, len(args)))),
        optimizer.register_step_post_hook(lambda o, args, kwargs: log.append(("after", p.item()))),
        register_optimizer_step_pre_hook(lambda o, args, kwargs: log.append("every, before")),
        register_optimizer_step_post_hook(lambda o, args, kwargs: log.append("every, after")),
    ]
    optimizer.step()
    assert log == ["every, before", ("before", True, 1), ("after", pytest.approx(0.9)), "every, after"]
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert len(log) == 4
    optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: 7), {}))
    assert optimizer.step() == 7
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 7)
    with pytest.raises(RuntimeError, match="must return None or a tuple"):
        optimizer.step()


def test_hooks_run_once_for_a_subclass() -> None:
    class Twice(optim.SGD):
        def step(self, closure: Any = None) -> Any:
            super().step()
            return super().step(closure)

    p, log = parameter(), []
    optimizer = Twice([p], 0.25)
    optimizer.register_step_post_hook(lambda *args: log.append(p.item()))
    optimizer.step()
    assert log == [0.5]


def test_hooks_around_state_dicts() -> None:
    optimizer, log = optim.SGD([parameter()], 0.1), []
    optimizer.register_state_dict_pre_hook(lambda o: log.append("save"))
    optimizer.register_state_dict_pre_hook(lambda o: log.append("first"), prepend=True)
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "extra": 1})
    optimizer.register_load_state_dict_pre_hook(lambda o, state: {**state, "state": {}})
    optimizer.register_load_state_dict_post_hook(lambda o: log.append("loaded"))
    state = optimizer.state_dict()
    optimizer.load_state_dict(state)
    assert state["extra"] == 1 and log == ["first", "save", "loaded"]


def test_an_optimiser_of_ones_own() -> None:
    """An optimiser as users publish them: state in `self.state[p]`, writing through `.data`."""

    class Signs(Optimizer):
        def __init__(self, params: Any, lr: Any = required) -> None:
            super().__init__(params, {"lr": lr})

        @minicnn.no_grad()
        def step(self, closure: Any = None) -> None:
            for group in self.param_groups:
                for p in group["params"]:
                    state = self.state[p]
                    state["count"] = state.get("count", 0) + 1
                    p.data = p.data - group["lr"] * p.grad

    with pytest.raises(ValueError, match="required optimization parameter lr"):
        Signs([parameter()])
    p = parameter(1)
    optimizer = Signs([{"params": [p], "lr": 0.5}])
    schedule = optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    for _ in range(2):
        optimizer.step()
        schedule.step()
    assert p.item() == 0.25 and optimizer.state_dict()["state"] == {0: {"count": 2}}


def test_a_recorded_step_of_a_leaf_is_refused() -> None:
    p = nn.Parameter(minicnn.ones(2))
    optimizer = optim.Adam([p], differentiable=True)
    optimizer.step()  # no gradient: nothing to record
    p.grad = minicnn.ones(2)
    with pytest.raises(RuntimeError, match="a leaf Variable that requires grad"):
        optimizer.step()
    assert p.tolist() == [1, 1]
    with minicnn.no_grad():
        optimizer.step()
    assert p[0].item() < 1


@pytest.mark.parametrize("name", ["SGD", "Adam", "AdamW", "Adagrad"])
def test_fused_needs_parameters_with_memory(name: str) -> None:
    net = nn.Linear(2, 3, device="meta")
    optimizer = getattr(optim, name)(net.parameters(), fused=True)
    for p in net.parameters():
        p.grad = minicnn.empty_like(p)
    with pytest.raises(RuntimeError, match="`fused=True` requires all the params to be floating point Tensors"):
        optimizer.step()
