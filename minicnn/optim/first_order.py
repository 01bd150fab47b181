"""The base of all optimisers but LBFGS: they change each element of a parameter by its gradient and its state alone.

`step` calls `update_many` for every group of parameters. That calls `update_one`, written in NumPy, for one parameter
after the other; in a `KernelOptimizer` it calls one kernel of `minicnn_kernels.optimizers` for all of them.

In a group with differentiable=True the same NumPy expressions run on tensors that stand in the place of arrays
(`Recorded`), and the tape records them: gradients then flow through the step to the old parameter, its gradient, the
state, and the options that are tensors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby
from typing import Any

import numpy as np

from minicnn_kernels.arrays import GPU_TYPES, host, on_device_of, writeable, xp
from minicnn_kernels.dispatch import Table
from minicnn_kernels.optimizers.pieces import in_pieces
from minicnn_kernels.optimizers.weights import Weights

from ..autograd import enable_grad, is_grad_enabled
from ..device import Meta, meta
from ..dtypes import Size, default_type
from ..ops.tensor.recorded import Recorded
from ..tensor import Array, Tensor
from .optimizer import Optimizer

State = dict[str, Any]
Group = dict[str, Any]
WithGradient = Any  # a parameter (a Tensor) whose gradient is not None

_TEXT = {"lr": "Invalid learning rate: {}", "eps": "Invalid epsilon value: {}"}
_NOT_NEGATIVE = (
    "lr", "eps", "weight_decay", "momentum", "alpha", "lr_decay", "initial_accumulator_value", "momentum_decay",
)  # fmt: skip


def checked(**options: Any) -> dict[str, Any]:
    """The options as a dict, after the checks that several optimisers share.

    `foreach` and `fused`, which choose between PyTorch's implementations of the same update, have no effect here.

    Raises:
        ValueError: a rate is negative, or a beta is not in [0, 1).
        RuntimeError: `fused` is given together with `foreach` or `differentiable`.
    """
    for name in _NOT_NEGATIVE:
        value = options.get(name, 0)
        if name == "lr" and isinstance(value, Tensor) and value.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not value >= 0:
            raise ValueError(_TEXT.get(name, f"Invalid {name} value: {{}}").format(value))
    for index, beta in enumerate(options.get("betas", ())):
        if not 0 <= beta < 1:
            raise ValueError(f"Invalid beta parameter at index {index}: {beta}")
    if options.get("fused") and options["differentiable"]:
        raise RuntimeError("`fused` does not support `differentiable`")
    if options.get("fused") and options["foreach"]:
        raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
    return options


class FirstOrder(Optimizer):
    """An optimiser that changes every element by its gradient and its own state. A subclass gives `update_one`."""

    def initial_state(self, p: Tensor, group: Group) -> State:
        """The state of a parameter before its first step."""
        return {}

    def update_one(self, group: Group, state: State, p: WithGradient) -> None:
        """One step of a parameter."""
        raise NotImplementedError

    def update_many(self, group: Group, params: list[WithGradient]) -> None:
        """One step of those parameters of a group that have a gradient."""
        with np.errstate(all="ignore"):
            for p in params:
                self._check(group, p)
                state = self._state_of(group, p)
                if not p.is_meta:
                    with on_device_of(p._array):
                        self.update_one(group, state, p)
                    if not is_recorded(group):
                        p._counter[0] += 1

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        for group in self.param_groups:
            for name, default in self.defaults.items():
                group.setdefault(name, default)
        for of_parameter in self.state.values():
            step = of_parameter.get("step") if isinstance(of_parameter, dict) else None
            if step is not None and not isinstance(step, Tensor):
                of_parameter["step"] = scalar(float(step))

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient. `closure` is called first; its result is returned."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [p for p in group["params"] if p._grad is not None]
            if is_recorded(group):
                self._check_written(params)
                group = {name: _in_place_of_arrays(option) for name, option in group.items()}
            self.update_many(group, params)
        return loss

    def _check_written(self, params: list[WithGradient]) -> None:
        leaf = next((p for p in params if p.is_leaf and p.requires_grad), None)
        if leaf is not None:
            raise RuntimeError(
                f"{type(self).__name__}: a leaf Variable that requires grad is being used in an in-place operation; "
                f"with differentiable=True the step is recorded, but a parameter of shape {leaf.shape} is a leaf; "
                "optimise a copy of it, p.clone(), or leave differentiable=True out"
            )

    def _check(self, group: Group, p: WithGradient) -> None:
        name, g = type(self).__name__, p._grad._array
        if group.get("capturable"):
            raise AssertionError(
                f"{name}: capturable=True is for CUDA graphs, which minicnn does not have; set it to False"
            )
        if group.get("fused") and (p.is_meta or p.dtype.kind != "f"):
            raise RuntimeError(
                f"{name}: `fused=True` requires all the params to be floating point Tensors, with memory; one of "
                f"shape {p.shape} is of {p.dtype} on {p.device}; leave fused out"
            )
        if g.shape != p._array.shape:
            raise RuntimeError(f"{name}: the gradient of a parameter of shape {p.shape} has shape {Size(g.shape)}")
        if GPU_TYPES:
            self._check_device(p)
        if not (p.is_meta or writeable(p._array)):
            raise ValueError(
                f"{name}: a parameter of shape {p.shape} is read-only; replace its memory by a copy with "
                "p.data = p.data.clone()"
            )

    def _check_device(self, p: WithGradient) -> None:
        kept = {name: value for name, value in self.state[p].items() if name not in self.counters}
        for name, value in (("gradient", p._grad), *kept.items()):
            if isinstance(value, Tensor) and value.device != p.device:
                raise RuntimeError(
                    f"{type(self).__name__}: Expected all tensors to be on the same device, but a parameter of shape "
                    f"{p.shape} is on {p.device} and its {name} on {value.device}; move the net before you make the "
                    "optimizer, or load the optimizer's own state_dict() into it after you have moved the net"
                )

    def _state_of(self, group: Group, p: Tensor) -> State:
        """The state of a parameter; it is made before the first step."""
        state: State = self.state[p]
        if not state:
            state.update(self.initial_state(p, group))
        return state


class KernelOptimizer(FirstOrder):
    """An optimiser whose update is a kernel that changes all parameters of a group in one call.

    A subclass gives `kernel`, `step_number` and `hyperparameters` instead of `update_one`.
    """

    _weights: dict[int, Weights]  # by the ids of the groups; kept from step to step, since finding addresses takes time

    def kernel(self, group: Group) -> tuple[Table, tuple[str, ...]]:
        """The table of the kernel, and the names of the buffers in the state that it changes."""
        raise NotImplementedError

    def update_one(self, group: Group, state: State, p: WithGradient) -> None:
        """One step of a parameter that is recorded: by the NumPy row of the kernel, which tensors can run."""
        numbers = self.hyperparameters(group, self.step_number(group, state, p))
        kernel, names = self.kernel(group)

        def update(x: Any, g: Any, *buffers: Any) -> None:
            kernel(Weights([x], *[[buffer] for buffer in buffers]), [g], numbers, backend="numpy")

        _record(update, p, *[state[name] for name in names])

    def step_number(self, group: Group, state: State, p: Tensor) -> float:
        """Count a step in the state of a parameter, and return its number, from 1."""
        raise NotImplementedError

    def hyperparameters(self, group: Group, step_number: float) -> Any:
        """The numbers that the kernel computes with, for parameters of the group at this step."""
        raise NotImplementedError

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._weights = {}

    def update_many(self, group: Group, params: list[WithGradient]) -> None:
        """One step of those parameters of a group that have a gradient; if one raises an error, none is changed."""
        if not params:
            self._weights.pop(id(group), None)
            return
        if is_recorded(group):
            super().update_many(group, params)
            return
        places = dict.fromkeys([p.device for p in params]) if GPU_TYPES else {}
        if len(places) > 1:  # a kernel runs on one device
            for place in places:
                self.update_many(group, [p for p in params if p.device == place])
            return
        xs, gs = [p._array for p in params], [p._grad._array for p in params]
        weights = self._weights.get(id(group))
        if weights is None or not weights.holds(xs, gs) or group.get("capturable"):
            for p in params:
                self._check(group, p)
            if any(type(x) is Meta for x in xs):  # these have no memory: only their state is made
                for p in params:
                    self._state_of(group, p)
                self.update_many(group, [p for p in params if not p.is_meta])
                return
            weights = None
            there = {id(group) for group in self.param_groups}
            self._weights = {key: kept for key, kept in self._weights.items() if key in there}
        states = [self.state[p] or self._state_of(group, p) for p in params]
        steps = [self.step_number(group, state, p) for state, p in zip(states, params, strict=True)]
        numbers = {step: self.hyperparameters(group, step) for step in dict.fromkeys(steps)}
        kernel, names = self.kernel(group)
        buffers = [[state[name]._array for state in states] for name in names]
        if weights is None or not weights.holds_buffers(buffers):
            weights = self._weights[id(group)] = Weights(xs, *buffers)
        for p in params:
            p._counter[0] += 1
        with on_device_of(xs[0]):
            for begin, end in _runs(steps) if len(numbers) > 1 else [(0, len(params))]:
                kernel(weights.part(begin, end), gs[begin:end], numbers[steps[begin]])


def _runs(steps: list[float]) -> Iterator[tuple[int, int]]:
    """Where each run of equal numbers begins and ends: a kernel updates neighbours at the same step together."""
    begin = 0
    for _, run in groupby(steps):
        end = begin + len(list(run))
        yield begin, end
        begin = end


def update_in_pieces(update: Callable[..., None], group: Group, p: WithGradient, *buffers: Tensor) -> None:
    """Run `update(x, g, *buffers)`, written in NumPy, on a parameter, its gradient and the buffers of its state.

    The options `maximize`, `weight_decay` and `decoupled_weight_decay` are applied first:

        g <- -g                           if maximize
        x <- (1 - lr * weight_decay) * x  if decoupled_weight_decay
        g <- g + weight_decay * x         otherwise
    """
    sign, (weight_decay, shrink) = -1.0 if group["maximize"] else 1.0, decay(group)
    if is_recorded(group):
        _record(lambda *values: in_pieces(update, list(values), sign, weight_decay, shrink), p, *buffers)
    else:
        arrays = [p._array, p._grad._array, *[buffer._array for buffer in buffers]]
        in_pieces(update, arrays, sign, weight_decay, shrink)


def is_recorded(group: Group) -> bool:
    """Whether the tape records a step of the group."""
    return bool(group.get("differentiable")) and is_grad_enabled()


def _record(update: Callable[..., None], p: WithGradient, *buffers: Tensor) -> None:
    """Run `update(x, g, *buffers)`, written in NumPy, on tensors, and write its results to p and the buffers.

    It gets copies, for the tape may save an old value, which must not be overwritten.
    """
    written = [p, *buffers]
    x, *values = [Recorded(tensor.clone()) for tensor in written]
    update(x, Recorded(p._grad), *values)
    for tensor, value in zip(written, [x, *values], strict=True):
        tensor.copy_(value.tensor)


def _in_place_of_arrays(option: Any) -> Any:
    """An option whose tensors that require gradients stand in the place of numbers."""
    if isinstance(option, tuple):
        return tuple(map(_in_place_of_arrays, option))
    return Recorded(option.reshape(())) if isinstance(option, Tensor) and option.requires_grad else option


def decay(group: Group) -> tuple[float, float]:
    """The weight decay of the gradient, and the factor of x, which is not 1 if the weight decay is decoupled."""
    weight_decay = real(group.get("weight_decay", 0.0))
    if weight_decay and group.get("decoupled_weight_decay"):
        return 0.0, real(1 - number(group["lr"]) * weight_decay)
    return weight_decay, 1.0


def number(option: Any) -> Any:
    """The value of an option that is a number or a tensor of one element; then in its type, as PyTorch computes."""
    return host(option.array).reshape(())[()] if isinstance(option, Tensor) else option


def kept_rate(group: Group) -> Any:
    """The learning rate of an optimiser that keeps it in the state of its parameters."""
    if isinstance(group["lr"], Recorded):
        raise NotImplementedError(
            "lr requires a gradient, but this optimizer keeps its rates in the state, as numbers; give it lr.detach()"
        )
    return number(group["lr"])


def real(value: Any) -> Any:
    """The value as a Python number; one that the tape records stays as it is."""
    return value if isinstance(value, Recorded) else float(value)


def scalar(value: float) -> Tensor:
    """A number for the state, as a 0-d tensor."""
    return Tensor(np.array(value, np.float64 if default_type() == np.float64 else np.float32))


def count_step(state: State) -> float:
    """Count a step in the state, and return its number, from 1."""
    step: Array = state["step"].array
    step[...] = step.item() + 1  # takes a tenth of the time of += 1
    return step.item()


def filled(p: Tensor, value: float = 0) -> Tensor:
    """A new buffer with the shape, type, memory order and device of the parameter."""
    with on_device_of(p.array):
        return Tensor(meta(p.shape, p.dtype) if p.is_meta else xp(p.array).full_like(p.array, value))
