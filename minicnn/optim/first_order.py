"""What the optimisers share whose update treats every element of a parameter alike: all but LBFGS.

Each is a rule, a function that changes a piece of the parameter given the same piece of the gradient and of its state.
The pieces are short enough to stay in the processor's cache from the rule's first line to its last, so that the rule
reads like its equations, a NumPy operation each, and yet every array goes through memory once. Rules that come also as
a compiled loop are in `together.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from ..autograd import enable_grad
from ..device import meta
from ..dtypes import Size
from ..ops.creation import get_default_dtype
from ..tensor import Array, Tensor
from .optimizer import Optimizer

BLOCK = 1 << 14  # elements of a piece: five pieces of float32 and a temporary take 400 kB

Rule = Callable[..., None]
State = dict[str, Any]
Group = dict[str, Any]

_TEXT = {"lr": "Invalid learning rate: {}", "eps": "Invalid epsilon value: {}"}
_NOT_NEGATIVE = (
    "lr", "eps", "weight_decay", "momentum", "alpha", "lr_decay", "initial_accumulator_value", "momentum_decay",
)  # fmt: skip


def checked(**options: Any) -> dict[str, Any]:
    """The options as a dict, after the checks that several optimisers have in common.

    `foreach` and `fused`, which choose between PyTorch's implementations of one update, change nothing here.

    Raises:
        ValueError: a negative rate, or a beta that is not in [0, 1).
        RuntimeError: `fused` together with `foreach` or `differentiable`.
        NotImplementedError: `differentiable`.
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
    if options["differentiable"]:
        raise NotImplementedError(
            "differentiable=True is not supported: a step is not recorded, so that no gradient flows through it; write "
            "the update with tensor operations instead (p_new = p - lr * g)"
        )
    return options


class Elementwise(Optimizer):
    """An optimiser that applies one rule to every element.

    What the options `maximize`, `weight_decay` and `decoupled_weight_decay` do is done here, before the rule:

        g <- -g                           if maximize
        x <- (1 - lr * weight_decay) * x  if decoupled_weight_decay
        g <- g + weight_decay * x         if not
    """

    def start(self, p: Tensor, group: Group) -> State:
        """The state of a parameter before its first step."""
        return {}

    def rule(self, group: Group, state: State, p: Tensor) -> tuple[Rule, tuple[str, ...]]:
        """Count the step in the state; give the rule `rule(x, g, *buffers)`, and the names of its buffers there.

        The rule gets 1-d arrays, overwrites `x` and the buffers, and leaves `g`, the gradient, as it is.
        """
        raise NotImplementedError

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
        """Change every parameter that has a gradient; returns what `closure`, called first, returns."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            self._update_group(group)
        return loss

    def _update_group(self, group: Group) -> None:
        """One step of the parameters of a group that have a gradient."""
        with np.errstate(all="ignore"):
            for p in group["params"]:
                if p._grad is not None:
                    self._update(group, p, p._grad._array)

    def _update(self, group: Group, p: Tensor, g: Array) -> None:
        self._check(group, p, g)
        state = self._started(group, p)
        if p.is_meta:
            return
        rule, names = self.rule(group, state, p)
        by_pieces(rule, group, [p._array, g, *(state[key].array for key in names)])
        p._version[0] += 1

    def _check(self, group: Group, p: Tensor, g: Array) -> None:
        name = type(self).__name__
        if group.get("capturable"):
            raise AssertionError(
                f"{name}: capturable=True is for CUDA graphs, and {p.device} has none; set it to False"
            )
        if g.shape != p._array.shape:
            raise RuntimeError(f"{name}: the gradient of a parameter of shape {p.shape} has shape {Size(g.shape)}")
        if not (p.is_meta or p._array.flags.writeable):
            raise ValueError(
                f"{name}: a parameter of shape {p.shape} is read-only; make it one that can be changed with "
                "p.data = p.data.clone()"
            )

    def _started(self, group: Group, p: Tensor) -> State:
        """The state of a parameter, made here before its first step."""
        state: State = self.state[p]
        if not state:
            state.update(self.start(p, group))
        return state


def by_pieces(rule: Callable[..., None], group: Group, arrays: list[Array]) -> None:
    """Run a rule piece by piece; NumPy's iterator makes them of any arrangement in memory."""
    decay, decoupled = float(group.get("weight_decay", 0)), group.get("decoupled_weight_decay", False)
    shrink = float(1 - number(group["lr"]) * decay)
    access: Any = [["readwrite"], ["readonly"], *(["readwrite"] for _ in arrays[2:])]
    types: Any = [arrays[0].dtype] * len(arrays)  # a gradient of another type is converted piece by piece
    with np.nditer(
        arrays, ["buffered", "external_loop", "zerosize_ok"], access, types, casting="same_kind", buffersize=BLOCK
    ) as pieces:
        for x, g, *buffers in pieces:
            g = -g if group["maximize"] else g
            if decay and decoupled:
                x *= shrink
            elif decay:
                g = g + decay * x
            rule(x, g, *buffers)


def number(option: Any) -> Any:
    """A number given as such or as a tensor of one element; of a tensor's type then, as PyTorch computes with it."""
    return option.array.reshape(())[()] if isinstance(option, Tensor) else option


def scalar(value: float) -> Tensor:
    """A number in the state, as a 0-d tensor."""
    return Tensor(np.array(value, np.float64 if get_default_dtype() == np.float64 else np.float32))


def count(state: State) -> float:
    """The number of this step, from 1."""
    step: Array = state["step"].array
    step[...] = step.item() + 1  # a tenth of the time of += 1
    return step.item()


def filled(p: Tensor, value: float = 0) -> Tensor:
    """A buffer like the parameter, in the same order in memory."""
    return Tensor(meta(p.shape, p.dtype) if p.is_meta else np.full_like(p.array, value))
